/**
 * What there is to say of the lists of prefixes and of the DNS names: how old each is, which is stale or missing, in log, alert and status.
 *
 * Pure but for the log and the alert that it is given: it looks when it is told to. The same trouble is told once, until
 * the list is well again.
 */

import { type PrefixList, shownUrl } from '../config/lists.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

/** A list of prefixes of the configuration, or a DNS name in it. */
export interface ListStatus {
  readonly name: string;
  /** The file, the URL up to its path, or `DNS` and what the name is used for. */
  readonly source: string;
  /** `missing`: never fetched or resolved, and nothing is blocked or published where it is used. */
  readonly state: 'fresh' | 'stale' | 'missing';
  readonly entries: number;
  /** When the file was written, or the URL confirmed the list. */
  readonly written_at: string | null;
  /** Why the newest attempt to fetch it gave nothing. */
  readonly error: string | null;
}

export interface ListWatchDependencies {
  readonly log: Logger;
  /** Takes an alert of kind `coverage`. */
  readonly tell?: (alert: Alert) => void;
  /** Why the newest attempt to fetch a copy gave nothing, or null. */
  readonly problem?: (file: string) => string | null;
  readonly policyVersion?: () => string;
}

export interface ListWatch {
  observe(lists: readonly PrefixList[], nowMs: number): void;
  states(lists: readonly PrefixList[], nowMs: number): ListStatus[];
}

export function createListWatch(dependencies: ListWatchDependencies): ListWatch {
  const { log, tell, problem = () => null, policyVersion = () => '' } = dependencies;
  const told = new Set<string>();

  return {
    observe(lists, nowMs) {
      for (const list of lists) {
        const { name, file, writtenMs, remote } = list;
        const why = problem(file);
        const state = listState(list, nowMs);
        if (state === 'fresh') told.delete(file);
        // The first attempt may still be on its way.
        if (state === 'fresh' || told.has(file) || (remote !== null && why === null)) continue;
        told.add(file);
        const words = complaint(list, state, why === null ? '' : ` (${why})`);
        log.warn({ list: name, file }, words);
        tell?.({
          ...hostlessAlert({
            kind: 'coverage',
            identity: ['list_stale', name, file, writtenMs],
            sinceMs: state === 'missing' ? nowMs : writtenMs,
            nowMs,
            reasons: [words],
            policy_version: policyVersion(),
          }),
          coverage: { cause: 'list_stale', exporters: 0, lost: 0 },
        });
      }
    },
    states: (lists, nowMs) =>
      lists.map((list) => ({
        name: list.name,
        source: listSource(list),
        state: listState(list, nowMs),
        entries: list.prefixes.length,
        written_at: list.missing ? null : iso(list.writtenMs),
        error: problem(list.file),
      })),
  };
}

function complaint(list: PrefixList, state: 'stale' | 'missing', because: string): string {
  const { name, remote, writtenMs } = list;
  const source = listSource(list);
  if (remote?.kind === 'name')
    return state === 'missing'
      ? `the name "${name}" could not be resolved (${source})${because}: nothing is blocked or published without it`
      : `the name "${name}" could not be resolved since ${iso(writtenMs)} (${source}): its last addresses stay${because}`;
  return state === 'missing'
    ? `the list of prefixes "${name}" could not be had from ${source}${because}: nothing is blocked or published where it is used`
    : `the list of prefixes "${name}" is stale: ${source} was not ${remote === null ? 'written' : 'confirmed'} since ${iso(writtenMs)}${because}`;
}

function listState({ missing, staleMs }: PrefixList, nowMs: number): ListStatus['state'] {
  if (missing) return 'missing';
  return nowMs >= staleMs ? 'stale' : 'fresh';
}

/** The file, or the URL without what may be secret. */
function listSource({ file, remote }: PrefixList): string {
  if (remote === null) return file;
  return remote.kind === 'url' ? shownUrl(remote.url) : USED_AS[remote.use];
}

const USED_AS = { inside: 'DNS, for hosts', outside: 'DNS, for `to`', any: 'DNS, for block.never' } as const;

const iso = (ms: number) => new Date(ms).toISOString();

/**
 * Keeps the copies of the lists that come from URLs: asks each URL now and then, and replaces the copy by a good answer.
 *
 * It writes files of the data directory and nothing else; what is in force is the reloader's business, which follows
 * those files. A copy is only ever replaced as a whole, by a list that was read to its end and understood; its time of
 * writing is when the URL last confirmed it.
 */

import { readFile, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { z } from 'zod';
import { type PrefixList, shownUrl, withListChecksum } from '../config/lists.ts';
import { messageOf } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import { replaceFile } from '../files/replace-file.ts';
import { formatPrefix, type Prefix } from '../flow/prefix.ts';
import type { Logger } from '../logger.ts';
import { type FetchedList, fetchList, type Validators } from './fetch.ts';

export interface ListFetcherDependencies {
  /** Those that the configuration names now, whether or not they are there. */
  readonly lists: () => readonly PrefixList[];
  /** A copy has another content. */
  readonly onChange: () => void;
  readonly log: Logger;
  readonly now: () => number;
  /** Longest time for one answer, all redirects and bytes included. */
  readonly timeoutMs?: number;
}

export interface ListFetcher {
  start(): void;
  stop(): Promise<void>;
  /** Why the newest attempt for this copy gave nothing; null when it did, or there was none. */
  problem(file: string): string | null;
  readonly counters: Readonly<Record<FetchedList['kind'], number>>;
}

/** Of one copy. */
interface Attempts {
  readonly askedMs: number;
  readonly dueMs: number;
  readonly problem: string | null;
}

const LOOK_MS = 1000;
const TIMEOUT_MS = 30_000;
/** A URL that gave nothing is asked again after so long, or its interval where that is shorter. */
const RETRY_MS = 60_000;
const MAX_AT_ONCE = 4;

const validatorsSchema = z.object({ etag: z.string().nullable(), lastModified: z.string().nullable() });

export function createListFetcher(dependencies: ListFetcherDependencies): ListFetcher {
  const { lists, onChange, log, now, timeoutMs = TIMEOUT_MS } = dependencies;
  const counters = { fresh: 0, unchanged: 0, refused: 0, failed: 0 };
  const attempts = new Map<string, Attempts>();
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | null = null;

  function look(): void {
    const named = lists();
    const files = new Set(named.map(({ file }) => file));
    for (const file of attempts.keys()) if (!files.has(file)) attempts.delete(file);
    for (const list of named) {
      if (list.remote === null || running.has(list.file)) continue;
      if (running.size >= MAX_AT_ONCE) return;
      if (now() < dueMs(list, list.remote.interval)) continue;
      const work = ask(list, list.remote).finally(() => running.delete(list.file));
      running.set(list.file, work);
    }
  }

  function dueMs({ file, missing, writtenMs }: PrefixList, interval: number): number {
    const made = attempts.get(file);
    // A copy that somebody removed is not waited for a whole interval.
    if (missing) return made === undefined ? 0 : made.askedMs + Math.min(interval, RETRY_MS);
    // What was confirmed before a restart need not be asked for at once.
    return made?.dueMs ?? Math.min(writtenMs, now()) + interval;
  }

  async function ask(list: PrefixList, { url, interval }: NonNullable<PrefixList['remote']>): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]);
    const known = list.missing ? null : await readValidators(list.file);
    const fetched = await fetchList(url, known, signal);
    if (stopping.signal.aborted) return;
    counters[fetched.kind]++;
    const problem = 'reason' in fetched ? fetched.reason : await keep(list, fetched);
    note(list, url, problem);
    const wait = problem === null ? interval : Math.min(interval, RETRY_MS);
    attempts.set(list.file, { askedMs: now(), dueMs: now() + wait, problem });
    if (problem === null && fetched.kind === 'fresh') onChange();
  }

  /** Null, or why the copy could not be kept. */
  async function keep(
    { file }: PrefixList,
    fetched: Extract<FetchedList, { readonly kind: 'fresh' | 'unchanged' }>,
  ): Promise<string | null> {
    try {
      if (fetched.kind === 'fresh') {
        await makeDirectory(dirname(file), 'directory of fetched lists');
        await replaceFile(file, copyText(fetched.prefixes, fetched.validators), {
          temporary: `${file}.${process.pid}.new`,
        });
      }
      const at = now() / 1000;
      await utimes(file, at, at);
      return null;
    } catch (error) {
      return `${file}: ${messageOf(error)}`;
    }
  }

  /** The same trouble is told once. */
  function note({ name, missing, file }: PrefixList, url: string, problem: string | null): void {
    const before = attempts.get(file)?.problem ?? null;
    if (problem === before) return;
    const fields = { list: name, url: shownUrl(url) };
    if (problem === null) log.info(fields, 'a list of prefixes can be fetched again');
    else if (missing)
      log.error({ ...fields, problem }, 'a list of prefixes cannot be had, and there is no copy');
    else log.warn({ ...fields, problem }, 'a list of prefixes cannot be fetched: the last good copy stays');
  }

  return {
    counters,
    problem: (file) => attempts.get(file)?.problem ?? null,
    start() {
      timer = setInterval(look, LOOK_MS);
      timer.unref();
      look();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}

/** What came is written in our words: nothing of the answer itself but addresses, and its validators as JSON. */
function copyText(prefixes: readonly Prefix[], validators: Validators): string {
  return withListChecksum(`# ${JSON.stringify(validators)}\n${prefixes.map(formatPrefix).join('\n')}\n`);
}

async function readValidators(file: string): Promise<Validators | null> {
  try {
    const [first = ''] = (await readFile(file, 'utf8')).split('\n', 1);
    return validatorsSchema.parse(JSON.parse(first.slice(1)));
  } catch {
    // Without them the list is asked for as if there were none.
    return null;
  }
}

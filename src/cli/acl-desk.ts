/**
 * The commands with which people decide about blocks: `block`, and `acl list`, `diff`, `log`, `approve`, `reject`, `release`,
 * `rollback`.
 *
 * They ask a running instance, and without one work on the data directory. What they print came from the network in part:
 * nothing of it reaches a terminal without having been made printable.
 */

import { userInfo } from 'node:os';
import { z } from 'zod';
import type { AclFamily } from '../acl/model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { valid } from '../http/valid.ts';
import { createLogger } from '../logger.ts';
import { decisionAuthor, decisionReason } from '../messages/decision.ts';
import type { AclDesk, AclOverview, Author, BlockRow, TargetState } from '../publish/desk.ts';
import { withOfflineDesk } from '../publish/offline-desk.ts';
import { createProbableServer } from '../service/probable-server.ts';
import { createClient } from './client.ts';
import { type ConfirmStreams, confirmed } from './confirm.ts';
import type { ReportStreams } from './reports.ts';
import { formatTable, printable, shortTime, zoneName } from './table.ts';

/** What a person needs to know is printed; the log of a service is none of it. */
const OFFLINE_LEVEL = 'error';

/** Calls `use` with the desk of a running instance, else with one on the data. */
async function withDesk(loaded: LoadedConfig, use: (desk: AclDesk) => Promise<void>): Promise<void> {
  const client = createClient(loaded);
  if (await client.isUp()) return use(client.acl);
  const { config } = loaded;
  const probableServerAt = (now: () => number) => createProbableServer(() => config, { assigned: [] }, now);
  await withOfflineDesk(loaded, createLogger(OFFLINE_LEVEL), probableServerAt, use);
}

const authorWords = z.object({ by: decisionAuthor, reason: decisionReason });

/**
 * Whoever runs the command; the API's audit log has no better name for them. Throws RogueSmtpError `usage` for what the API
 * would refuse: a detector would not take such a decision.
 */
function author(reason = ''): Author {
  return valid(authorWords, { by: userInfo().username, reason });
}

export interface JsonFlag {
  readonly json?: boolean;
}

export async function aclListCommand(
  loaded: LoadedConfig,
  flags: JsonFlag,
  streams: ReportStreams,
): Promise<void> {
  await withDesk(loaded, async (desk) => {
    const overview = await desk.overview();
    streams.stdout.write(flags.json ? `${JSON.stringify(overview)}\n` : describeOverview(overview));
  });
}

function describeOverview({ mode, hosts, targets }: AclOverview): string {
  const waiting = hosts.filter((row) => row.waiting).length;
  const parts = [
    `Mode ${mode}. ${hosts.filter((row) => row.listed).length} host(s) in the lists, ${waiting} waiting for approval.\n`,
  ];
  if (hosts.length > 0) {
    parts.push(
      '\n',
      formatTable<BlockRow>(
        [
          { title: 'HOST', value: (row) => (row.site === '' ? row.host : `${row.host} (${row.site})`) },
          {
            title: 'GRADE',
            value: (row) => (row.by_hand ? `${row.grade ?? ''} by hand`.trim() : (row.grade ?? '')),
          },
          { title: 'BLOCK', value: (row) => row.block.state },
          {
            title: 'IN LISTS',
            value: (row) => (row.listed ? 'yes' : row.held_since === null ? '' : 'held back'),
          },
          { title: 'UNTIL', value: untilOf },
          { title: 'AFTER', value: (row) => blockedAfter(row.time_to_block_ms), align: 'right' },
          { title: 'WHY', value: whyOf },
          { title: 'EFFECT', value: (row) => row.block.effect?.reason ?? '' },
        ],
        hosts,
      ),
    );
  }
  if (targets.length > 0) {
    parts.push(
      '\n',
      formatTable<TargetState>(
        [
          { title: 'LIST', value: (row) => `${row.target}.${row.family}` },
          { title: 'PLATFORM', value: (row) => row.platform },
          { title: 'KIND', value: (row) => row.kind },
          {
            title: 'REVISION',
            value: (row) => row.revisions.find(({ current }) => current)?.revision ?? '-',
          },
          {
            title: 'SINCE',
            value: (row) => shortTime(row.revisions.find(({ current }) => current)?.written_at ?? ''),
          },
          {
            title: 'EARLIER',
            value: (row) =>
              row.revisions
                .filter(({ current }) => !current)
                .map(({ revision }) => revision)
                .join(' '),
          },
          {
            title: 'HELD',
            value: ({ pin }) =>
              pin === null
                ? ''
                : `at ${pin.revision} by ${pin.by}${pin.reason === '' ? '' : `: ${pin.reason}`}`,
          },
          { title: 'TROUBLE', value: (row) => row.trouble ?? '' },
        ],
        targets,
      ),
    );
  }
  if (hosts.length > 0 || targets.length > 0) parts.push(`\nTimes are in ${zoneName(Date.now())}.\n`);
  return parts.join('');
}

/** The end of the block; a list that is held goes on denying the host until somebody lets it go. */
function untilOf({ block, listed }: BlockRow): string {
  if (block.state === 'proposed' || block.state === 'published')
    return block.until === null ? '' : shortTime(block.until);
  return listed ? 'rollback ends' : '';
}

function whyOf({ block, pending }: BlockRow): string {
  if (pending === null) return block.reason;
  const why = pending.reason === '' ? '' : `: ${pending.reason}`;
  return `${block.reason}; pending since ${shortTime(pending.decided_at)}: ${pending.action} by ${pending.by}${why}`;
}

function blockedAfter(ms: number | null): string {
  return ms === null ? '' : ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

/** Exit code 0 without a difference, 1 with one, as `diff`. */
export async function aclDiffCommand(
  loaded: LoadedConfig,
  target: string | undefined,
  streams: ReportStreams,
): Promise<number> {
  let differs = false;
  await withDesk(loaded, async (desk) => {
    const text = await desk.diff(target);
    differs = text !== '';
    streams.stdout.write(text);
    if (!differs) streams.stderr.write('Nothing waits: every list would stay as it is.\n');
  });
  return differs ? 1 : 0;
}

export async function aclLogCommand(
  loaded: LoadedConfig,
  flags: JsonFlag & { readonly limit: number },
  streams: ReportStreams,
): Promise<void> {
  await withDesk(loaded, async (desk) => {
    for (const entry of await desk.log(flags.limit)) {
      if (flags.json) {
        streams.stdout.write(`${JSON.stringify(entry)}\n`);
        continue;
      }
      const { at, by, what, why, host, target, family, revision, added = [], removed = [] } = entry;
      const about = [
        host,
        target === undefined ? undefined : family === undefined ? target : `${target}.${family}`,
        revision,
        ...added.map((one) => `+${one}`),
        ...removed.map((one) => `-${one}`),
      ].filter((part) => part !== undefined);
      const line = `${shortTime(at)} ${by} ${what} ${about.join(' ')}${why === '' ? '' : `: ${why}`}`;
      streams.stdout.write(`${printable(line)}\n`);
    }
  });
}

async function tellDone(
  loaded: LoadedConfig,
  streams: ReportStreams,
  act: (desk: AclDesk) => Promise<readonly string[]>,
): Promise<void> {
  await withDesk(loaded, async (desk) => {
    const done = await act(desk);
    for (const line of done) streams.stdout.write(`${printable(line)}\n`);
    if (done.length === 0) streams.stdout.write('Nothing to do.\n');
  });
}

export interface DecisionFlags {
  readonly reason?: string;
  /** Of the hosts that are named. */
  readonly site?: string;
}

/** As the desk takes hosts of a site. */
const namedAt = (hosts: readonly string[], site: string | undefined): readonly string[] =>
  site === undefined ? hosts : hosts.map((host) => `${host}@${site}`);

export function aclApproveCommand(
  loaded: LoadedConfig,
  hosts: readonly string[],
  { reason, site }: DecisionFlags,
  streams: ReportStreams,
): Promise<void> {
  return tellDone(loaded, streams, (desk) =>
    desk.approve({ hosts: namedAt(hosts, site), ...author(reason) }),
  );
}

export function aclRejectCommand(
  loaded: LoadedConfig,
  hosts: readonly string[],
  { reason, site }: DecisionFlags,
  streams: ReportStreams,
): Promise<void> {
  return tellDone(loaded, streams, (desk) => desk.reject({ hosts: namedAt(hosts, site), ...author(reason) }));
}

export function aclReleaseCommand(
  loaded: LoadedConfig,
  hosts: readonly string[],
  { reason, site, for: forMs }: DecisionFlags & { readonly for: number },
  streams: ReportStreams,
): Promise<void> {
  return tellDone(loaded, streams, (desk) =>
    desk.release({ hosts: namedAt(hosts, site), forMs, ...author(reason) }),
  );
}

/** Throws RogueSmtpError `usage` without a reason, and `refused` where an interlock speaks for a host. */
export function blockCommand(
  loaded: LoadedConfig,
  hosts: readonly string[],
  { reason, site, for: forMs }: DecisionFlags & { readonly reason: string; readonly for: number },
  streams: ReportStreams,
): Promise<void> {
  if (reason.trim() === '') throw new RogueSmtpError('usage', 'say why: --reason TEXT');
  return tellDone(loaded, streams, (desk) =>
    desk.block({ hosts: namedAt(hosts, site), forMs, ...author(reason) }),
  );
}

export interface RollbackFlags extends DecisionFlags {
  readonly to?: string;
  readonly family?: AclFamily;
  /** Do not ask. */
  readonly yes?: boolean;
  /** Lets held lists follow the incidents again, instead. */
  readonly release?: boolean;
}

/** Shows what would change and asks; without a terminal it wants `--yes`. Throws RogueSmtpError `usage`. */
export async function aclRollbackCommand(
  loaded: LoadedConfig,
  target: string | undefined,
  { reason, release, yes = false, ...choice }: RollbackFlags,
  streams: ReportStreams & ConfirmStreams,
): Promise<void> {
  if (release === true)
    return tellDone(loaded, streams, (desk) =>
      desk.follow({ targets: target === undefined ? [] : [target], ...author(reason) }),
    );
  const { to, family } = choice;
  const who = author(reason);
  await withDesk(loaded, async (desk) => {
    const diff = await desk.rollbackDiff({ target, to, family });
    streams.stdout.write(diff === '' ? 'The lists would stay as they are, but no longer change.\n' : diff);
    if (!yes && !(await confirmed('Roll back?', streams))) {
      streams.stdout.write('Nothing was changed.\n');
      return;
    }
    for (const line of await desk.rollback({ target, to, family, ...who }))
      streams.stdout.write(`${printable(line)}\n`);
  });
}

export function aclForgetLostCommand(
  loaded: LoadedConfig,
  flags: DecisionFlags,
  streams: ReportStreams,
): Promise<void> {
  return tellDone(loaded, streams, (desk) => desk.forgetLost(author(flags.reason)));
}

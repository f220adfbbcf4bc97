/**
 * Entries of the configuration with an end (`until`): told a day before they end, and when they have ended.
 *
 * A mail server whose permission ends unnoticed is blocked by its own network. Pure; what was told before is for the caller
 * to know, by the ids of the alerts.
 */

import type { Config } from '../config/schema.ts';
import { formatPrefix } from '../flow/prefix.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

const NOTICE_MS = 24 * 3_600_000;
/** Hosts that an alert names. */
const MAX_NAMED = 20;

interface Entry {
  readonly name: string;
  readonly hosts: Config['senders'][number]['hosts'];
  readonly until?: string | undefined;
}

/** What is to be known now of the entries of `senders` and `expected`; the same alert has the same id whenever it is asked for. */
export function endingPermissions(
  { senders, expected }: Pick<Config, 'senders' | 'expected'>,
  nowMs: number,
  policyVersion: string,
): readonly Alert[] {
  const words = [
    ...senders.map((entry) => ({ entry, what: `the permission of sender "${entry.name}"` })),
    ...expected.map((entry) => ({ entry, what: `the declaration "${entry.name}" (expected)` })),
  ];
  return words.flatMap(({ entry, what }) => ending(entry, what, nowMs, policyVersion));
}

function ending({ name, hosts, until }: Entry, what: string, nowMs: number, policyVersion: string): Alert[] {
  if (until === undefined) return [];
  const untilMs = Date.parse(until);
  if (nowMs < untilMs - NOTICE_MS) return [];
  const hasEnded = nowMs >= untilMs;
  const cause = hasEnded ? 'permission_ended' : 'permission_ends';
  const texts = hosts.map(formatPrefix);
  const named = texts.slice(0, MAX_NAMED).join(' ');
  const whom = texts.length > MAX_NAMED ? `${named} and ${texts.length - MAX_NAMED} more` : named;
  return [
    {
      ...hostlessAlert({
        kind: 'coverage',
        identity: [cause, what, name, texts, until],
        sinceMs: hasEnded ? untilMs : untilMs - NOTICE_MS,
        nowMs,
        reasons: [
          hasEnded
            ? `${what} (${whom}) ended at ${until}: its hosts are reported, and may be blocked, like all others`
            : `${what} (${whom}) ends at ${until}: after that its hosts are reported, and may be blocked, like all others; set another "until" if it is to go on`,
        ],
        policy_version: policyVersion,
      }),
      coverage: { cause, exporters: 0, lost: 0 },
    },
  ];
}

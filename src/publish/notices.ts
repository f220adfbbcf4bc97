/** What people are told of the lists, beside the log: alerts about lists that wait or fail, and lines of the audit log. */

import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import type { AuditLog } from './audit-log.ts';

/** Hosts that an alert, a log line or an audit entry names. */
export const MAX_NAMED = 50;

export interface ListNoticesDependencies {
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly now: () => number;
  /** Hands an alert on. */
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
}

export interface ListNotices {
  /** A line of the audit log. One that cannot be written must not keep a list from being published. */
  note(entry: Parameters<AuditLog['append']>[0]): Promise<void>;
  /** Hosts, by their stream key, are held back for being more than `maxChange` at once. */
  heldBack(keys: readonly string[], maxChange: number): Promise<void>;
  /** Hosts in the lists, by their stream key, have lost their incident; `why` says what that means. */
  lost(keys: readonly string[], why: string): void;
  /** A host without an incident has come into the lists by hand, or left them; `decision`: the newest about it. */
  blockedByHand(decision: Decision, isListed: boolean): void;
  /** The hook of a list, such as `edge.4`, fails. */
  hookFailed(list: string, reason: string): void;
}

export function createListNotices(dependencies: ListNoticesDependencies): ListNotices {
  const { audit, log, now, tell, policyVersion } = dependencies;
  const iso = () => new Date(now()).toISOString();

  function tellCoverage(
    cause: 'acl_held' | 'acl_failed' | 'data_damaged',
    identity: readonly unknown[],
    reasons: string[],
  ): void {
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: [cause, ...identity],
        sinceMs: now(),
        nowMs: now(),
        reasons,
        policy_version: policyVersion(),
      }),
      coverage: { cause, exporters: 0, lost: 0 },
    });
  }

  async function note(entry: Parameters<AuditLog['append']>[0]): Promise<void> {
    await audit
      .append(entry)
      .catch((error: unknown) => log.error({ ...entry, error: messageOf(error) }, 'not in the audit log'));
  }

  return {
    note,
    async heldBack(keys, maxChange) {
      const named = keys.slice(0, MAX_NAMED).map((key) => key.slice(key.indexOf('|') + 1));
      const why =
        `${keys.length} hosts would come into the lists at once, more than block.max_change (${maxChange}): ` +
        'they wait to be approved by hand (rogue-smtp acl list; acl approve)';
      log.warn({ hosts: named }, why);
      tellCoverage('acl_held', keys, [why, `among them ${named.join(', ')}`]);
      await note({ at: iso(), by: 'limits', what: 'hold_back', why, added: named });
    },
    lost(keys, why) {
      tellCoverage('data_damaged', keys, [`the lists are left as they were: ${why}`]);
    },
    blockedByHand({ decision_id, action, host, site, by, reason, until, decided_at }, isListed) {
      const what = `${action === 'block' ? 'blocked' : 'released'} by ${by} until ${until}`;
      const isOver = action === 'block' && !isListed;
      const words = `${host} ${isOver ? 'is in no list any more: it was' : 'is'} ${what}${reason === '' ? '' : `: ${reason}`}`;
      log.warn({ host }, words);
      tell({
        ...hostlessAlert({
          kind: 'finding',
          identity: ['blocked_by_hand', decision_id, isListed],
          sinceMs: Date.parse(decided_at),
          nowMs: now(),
          reasons: [words],
          policy_version: policyVersion(),
        }),
        host,
        site,
        finding: { type: 'blocked_by_hand' },
      });
    },
    hookFailed(list, reason) {
      const why = `the hook of the list ${list} failed, and is tried again: ${reason}`;
      tellCoverage('acl_failed', [list, now()], [why]);
      void note({ at: iso(), by: 'hook', what: 'hook_failed', why: reason, target: list });
    },
  };
}

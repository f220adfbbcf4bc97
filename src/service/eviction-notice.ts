/**
 * Says in the log and as an alert of kind `coverage` that a detector's tables are full, so that what had to leave them is
 * not a figure among many.
 *
 * Once when it begins and then with what came since, each minute in the log and every ten as an alert: a flood must not
 * become a flood of either. The open incident of a host that leaves is closed and told as an alert of its own.
 */

import type { Detector } from '../detect/detector.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

const REPEAT_MS = 60_000;
const REPEAT_ALERT_MS = 600_000;

/** What left a table, since the start. */
interface Left {
  readonly hosts: number;
  readonly sessions: number;
  readonly attempts: number;
  readonly ofPrefix: number;
  readonly ofExporter: number;
}

const NOTHING: Left = { hosts: 0, sessions: 0, attempts: 0, ofPrefix: 0, ofExporter: 0 };

/** The notice of one partition: to be called whenever its detector has read something. */
export function createEvictionNotice(
  log: Logger,
  now: () => number,
  tell: (alert: Alert) => void,
  policyVersion: () => string,
): (counters: Detector['counters'], partition: number) => void {
  let told = NOTHING;
  let toldMs = Number.NEGATIVE_INFINITY;
  let alerted = NOTHING;
  let alertedMs = Number.NEGATIVE_INFINITY;

  function alertFull(left: Left, crowdedBy: string, partition: number): void {
    const nowMs = now();
    if (nowMs - alertedMs < REPEAT_ALERT_MS) return;
    const since = minus(left, alerted);
    const sinceMs = Number.isFinite(alertedMs) ? alertedMs : nowMs;
    alerted = left;
    alertedMs = nowMs;
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: ['tables_full', partition, nowMs, left.hosts, left.sessions, left.attempts],
        sinceMs,
        nowMs,
        reasons: reasonsOf(since, crowdedBy, partition),
        policy_version: policyVersion(),
      }),
      coverage: { cause: 'tables_full', exporters: 0, lost: since.hosts + since.sessions + since.attempts },
    });
  }

  return (counters, partition) => {
    const left = leftOf(counters);
    const since = minus(left, told);
    if (since.hosts + since.sessions + since.attempts === 0 || now() - toldMs < REPEAT_MS) return;
    log.warn(
      {
        partition,
        hosts: since.hosts,
        sessions: since.sessions,
        ...(since.attempts > 0 && { attempts: since.attempts }),
        ...(since.ofPrefix > 0 && { of_one_prefix: since.ofPrefix }),
        ...(since.ofExporter > 0 && { of_one_exporter: since.ofExporter, exporter: counters.crowdedBy }),
      },
      'the tables of the detector are full: what was longest quiet had to leave (detection.max_hosts, detection.max_sessions)',
    );
    alertFull(left, counters.crowdedBy, partition);
    told = left;
    toldMs = now();
  };
}

const leftOf = (counters: Detector['counters']): Left => ({
  hosts: counters.evictedHosts,
  sessions: counters.evictedSessions,
  attempts: counters.evictedAttempts + counters.expiredAttempts,
  ofPrefix: counters.evictedFor.prefix_share,
  ofExporter: counters.evictedFor.exporter_share,
});

const minus = (a: Left, b: Left): Left => ({
  hosts: a.hosts - b.hosts,
  sessions: a.sessions - b.sessions,
  attempts: a.attempts - b.attempts,
  ofPrefix: a.ofPrefix - b.ofPrefix,
  ofExporter: a.ofExporter - b.ofExporter,
});

function reasonsOf(since: Left, crowdedBy: string, partition: number): string[] {
  const reasons = [
    `the tables of the detector are full: ${since.hosts} hosts and ${since.sessions} sessions that were longest quiet had to leave ` +
      `before their time (detection.max_hosts, detection.max_sessions; partition ${partition})`,
  ];
  if (since.ofExporter > 0)
    reasons.push(
      `${since.ofExporter} of these hosts were reported by the exporter that had reported the most, last ${crowdedBy}: its share of the table is used up. ` +
        'Source addresses can be forged: name your routers in collector.exporters',
    );
  if (since.ofPrefix > 0)
    reasons.push(`${since.ofPrefix} of these hosts were in an IPv6 /64 whose share of the table is used up`);
  if (since.attempts > 0)
    reasons.push(
      `${since.attempts} hosts with a single attempt that nobody answered were forgotten: too many hosts have such attempts only, so that one of them alone is no incident`,
    );
  return reasons;
}

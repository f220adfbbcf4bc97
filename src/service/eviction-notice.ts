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

/** The notice of one partition: to be called whenever its detector has read something. */
export function createEvictionNotice(
  log: Logger,
  now: () => number,
  tell: (alert: Alert) => void,
  policyVersion: () => string,
): (counters: Detector['counters'], partition: number) => void {
  let hosts = 0;
  let sessions = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  let alerted = { hosts: 0, sessions: 0, atMs: Number.NEGATIVE_INFINITY };

  function alertFull({ evictedHosts, evictedSessions }: Detector['counters'], partition: number): void {
    const nowMs = now();
    const { atMs } = alerted;
    if (nowMs - atMs < REPEAT_ALERT_MS) return;
    const lostHosts = evictedHosts - alerted.hosts;
    const lostSessions = evictedSessions - alerted.sessions;
    alerted = { hosts: evictedHosts, sessions: evictedSessions, atMs: nowMs };
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: ['tables_full', partition, nowMs, evictedHosts, evictedSessions],
        sinceMs: Number.isFinite(atMs) ? atMs : nowMs,
        nowMs,
        reasons: [
          `the tables of the detector are full: ${lostHosts} hosts and ${lostSessions} sessions that were longest quiet had to leave ` +
            `before their time (detection.max_hosts, detection.max_sessions; partition ${partition})`,
        ],
        policy_version: policyVersion(),
      }),
      coverage: { cause: 'tables_full', exporters: 0, lost: lostHosts + lostSessions },
    });
  }

  return (counters, partition) => {
    const { evictedHosts, evictedSessions } = counters;
    if (evictedHosts === hosts && evictedSessions === sessions) return;
    if (now() - toldMs < REPEAT_MS) return;
    log.warn(
      { partition, hosts: evictedHosts - hosts, sessions: evictedSessions - sessions },
      'the tables of the detector are full: what was longest quiet had to leave (detection.max_hosts, detection.max_sessions)',
    );
    alertFull(counters, partition);
    hosts = evictedHosts;
    sessions = evictedSessions;
    toldMs = now();
  };
}

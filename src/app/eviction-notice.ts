/**
 * Says in the log that a detector's tables are full, so that what had to leave them is not a figure among many.
 *
 * Once when it begins and then once a minute with what came since: a flood must not become a flood of lines. The open
 * incident of a host that leaves is closed and told as an alert of its own.
 */

import type { Detector } from '../detect/detector.ts';
import type { Logger } from './logger.ts';

const REPEAT_MS = 60_000;

/** The notice of one partition: to be called whenever its detector has read something. */
export function createEvictionNotice(
  log: Logger,
  now: () => number,
): (counters: Detector['counters'], partition: number) => void {
  let hosts = 0;
  let sessions = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  return (counters, partition) => {
    const { evictedHosts, evictedSessions } = counters;
    if (evictedHosts === hosts && evictedSessions === sessions) return;
    if (now() - toldMs < REPEAT_MS) return;
    log.warn(
      { partition, hosts: evictedHosts - hosts, sessions: evictedSessions - sessions },
      'the tables of the detector are full: what was longest quiet had to leave (detection.max_hosts, detection.max_sessions)',
    );
    hosts = evictedHosts;
    sessions = evictedSessions;
    toldMs = now();
  };
}

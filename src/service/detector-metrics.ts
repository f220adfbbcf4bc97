/** What the detectors of this process count, as metrics; here, since detection itself is pure. */

import type { Detector } from '../detect/detector.ts';
import type { MetricRegistry } from '../metrics.ts';

export function registerDetectorMetrics(
  metrics: MetricRegistry,
  detector: Pick<Detector, 'counters'>,
  lag: () => number,
): void {
  metrics.counter('mail_records_ignored_total', 'Mail flow records that are no evidence', 'reason', () =>
    Object.entries(detector.counters.ignored),
  );
  metrics.gauge('incidents_open', 'Open incidents', 'grade', () => Object.entries(detector.counters.open));
  metrics.gauge('blocks', 'Hosts with an incident, by what is done about them', 'state', () =>
    Object.entries(detector.counters.blocks),
  );
  metrics.gauge('detector_entries', 'Present size of the tables', 'table', () => [
    ['hosts', detector.counters.hosts],
    ['sessions', detector.counters.sessions],
    ['attempts', detector.counters.waitingAttempts],
  ]);
  metrics.counter('detector_evicted_total', 'Entries that had to leave a full table', 'table', () => [
    ['hosts', detector.counters.evictedHosts],
    ['sessions', detector.counters.evictedSessions],
    ['attempts', detector.counters.evictedAttempts + detector.counters.expiredAttempts],
    ['submitters', detector.counters.evictedSubmitters],
  ]);
  metrics.counter('detector_hosts_evicted_total', 'Hosts that had to leave, by why', 'reason', () =>
    Object.entries(detector.counters.evictedFor),
  );
  metrics.level('detect_lag_messages', 'Mail messages that may be read again after a restart', lag);
}

/** What became of notifications, by target, as metrics. */

import type { MetricRegistry } from '../metrics.ts';
import type { TargetStatus } from './notifier.ts';

export function registerNotifyMetrics(
  metrics: MetricRegistry,
  status: () => readonly TargetStatus[],
  now: () => number,
): void {
  const each = (read: (target: TargetStatus) => number) => () =>
    status().map((target) => [target.name, read(target)] as const);
  metrics.counter(
    'notifications_sent_total',
    'Notifications that a target has taken',
    'target',
    each(({ counters }) => counters.sent),
  );
  metrics.counter(
    'notification_failures_total',
    'Attempts to send a notification that failed',
    'target',
    each(({ counters }) => counters.failed),
  );
  metrics.counter(
    'notifications_dropped_total',
    'Notifications that were given up: the queue was full, they were too old, or the target refused them',
    'target',
    each(({ counters: { dropped } }) => dropped.queue_full + dropped.too_old + dropped.refused),
  );
  metrics.gauge(
    'notification_queue_length',
    'Notifications that wait to be sent',
    'target',
    each(({ queued }) => queued),
  );
  metrics.gauge(
    'notification_oldest_age_seconds',
    'Age of the oldest notification that waits to be sent; 0 where none waits',
    'target',
    each(({ oldest_at }) => (oldest_at === null ? 0 : Math.max(0, (now() - Date.parse(oldest_at)) / 1000))),
  );
  metrics.gauge(
    'notification_target_failing',
    '1 while the newest attempt to send to a target has failed',
    'target',
    each(({ failing }) => (failing === null ? 0 : 1)),
  );
}

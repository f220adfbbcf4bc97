/** The alerts of this process, whoever makes them, as one metric. */

import { ALERT_KINDS } from '../messages/alert.ts';
import type { MetricRegistry } from '../metrics.ts';

/** In every process, whichever roles it runs: a kind that it cannot publish stays 0. */
export function registerAlertMetrics(
  metrics: MetricRegistry,
  counts: () => readonly Readonly<Record<string, number>>[],
): void {
  metrics.counter('alerts_total', 'Alerts emitted', 'kind', () => {
    const total = new Map<string, number>(ALERT_KINDS.map((kind) => [kind, 0]));
    for (const byKind of counts())
      for (const [kind, count] of Object.entries(byKind)) total.set(kind, (total.get(kind) ?? 0) + count);
    return total;
  });
}

/** What is counted of canaries. */

import type { MetricRegistry } from '../metrics.ts';
import type { Canary } from './canary.ts';

export function registerCanaryMetrics(metrics: MetricRegistry, { counters }: Pick<Canary, 'counters'>): void {
  metrics.total('canaries_sent_total', 'Canary flows sent', () => counters.sent);
  metrics.total(
    'canaries_missing_total',
    'Canary flows on the timer whose alert did not come',
    () => counters.missing,
  );
  metrics.level(
    'canary_latency_seconds',
    'Time from the newest canary flow to its alert; NaN before the first, and where none came',
    () => (counters.latencyMs === null ? Number.NaN : counters.latencyMs / 1000),
  );
}

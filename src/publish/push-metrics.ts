/** What became of lists that were pushed to routers, as metrics. */

import type { MetricRegistry } from '../metrics.ts';

export function registerPushMetrics(
  metrics: MetricRegistry,
  { counters }: { readonly counters: Readonly<Record<'applied' | 'unchanged' | 'failed', number>> },
): void {
  metrics.counter('pushes_total', 'Lists sent to routers, by how it ended', 'result', () => [
    ['applied', counters.applied],
    ['unchanged', counters.unchanged],
    ['failed', counters.failed],
  ]);
}

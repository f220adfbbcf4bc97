/** What the store's writer counts, as metrics. */

import type { MetricRegistry } from '../metrics.ts';
import type { StoreWriter } from './writer.ts';

export function registerWriterMetrics(
  metrics: MetricRegistry,
  { counters, lag }: Pick<StoreWriter, 'counters' | 'lag'>,
): void {
  metrics.total('flows_stored_total', 'Flow records in the store', () => counters.flowsStored);
  metrics.total(
    'store_retries_total',
    'Deliveries that the store refused and that came again',
    () => counters.retries,
  );
  metrics.counter('store_rejected_rows_total', 'Rows that the store can never take', 'outcome', () => [
    ['set_aside', counters.rowsDeadLettered],
    ['dropped', counters.rowsDropped],
  ]);
  metrics.level('store_lag_messages', 'Messages published and not yet in the store', lag);
}

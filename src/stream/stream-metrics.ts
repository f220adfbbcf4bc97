/** What a stream counts, as metrics. */

import type { Labelled, MetricRegistry } from '../metrics.ts';
import { STREAM_NAMES, type StreamCounters, type StreamName } from './stream.ts';

/** What only the in-process stream counts. */
interface ExtraStreamCounters {
  readonly repeated?: Readonly<Record<StreamName, number>>;
  readonly damaged?: Readonly<Record<StreamName, number>>;
  readonly lostRows?: Readonly<Record<StreamName, number>>;
}

export function registerStreamMetrics(
  metrics: MetricRegistry,
  { counters }: { readonly counters: StreamCounters & ExtraStreamCounters },
): void {
  metrics.level(
    'spool_bytes',
    'Bytes on disk that some consumer has yet to commit',
    () => counters.spoolBytes,
  );
  metrics.total(
    'spool_dropped_flows_total',
    'Flow records that the bound of the spool cut, of the flows and the mail stream',
    () => counters.dropped.flows + counters.dropped.mail,
  );
  const byStream = (counts: Readonly<Record<StreamName, number>>): Labelled =>
    STREAM_NAMES.map((name) => [name, counts[name]]);
  metrics.counter('stream_published_total', 'Rows (or JSON messages) accepted', 'stream', () =>
    byStream(counters.published),
  );
  metrics.counter('stream_dropped_total', 'Rows (or JSON messages) refused', 'stream', () =>
    byStream(counters.dropped),
  );
  if (counters.repeated !== undefined) {
    metrics.counter('stream_repeated_total', 'Messages recognised as published before', 'stream', () =>
      counters.repeated === undefined ? [] : byStream(counters.repeated),
    );
  }
  if (counters.damaged !== undefined) {
    metrics.counter('stream_damaged_total', 'Messages that could not be read back', 'stream', () =>
      counters.damaged === undefined ? [] : byStream(counters.damaged),
    );
  }
  if (counters.lostRows !== undefined) {
    metrics.counter(
      'stream_lost_rows_total',
      'Rows (or JSON messages) that were published and gone before they were read',
      'stream',
      () => (counters.lostRows === undefined ? [] : byStream(counters.lostRows)),
    );
  }
}

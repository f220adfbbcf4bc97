/** What the collector counts, as metrics. Anyone can pretend to be an exporter, so series of exporters are bounded. */

import { unreadFlows } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';
import type { Labelled, MetricRegistry } from '../metrics.ts';
import type { Collector } from './collector.ts';

/** Exporters with series of their own; the others share the series `other`. */
export const MAX_EXPORTER_SERIES = 1000;
const OTHER_EXPORTERS = 'other';

export function registerCollectorMetrics(
  metrics: MetricRegistry,
  collector: Pick<Collector, 'counters' | 'exporters'>,
): void {
  const { counters } = collector;
  const perExporter = exporterSeries(collector);
  metrics.counter('datagrams_received_total', 'Datagrams taken from the sockets', 'listener', () =>
    counters.listeners.map(({ name, datagrams }) => [name, datagrams]),
  );
  metrics.counter(
    'kernel_drops_total',
    'Datagrams that the kernel dropped because the receive buffer was full',
    'listener',
    () => counters.listeners.map(({ name, kernelDrops }) => [name, kernelDrops]),
  );
  metrics.counter(
    'datagrams_cut_total',
    'Datagrams whose end was lost because they were longer than 65,536 bytes',
    'listener',
    () => counters.listeners.map(({ name, cut }) => [name, cut]),
  );
  metrics.counter('flows_decoded_total', 'Flow records decoded', 'version', () =>
    Object.entries(counters.decoder.flows),
  );
  metrics.counter(
    'records_dropped_total',
    'What was not decoded (datagrams, sets or records, as the reason says) or, once decoded, not archived',
    'reason',
    () => [...Object.entries(counters.recordsDropped), ...Object.entries(counters.dropped.flows)],
  );
  metrics.counter(
    'unread_flows_total',
    'Flow records and samples whose addresses could not be read, by reason (not_ip carries no mail)',
    'reason',
    () => Object.entries(counters.decoder.unread ?? {}),
  );
  metrics.counter(
    'unread_exporter_flows_total',
    'Flow records and samples whose addresses could not be read and that may be mail',
    'exporter',
    () => perExporter(unreadFlows, (a, b) => a + b),
  );
  metrics.counter('flows_published_total', 'Flow records that a stream accepted', 'stream', () =>
    Object.entries(counters.published),
  );
  metrics.counter(
    'mail_dropped_total',
    'Flows on mail ports that the mail stream did not take',
    'reason',
    () => Object.entries(counters.dropped.mail),
  );
  metrics.gauge('flows_pending', 'Flow records decoded that the stream has yet to answer for', 'stream', () =>
    Object.entries(counters.pending),
  );
  metrics.total('mail_flows_total', 'Flow records on mail ports', () => counters.mailFlows);
  metrics.counter(
    'sequence_lost_total',
    'Lost on the way by the sequence numbers, over restarts: flows for v5 and IPFIX, datagrams for v9 and sFlow',
    'exporter',
    () =>
      perExporter(
        (exporter) => exporter.sequenceLostBefore + exporter.sequenceLost,
        (a, b) => a + b,
      ),
  );
  metrics.counter(
    'sequence_unknown_total',
    'Gaps in the sequence numbers in which an unknown number was lost: more is claimed than the exporter can have sent',
    'exporter',
    () =>
      perExporter(
        (exporter) => exporter.sequenceUnknown,
        (a, b) => a + b,
      ),
  );
  metrics.gauge(
    'exporter_last_seen_seconds',
    'Time of the newest datagram, in seconds since 1970',
    'exporter',
    () => perExporter((exporter) => exporter.lastSeenMs / 1000, Math.max),
  );
}

/** One value an exporter address, its domains joined; at most so many addresses, which keep their series. */
function exporterSeries(collector: Pick<Collector, 'exporters'>) {
  let named = new Set<string>();
  return (value: (exporter: ExporterState) => number, join: (a: number, b: number) => number): Labelled => {
    const byAddress = new Map<string, number>();
    for (const exporter of collector.exporters()) {
      const address = formatAddress(exporter.address);
      const before = byAddress.get(address);
      byAddress.set(address, before === undefined ? value(exporter) : join(before, value(exporter)));
    }
    named = new Set([...named].filter((address) => byAddress.has(address)));
    const series = new Map<string, number>();
    for (const [address, amount] of byAddress) {
      if (named.size < MAX_EXPORTER_SERIES) named.add(address);
      const label = named.has(address) ? address : OTHER_EXPORTERS;
      const before = series.get(label);
      series.set(label, before === undefined ? amount : join(before, amount));
    }
    return series;
  };
}

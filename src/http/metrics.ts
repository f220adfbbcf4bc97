/**
 * Prometheus metrics: the counters that every part keeps anyway, read when somebody asks.
 *
 * Nothing is pushed here from a hot path but the latency of an alert, which is rare. Names and labels are a contract
 * (contract.md, "Metrics"); label values are few by nature or bounded here, since anyone can pretend to be an exporter.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Collector } from '../collect/collector.ts';
import { unreadFlows } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import type { Detector } from '../detect/detector.ts';
import { formatAddress } from '../flow/address.ts';
import { ALERT_KINDS } from '../messages/alert.ts';
import type { HostlessKind } from '../messages/hostless-alert.ts';
import type { StoreWriter } from '../store/writer.ts';
import { STREAM_NAMES, type StreamCounters, type StreamName } from '../stream/stream.ts';

/** Whatever runs in this process; what does not run has no metrics. */
export interface MetricsSources {
  readonly collector?: Pick<Collector, 'counters' | 'exporters'>;
  /** Mail messages that the detector has not committed. */
  readonly detectLag?: () => number;
  readonly stream?: { readonly counters: StreamCounters & ExtraStreamCounters };
  readonly detector?: Pick<Detector, 'counters'>;
  /** Alerts that this process published and no detector made, by kind. */
  readonly hostlessAlerts?: () => Readonly<Record<HostlessKind, number>>;
  /** Lists pushed to routers; absent when no target has a push. */
  readonly push?: {
    readonly counters: Readonly<Record<'applied' | 'unchanged' | 'failed', number>>;
  };
  readonly writer?: Pick<StoreWriter, 'counters' | 'lag'>;
  readonly policy?: PolicySource;
}

/** The policy in force and how it got there. */
interface PolicySource {
  readonly version: () => string;
  /** Why the newest file is not in force, or null. */
  readonly error: () => string | null;
  readonly listAges: () => Labelled;
  /** Answers of the URLs that lists come from, by what became of them. */
  readonly listFetches: Readonly<Record<string, number>>;
  readonly counters: { readonly applied: number; readonly failed: number };
}

/** What only the in-process stream counts. */
interface ExtraStreamCounters {
  readonly repeated?: Readonly<Record<StreamName, number>>;
  readonly damaged?: Readonly<Record<StreamName, number>>;
}

export interface Metrics {
  /** Seconds from the first record of a host to the lists that deny it. */
  readonly observeTimeToBlock: (seconds: number) => void;
  /** Seconds from the receipt of the datagram to the publication of its alert. */
  readonly observeAlertLatency: (seconds: number) => void;
  readonly render: () => Promise<{ readonly text: string; readonly contentType: string }>;
}

/** Exporters with series of their own; the others share the series `other`. */
export const MAX_EXPORTER_SERIES = 1000;
const OTHER_EXPORTERS = 'other';

/** From what a fast path takes to what is a failure: 2 s is promised. */
const LATENCY_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300];

type Labelled = Iterable<readonly [label: string, value: number]>;

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  if (sources.collector !== undefined) describeCollector(registry, sources.collector);
  if (sources.stream !== undefined) describeStream(registry, sources.stream);
  if (sources.detector !== undefined) describeDetector(registry, sources.detector);
  describeAlerts(registry, sources);
  if (sources.push !== undefined) describePush(registry, sources.push);
  if (sources.policy !== undefined) describePolicy(registry, sources.policy);
  const { detectLag } = sources;
  if (detectLag !== undefined) {
    single(
      registry,
      Gauge,
      'detect_lag_messages',
      'Mail messages that may be read again after a restart',
      detectLag,
    );
  }
  if (sources.writer !== undefined) describeWriter(registry, sources.writer);
  const latency = new Histogram({
    name: 'rogue_smtp_alert_latency_seconds',
    help: 'Time from the datagram received to the alert emitted',
    buckets: LATENCY_BUCKETS_SECONDS,
    registers: [registry],
  });
  const timeToBlock = new Histogram({
    name: 'rogue_smtp_time_to_block_seconds',
    help: 'Time from the first record of a host to the lists that deny it, where no person had to approve',
    buckets: LATENCY_BUCKETS_SECONDS,
    registers: [registry],
  });
  // A clock that was set back must not spoil the sum.
  const observe = (histogram: Histogram) => (seconds: number) => {
    if (Number.isFinite(seconds)) histogram.observe(Math.max(0, seconds));
  };
  return {
    observeTimeToBlock: observe(timeToBlock),
    observeAlertLatency: observe(latency),
    render: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
  };
}

function describeCollector(registry: Registry, collector: NonNullable<MetricsSources['collector']>): void {
  const { counters } = collector;
  const perExporter = exporterSeries(collector);
  counter(registry, 'datagrams_received_total', 'Datagrams taken from the sockets', 'listener', () =>
    counters.listeners.map(({ name, datagrams }) => [name, datagrams]),
  );
  counter(
    registry,
    'kernel_drops_total',
    'Datagrams that the kernel dropped because the receive buffer was full',
    'listener',
    () => counters.listeners.map(({ name, kernelDrops }) => [name, kernelDrops]),
  );
  counter(registry, 'flows_decoded_total', 'Flow records decoded', 'version', () =>
    Object.entries(counters.decoder.flows),
  );
  counter(
    registry,
    'records_dropped_total',
    'What was not decoded (datagrams, sets or records, as the reason says) or, once decoded, not archived',
    'reason',
    () => [...Object.entries(counters.recordsDropped), ...Object.entries(counters.dropped.flows)],
  );
  counter(
    registry,
    'unread_flows_total',
    'Flow records and samples whose addresses could not be read, by reason (not_ip carries no mail)',
    'reason',
    () => Object.entries(counters.decoder.unread ?? {}),
  );
  counter(
    registry,
    'unread_exporter_flows_total',
    'Flow records and samples whose addresses could not be read and that may be mail',
    'exporter',
    () => perExporter(unreadFlows, (a, b) => a + b),
  );
  counter(registry, 'flows_published_total', 'Flow records that a stream accepted', 'stream', () =>
    Object.entries(counters.published),
  );
  counter(
    registry,
    'mail_dropped_total',
    'Flows on mail ports that the mail stream did not take',
    'reason',
    () => Object.entries(counters.dropped.mail),
  );
  gauge(
    registry,
    'flows_pending',
    'Flow records decoded that the stream has yet to answer for',
    'stream',
    () => Object.entries(counters.pending),
  );
  single(registry, Counter, 'mail_flows_total', 'Flow records on mail ports', () => counters.mailFlows);
  counter(
    registry,
    'sequence_lost_total',
    'Lost on the way by the sequence numbers, over restarts: flows for v5 and IPFIX, datagrams for v9 and sFlow',
    'exporter',
    () =>
      perExporter(
        (exporter) => exporter.sequenceLostBefore + exporter.sequenceLost,
        (a, b) => a + b,
      ),
  );
  counter(
    registry,
    'sequence_unknown_total',
    'Gaps in the sequence numbers in which an unknown number was lost: more is claimed than the exporter can have sent',
    'exporter',
    () =>
      perExporter(
        (exporter) => exporter.sequenceUnknown,
        (a, b) => a + b,
      ),
  );
  gauge(
    registry,
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

function describeStream(registry: Registry, { counters }: NonNullable<MetricsSources['stream']>): void {
  single(
    registry,
    Gauge,
    'spool_bytes',
    'Bytes on disk that some consumer has yet to commit',
    () => counters.spoolBytes,
  );
  single(
    registry,
    Counter,
    'spool_dropped_flows_total',
    'Flow records that the bound of the spool cut, of the flows and the mail stream',
    () => counters.dropped.flows + counters.dropped.mail,
  );
  const byStream = (counts: Readonly<Record<StreamName, number>>): Labelled =>
    STREAM_NAMES.map((name) => [name, counts[name]]);
  counter(registry, 'stream_published_total', 'Rows (or JSON messages) accepted', 'stream', () =>
    byStream(counters.published),
  );
  counter(registry, 'stream_dropped_total', 'Rows (or JSON messages) refused', 'stream', () =>
    byStream(counters.dropped),
  );
  if (counters.repeated !== undefined) {
    counter(registry, 'stream_repeated_total', 'Messages recognised as published before', 'stream', () =>
      counters.repeated === undefined ? [] : byStream(counters.repeated),
    );
  }
  if (counters.damaged !== undefined) {
    counter(registry, 'stream_damaged_total', 'Messages that could not be read back', 'stream', () =>
      counters.damaged === undefined ? [] : byStream(counters.damaged),
    );
  }
}

function describePush(registry: Registry, { counters }: NonNullable<MetricsSources['push']>): void {
  counter(registry, 'pushes_total', 'Lists sent to routers, by how it ended', 'result', () => [
    ['applied', counters.applied],
    ['unchanged', counters.unchanged],
    ['failed', counters.failed],
  ]);
}

/** In every process, whichever roles it runs: a kind that it cannot publish stays 0. */
function describeAlerts(
  registry: Registry,
  { detector, hostlessAlerts }: Pick<MetricsSources, 'detector' | 'hostlessAlerts'>,
): void {
  counter(registry, 'alerts_total', 'Alerts emitted', 'kind', () => {
    const total = new Map<string, number>(ALERT_KINDS.map((kind) => [kind, 0]));
    const made: readonly Readonly<Record<string, number>>[] = [
      detector?.counters.alerts ?? {},
      hostlessAlerts?.() ?? {},
    ];
    for (const counts of made)
      for (const [kind, count] of Object.entries(counts)) total.set(kind, (total.get(kind) ?? 0) + count);
    return total;
  });
}

function describeDetector(registry: Registry, detector: NonNullable<MetricsSources['detector']>): void {
  counter(registry, 'mail_records_ignored_total', 'Mail flow records that are no evidence', 'reason', () =>
    Object.entries(detector.counters.ignored),
  );
  gauge(registry, 'incidents_open', 'Open incidents', 'grade', () => Object.entries(detector.counters.open));
  gauge(registry, 'blocks', 'Hosts with an incident, by what is done about them', 'state', () =>
    Object.entries(detector.counters.blocks),
  );
  gauge(registry, 'detector_entries', 'Present size of the tables', 'table', () => [
    ['hosts', detector.counters.hosts],
    ['sessions', detector.counters.sessions],
    ['attempts', detector.counters.waitingAttempts],
  ]);
  counter(registry, 'detector_evicted_total', 'Entries that had to leave a full table', 'table', () => [
    ['hosts', detector.counters.evictedHosts],
    ['sessions', detector.counters.evictedSessions],
    ['attempts', detector.counters.evictedAttempts + detector.counters.expiredAttempts],
  ]);
  counter(registry, 'detector_hosts_evicted_total', 'Hosts that had to leave, by why', 'reason', () =>
    Object.entries(detector.counters.evictedFor),
  );
}

function describePolicy(registry: Registry, source: PolicySource): void {
  const { version, error, listAges, listFetches, counters } = source;
  gauge(registry, 'policy_info', 'The version of the policy in force; always 1', 'version', () => [
    [version(), 1],
  ]);
  gauge(
    registry,
    'list_age_seconds',
    'Time since a list of prefixes was written or confirmed',
    'list',
    listAges,
  );
  counter(registry, 'list_fetches_total', 'Attempts to fetch a list of prefixes from its URL', 'result', () =>
    Object.entries(listFetches),
  );
  single(registry, Gauge, 'config_ok', '1 when the newest configuration file is in force, else 0', () =>
    error() === null ? 1 : 0,
  );
  counter(
    registry,
    'config_reloads_total',
    'Times that the file was read again while running',
    'result',
    () => [
      ['applied', counters.applied],
      ['failed', counters.failed],
    ],
  );
}

function describeWriter(registry: Registry, { counters, lag }: NonNullable<MetricsSources['writer']>): void {
  single(registry, Counter, 'flows_stored_total', 'Flow records in the store', () => counters.flowsStored);
  single(
    registry,
    Counter,
    'store_retries_total',
    'Deliveries that the store refused and that came again',
    () => counters.retries,
  );
  counter(registry, 'store_rejected_rows_total', 'Rows that the store can never take', 'outcome', () => [
    ['set_aside', counters.rowsDeadLettered],
    ['dropped', counters.rowsDropped],
  ]);
  single(registry, Gauge, 'store_lag_messages', 'Messages published and not yet in the store', lag);
}

/** A counter with one label whose values are read at each scrape. */
function counter(registry: Registry, name: string, help: string, label: string, read: () => Labelled): void {
  const metric: Counter = new Counter({
    name: `rogue_smtp_${name}`,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      metric.reset();
      for (const [value, count] of read()) metric.inc({ [label]: value }, count);
    },
  });
}

function gauge(registry: Registry, name: string, help: string, label: string, read: () => Labelled): void {
  const metric: Gauge = new Gauge({
    name: `rogue_smtp_${name}`,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      metric.reset();
      for (const [value, amount] of read()) metric.set({ [label]: value }, amount);
    },
  });
}

/** A counter or gauge without a label. */
function single(
  registry: Registry,
  Kind: typeof Counter | typeof Gauge,
  name: string,
  help: string,
  read: () => number,
): void {
  const metric: Counter | Gauge = new Kind({
    name: `rogue_smtp_${name}`,
    help,
    registers: [registry],
    collect() {
      metric.reset();
      metric.inc(read());
    },
  });
}

import { describe, expect, it } from 'vitest';
import { MAX_EXPORTER_SERIES, registerCollectorMetrics } from '../src/collect/collector-metrics.ts';
import type { ExporterState } from '../src/decode/types.ts';
import { createMetrics } from '../src/metrics.ts';
import { registerAlertMetrics } from '../src/service/alert-metrics.ts';
import { registerDetectorMetrics } from '../src/service/detector-metrics.ts';
import { registerWriterMetrics } from '../src/store/writer-metrics.ts';
import { registerStreamMetrics } from '../src/stream/stream-metrics.ts';
import { exporterState } from './support/fake-collector.ts';

interface Sources {
  readonly collector: Parameters<typeof registerCollectorMetrics>[1];
  readonly stream: Parameters<typeof registerStreamMetrics>[1];
  readonly detector: Parameters<typeof registerDetectorMetrics>[1];
  readonly writer: Parameters<typeof registerWriterMetrics>[1];
}

const exporter = (address: string, domain: number, sequenceLost: number, lastSeenMs: number): ExporterState =>
  exporterState(address, { domain, sequenceLost, lastSeenMs });

/** Sources whose values a test can change; only what the metrics read is there. */
function sources(exporters: () => ExporterState[] = () => []) {
  const collector = {
    datagrams: 0,
    mailFlows: 3,
    decoder: { flows: { v5: 30, v9: 12 }, unread: { cut: 4, not_ip: 9 } },
    recordsDropped: { truncated: 2, exporter_not_allowed: 4 },
    published: { flows: 35, mail: 3 },
    dropped: { flows: { stream_refused: 5, not_archived: 0 }, mail: { stream_refused: 1 } },
    pending: { flows: 2, mail: 0 },
    listeners: [{ name: '0.0.0.0:2055', datagrams: 7, kernelDrops: 1 }],
  };
  const perStream = { flows: 35, mail: 3, alerts: 2, incidents: 2 };
  const detector = {
    ignored: { duplicate: 6 },
    alerts: { opened: 1, escalated: 0, updated: 0, closed: 0, coverage: 0 },
    evictedHosts: 0,
    evictedSessions: 0,
    evictedAttempts: 0,
    expiredAttempts: 0,
    evictedSubmitters: 0,
    evictedFor: { prefix_share: 0, exporter_share: 0, full: 0 },
    waitingAttempts: 0,
    hosts: 4,
    sessions: 9,
    open: { attempted: 0, connected: 0, conversed: 1, bulk: 2 },
    blocks: { none: 0, observed: 3, proposed: 0, published: 0, expired: 0, refused: 0 },
  };
  const all = {
    collector: { counters: collector, exporters },
    stream: {
      counters: {
        published: perStream,
        dropped: { flows: 5, mail: 1, alerts: 0, incidents: 0, decisions: 0 },
        repeated: { flows: 0, mail: 0, alerts: 4, incidents: 0, decisions: 0 },
        spoolBytes: 4096,
      },
    },
    detector: { counters: detector },
    writer: { counters: { flowsStored: 34, retries: 1, rowsDeadLettered: 0, rowsDropped: 0 }, lag: () => 11 },
  };
  return all as unknown as Sources & { collector: { counters: typeof collector } };
}

/** As in a process with all roles. */
function metricsOf({ collector, stream, detector, writer }: Sources) {
  const metrics = createMetrics();
  registerCollectorMetrics(metrics, collector);
  registerStreamMetrics(metrics, stream);
  registerDetectorMetrics(metrics, detector, () => 0);
  registerWriterMetrics(metrics, writer);
  registerAlertMetrics(metrics, () => [detector.counters.alerts]);
  metrics.latency('alert_latency_seconds', 'Time from the datagram received to the alert emitted');
  return metrics;
}

async function lines(from: Sources): Promise<string[]> {
  return (await metricsOf(from).render()).text.split('\n');
}

describe('the metrics', () => {
  it('have the names and labels that dashboards are built on', async () => {
    const seen = exporter('192.0.2.1', 0, 8, 1_750_000_000_500);
    expect(await lines(sources(() => [seen]))).toEqual(
      expect.arrayContaining([
        'rogue_smtp_datagrams_received_total{listener="0.0.0.0:2055"} 7',
        'rogue_smtp_kernel_drops_total{listener="0.0.0.0:2055"} 1',
        'rogue_smtp_flows_decoded_total{version="v5"} 30',
        'rogue_smtp_records_dropped_total{reason="truncated"} 2',
        'rogue_smtp_records_dropped_total{reason="stream_refused"} 5',
        'rogue_smtp_sequence_lost_total{exporter="192.0.2.1"} 8',
        'rogue_smtp_flows_published_total{stream="flows"} 35',
        'rogue_smtp_flows_stored_total 34',
        'rogue_smtp_spool_bytes 4096',
        'rogue_smtp_spool_dropped_flows_total 6',
        'rogue_smtp_mail_flows_total 3',
        'rogue_smtp_alerts_total{kind="opened"} 1',
        'rogue_smtp_alerts_total{kind="coverage"} 0',
        'rogue_smtp_incidents_open{grade="bulk"} 2',
        'rogue_smtp_blocks{state="observed"} 3',
        'rogue_smtp_alert_latency_seconds_count 0',
        'rogue_smtp_exporter_last_seen_seconds{exporter="192.0.2.1"} 1750000000.5',
        'rogue_smtp_stream_repeated_total{stream="alerts"} 4',
        'rogue_smtp_store_lag_messages 11',
      ]),
    );
  });

  it('add up: decoded = published + dropped + pending', async () => {
    const text = await lines(sources());
    const sum = (pattern: RegExp) =>
      text
        .filter((line) => pattern.test(line))
        .reduce((total, line) => total + Number(line.split(' ')[1]), 0);
    expect(sum(/^rogue_smtp_flows_decoded_total\{/)).toBe(
      sum(/^rogue_smtp_flows_published_total\{stream="flows"/) +
        sum(/^rogue_smtp_records_dropped_total\{reason="(stream_.*|not_archived)"/) +
        sum(/^rogue_smtp_flows_pending\{stream="flows"/),
    );
  });

  it('are read anew at each scrape, not added up', async () => {
    const changing = sources();
    const metrics = metricsOf(changing);
    await metrics.render();
    changing.collector.counters.listeners[0].datagrams = 9;
    const { text } = await metrics.render();
    expect(text).toContain('rogue_smtp_datagrams_received_total{listener="0.0.0.0:2055"} 9\n');
  });

  it('tell the latency of alerts, and are not spoilt by a clock that was set back', async () => {
    const metrics = createMetrics();
    const observe = metrics.latency('alert_latency_seconds', 'Time from the datagram received to the alert');
    for (const seconds of [0.3, -5, Number.NaN]) observe(seconds);
    const { text, contentType } = await metrics.render();
    expect(text).toContain('rogue_smtp_alert_latency_seconds_bucket{le="0.5"} 2\n');
    expect(text).toContain('rogue_smtp_alert_latency_seconds_sum 0.3\n');
    expect(contentType).toContain('text/plain');
  });

  it('cover the process itself, and only the parts that run in it', async () => {
    const metrics = createMetrics();
    registerStreamMetrics(metrics, sources().stream);
    const { text } = await metrics.render();
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).not.toContain('rogue_smtp_datagrams_received_total');
    expect(text).not.toContain('stream_damaged_total');
  });

  it('count the alerts of every kind in every process, whichever roles it runs', async () => {
    const metrics = createMetrics();
    registerAlertMetrics(metrics, () => [{}, { coverage: 1, delivery: 1, finding: 0 }, { coverage: 1 }]);
    const { text } = await metrics.render();
    for (const [kind, count] of Object.entries({
      opened: 0,
      closed: 0,
      coverage: 2,
      delivery: 1,
      finding: 0,
    }))
      expect(text).toContain(`rogue_smtp_alerts_total{kind="${kind}"} ${count}`);
  });

  it('join the domains of one exporter', async () => {
    const text = await lines(
      sources(() => [exporter('2001:db8::1', 1, 3, 2000), exporter('2001:db8::1', 2, 4, 1000)]),
    );
    expect(text).toContain('rogue_smtp_sequence_lost_total{exporter="2001:db8::1"} 7');
    expect(text).toContain('rogue_smtp_exporter_last_seen_seconds{exporter="2001:db8::1"} 2');
  });

  it('have bounded series however many addresses pretend to be exporters, and known ones keep theirs', async () => {
    const many = Array.from({ length: MAX_EXPORTER_SERIES + 500 }, (_, i) =>
      exporter(`10.0.${i >> 8}.${i & 255}`, 0, 1, 1000 + i),
    );
    let present = many.slice(1);
    const metrics = metricsOf(sources(() => present));
    const series = async () =>
      (await metrics.render()).text
        .split('\n')
        .filter((line) => line.startsWith('rogue_smtp_sequence_lost_total{'));
    const first = await series();
    expect(first).toHaveLength(MAX_EXPORTER_SERIES + 1);
    expect(first).toContain('rogue_smtp_sequence_lost_total{exporter="other"} 499');
    // A newcomer that is listed first does not push a known one out.
    present = many;
    const second = await series();
    expect(second).toContain('rogue_smtp_sequence_lost_total{exporter="10.0.0.1"} 1');
    expect(second).toContain('rogue_smtp_sequence_lost_total{exporter="other"} 500');
  });
});

/**
 * The whole path over captures and flow logs, in their time: decode, mail filter, detector, ACLs.
 *
 * The same functions as the running service, fed by a file instead of a socket and by the file's clock instead of
 * ours. It must give the same result for the same input and configuration, byte for byte, so nothing here may read the
 * clock or depend on how fast the disk is.
 */

import { stat } from 'node:fs/promises';
import { decoderOptions, mailPorts } from '../collect/decoder-options.ts';
import { createMailFilter } from '../collect/mail-filter.ts';
import type { Config } from '../config/schema.ts';
import { createDecoder } from '../decode/decoder.ts';
import type { ExporterState } from '../decode/types.ts';
import { unreadAlerts } from '../detect/coverage.ts';
import { createDetector } from '../detect/detector.ts';
import { sightOfFile } from '../detect/detector-state.ts';
import { exporterSight } from '../detect/exporter-sight.ts';
import type { MailSight } from '../detect/mail-sight.ts';
import { compilePolicy } from '../detect/policy.ts';
import { formatAddress } from '../flow/address.ts';
import { clearFlowBatch, createFlowBatch, type FlowBatch, readWide } from '../flow/batch.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import { type ByteWindow, openByteWindow } from './capture/byte-window.ts';
import { type CaptureCounters, createCaptureCounters } from './capture/capture.ts';
import type { PacketFlowTimes } from './capture/packet-flow-defaults.ts';
import { readPacketFlows } from './capture/packet-flows.ts';
import { isCapture, readOpenCapture } from './capture/read-capture.ts';
import type { LogOptions } from './flow-log/choose-format.ts';
import { createFlowLogCounters, type FlowLogCounters } from './flow-log/flow-log.ts';
import { readFlowLog } from './flow-log/read-flow-log.ts';
import { createTimeOrder } from './flow-log/time-order.ts';
import {
  type CaptureYield,
  type ReadInput,
  unreadCapture,
  unreadLog,
  unreadOf,
  unreadPackets,
} from './unread.ts';

export interface ReplayResult {
  readonly alerts: readonly Alert[];
  /** Newest state of each incident, by opening time. */
  readonly incidents: readonly Incident[];
  /** Receive time of the last datagram. */
  readonly endMs: number;
  readonly summary: ReplaySummary;
  /** Files of which nothing could be read, with what they seem to be. */
  readonly unread: readonly { readonly file: string; readonly reason: string }[];
  /** How much of the mail could be judged. */
  readonly sight: MailSight;
}

export interface ReplayOptions {
  /** Captures are of traffic, and their packets are grouped into flows. */
  readonly packets?: PacketFlowTimes;
  readonly log?: LogOptions;
}

interface ReplaySummary {
  readonly packets: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly datagrams: number;
  readonly flows: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  readonly mail_flows: number;
  /** Mail flows that say nothing about a host of ours, by reason. */
  readonly ignored: Readonly<Record<string, number>>;
  readonly alerts: Readonly<Record<string, number>>;
  readonly incidents: number;
  readonly exporters: readonly {
    readonly address: string;
    readonly domain: number;
    readonly version: string;
    readonly datagrams: number;
    readonly flows: number;
    readonly sequence_lost: number;
    /** Gaps in which an unknown number was lost. */
    readonly sequence_unknown: number;
    /** Of sFlow, where a relay stands between. */
    readonly agent?: string;
    readonly sampling: readonly number[];
    /** Records whose addresses could not be read, by reason. */
    readonly unread: Readonly<Record<string, number>>;
    /** What its OUT counters (23, 24) turned out to mean. */
    readonly out_counters: string;
  }[];
  /** The flow logs, each with its account: `lines` = `flows` + all of `skipped` and `rejected`. */
  readonly logs: readonly ({ readonly file: string } & FlowLogCounters)[];
  /** Captures of which the packets were grouped into flows. */
  readonly packet_captures: readonly {
    readonly file: string;
    /** Packets that went into flows. */
    readonly packets: number;
    readonly flows: number;
    /** Flows that ended early because there were too many at once. */
    readonly evicted: number;
    /** Packets that look like flow exports: the flows in them were not read. */
    readonly exports: number;
  }[];
  /** Mail rows of flow logs that came too late for their place in time. */
  readonly late_rows: number;
  readonly first: string | null;
  readonly last: string | null;
}

export interface ReplaySinks {
  /** Sees every batch of flows before it is reused, and may take its time. */
  readonly onFlows?: (batch: FlowBatch) => Promise<void>;
  /** At the end: the exporters with their accounts. */
  readonly onExporters?: (exporters: readonly ExporterState[]) => Promise<void>;
  readonly onOutcome?: (alerts: readonly Alert[], incidents: readonly Incident[]) => Promise<void>;
  /** Bytes of the files read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Mail rows of flow logs that wait for their place in time: some 50 MB. A log with no more of them than this is put in
 * order exactly.
 */
const MAX_WAITING_ROWS = 262_144;

/** Throws RogueSmtpError `io` for a file that cannot be read, or is neither a capture nor a flow log. */
export async function replayFiles(
  files: readonly string[],
  config: Config,
  sinks: ReplaySinks,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const policy = compilePolicy(config);
  const detector = createDetector(
    { policy, detection: config.detection, block: config.block },
    sightOfFile(),
  );
  const selectMail = createMailFilter(mailPorts(config));
  const alerts: Alert[] = [];
  const incidents = new Map<string, Incident>();
  const skipped: Record<string, number> = {};
  let packets = 0;
  const logs: ReplaySummary['logs'][number][] = [];
  const packetCaptures: ReplaySummary['packet_captures'][number][] = [];
  const inputs: ReadInput[] = [];
  let linesBefore = 0;
  let lastLoggedMs = 0;
  let bytesRead = 0;
  let mailFlows = 0;
  let firstMs: number | null = null;
  let nowMs = 0;
  let batchFromMs = 0;
  let full: FlowBatch[] = [];
  let offset = 0;

  const sink = {
    batch: createFlowBatch(config.collector.batch_rows),
    // A datagram may fill more than one batch; they are handled when it is decoded, since handling may wait.
    flush() {
      full.push(sink.batch);
      sink.batch = createFlowBatch(config.collector.batch_rows);
    },
  };
  const decoder = createDecoder(decoderOptions(config.collector), sink);

  const observe = (mail: FlowBatch) => detector.observe(mail, { partition: 0, offset: offset++ });
  const order = createTimeOrder(
    { maxRows: MAX_WAITING_ROWS, batchRows: config.collector.batch_rows },
    (mail) => {
      observe(mail);
      nowMs = Math.max(nowMs, readWide(mail.columns.received_at, mail.length - 1));
    },
  );

  async function handle(batch: FlowBatch, onMail: (mail: FlowBatch) => void): Promise<void> {
    const mail = createFlowBatch(Math.max(1, batch.length));
    selectMail(batch, mail);
    mailFlows += mail.length;
    await sinks.onFlows?.(batch);
    if (mail.length > 0) onMail(mail);
  }

  async function outcomes(): Promise<void> {
    const outcome = detector.take();
    alerts.push(...outcome.alerts);
    for (const incident of outcome.incidents) incidents.set(incident.incident_id, incident);
    if (outcome.alerts.length > 0 || outcome.incidents.length > 0)
      await sinks.onOutcome?.(outcome.alerts, outcome.incidents);
  }

  async function settle(onMail: (mail: FlowBatch) => void): Promise<void> {
    for (const batch of full) await handle(batch, onMail);
    full = [];
    if (sink.batch.length > 0) {
      await handle(sink.batch, onMail);
      clearFlowBatch(sink.batch);
    }
    detector.advance(nowMs);
    await outcomes();
  }

  async function replayCapture(file: string, window: ByteWindow): Promise<void> {
    order.end();
    const counters = createCaptureCounters();
    const came: CaptureYield = { understood: 0, flows: 0 };
    for await (const datagram of readOpenCapture(file, window, counters)) {
      firstMs ??= datagram.timeMs;
      if (full.length > 0 || datagram.timeMs - batchFromMs >= config.collector.batch_age) {
        await settle(observe);
        batchFromMs = datagram.timeMs;
      }
      // Captures of several interfaces are not always in order; the detector's clock never goes back.
      nowMs = Math.max(nowMs, datagram.timeMs);
      const { payload, source, sourcePort, timeMs } = datagram;
      const outcome = decoder.decode(payload, source, sourcePort, timeMs);
      if (outcome.version !== null) came.understood++;
      came.flows += outcome.flows;
      sinks.onProgress?.(bytesRead);
    }
    addPackets(counters);
    inputs.push({ file, flows: came.flows, reason: unreadCapture(counters, came) });
  }

  function addPackets(counters: CaptureCounters): void {
    packets += counters.packets;
    for (const [reason, n] of Object.entries(counters.skipped)) skipped[reason] = (skipped[reason] ?? 0) + n;
  }

  async function replayPackets(file: string, window: ByteWindow, limits: PacketFlowTimes): Promise<void> {
    await settle(observe);
    order.end();
    const counters = createCaptureCounters();
    const place = { ...limits, tunnels: config.collector.tunnels, file: packetCaptures.length };
    const reading = readPacketFlows(file, window, sink, place, counters);
    let step = await reading.next();
    for (; !step.done; step = await reading.next()) {
      for (const batch of [...full, sink.batch]) noteTimes(batch);
      nowMs = Math.max(nowMs, lastLoggedMs);
      await settle(observe);
      sinks.onProgress?.(bytesRead);
    }
    const { flows, evicted, exports } = step.value;
    addPackets(counters);
    packetCaptures.push({ file, packets: counters.datagrams, flows, evicted, exports });
    inputs.push({ file, flows, reason: unreadPackets(counters) });
  }

  /** Rows come in the order of lines: those on mail ports wait in `order`, all others are not looked at any more. */
  async function replayLog(file: string, window: ByteWindow): Promise<void> {
    await settle(observe);
    const counters = createFlowLogCounters();
    logs.push({ file, ...counters });
    const onMail = (mail: FlowBatch) => {
      order.add(mail);
    };
    const position = { file: logs.length - 1, linesBefore };
    const { mtimeMs } = await stat(file);
    const logOptions = { latestMs: mtimeMs, ...options.log };
    for await (const _ of readFlowLog(file, window, sink, position, counters, logOptions)) {
      for (const batch of [...full, sink.batch]) noteTimes(batch);
      await settle(onMail);
      sinks.onProgress?.(bytesRead);
    }
    linesBefore += counters.lines;
    logs[logs.length - 1] = { file, ...counters };
    inputs.push({ file, flows: counters.flows, ...unreadLog(counters) });
  }

  function noteTimes(batch: FlowBatch): void {
    for (let row = 0; row < batch.length; row++) {
      const ms = readWide(batch.columns.received_at, row);
      firstMs = firstMs === null ? ms : Math.min(firstMs, ms);
      lastLoggedMs = Math.max(lastLoggedMs, ms);
    }
  }

  for (const file of files) {
    const window = await openByteWindow(file, (count) => {
      bytesRead += count;
    });
    try {
      if (await isCapture(window)) {
        const { packets: limits } = options;
        await (limits === undefined ? replayCapture(file, window) : replayPackets(file, window, limits));
      } else await replayLog(file, window);
    } finally {
      await window.close();
    }
  }
  order.end();
  nowMs = Math.max(nowMs, lastLoggedMs);
  decoder.expire(Number.MAX_SAFE_INTEGER);
  await settle(observe);
  detector.finish();
  await outcomes();
  // Incidents that merely go on are published now and then; what is told at the end is their state at the end.
  const final = detector.openIncidents();
  for (const incident of final) incidents.set(incident.incident_id, incident);
  await sinks.onOutcome?.([], final);

  const exporters = [...decoder.exporters()];
  await sinks.onExporters?.(exporters);
  const blind = unreadAlerts(
    exporters.map(exporterSight),
    { config: config.coverage, policyVersion: policy.version, startedAtMs: firstMs ?? nowMs },
    nowMs,
  );
  if (blind.length > 0) {
    alerts.push(...blind);
    await sinks.onOutcome?.(blind, []);
  }

  const sorted = [...incidents.values()].sort(
    (a, b) => compareText(a.opened_at, b.opened_at) || compareText(a.incident_id, b.incident_id),
  );
  const alertKinds: Record<string, number> = {};
  for (const alert of alerts) alertKinds[alert.kind] = (alertKinds[alert.kind] ?? 0) + 1;
  return {
    alerts,
    incidents: sorted,
    endMs: nowMs,
    unread: unreadOf(inputs),
    sight: {
      flows: detector.counters.mailFlows,
      ignored: { ...detector.counters.ignored },
      strangers: detector.strangers(),
    },
    summary: {
      packets,
      skipped: nonZero(skipped),
      datagrams: decoder.counters.datagrams,
      flows: nonZero(decoder.counters.flows),
      dropped: nonZero(decoder.counters.dropped),
      mail_flows: mailFlows,
      ignored: nonZero(detector.counters.ignored),
      alerts: alertKinds,
      incidents: sorted.length,
      exporters: exporters.map((exporter) => ({
        address: formatAddress(exporter.address),
        domain: exporter.domain,
        version: exporter.version,
        datagrams: exporter.datagrams,
        flows: exporter.flows,
        sequence_lost: exporter.sequenceLost,
        sequence_unknown: exporter.sequenceUnknown,
        ...(exporter.agent !== null && { agent: formatAddress(exporter.agent) }),
        sampling: [...exporter.samplingRates].sort((a, b) => a - b),
        unread: nonZero(exporter.unread ?? {}),
        out_counters: exporter.outMeaning ?? 'unknown',
      })),
      logs,
      packet_captures: packetCaptures,
      late_rows: order.late,
      first: firstMs === null ? null : new Date(firstMs).toISOString(),
      last: firstMs === null ? null : new Date(nowMs).toISOString(),
    },
  };
}

function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0));
}

/** By code unit: the same everywhere, whatever the locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

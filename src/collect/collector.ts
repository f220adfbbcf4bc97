/**
 * The collector: datagrams from the listeners through the decoder into batches, batches onto the streams.
 *
 * Everything between the socket and the stream happens within the turn that received the datagram; nothing here waits
 * while datagrams come. Whatever is not published is counted: decoded flows are at any time the sum of those published,
 * those dropped under a reason, those in flight and those in the batch that is being filled.
 */

import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { createDecoder as createRealDecoder } from '../decode/decoder.ts';
import type { Decoder, DecoderOptions, ExporterState, FlowSink } from '../decode/types.ts';
import { messageOf } from '../errors.ts';
import { clearFlowBatch, createFlowBatch, type FlowBatch } from '../flow/batch.ts';
import type { Stream } from '../stream/stream.ts';
import { elapsed, firstOf, settled } from '../waiting.ts';
import { type BatchTarget, createBatchPublisher } from './batch-publisher.ts';
import { createCanaryLane } from './canary-lane.ts';
import type { CollectorCounters } from './collector-counters.ts';
import { type CollectorMemory, createCollectorMemory } from './collector-memory.ts';
import { decoderOptions, mailPorts } from './decoder-options.ts';
import { createExporterAccess, type RefusedExporter } from './exporter-access.ts';
import { createExporterRate } from './exporter-rate.ts';
import { readUdpSockets } from './kernel-drops.ts';
import { type ListenTarget, listenTargets } from './listen-targets.ts';
import { createListener, type Listener } from './listener.ts';
import { createLossReport, warnOfSmallBuffers } from './loss-report.ts';
import { createMailFilter, createMailKeeper } from './mail-filter.ts';
import { createMailDivider } from './mail-partitions.ts';

export interface CollectorDependencies {
  readonly stream: BatchTarget & Pick<Stream, 'partitions'>;
  readonly log: Logger;
  readonly now: () => number;
  /** The real one unless a test brings its own. */
  readonly createDecoder?: (options: DecoderOptions, sink: FlowSink) => Decoder;
  /** Called with what was found damaged in the data directory, in words. */
  readonly onDamage?: (text: string) => void;
  /** How long datagrams were in a socket, in seconds: the oldest of each batch, where the kernel tells. */
  readonly onSocketWait?: (seconds: number) => void;
  /** Where sockets of systemd are looked for; default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** What to listen on, where somebody else has chosen; default: sockets of systemd, or the addresses of the configuration. */
  readonly targets?: readonly ListenTarget[];
  /** Default: files in the data directory. */
  readonly memory?: CollectorMemory;
}

export interface Collector {
  /** Restores templates and opens the listeners. Throws RogueSmtpError `io` when one of them cannot be opened. */
  start(): Promise<readonly SocketAddress[]>;
  /** Takes what the sockets still hold, closes them, publishes what was decoded, saves the templates. */
  stop(): Promise<void>;
  readonly counters: CollectorCounters;
  exporters(): IterableIterator<ExporterState>;
  /** Exporters that are not on the allow-list, at most 1024 of them. */
  refusedExporters(): readonly RefusedExporter[];
  /** Takes over which networks are internal: by them mail is divided between detectors. */
  reload(config: Pick<Config, 'networks'>): void;
}

/** Encoded batches that may wait for each stream; at 8192 rows about 40 of them. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const HOUSEKEEPING_MS = 1000;
const SNAPSHOT_MS = 60_000;
/** Losses are told in the log at most so often. */
const REPORT_MS = 10_000;
/** How long stopping goes on taking datagrams that are in the sockets already. */
const DRAIN_MS = 500;
/** How long stopping waits for the stream. */
const SETTLE_MS = 10_000;

/** Inert until `start`. */
export function createCollector(config: Config, dependencies: CollectorDependencies): Collector {
  const { stream, log, now, onSocketWait } = dependencies;
  const { collector: settings } = config;
  const memory = dependencies.memory ?? createCollectorMemory(config.data, log, dependencies.onDamage);
  const access = createExporterAccess(settings.exporters);
  const limit = settings.limits.datagrams_per_second;
  const rate = limit === undefined ? null : createExporterRate(limit);
  const ports = mailPorts(config);
  const mailOnly = settings.archive === 'mail';
  const selectMail = createMailFilter(ports);
  const keepMail = createMailKeeper(ports);
  /** The in-process stream joins batches by itself, so that nothing is won by waiting. */
  const archivesApart = config.kafka.brokers.length > 0 && !mailOnly;
  const batchRows = archivesApart ? settings.archive_rows : settings.batch_rows;
  const archiveAge = archivesApart ? settings.archive_age : settings.batch_age;
  const publisher = (name: 'flows' | 'mail') =>
    createBatchPublisher({
      stream,
      name,
      maxInFlightBytes: MAX_IN_FLIGHT_BYTES,
      maxRows: batchRows,
      onFailure: (message) => {
        lastFailure = message;
      },
    });
  const flows = publisher('flows');
  const mail = publisher('mail');
  /** With an account of its own: what is counted of mail is what was decoded. */
  const canaryMail = publisher('mail');
  const mailBatch = createFlowBatch(batchRows);
  const dividerFor = ({ networks }: Pick<Config, 'networks'>) =>
    createMailDivider(networks.internal, stream.partitions('mail'), batchRows, {
      ipv6Group: config.detection.ipv6_group,
      nat: networks.nat,
    });
  let divideMail = dividerFor(config);
  const sink = { batch: createFlowBatch(batchRows), flush };
  const decoder = (dependencies.createDecoder ?? createRealDecoder)(
    decoderOptions(settings, mailOnly ? ports : undefined),
    sink,
  );
  let listeners: Listener[] = [];
  /**
   * Flows of the largest datagram so far, up to a quarter of a batch. More room is kept, so that none is divided, nor fills
   * the batch: it would leave before the sequence of its last datagram was noted.
   */
  let largest = 0;
  /** What the streams have yet to answer for of the batch that leaves. */
  let sent: Promise<void>[] = [];
  let marking: Promise<void> = Promise.resolve();
  let notArchived = 0;
  let mailFlows = 0;
  let decoderFailures = 0;
  let lastFailure: string | null = null;
  let ageTimer: NodeJS.Timeout | null = null;
  /** How old the batch is, in `batch_age`, and how many of its rows have been searched for mail. */
  let ages = 0;
  let searched = 0;
  let housekeeping: NodeJS.Timeout | null = null;
  let polling: Promise<void> | null = null;

  const canaries = createCanaryLane(
    decoderOptions(settings),
    new Set(settings.listen.map(({ host }) => host)),
    now,
    (batch) => void canaryMail.send(batch, 0),
  );

  function onDatagram(bytes: Buffer, address: string, port: number): void {
    if (canaries.take(bytes, address, port)) return;
    const exporter = access.admit(address);
    if (exporter === null) return;
    const nowMs = now();
    if (rate !== null && !rate.admit(address, nowMs)) return;
    try {
      const { flows } = decoder.decode(bytes, exporter, port, nowMs);
      if (flows > largest) largest = Math.min(flows, batchRows >>> 2);
    } catch (error) {
      onDecoderFailure(error, bytes, address);
    }
    if (sink.batch.length + largest >= batchRows) flush();
    ageTimer ??= setTimeout(onAge, settings.batch_age);
  }

  /** A defect of ours, not of the exporter; but one datagram must not be able to stop the collector. */
  function onDecoderFailure(error: unknown, bytes: Buffer, exporter: string): void {
    decoderFailures++;
    if (decoderFailures <= 10) {
      const datagram = bytes.toString('hex', 0, 2048);
      log.error({ exporter, error: messageOf(error), datagram }, 'the decoder failed; please report this');
    }
    flush();
    // The row that was being written is not among those in use, so that clearing would miss it.
    sink.batch = createFlowBatch(batchRows);
  }

  function onAge(): void {
    ageTimer = null;
    if (++ages * settings.batch_age >= archiveAge) {
      flush();
      return;
    }
    publishMail(sink.batch);
    ageTimer = setTimeout(onAge, settings.batch_age);
  }

  function sendMail(batch: FlowBatch, partition: number): void {
    sent.push(mail.send(batch, partition));
  }

  /** Once everything so far has been answered for, notes where the exporters stand now. */
  function markSequences(): void {
    const marks = decoder.takeSequenceMarks();
    const answers = sent;
    sent = [];
    if (marks.length === 0) return;
    marking = marking.then(async () => {
      await Promise.all(answers);
      memory.keepSequences(marks);
    });
  }

  /** Mail goes first: it is what an alert waits for; with `archive: mail` there is nothing behind it. */
  function flush(): void {
    if (ageTimer !== null) clearTimeout(ageTimer);
    ageTimer = null;
    ages = 0;
    const { batch } = sink;
    if (mailOnly) {
      notArchived += batch.length;
      keepMail(batch);
      mailFlows += batch.length;
      divideMail(batch, sendMail);
    } else {
      publishMail(batch);
      sent.push(flows.send(batch));
    }
    clearFlowBatch(batch);
    searched = 0;
    markSequences();
  }

  /** Of the rows that have not been searched yet. */
  function publishMail(batch: FlowBatch): void {
    while (searched < batch.length) {
      searched = selectMail(batch, mailBatch, searched);
      mailFlows += mailBatch.length;
      divideMail(mailBatch, sendMail);
      clearFlowBatch(mailBatch);
    }
  }

  const counters: CollectorCounters = {
    get datagrams() {
      return listeners.reduce((sum, listener) => sum + listener.counters.datagrams, 0);
    },
    get bytes() {
      return listeners.reduce((sum, listener) => sum + listener.counters.bytes, 0);
    },
    get flows() {
      return Object.values(decoder.counters.flows).reduce((sum, n) => sum + n, 0);
    },
    decoder: decoder.counters,
    get recordsDropped() {
      return {
        ...decoder.counters.dropped,
        exporter_not_allowed: decoder.counters.dropped.exporter_not_allowed + access.refusedDatagrams(),
        rate_limited: rate?.limitedDatagrams() ?? 0,
        decoder_failed: decoderFailures,
      };
    },
    get mailFlows() {
      return mailFlows;
    },
    get published() {
      return { flows: flows.counters.published, mail: mail.counters.published };
    },
    get dropped() {
      return {
        flows: { ...flows.counters.dropped, not_archived: notArchived + decoder.counters.passedOver },
        mail: { ...mail.counters.dropped },
      };
    },
    get pending() {
      return { flows: flows.counters.inFlight + sink.batch.length, mail: mail.counters.inFlight };
    },
    get canaries() {
      return canaries.counters.taken;
    },
    get listeners() {
      return listeners.map((listener) => listener.counters);
    },
  };

  async function restoreTemplates(): Promise<void> {
    const snapshot = await memory.templates();
    if (snapshot === null) return;
    const templates = decoder.restore(snapshot, now());
    log.info({ templates }, 'templates restored');
  }

  function pollDrops(): Promise<void> {
    const others = listeners.filter((listener) => !listener.readDrops());
    if (others.length === 0) return Promise.resolve();
    polling ??= readUdpSockets().then((sockets) => {
      for (const listener of others) listener.noteDrops(sockets);
      polling = null;
    });
    return polling;
  }

  const report = createLossReport(counters, log, () => {
    const failure = lastFailure;
    lastFailure = null;
    return {
      ...(failure !== null && { failure }),
      refused: access.refused().slice(0, 5),
      limited: rate?.takeLimited() ?? [],
    };
  });

  let savedAtMs = 0;
  let reportedAtMs = 0;

  function keepHouse(): void {
    const nowMs = now();
    decoder.expire(nowMs);
    void pollDrops();
    // The clock may be set back: what is due then is done once more, not put off.
    if (Math.abs(nowMs - savedAtMs) >= SNAPSHOT_MS) {
      savedAtMs = nowMs;
      void memory.keepTemplates(decoder.snapshot());
    }
    if (Math.abs(nowMs - reportedAtMs) >= REPORT_MS) {
      reportedAtMs = nowMs;
      report();
    }
  }

  /** Until nothing more comes for two turns, so that what was acknowledged by the kernel is not thrown away. */
  async function drain(): Promise<void> {
    const untilMs = performance.now() + DRAIN_MS;
    for (let before = -1; before !== counters.datagrams && performance.now() < untilMs; ) {
      before = counters.datagrams;
      for (const listener of listeners) listener.drain();
      await turn();
      await turn();
    }
  }

  async function closeListeners(): Promise<void> {
    await Promise.all(listeners.map((listener) => listener.stop()));
  }

  return {
    counters,
    reload: (next) => {
      divideMail = dividerFor(next);
    },
    exporters: () => decoder.exporters(),
    refusedExporters: () => access.refused(),
    async start() {
      await restoreTemplates();
      decoder.resumeSequences(await memory.sequences(now()));
      const targets =
        dependencies.targets ??
        (await listenTargets(settings.listen, dependencies.environment ?? process.env, process.pid, log));
      listeners = targets.map((target) =>
        createListener(
          {
            target,
            receiveBuffer: settings.receive_buffer,
            reusePort: settings.reuse_port,
            receiver: settings.receiver,
          },
          onDatagram,
          (error) => log.error({ error: error.message }, 'a UDP socket reports an error'),
          onSocketWait && ((ms) => onSocketWait(ms / 1000)),
        ),
      );
      const addresses: SocketAddress[] = [];
      try {
        for (const listener of listeners) addresses.push(await listener.start());
      } catch (error) {
        await closeListeners();
        throw error;
      }
      warnOfSmallBuffers(listeners, settings.receive_buffer, log);
      savedAtMs = now();
      reportedAtMs = now();
      housekeeping = setInterval(keepHouse, HOUSEKEEPING_MS);
      housekeeping.unref();
      const oneByOne = listeners[0].oneByOne();
      log.info(
        { listen: addresses.map(formatSocketAddress), ...(oneByOne !== null && { oneByOne }) },
        'receiving flow exports',
      );
      return addresses;
    },
    async stop() {
      if (housekeeping === null) return;
      clearInterval(housekeeping);
      housekeeping = null;
      await drain();
      await pollDrops();
      await closeListeners();
      flush();
      // Data that waits for its template is lost with this process; templates that came with it are kept.
      decoder.expire(Number.POSITIVE_INFINITY);
      await memory.keepTemplates(decoder.snapshot());
      await firstOf<unknown>(
        settled(Promise.all([flows.settled(), mail.settled(), marking])),
        elapsed(SETTLE_MS, null, { ref: false }),
      );
      await memory.close();
      report();
      if (counters.pending.flows + counters.pending.mail > 0)
        log.error({ flows: counters.pending }, 'the stream did not answer for these flows in time');
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

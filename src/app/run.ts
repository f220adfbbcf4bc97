/**
 * `rogue-smtp run`: every role in one process.
 *
 * Order matters. The stream comes first and goes last; the collector starts as soon as the stream takes messages, so
 * that the seconds an engine needs to load lose no datagram; it stops first, so that everything it took is stored.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCollector } from '../collect/collector.ts';
import type { CollectorCounters } from '../collect/collector-counters.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { SocketAddress } from '../config/values.ts';
import { createDetector } from '../detect/detector.ts';
import { compilePolicy } from '../detect/policy.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createMetrics } from '../http/metrics.ts';
import type { Losses } from '../http/read-model.ts';
import { createHttpServer } from '../http/server.ts';
import { migrate } from '../store/migrate.ts';
import { createStoreWriter } from '../store/writer.ts';
import { createLocalStream } from '../stream/local/local-stream.ts';
import { createDetectRole } from './detect-role.ts';
import { makeDirectory } from './directory.ts';
import { createEngine } from './engine.ts';
import { createExporterAccount } from './exporter-account.ts';
import type { Logger } from './logger.ts';
import { createLiveModel } from './read-model.ts';
import { createServeRole } from './serve-role.ts';

export interface Service {
  start(): Promise<RunningService>;
  /** Takes no more datagrams, stores what was taken, closes everything. */
  stop(): Promise<void>;
}

export interface RunningService {
  readonly udp: readonly SocketAddress[];
  readonly http: SocketAddress;
  /** Rejects when a part broke for good and the process should end; never resolves. */
  readonly failed: Promise<never>;
}

/** How long stopping waits for the store to take what is spooled; the rest is stored at the next start. */
const DRAIN_MS = 10_000;
const RETRY_MS = 2000;

export function createService(loaded: LoadedConfig, version: string, log: Logger): Service {
  const { config } = loaded;
  const now = Date.now;
  const startedAt = new Date(now()).toISOString();
  const stream = createLocalStream({
    directory: join(config.data, 'stream'),
    maxBytesPerStream: config.spool.max_bytes,
    now,
    log,
  });
  const engine = createEngine(config, log);
  const detector = createDetector({
    policy: compilePolicy(config),
    detection: config.detection,
    block: config.block,
  });
  const collector = createCollector(config, { stream, log, now });
  const serveRole = createServeRole(config, { stream, log, now });
  const writer = createStoreWriter({
    stream,
    engine,
    log,
    archive: config.collector.archive,
    directory: config.data,
  });
  const exporterAccount = createExporterAccount(collector, engine, log, now);
  const metrics = createMetrics({ collector, stream, detector, writer });
  const detectRole = createDetectRole({
    stream,
    detector,
    log,
    now,
    onAlertLatency: metrics.observeAlertLatency,
  });

  const waitingFor = new Set(['the collector', 'the store']);
  const stopping = new AbortController();
  const model = createLiveModel(engine, config, {
    incidents: serveRole.incidents,
    recentAlerts: serveRole.recentAlerts,
    refreshExporters: exporterAccount.refresh,
    status: () => ({
      version,
      started_at: startedAt,
      config_file: loaded.file,
      block_mode: config.block.mode,
      senders: config.senders.length,
      open_incidents: serveRole.incidents().filter((incident) => incident.state === 'open').length,
      datagrams: collector.counters.datagrams,
      flows: collector.counters.flows,
      lost: lossesOf(collector.counters),
    }),
  });
  const http = createHttpServer(config.http, {
    model,
    metrics: metrics.render,
    notReady: () => [...waitingFor],
    onAlert: serveRole.onAlert,
    blockedHosts: () => serveRole.blocked().map((incident) => incident.host),
    aclTarget: serveRole.targetText,
    onError: (path, error) => log.error({ path, error: messageOf(error) }, 'an HTTP request failed'),
  });

  let openStoreDone: Promise<void> = Promise.resolve();

  async function openStore(): Promise<void> {
    await untilStoreAnswers(() => engine.start());
    await untilStoreAnswers(() => migrate(engine, config.clickhouse));
    if (stopping.signal.aborted) return;
    await writer.start();
    exporterAccount.start();
    waitingFor.delete('the store');
  }

  /** An engine that is merely away is tried again; one that can never work ends the process. */
  async function untilStoreAnswers(step: () => Promise<unknown>): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await step();
        return;
      } catch (error) {
        if (!(error instanceof RogueSmtpError) || !error.transient) throw error;
        log.error({ error: error.message }, 'the store is away; flows wait in the spool');
        await sleep(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  }

  return {
    async start() {
      await makeDirectory(config.data, 'data directory');
      await stream.start();
      await detectRole.start();
      await serveRole.start();
      const httpAddress = await http.start();
      const udpAddresses = await collector.start();
      waitingFor.delete('the collector');
      if (config.senders.length === 0) {
        log.warn(
          'no senders are configured: every host that sends mail is reported, nothing is ever blocked; see rogue-smtp inventory',
        );
      }
      openStoreDone = openStore();
      return {
        http: httpAddress,
        udp: udpAddresses,
        failed: openStoreDone.then(() => new Promise<never>(() => undefined)),
      };
    },
    async stop() {
      stopping.abort();
      await collector.stop();
      await openStoreDone.catch(() => undefined);
      await detectRole.stop();
      await serveRole.stop();
      await writer.stop(DRAIN_MS);
      await exporterAccount.stop();
      await http.stop();
      await engine.stop();
      await stream.stop();
    },
  };
}

function lossesOf(counters: CollectorCounters): Losses {
  const { not_archived: _meant, ...flows } = counters.dropped.flows;
  return {
    kernel_drops: sum(counters.listeners.map(({ kernelDrops }) => kernelDrops)),
    not_decoded: sum(Object.values(counters.recordsDropped)),
    not_kept: sum(Object.values(flows)) + sum(Object.values(counters.dropped.mail)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

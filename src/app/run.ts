/**
 * `rogue-smtp run`: every role in one process.
 *
 * Order matters. The stream comes first and goes last; the collector starts as soon as the stream takes messages, so
 * that the seconds an engine needs to load lose no datagram; it stops first, so that everything it took is stored.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCollector } from '../collect/collector.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { SocketAddress } from '../config/values.ts';
import { createDetector } from '../detect/detector.ts';
import { compilePolicy } from '../detect/policy.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createMetrics } from '../http/metrics.ts';
import { createHttpServer } from '../http/server.ts';
import { migrate } from '../store/migrate.ts';
import { createStoreWriter } from '../store/writer.ts';
import { createLocalStream } from '../stream/local/local-stream.ts';
import { createCoverageRole } from './coverage-role.ts';
import { createDetectRole } from './detect-role.ts';
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
  const policy = compilePolicy(config);
  const detector = createDetector({
    policy,
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
  const coverageRole = createCoverageRole(config, {
    collector,
    stream,
    policyVersion: policy.version,
    log,
    now,
  });
  const metrics = createMetrics({ collector, stream, detector, writer, coverage: coverageRole });
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
    status: () => ({
      version,
      startedAt,
      configFile: loaded.file,
      blockMode: config.block.mode,
      senders: config.senders.length,
      openIncidents: serveRole.incidents().filter((incident) => incident.state === 'open').length,
      datagrams: collector.counters.datagrams,
      flows: collector.counters.flows,
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

  /** An engine that is merely away is tried again; one that can never work ends the process. */
  async function openStore(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await engine.start();
        await migrate(engine, config.clickhouse);
        await writer.start();
        exporterAccount.start();
        waitingFor.delete('the store');
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
      await mkdir(config.data, { recursive: true, mode: 0o750 }).catch((error: unknown) => {
        throw new RogueSmtpError('io', `data directory ${config.data}: ${messageOf(error)}`, {
          cause: error,
        });
      });
      await stream.start();
      await detectRole.start();
      await serveRole.start();
      const httpAddress = await http.start();
      const udpAddresses = await collector.start();
      coverageRole.start();
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
      await coverageRole.stop();
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

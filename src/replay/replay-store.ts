/**
 * A store for `replay --data`: the same stream and writer as the running service, in a directory of its own, so that
 * `offenders`, `incident` and `query` work on what was replayed.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import type { ExporterState } from '../decode/types.ts';
import { RogueSmtpError } from '../errors.ts';
import type { FlowBatch } from '../flow/batch.ts';
import { encodeNative } from '../flow/native.ts';
import type { Logger } from '../logger.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import { alertMessage, incidentMessage } from '../messages/encode.ts';
import { recordExporters } from '../store/exporters.ts';
import { migrate } from '../store/migrate.ts';
import { createEngine } from '../store/open-engine.ts';
import { createStoreWriter } from '../store/writer.ts';
import { createLocalStream } from '../stream/local/local-stream.ts';
import type { StreamMessage, StreamName } from '../stream/stream.ts';

export interface ReplayStore {
  addFlows(batch: FlowBatch): Promise<void>;
  addOutcome(alerts: readonly Alert[], incidents: readonly Incident[]): Promise<void>;
  /** The exporters with their accounts, once at the end. */
  addExporters(exporters: readonly ExporterState[]): Promise<void>;
  /** Resolves when everything is stored. */
  close(): Promise<void>;
}

const FULL_WAIT_MS = 100;
const DRAIN_MS = 600_000;

export async function openReplayStore(config: Config, log: Logger): Promise<ReplayStore> {
  const stream = createLocalStream({
    directory: join(config.data, 'stream'),
    maxBytesPerStream: config.spool.max_bytes,
    now: Date.now,
    log,
  });
  const engine = createEngine(config, log);
  const writer = createStoreWriter({
    stream,
    engine,
    log,
    archive: 'all',
    directory: config.data,
    database: config.clickhouse.database,
  });
  await stream.start();
  await engine.start();
  await migrate(engine, config.clickhouse);
  await writer.start();

  /** A file can wait, unlike a router: a full spool is waited for, not dropped into. */
  async function publish(name: StreamName, message: StreamMessage): Promise<void> {
    while ((await stream.publish(name, [message])).accepted === 0) await sleep(FULL_WAIT_MS);
  }

  return {
    async addFlows(batch) {
      if (batch.length > 0)
        await publish('flows', { key: '', id: '', value: encodeNative(batch), rows: batch.length });
    },
    async addOutcome(alerts, incidents) {
      for (const alert of alerts) await publish('alerts', alertMessage(alert));
      for (const incident of incidents) await publish('incidents', incidentMessage(incident));
    },
    async addExporters(exporters) {
      const nowMs = Date.now();
      await recordExporters(engine, exporters, { runStartedAtMs: nowMs, nowMs });
    },
    async close() {
      try {
        if (!(await writer.stop(DRAIN_MS)))
          throw new RogueSmtpError('store', 'not everything could be stored in time');
      } finally {
        await engine.stop();
        await stream.stop();
      }
    },
  };
}

/**
 * Writes the account of the exporters (last seen, flows, losses, sampling) to the store once a minute and at the end, so
 * that `offenders` can say what was looked at. An account that cannot be written is made up for by the next one.
 */

import { clearInterval, setInterval } from 'node:timers';
import type { Collector } from '../collect/collector.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { recordExporters } from '../store/exporters.ts';
import type { Engine } from '../store/store.ts';

export interface ExporterAccount {
  /** The engine must have its tables by now. */
  start(): void;
  /** Writes it now, unless it is a few seconds old at most. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

const INTERVAL_MS = 60_000;
/** Whoever asks again and again must not become a stream of inserts. */
const FRESH_MS = 3000;

export function createExporterAccount(
  collector: Collector,
  engine: Engine,
  log: Logger,
  now: () => number,
): ExporterAccount {
  const runStartedAtMs = now();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();
  let writtenAtMs = 0;

  function write(): void {
    writtenAtMs = now();
    writing = writing.then(async () => {
      try {
        await recordExporters(engine, collector.exporters(), { runStartedAtMs, nowMs: now() });
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the account of the exporters was not stored');
      }
    });
  }

  return {
    start() {
      timer = setInterval(write, INTERVAL_MS);
    },
    async refresh() {
      if (timer === null) return;
      if (Math.abs(now() - writtenAtMs) >= FRESH_MS) write();
      await writing;
    },
    async stop() {
      if (timer === null) return;
      clearInterval(timer);
      write();
      await writing;
    },
  };
}

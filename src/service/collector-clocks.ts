/**
 * The receive times of collectors on other machines, put right where their clocks are wrong.
 *
 * A detector runs on the receive times in the stream. A collector whose machine came up with a wrong clock, or whose clock
 * was set, would move the detector's clock ahead, which ends every block, or send records that seem a day late. So a
 * receive time that lies in the future, or far behind the newest of the same collector, is shifted, and the shift stays
 * with the collector. Shifts are kept in a file, so that a restart reads the same stream with the same times. What this
 * process stamps itself is never touched, nor what merely comes late out of a backlog.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LATENESS_MS } from '../detect/sessions.ts';
import { messageOf } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import { type FlowBatch, readWide, writeWide } from '../flow/batch.ts';
import type { Logger } from '../logger.ts';

/** Clocks of machines that follow NTP differ by less. */
const AHEAD_MS = LATENESS_MS;
/** Records of a collector may come so much out of order. */
const BEHIND_MS = LATENESS_MS;
/** Collectors that are remembered; the one that was longest unheard leaves. */
const MOST = 1000;

export interface CollectorClocks {
  /** Shifts the receive times of a batch where they are wrong. `producer`: the name of its collector's spool. */
  correct(batch: FlowBatch, producer: string, partition: number): void;
  /** Resolves when the shifts are in their file. */
  settled(): Promise<void>;
}

export interface CollectorClocksOptions {
  /** The data directory. */
  readonly directory: string;
  readonly now: () => number;
  readonly log: Logger;
  /** The clock of a collector is found to be off by so many milliseconds from now on. */
  readonly onStep: (producer: string, ms: number) => void;
}

const shiftsSchema = z.object({ shifts: z.record(z.string(), z.number().int()) });

export function createCollectorClocks(options: CollectorClocksOptions): CollectorClocks {
  const { now, log, onStep } = options;
  const file = join(options.directory, 'collector-clocks.json');
  /** Milliseconds to add to the receive times of a collector. */
  const shifts = readShifts(file);
  /** The newest receive time, put right, by collector and partition, and by partition. */
  const newestOf = new Map<string, number>();
  const newest = new Map<number, number>();
  let keeping: Promise<void> = Promise.resolve();

  /** The shift of a receive time: the known one where that makes sense, else a new one. */
  function shiftOf(stampMs: number, producer: string, partition: number): number {
    const latestMs = now() + AHEAD_MS;
    const lastMs = newestOf.get(`${partition} ${producer}`) ?? Number.NEGATIVE_INFINITY;
    const isPlausible = (ms: number) => ms <= latestMs && ms >= lastMs - BEHIND_MS;
    const known = shifts.get(producer) ?? 0;
    // A clock that was ahead: what lies in the past was stamped before that, or the clock is right again.
    if (known <= 0 && isPlausible(stampMs)) return 0;
    if (isPlausible(stampMs + known)) return known;
    if (isPlausible(stampMs)) return remember(producer, 0);
    const streamMs = Math.max(lastMs, newest.get(partition) ?? Number.NEGATIVE_INFINITY);
    const trueMs = stampMs > latestMs ? now() : Math.min(now(), streamMs);
    return remember(producer, Math.round(trueMs - stampMs));
  }

  function remember(producer: string, shift: number): number {
    shifts.delete(producer);
    shifts.set(producer, shift);
    if (shifts.size > MOST) for (const eldest of shifts.keys()) if (shifts.delete(eldest)) break;
    if (newestOf.size > MOST * 8) newestOf.clear();
    if (shift !== 0) onStep(producer, -shift);
    keeping = keeping.then(keep);
    return shift;
  }

  async function keep(): Promise<void> {
    try {
      const text = withChecksum(JSON.stringify({ shifts: Object.fromEntries(shifts) }));
      await replaceFile(file, text);
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'what is known of the clocks of collectors cannot be kept over a restart',
      );
    }
  }

  return {
    correct(batch, producer, partition) {
      if (batch.length === 0) return;
      const { received_at } = batch.columns;
      const stampMs = readWide(received_at, batch.length - 1);
      const shift = shiftOf(stampMs, producer, partition);
      if (shift !== 0)
        for (let row = 0; row < batch.length; row++)
          writeWide(received_at, row, Math.max(0, readWide(received_at, row) + shift));
      const key = `${partition} ${producer}`;
      const trueMs = stampMs + shift;
      newestOf.set(key, Math.max(newestOf.get(key) ?? 0, trueMs));
      newest.set(partition, Math.max(newest.get(partition) ?? 0, trueMs));
    },
    settled: () => keeping,
  };
}

function readShifts(file: string): Map<string, number> {
  try {
    const text = checkedText(readFileSync(file, 'utf8'));
    if (text === null) return new Map();
    return new Map(Object.entries(shiftsSchema.parse(JSON.parse(text)).shifts));
  } catch {
    // Without it receive times are judged anew.
    return new Map();
  }
}

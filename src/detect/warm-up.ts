/**
 * The warm-up after a restart: the records that the process before has told of, all of them, and of which this process
 * sees sessions without their beginning.
 *
 * A position is committed only when records have come that are younger than the first uncommitted one by the hold time
 * (detector.ts), which is longer than the warm-up. So all records from there up to the first that ends the warm-up were
 * read and published by whoever committed. The warm-up is a stretch of the stream, not of time: it ends for good with
 * the first record that is younger than its end, or where the stream ended when this process began. A record that is
 * older than the first one by more than records can be late comes from a clock that was set back, and nobody has told
 * of it.
 */

import type { Sighting } from './screen.ts';

interface WarmUp {
  /** Receive times of records that belong to it. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** First offset behind it: at first, behind the messages that were there when this process began. */
  end: number;
}

export type WarmUps = Map<number, WarmUp>;

/** Whether a record, or the record that a timer belongs to, was told by the process before. */
export function isWarmingUp(warmUps: WarmUps, { partition, offset, receivedMs }: Sighting): boolean {
  if (warmUps.size === 0) return false;
  const warmUp = warmUps.get(partition);
  return (
    warmUp !== undefined && offset < warmUp.end && receivedMs <= warmUp.untilMs && receivedMs >= warmUp.fromMs
  );
}

/** To be called after each batch: `recordsMs` is the newest receive time so far. */
export function endWarmUp(warmUps: WarmUps, partition: number, offset: number, recordsMs: number): void {
  if (warmUps.size === 0) return;
  const warmUp = warmUps.get(partition);
  // It is kept: sessions that wait for their other half since then are still of the warm-up when their wait is over.
  if (warmUp !== undefined && recordsMs > warmUp.untilMs) warmUp.end = Math.min(warmUp.end, offset + 1);
}

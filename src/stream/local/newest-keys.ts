/**
 * Of a compacted stream: where the newest message of each key lies, and with it how much of each segment still lives.
 *
 * One entry a key in memory; a stream is only worth compacting if its keys fit.
 */

import type { Segment } from './segment.ts';

export interface KeyPlace {
  readonly key: string;
  readonly offset: number;
  readonly bytes: number;
}

export class NewestKeys {
  readonly #places = new Map<string, { offset: number; bytes: number; segment: Segment }>();

  /** A message was found or written: it is the newest of its key, and the one before it is dead. */
  add({ key, offset, bytes }: KeyPlace, segment: Segment): void {
    const before = this.#places.get(key);
    if (before !== undefined) before.segment.liveBytes -= before.bytes;
    this.#places.set(key, { offset, bytes, segment });
    segment.liveBytes += bytes;
  }

  /** Compaction put these messages, which are the newest of their keys, into `segment`. */
  move(places: readonly KeyPlace[], segment: Segment): void {
    for (const { key, offset, bytes } of places) {
      this.#places.set(key, { offset, bytes, segment });
      segment.liveBytes += bytes;
    }
  }

  isNewest(key: string, offset: number): boolean {
    return this.#places.get(key)?.offset === offset;
  }
}

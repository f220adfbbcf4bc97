/**
 * The newest messages of a stream in memory, for consumers that are up to date.
 *
 * Bounded by bytes: a consumer that falls behind reads from disk instead. Offsets in it have no gaps.
 */

import type { ReceivedMessage } from '../stream.ts';
import type { PieceLimits } from './reader.ts';
import { TAIL_BYTES } from './settings.ts';

/** What an object around a value costs, roughly: without it, millions of tiny values would pass the bound. */
const MESSAGE_OVERHEAD_BYTES = 200;

/** Stands where a message was: what it held can be collected at once, though the array is cut only now and then. */
const LET_GO: ReceivedMessage = { key: '', id: '', value: new Uint8Array(0), rows: 0, offset: -1 };

export class Tail {
  #messages: ReceivedMessage[] = [];
  /** Index of the oldest; before it stands `LET_GO`, until the array is cut. */
  #head = 0;
  #bytes = 0;

  push(message: ReceivedMessage): void {
    this.#messages.push(message);
    this.#bytes += message.value.length + MESSAGE_OVERHEAD_BYTES;
    while (this.#bytes > TAIL_BYTES && this.#head < this.#messages.length - 1) {
      this.#bytes -= this.#messages[this.#head].value.length + MESSAGE_OVERHEAD_BYTES;
      this.#messages[this.#head] = LET_GO;
      this.#head++;
    }
    if (this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#messages = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** The messages from `offset` on, within the limits but at least one; empty when `offset` is older than the tail. */
  from(offset: number, limits: PieceLimits): ReceivedMessage[] {
    const oldest = this.#messages[this.#head];
    if (oldest === undefined || offset < oldest.offset) return [];
    const start = this.#head + (offset - oldest.offset);
    let bytes = 0;
    let end = start;
    while (end < this.#messages.length && end - start < limits.messages) {
      bytes += this.#messages[end].value.length;
      if (end > start && bytes > limits.bytes) break;
      end++;
    }
    return this.#messages.slice(start, end);
  }
}

/**
 * Publications that wait for the disk, in order, and what became of each.
 *
 * Bounded by bytes: a disk that stalls must not eat the memory of a collector. One publication may be spread over
 * several writes, and one write holds many publications.
 */

import type { StreamMessage } from '../stream.ts';
import { PENDING_BYTES } from './settings.ts';

export interface Publication {
  readonly messages: readonly StreamMessage[];
  /** How many of them are in a write or were. */
  taken: number;
  accepted: number;
  dropped: number;
  readonly settle: (outcome: { accepted: number; dropped: number }) => void;
}

export interface Append {
  readonly message: StreamMessage;
  readonly publication: Publication;
}

export class Publications {
  #queue: Publication[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** Takes what fits; `settle` is called when all of it is dealt with. Returns the rows that did not fit. */
  add(messages: readonly StreamMessage[], settle: Publication['settle']): number {
    const fitting: StreamMessage[] = [];
    let dropped = 0;
    for (const message of messages) {
      // One message alone is taken whatever its size, or it could never be.
      if (this.#bytes > 0 && this.#bytes + message.value.length > PENDING_BYTES) {
        dropped += message.rows;
        continue;
      }
      this.#bytes += message.value.length;
      fitting.push(message);
    }
    if (fitting.length === 0) settle({ accepted: 0, dropped });
    else this.#queue.push({ messages: fitting, taken: 0, accepted: 0, dropped, settle });
    return dropped;
  }

  /** The oldest waiting messages, up to the first that reaches a limit; at least one. */
  take(limits: { readonly bytes: number; readonly rows: number; readonly messages: number }): Append[] {
    const appends: Append[] = [];
    let bytes = 0;
    let rows = 0;
    while (this.#queue.length > 0) {
      const publication = this.#queue[0];
      while (publication.taken < publication.messages.length) {
        if (appends.length > 0 && (bytes >= limits.bytes || rows >= limits.rows)) return appends;
        if (appends.length > 0 && appends.length >= limits.messages) return appends;
        const message = publication.messages[publication.taken++];
        this.#bytes -= message.value.length;
        appends.push({ message, publication });
        bytes += message.value.length;
        rows += message.rows;
      }
      this.#queue.shift();
    }
    return appends;
  }
}

/** Tells every publication that is complete with these appends. */
export function settleAll(appends: readonly Append[]): void {
  for (const publication of new Set(appends.map((append) => append.publication))) {
    if (publication.taken < publication.messages.length) continue;
    publication.settle({ accepted: publication.accepted, dropped: publication.dropped });
  }
}

/**
 * Messages that no consumer can use: counted, and told once a minute for each stream, however many there are.
 *
 * Whoever can write to a topic can write such messages at any rate; the log and the alerts must not grow with them.
 */

import type { StreamName } from '../stream/stream.ts';

export interface BadMessages {
  /** A consumer goes on without the message. */
  passedOver(stream: StreamName, reason: string): void;
}

export interface BadMessagesOptions {
  /** Milliseconds; only differences count. */
  readonly now: () => number;
  /** Takes a sentence for the log, an alert and `/readyz`. */
  readonly note: (text: string) => void;
}

const PAUSE_MS = 60_000;

interface Told {
  atMs: number;
  /** Since it was told. */
  messages: number;
}

export function createBadMessages({ now, note }: BadMessagesOptions): BadMessages {
  const told = new Map<StreamName, Told>();
  return {
    passedOver(stream, reason) {
      const known = told.get(stream) ?? { atMs: Number.NEGATIVE_INFINITY, messages: 0 };
      told.set(stream, known);
      known.messages++;
      if (now() - known.atMs < PAUSE_MS) return;
      note(`${known.messages} message(s) of ${stream} cannot be used and were passed over: ${reason}`);
      Object.assign(known, { atMs: now(), messages: 0 });
    },
  };
}

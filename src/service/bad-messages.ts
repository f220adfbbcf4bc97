/**
 * Messages that no consumer can use: counted, and told once a minute for each stream, however many there are.
 *
 * Whoever can write to a topic can write such messages at any rate; the log and the alerts must not grow with them.
 */

import type { StreamName } from '../stream/stream.ts';

export interface BadMessages {
  /** A consumer goes on without the message. */
  passedOver(stream: StreamName, reason: string): void;
  /** Rows are kept for a person in the dead letters, or are gone where these are full. */
  setAside(stream: StreamName, rows: number, reason: string, kept: boolean): void;
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
  /** Of the same kind since it was told. */
  messages: number;
  rows: number;
}

export function createBadMessages({ now, note }: BadMessagesOptions): BadMessages {
  const told = new Map<string, Told>();

  function tell(kind: string, rows: number, text: (messages: number, rows: number) => string): void {
    const known = told.get(kind) ?? { atMs: Number.NEGATIVE_INFINITY, messages: 0, rows: 0 };
    told.set(kind, known);
    known.messages++;
    known.rows += rows;
    if (now() - known.atMs < PAUSE_MS) return;
    note(text(known.messages, known.rows));
    Object.assign(known, { atMs: now(), messages: 0, rows: 0 });
  }

  return {
    passedOver: (stream, reason) =>
      tell(
        `${stream} passed`,
        1,
        (messages) => `${messages} message(s) of ${stream} cannot be used and were passed over: ${reason}`,
      ),
    setAside: (stream, rows, reason, kept) =>
      tell(
        `${stream} ${kept}`,
        rows,
        (messages, sum) =>
          `${messages} message(s) of ${stream} with ${sum} row(s) cannot be stored, ${kept ? 'and lie in dead-letters' : 'and are lost: dead-letters is full'}: ${reason}`,
      ),
  };
}

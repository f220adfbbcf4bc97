/**
 * Sessions of which only the server's half was seen so far, waiting for the other.
 *
 * Two routers, or one with two export queues, tell the halves of a session seconds apart, in either order. Only when the
 * wait is over does a reply count as half seen. First in, first out: the clock never goes backwards. Bounded: the
 * caller lets the oldest go early when the queue is full.
 */

import { keepSighting, type Sighting } from './screen.ts';
import type { Session } from './sessions.ts';

export const HALF_WAIT_MS = 15_000;

interface HalfSession {
  readonly dueMs: number;
  readonly session: Session;
  readonly sighting: Sighting;
}

export interface HalfSessions {
  readonly size: number;
  /** When the first is due, or infinity. */
  nextMs(): number;
  add(session: Session, sighting: Sighting, nowMs: number): void;
  take(): HalfSession | undefined;
}

/** Taken places at the front of the queue are given back in pieces of at least this. */
const COMPACT_AFTER = 1024;

export function createHalfSessions(): HalfSessions {
  let queue: HalfSession[] = [];
  let first = 0;

  return {
    get size() {
      return queue.length - first;
    },
    nextMs: () => (first < queue.length ? queue[first].dueMs : Number.POSITIVE_INFINITY),
    add(session, sighting, nowMs) {
      queue.push({ dueMs: nowMs + HALF_WAIT_MS, session, sighting: keepSighting(sighting) });
    },
    take() {
      if (first >= queue.length) return undefined;
      const taken = queue[first++];
      if (first >= COMPACT_AFTER && 2 * first > queue.length) {
        queue = queue.slice(first);
        first = 0;
      }
      return taken;
    },
  };
}

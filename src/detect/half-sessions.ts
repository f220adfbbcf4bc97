/**
 * Sessions of which only the server's half was seen so far, waiting for the other.
 *
 * Two routers, or one with two export queues, tell the halves of a session seconds apart, in either order. Only when the
 * wait is over does a reply count as half seen. First in, first out: the clock never goes backwards. Bounded: the
 * caller lets the oldest go early when the queue is full.
 */

import { hostKey } from './host-table.ts';
import { keepSighting, type Sighting } from './screen.ts';
import type { Session } from './sessions.ts';

export const HALF_WAIT_MS = 15_000;

export interface HalfSession {
  readonly dueMs: number;
  readonly session: Session;
  readonly sighting: Sighting;
  readonly host: string;
}

export interface HalfSessions {
  readonly size: number;
  /** When the first is due, or infinity. */
  nextMs(): number;
  add(session: Session, sighting: Sighting, nowMs: number): void;
  take(): HalfSession | undefined;
  /** First records of the sessions of a host that still wait: a restart must know them from those that are told. */
  waitingOf(host: string): number[];
}

/** Taken places at the front of the queue are given back in pieces of at least this. */
const COMPACT_AFTER = 1024;

export function createHalfSessions(): HalfSessions {
  let queue: HalfSession[] = [];
  let first = 0;
  const byHost = new Map<string, HalfSession[]>();

  return {
    get size() {
      return queue.length - first;
    },
    nextMs: () => (first < queue.length ? queue[first].dueMs : Number.POSITIVE_INFINITY),
    add(session, sighting, nowMs) {
      const host = hostKey(sighting.site, sighting.client, sighting.clientAt);
      const half = { dueMs: nowMs + HALF_WAIT_MS, session, sighting: keepSighting(sighting), host };
      queue.push(half);
      const ofHost = byHost.get(host);
      if (ofHost === undefined) byHost.set(host, [half]);
      else ofHost.push(half);
    },
    take() {
      if (first >= queue.length) return undefined;
      const taken = queue[first++];
      if (first >= COMPACT_AFTER && 2 * first > queue.length) {
        queue = queue.slice(first);
        first = 0;
      }
      // First in, first out for each host, too.
      const ofHost = byHost.get(taken.host);
      ofHost?.shift();
      if (ofHost?.length === 0) byHost.delete(taken.host);
      return taken;
    },
    waitingOf: (host) =>
      (byHost.get(host) ?? [])
        .filter(({ session }) => !session.forwardSeen)
        .map(({ session }) => session.firstRecord),
  };
}

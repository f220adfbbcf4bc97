/**
 * Sessions of which only the server's half was seen so far, waiting for the other.
 *
 * Two routers, or one with two export queues, tell the halves of a session seconds apart, in either order. Only when the
 * wait is over does a reply count as half seen. First in, first out: the clock never goes backwards. Bounded: the
 * caller lets the oldest go early when the queue is full. Kept is what the session itself does not tell of its record.
 */

import type { SenderVerdict } from './policy.ts';
import { RecordStore } from './record-store.ts';
import type { Sighting } from './screen.ts';
import type { SessionTable } from './sessions.ts';
import { SlotList } from './slot-list.ts';

export const HALF_WAIT_MS = 15_000;

export interface HalfSessions {
  readonly size: number;
  /** When the first is due, or infinity. */
  nextMs(): number;
  add(session: number, sighting: Sighting, nowMs: number): void;
  /** Takes the first out of the queue: returns its session's slot, -1 for none, and fills the sighting as it was. */
  take(into: Sighting): number;
}

// Doubles, then words of a record.
const DUE_MS = 0;
const RECEIVED_MS = 1;
const OFFSET = 2;
const SESSION = 6;
const INTERFACE = 7;
const SAMPLING_RATE = 8;
const VANTAGE = 9;
const PARTITION = 10;
const SITE = 11;
const PORT = 12;
const VERDICT = 13;
const INTERNAL = 14;
const BEFORE = 15;
const AFTER = 16;
const WORDS = 18;

export function createHalfSessions(sessions: SessionTable): HalfSessions {
  const store = new RecordStore(WORDS);
  const queue = new SlotList(store, BEFORE, AFTER);
  /** A policy has few verdicts, and each is one object. */
  const verdicts: SenderVerdict[] = [];

  const dueOf = (slot: number) => store.words64(slot)[store.wide(slot) + DUE_MS];

  function numberOf(verdict: SenderVerdict): number {
    const known = verdicts.indexOf(verdict);
    return known >= 0 ? known : verdicts.push(verdict) - 1;
  }

  return {
    get size() {
      return queue.size;
    },
    nextMs: () => (queue.size === 0 ? Number.POSITIVE_INFINITY : dueOf(queue.oldest())),
    add(session, s, nowMs) {
      const slot = store.allocate();
      const wides = store.words64(slot);
      const wide = store.wide(slot);
      wides[wide + DUE_MS] = nowMs + HALF_WAIT_MS;
      wides[wide + RECEIVED_MS] = s.receivedMs;
      wides[wide + OFFSET] = s.offset;
      const words = store.words32(slot);
      const word = store.word(slot);
      words[word + SESSION] = session;
      words[word + INTERFACE] = s.interface;
      words[word + SAMPLING_RATE] = s.samplingRate;
      words[word + VANTAGE] = s.vantage;
      words[word + PARTITION] = s.partition;
      words[word + SITE] = s.site;
      words[word + PORT] = (s.clientPort << 16) | s.port;
      words[word + VERDICT] = numberOf(s.verdict);
      words[word + INTERNAL] = s.internal ? 1 : 0;
      queue.append(slot);
    },
    take(into) {
      const slot = queue.oldest();
      if (slot < 0) return -1;
      const wides = store.words64(slot);
      const wide = store.wide(slot);
      into.receivedMs = wides[wide + RECEIVED_MS];
      into.offset = wides[wide + OFFSET];
      const words = store.words32(slot);
      const word = store.word(slot);
      const session = words[word + SESSION];
      into.interface = words[word + INTERFACE];
      into.samplingRate = words[word + SAMPLING_RATE];
      into.vantage = words[word + VANTAGE];
      into.partition = words[word + PARTITION];
      into.site = words[word + SITE];
      into.clientPort = words[word + PORT] >>> 16;
      into.port = words[word + PORT] & 0xffff;
      into.verdict = verdicts[words[word + VERDICT]];
      into.internal = words[word + INTERNAL] !== 0;
      into.forward = false;
      into.knownOnly = false;
      into.clientAt = 0;
      into.serverAt = 0;
      sessions.copyAddresses(session, into.client, into.server);
      into.columns = null;
      into.row = 0;
      queue.remove(slot);
      store.release(slot);
      return session;
    },
  };
}

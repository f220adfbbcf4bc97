/**
 * First evidence: of a host that nobody answered yet, its one attempt, in 128 bytes instead of a case file.
 *
 * Invented hosts are mostly that: a SYN and nothing else. While few hosts have only unanswered attempts, each gets its
 * incident at once. When they are many, a new one waits here until a second attempt or an answer comes, and its case
 * file then begins with the attempt that is kept here, so that no count is lost. Bounded: the entry that was longest
 * untouched goes first, of the exporter that has the most. An entry lives as long as a restart reads back, and is
 * rebuilt by that reading. A record is memory only, never stored.
 */

import { SESSION_GRADE } from './evidence.ts';
import { finish, mix, randomSeed, readWord, writeWord } from './murmur.ts';
import type { Policy } from './policy.ts';
import { RecordStore } from './record-store.ts';
import type { Sighting } from './screen.ts';
import { SESSION_WORDS, Session } from './session-record.ts';
import { Shares } from './shares.ts';
import { SlotIndex } from './slot-index.ts';
import { SlotList } from './slot-list.ts';
import { bytesOf, packetsOf } from './tally.ts';

// Doubles.
const FIRST_RECORD = 0;
const FIRST_MS = 1;
const RECEIVED_MS = 2;
const PACKETS = 3;
const BYTES = 4;
// Words: the host, then what the host does not tell of the client (of a group), then the server.
const HOST = 10;
const CLIENT_END = 14;
const SERVER = 16;
const SITE = 20;
/** The client's port above, the server's below. */
const PORTS = 21;
const VANTAGE = 22;
const INTERFACE = 23;
const SAMPLING_RATE = 24;
const STATE = 25;
const HASH = 26;
const OLDER = 27;
const NEWER = 28;
const REPORTER = 29;
const REPORTER_OLDER = 30;
const REPORTER_NEWER = 31;
const WORDS = 32;

// Bits of STATE.
const DENIED = 1 << 0;
const FLAGS_UNKNOWN = 1 << 1;
const SAMPLED = 1 << 2;
const REPLY_SEEN = 1 << 3;
const INTERNAL = 1 << 4;
const DENIED_COUNTED = 1 << 5;
const IPV6 = 1 << 6;

export interface FirstEvidence {
  /** Hosts that wait. */
  readonly size: number;
  /** Those that left without another attempt: for lack of room, and since their time was over. */
  readonly evicted: number;
  readonly expired: number;
  /**
   * Keeps the attempt of a session of the host, in place of an earlier state of the same session. False, with nothing
   * changed, when another attempt of the host is kept already. `firstMs`: when the host was first seen; `most`: entries that there is room for.
   */
  note(
    host: Uint8Array,
    at: number,
    session: Session,
    firstMs: number,
    s: Sighting,
    reporter: number,
    most: number,
  ): boolean;
  /**
   * Takes the attempt of the host out: fills the sighting as it was, but for its place in the stream, and returns the
   * session, with what it counts for. Null for a host that does not wait.
   */
  take(site: number, host: Uint8Array, at: number, into: Sighting, policy: Policy): Session | null;
  /** Forgets what was last seen before `sinceMs`, which never goes backwards. */
  expire(sinceMs: number): void;
}

export function createFirstEvidence(): FirstEvidence {
  const store = new RecordStore(WORDS);
  const index = new SlotIndex();
  const order = new SlotList(store, OLDER, NEWER);
  const reporters = new Shares(store, REPORTER, REPORTER_OLDER, REPORTER_NEWER);
  const seed = randomSeed();
  const kept = new RecordStore(SESSION_WORDS);
  const session = new Session(kept);
  let evicted = 0;
  let expired = 0;

  function hashOf(site: number, host: Uint8Array, at: number): number {
    let hash = mix(seed, site);
    for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(host, at + i));
    return finish(hash);
  }

  function find(hash: number, site: number, host: Uint8Array, at: number): number {
    for (let place = index.probe(hash, hash); place >= 0; place = index.probe(hash, place + 1)) {
      const slot = index.slotAt(place);
      let same = store.get(slot, SITE) === site;
      for (let i = 0; i < 4; i++)
        same = same && (store.get(slot, HOST + i) | 0) === readWord(host, at + 4 * i);
      if (same) return slot;
    }
    return -1;
  }

  function remove(slot: number): void {
    index.remove(store.get(slot, HASH), slot);
    order.remove(slot);
    reporters.remove(slot);
    store.release(slot);
  }

  function make(
    hash: number,
    host: Uint8Array,
    at: number,
    s: Sighting,
    reporter: number,
    most: number,
  ): number {
    if (index.size >= most) {
      remove(reporters.oldestOf(reporters.largest(reporter)));
      evicted++;
    }
    const slot = store.allocate();
    for (let i = 0; i < 4; i++) {
      store.set(slot, HOST + i, readWord(host, at + 4 * i));
      store.set(slot, SERVER + i, readWord(s.server, s.serverAt + 4 * i));
    }
    for (let i = 0; i < 2; i++) store.set(slot, CLIENT_END + i, readWord(s.client, s.clientAt + 8 + 4 * i));
    store.set(slot, SITE, s.site);
    store.set(slot, PORTS, (s.clientPort << 16) | s.port);
    store.set(slot, HASH, hash);
    index.add(hash, slot);
    order.append(slot);
    reporters.append(reporter, slot);
    return slot;
  }

  function write(slot: number, from: Session, s: Sighting): void {
    const wides = store.words64(slot);
    const wide = store.wide(slot);
    wides[wide + FIRST_RECORD] = from.firstRecord;
    wides[wide + RECEIVED_MS] = Math.max(wides[wide + RECEIVED_MS], s.receivedMs);
    wides[wide + PACKETS] = packetsOf(from);
    wides[wide + BYTES] = bytesOf(from);
    store.set(slot, VANTAGE, s.vantage);
    store.set(slot, INTERFACE, s.interface);
    store.set(slot, SAMPLING_RATE, s.samplingRate);
    store.set(
      slot,
      STATE,
      (from.denied ? DENIED : 0) |
        (from.flagsUnknown ? FLAGS_UNKNOWN : 0) |
        (from.sampled ? SAMPLED : 0) |
        (from.replySeen ? REPLY_SEEN : 0) |
        (s.internal ? INTERNAL : 0) |
        (from.deniedCounted ? DENIED_COUNTED : 0) |
        (from.ipv6 ? IPV6 : 0),
    );
  }

  return {
    get size() {
      return index.size;
    },
    get evicted() {
      return evicted;
    },
    get expired() {
      return expired;
    },
    note(host, at, from, firstMs, s, reporter, most) {
      const hash = hashOf(s.site, host, at);
      let slot = find(hash, s.site, host, at);
      if (slot < 0) {
        slot = make(hash, host, at, s, reporter, most);
        store.words64(slot)[store.wide(slot) + FIRST_MS] = firstMs;
      } else if (store.words64(slot)[store.wide(slot) + FIRST_RECORD] !== from.firstRecord) return false;
      else {
        order.touch(slot);
        reporters.touch(slot);
      }
      write(slot, from, s);
      return true;
    },
    take(site, host, at, into, policy) {
      if (index.size === 0) return null;
      const slot = find(hashOf(site, host, at), site, host, at);
      if (slot < 0) return null;
      const wides = store.words64(slot);
      const wide = store.wide(slot);
      const state = store.get(slot, STATE);
      const ports = store.get(slot, PORTS);
      into.receivedMs = wides[wide + RECEIVED_MS];
      into.site = site;
      into.clientAt = 0;
      into.serverAt = 0;
      for (let i = 0; i < 4; i++) {
        const end = i < 2 ? store.get(slot, HOST + i) : store.get(slot, CLIENT_END + i - 2);
        writeWord(into.client, 4 * i, end);
        writeWord(into.server, 4 * i, store.get(slot, SERVER + i));
      }
      into.clientPort = ports >>> 16;
      into.port = ports & 0xffff;
      into.forward = true;
      into.knownOnly = false;
      into.internal = (state & INTERNAL) !== 0;
      into.vantage = store.get(slot, VANTAGE);
      into.interface = store.get(slot, INTERFACE);
      into.samplingRate = store.get(slot, SAMPLING_RATE);
      into.columns = null;
      into.row = 0;
      into.verdict = policy.verdict(into.client, 0, into.server, 0, into.receivedMs, into.site);
      // One record is enough: it is read before the next is taken. A fresh one is empty.
      if (session.slot >= 0) kept.release(session.slot);
      session.select(kept.allocate());
      session.firstRecord = wides[wide + FIRST_RECORD];
      session.firstMs = wides[wide + FIRST_MS];
      session.forwardSeen = true;
      session.forwardPackets = wides[wide + PACKETS];
      session.forwardBytes = wides[wide + BYTES];
      session.grade = SESSION_GRADE.attempted;
      session.denied = (state & DENIED) !== 0;
      session.deniedCounted = (state & DENIED_COUNTED) !== 0;
      session.flagsUnknown = (state & FLAGS_UNKNOWN) !== 0;
      session.sampled = (state & SAMPLED) !== 0;
      session.replySeen = (state & REPLY_SEEN) !== 0;
      session.ipv6 = (state & IPV6) !== 0;
      remove(slot);
      return session;
    },
    expire(sinceMs) {
      for (let slot = order.oldest(); slot >= 0; slot = order.oldest()) {
        if (store.words64(slot)[store.wide(slot) + RECEIVED_MS] >= sinceMs) return;
        remove(slot);
        expired++;
      }
    },
  };
}

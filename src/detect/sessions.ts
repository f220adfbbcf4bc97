/**
 * The table of sessions: every record of one TCP connection, from both directions, all exporters and all timeout
 * splits, comes together in one entry.
 *
 * It knows nothing of hosts, incidents or policy, and a session depends on its own records only: reading the same
 * records again rebuilds the same entry, which is what makes a restart exact. Bounded: the entry that was longest
 * untouched goes first, counted.
 */

import { type FlowColumns, readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { isDenial } from '../flow/forwarding.ts';
import { finish, mix, randomSeed, readWord, writeWord } from './murmur.ts';
import { provesNoTimestamps } from './payload.ts';
import { RecordStore } from './record-store.ts';
import { HASH, KEY, NEWER, OLDER, SESSION_WORDS, Session } from './session-record.ts';
import { SlotIndex } from './slot-index.ts';
import { SlotList } from './slot-list.ts';
import { TCP } from './tcp-flags.ts';

/** Records may come so much out of order, by receive time, without splitting a session. */
export const LATENESS_MS = 60_000;
/** An exporter that cuts long flows at its active timeout is silent for that long; it is trusted up to this. */
const MAX_ACTIVE_TIMEOUT_MS = 3_600_000;
/** Vantage points of one session beyond the first of each half. */
const MAX_VIEWS = 16;

/**
 * Two meters of one router see a packet at once, but v9 tells its clock in whole seconds and some v5 exporters do, so that
 * times out of two datagrams differ by up to one.
 */
const TWIN_APART_MS = 1100;
/**
 * A connection is another one when its SYN comes so long after the end of the one before. A scanner takes one port for all
 * that it does (masscan), some mailers bind theirs; nobody else comes by the same port again within a minute or two.
 */
const REUSED_AFTER_MS = 2 * TWIN_APART_MS;

const REUSE_FIELDS = PRESENT.START | PRESENT.END | PRESENT.TCP_FLAGS;

/** What a session is known by. Addresses are 16 bytes at their offsets. */
export interface SessionKey {
  readonly site: number;
  readonly client: Uint8Array;
  readonly clientAt: number;
  readonly clientPort: number;
  readonly server: Uint8Array;
  readonly serverAt: number;
  /** The server's port. */
  readonly port: number;
}

/** What `find`, `create` and `at` return is one view: it shows another session after the next of these calls. */
export interface SessionTable {
  readonly size: number;
  /** Sessions that had to go before their time. */
  readonly evicted: number;
  /** The session of this key that a record received at `receivedMs` belongs to. */
  find(key: SessionKey, receivedMs: number): Session | undefined;
  /** Makes the session that was asked for last and not found. */
  create(firstRecord: number, receivedMs: number): Session;
  /** The session in a slot; only while it is in the table, or waits. */
  at(slot: number): Session;
  /** Writes both addresses of a session to the first places of the arrays. */
  copyAddresses(slot: number, client: Uint8Array, server: Uint8Array): void;
  /** Adds a record to the session in view: `forward` when it is the client's half. */
  add(columns: FlowColumns, row: number, forward: boolean, vantage: number): void;
  /**
   * True when a record begins another connection with the ports of the session in view, which is over: then that one is
   * out of the table, and `create` makes the new one.
   */
  endReused(columns: FlowColumns, row: number, forward: boolean, vantage: number): boolean;
  /** The session waits no longer: its memory is given back when it has left the table meanwhile. */
  endWait(slot: number): void;
  /** Forgets what ended; `nowMs` never goes backwards. */
  expire(nowMs: number): void;
}

export function createSessionTable(options: {
  readonly timeoutMs: number;
  readonly maxSessions: number;
}): SessionTable {
  const { timeoutMs, maxSessions } = options;
  const store = new RecordStore(SESSION_WORDS);
  const index = new SlotIndex();
  const order = new SlotList(store, OLDER, NEWER);
  const session = new Session(store);
  /** Vantage points beyond the first of each half: id * 2 + (1 for the reply), packets, bytes, and so on. */
  const views = new Map<number, number[]>();
  const seed = randomSeed();
  const wanted = new Uint32Array(HASH - KEY);
  let evicted = 0;
  let wantedHash = 0;

  function want(key: SessionKey): void {
    let hash = seed;
    for (let i = 0; i < 4; i++) {
      wanted[i] = readWord(key.client, key.clientAt + 4 * i);
      wanted[4 + i] = readWord(key.server, key.serverAt + 4 * i);
    }
    wanted[8] = (key.clientPort << 16) | key.port;
    wanted[9] = key.site;
    for (let i = 0; i < wanted.length; i++) hash = mix(hash, wanted[i]);
    wantedHash = finish(hash);
  }

  function wantedSlot(): number {
    for (
      let place = index.probe(wantedHash, wantedHash);
      place >= 0;
      place = index.probe(wantedHash, place + 1)
    ) {
      const slot = index.slotAt(place);
      const words = store.words32(slot);
      const at = store.word(slot) + KEY;
      let same = true;
      for (let i = 0; i < wanted.length; i++) {
        if (words[at + i] !== wanted[i]) {
          same = false;
          break;
        }
      }
      if (same) return slot;
    }
    return -1;
  }

  /** Takes the session that the view shows out of the table. */
  function remove(): void {
    const { slot } = session;
    order.remove(slot);
    index.remove(store.get(slot, HASH), slot);
    if (session.waiting) session.detached = true;
    else release(slot);
  }

  function release(slot: number): void {
    if (session.hasViews) views.delete(slot);
    store.release(slot);
  }

  function viewsOf(): number[] {
    let list = views.get(session.slot);
    if (list === undefined) {
      list = [];
      views.set(session.slot, list);
      session.hasViews = true;
    }
    return list;
  }

  function addForward(vantage: number, packets: number, bytes: number): void {
    if (session.forwardVantage === -1) session.forwardVantage = vantage;
    if (session.forwardVantage === vantage) {
      packets = session.forwardSumPackets += packets;
      bytes = session.forwardSumBytes += bytes;
    } else {
      const list = viewsOf();
      const at = addView(list, 2 * vantage, packets, bytes);
      if (at < 0) return;
      packets = list[at + 1];
      bytes = list[at + 2];
    }
    if (packets > session.forwardPackets) session.forwardPackets = packets;
    if (bytes > session.forwardBytes) session.forwardBytes = bytes;
  }

  function addReply(vantage: number, packets: number, bytes: number): void {
    if (session.replyVantage === -1) session.replyVantage = vantage;
    if (session.replyVantage === vantage) {
      packets = session.replySumPackets += packets;
      bytes = session.replySumBytes += bytes;
    } else {
      const list = viewsOf();
      const at = addView(list, 2 * vantage + 1, packets, bytes);
      if (at < 0) return;
      packets = list[at + 1];
      bytes = list[at + 2];
    }
    if (packets > session.replyPackets) session.replyPackets = packets;
    if (bytes > session.replyBytes) session.replyBytes = bytes;
  }

  /**
   * True for a record with the counts and the end of the one of the same half before it: a view of the same packets. A
   * router with ingress and egress metering whose format has no direction (v5) tells every flow twice. A flow cache
   * never cuts two parts of a session that end at the same time. Both halves need it: a check whose answers count twice
   * looks like a mail.
   */
  function isTwin(
    columns: FlowColumns,
    row: number,
    forward: boolean,
    vantage: number,
    packets: number,
    bytes: number,
  ): boolean {
    if (packets < 2 || (columns.present[row] & PRESENT.END) === 0) return false;
    const end = columns.end[2 * row];
    const counts = mix(packets, bytes) >>> 0;
    const apart = (end - (forward ? session.lastEnd : session.replyEnd)) | 0;
    const lastCounts = forward ? session.lastCounts : session.replyCounts;
    const twin = lastCounts === counts && apart <= TWIN_APART_MS && apart >= -TWIN_APART_MS;
    // Of the first vantage point only: the records of others come in between.
    const first = forward ? session.forwardVantage : session.replyVantage;
    if (first === -1 || first === vantage) {
      if (forward) {
        session.lastEnd = end;
        session.lastCounts = counts;
      } else {
        session.replyCounts = counts;
      }
    }
    return twin;
  }

  /**
   * Only the first vantage point of a half says so: the clocks of two exporters may be apart, and what the second one tells of
   * the same connection begins before the end that the first one told.
   */
  function isReused(columns: FlowColumns, row: number, forward: boolean, vantage: number): boolean {
    const told = columns.present[row];
    if ((told & REUSE_FIELDS) !== REUSE_FIELDS || (columns.tcp_flags[row] & TCP.SYN) === 0) return false;
    if (vantage !== (forward ? session.forwardVantage : session.replyVantage)) return false;
    const flags = forward ? session.forwardFlags : session.replyFlags;
    if ((flags & TCP.SYN) === 0 || (flags & (TCP.FIN | TCP.RST)) === 0) return false;
    const end = forward ? session.lastEnd : session.replyEnd;
    return end !== 0 && ((columns.start[2 * row] - end) | 0) > REUSED_AFTER_MS;
  }

  return {
    get size() {
      return index.size;
    },
    get evicted() {
      return evicted;
    },
    find(key, receivedMs) {
      want(key);
      const slot = wantedSlot();
      if (slot < 0) return undefined;
      session.select(slot);
      if (receivedMs > session.openUntilMs) {
        remove();
        return undefined;
      }
      return session;
    },
    create(firstRecord, receivedMs) {
      if (index.size >= maxSessions) {
        session.select(order.oldest());
        remove();
        evicted++;
      }
      const slot = store.allocate();
      const words = store.words32(slot);
      const at = store.word(slot) + KEY;
      for (let i = 0; i < wanted.length; i++) words[at + i] = wanted[i];
      store.set(slot, HASH, wantedHash);
      index.add(wantedHash, slot);
      order.append(slot);
      session.select(slot);
      session.firstRecord = firstRecord;
      session.ipv6 = !isMapped(wanted);
      session.firstMs = receivedMs;
      session.openUntilMs = receivedMs;
      return session;
    },
    at: (slot) => session.select(slot),
    copyAddresses(slot, client, server) {
      for (let i = 0; i < 4; i++) {
        writeWord(client, 4 * i, store.get(slot, KEY + i));
        writeWord(server, 4 * i, store.get(slot, KEY + 4 + i));
      }
    },
    add(columns, row, forward, vantage) {
      const receivedMs = readWide(columns.received_at, row);
      const present = columns.present[row];
      let allowedMs = timeoutMs;
      if ((present & (PRESENT.START | PRESENT.END)) === (PRESENT.START | PRESENT.END)) {
        const durationMs = readWide(columns.end, row) - readWide(columns.start, row);
        if (durationMs > 0) allowedMs += Math.min(durationMs, MAX_ACTIVE_TIMEOUT_MS);
      }
      if (receivedMs + allowedMs > session.openUntilMs) session.openUntilMs = receivedMs + allowedMs;
      if (columns.sampling_rate[row] > 1) session.sampled = true;
      if (isDenied(columns, row)) session.denied = true;
      // Flags of 0 are what exporters without the field send: they say nothing.
      const flags = (present & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
      if (flags === 0) session.flagsUnknown = true;
      const packets = readWide(columns.packets, row);
      const bytes = readWide(columns.bytes, row);
      if (provesNoTimestamps(packets, bytes, flags, session.ipv6)) session.noTimestamps = true;
      if (forward) {
        session.forwardSeen = true;
        session.forwardFlags |= flags;
        if (!isTwin(columns, row, true, vantage, packets, bytes)) addForward(vantage, packets, bytes);
      } else {
        session.replySeen = true;
        session.replyFlags |= flags;
        if ((flags & (TCP.SYN | TCP.ACK)) === TCP.SYN && !session.forwardSeen) session.inverted = true;
        if (!isTwin(columns, row, false, vantage, packets, bytes)) addReply(vantage, packets, bytes);
        if (session.replyVantage === vantage && (present & PRESENT.END) !== 0)
          session.replyEnd = columns.end[2 * row];
      }
      order.touch(session.slot);
    },
    endReused(columns, row, forward, vantage) {
      if (!isReused(columns, row, forward, vantage)) return false;
      remove();
      return true;
    },
    endWait(slot) {
      session.select(slot);
      session.waiting = false;
      if (session.detached) release(slot);
    },
    expire(nowMs) {
      for (let slot = order.oldest(); slot >= 0; slot = order.oldest()) {
        session.select(slot);
        if (session.openUntilMs + LATENESS_MS >= nowMs) return;
        remove();
      }
    },
  };
}

/** True when the client's address, in the first words of a key, is IPv4 (::ffff:0:0/96). */
const isMapped = (key: Uint32Array): boolean => key[0] === 0 && key[1] === 0 && key[2] === 0xffff;

/** A forwarding status that means a denial (IE 89), or a firewall event `denied` (IE 233). */
export function isDenied(columns: FlowColumns, row: number): boolean {
  if (columns.firewall_event[row] === 3) return true;
  return (columns.present[row] & PRESENT.FORWARDING) !== 0 && isDenial(columns.forwarding[row]);
}

/**
 * Adds to the view of a half by a vantage point; returns its place, or -1 for a view beyond the bound: forged exporters
 * must not make a session grow.
 */
function addView(views: number[], id: number, packets: number, bytes: number): number {
  let at = 0;
  while (at < views.length && views[at] !== id) at += 3;
  if (at === views.length) {
    if (views.length >= 3 * MAX_VIEWS) return -1;
    views.push(id, 0, 0);
  }
  views[at + 1] += packets;
  views[at + 2] += bytes;
  return at;
}

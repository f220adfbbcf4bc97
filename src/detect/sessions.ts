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
import type { SessionEvidence } from './evidence.ts';
import { TCP } from './evidence.ts';
import { isDialogueSample } from './sampled-dialogue.ts';

/** Records may come so much out of order, by receive time, without splitting a session. */
export const LATENESS_MS = 60_000;
/** An exporter that cuts long flows at its active timeout is silent for that long; it is trusted up to this. */
const MAX_ACTIVE_TIMEOUT_MS = 3_600_000;
/** Vantage points of one session beyond the first of each half. */
const MAX_VIEWS = 16;

export interface Session extends SessionEvidence {
  readonly key: string;
  /** Hash of the first record: the same after a restart. */
  readonly firstRecord: number;
  readonly firstMs: number;
  lastMs: number;
  /** A record that comes later than this begins another session. */
  openUntilMs: number;
  forwardSeen: boolean;
  replySeen: boolean;
  forwardPackets: number;
  forwardBytes: number;
  replyPackets: number;
  replyBytes: number;
  forwardFlags: number;
  replyFlags: number;
  sampled: boolean;
  denied: boolean;
  /** The outside end sent the first SYN, from a mail port: the internal host is the server, and this no offence. */
  inverted: boolean;
  /** Seen by replies only, and long enough for the other half to have come: now it counts as it is. */
  released: boolean;
  /** Waits in the queue for `released`. */
  waiting: boolean;
  /** Records of the server's half that looked like backscatter, 2 at most. */
  stray: number;
  /** Some record of it had no TCP flags. */
  flagsUnknown: boolean;
  /** Some sampled record of the client's half had packets that only a dialogue has. */
  dialogueSampled: boolean;
  /** What of it counts for its host: grade and half as told last. */
  grade: number;
  half: boolean;
  deniedCounted: boolean;
  /** What it is to the test over the samples of its host, a value of TRIAL. */
  trial: number;
  /** The first vantage point of each half with its sums; further ones in `views`. */
  forwardVantage: number;
  forwardSumPackets: number;
  forwardSumBytes: number;
  replyVantage: number;
  replySumPackets: number;
  replySumBytes: number;
  /** Further vantage points: id * 2 + (1 for the reply), packets, bytes, and so on. */
  views: number[] | null;
  older: Session | null;
  newer: Session | null;
}

export interface SessionTable {
  readonly size: number;
  /** Sessions that had to go before their time. */
  readonly evicted: number;
  /** The session of this key that a record received at `receivedMs` belongs to. */
  find(key: string, receivedMs: number): Session | undefined;
  create(key: string, firstRecord: number, receivedMs: number): Session;
  /** Adds a record: `forward` when it is the client's half. */
  add(session: Session, columns: FlowColumns, row: number, forward: boolean, vantage: number): void;
  /** Forgets what ended; `nowMs` never goes backwards. */
  expire(nowMs: number): void;
}

export function createSessionTable(options: {
  readonly timeoutMs: number;
  readonly maxSessions: number;
}): SessionTable {
  const { timeoutMs, maxSessions } = options;
  const sessions = new Map<string, Session>();
  let oldest: Session | null = null;
  let newest: Session | null = null;
  let evicted = 0;

  function unlink(session: Session): void {
    if (session.older === null) oldest = session.newer;
    else session.older.newer = session.newer;
    if (session.newer === null) newest = session.older;
    else session.newer.older = session.older;
    session.older = null;
    session.newer = null;
  }

  function append(session: Session): void {
    session.older = newest;
    if (newest === null) oldest = session;
    else newest.newer = session;
    newest = session;
  }

  function remove(session: Session): void {
    unlink(session);
    sessions.delete(session.key);
  }

  return {
    get size() {
      return sessions.size;
    },
    get evicted() {
      return evicted;
    },
    find(key, receivedMs) {
      const session = sessions.get(key);
      if (session === undefined) return undefined;
      if (receivedMs > session.openUntilMs) {
        remove(session);
        return undefined;
      }
      return session;
    },
    create(key, firstRecord, receivedMs) {
      if (sessions.size >= maxSessions && oldest !== null) {
        remove(oldest);
        evicted++;
      }
      const session = newSession(key, firstRecord, receivedMs);
      sessions.set(key, session);
      append(session);
      return session;
    },
    add(session, columns, row, forward, vantage) {
      const receivedMs = readWide(columns.received_at, row);
      const present = columns.present[row];
      let allowedMs = timeoutMs;
      if ((present & (PRESENT.START | PRESENT.END)) === (PRESENT.START | PRESENT.END)) {
        const durationMs = readWide(columns.end, row) - readWide(columns.start, row);
        if (durationMs > 0) allowedMs += Math.min(durationMs, MAX_ACTIVE_TIMEOUT_MS);
      }
      if (receivedMs > session.lastMs) session.lastMs = receivedMs;
      if (receivedMs + allowedMs > session.openUntilMs) session.openUntilMs = receivedMs + allowedMs;
      if (columns.sampling_rate[row] > 1) session.sampled = true;
      const denied = isDenied(columns, row);
      if (denied) session.denied = true;
      // Flags of 0 are what exporters without the field send: they say nothing.
      const flags = (present & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
      if (flags === 0) session.flagsUnknown = true;
      const packets = readWide(columns.packets, row);
      const bytes = readWide(columns.bytes, row);
      if (forward) {
        session.forwardSeen = true;
        session.forwardFlags |= flags;
        if (columns.sampling_rate[row] > 1 && isDialogueSample(packets, bytes, flags))
          session.dialogueSampled = true;
        addForward(session, vantage, packets, bytes);
      } else {
        session.replySeen = true;
        session.replyFlags |= flags;
        if ((flags & (TCP.SYN | TCP.ACK)) === TCP.SYN && !session.forwardSeen) session.inverted = true;
        addReply(session, vantage, packets, bytes);
      }
      if (session !== newest) {
        unlink(session);
        append(session);
      }
    },
    expire(nowMs) {
      while (oldest !== null && oldest.openUntilMs + LATENESS_MS < nowMs) remove(oldest);
    },
  };
}

/** Forwarding status `dropped` (IE 89, RFC 7270 section 4.12), or a firewall event `denied` (IE 233). */
function isDenied(columns: FlowColumns, row: number): boolean {
  if (columns.firewall_event[row] === 3) return true;
  return (columns.present[row] & PRESENT.FORWARDING) !== 0 && columns.forwarding[row] >> 6 === 2;
}

function addForward(session: Session, vantage: number, packets: number, bytes: number): void {
  if (session.forwardVantage === -1) session.forwardVantage = vantage;
  if (session.forwardVantage === vantage) {
    session.forwardSumPackets += packets;
    session.forwardSumBytes += bytes;
    session.forwardPackets = Math.max(session.forwardPackets, session.forwardSumPackets);
    session.forwardBytes = Math.max(session.forwardBytes, session.forwardSumBytes);
    return;
  }
  const views = session.views ?? [];
  session.views = views;
  const at = addView(views, 2 * vantage, packets, bytes);
  if (at < 0) return;
  session.forwardPackets = Math.max(session.forwardPackets, views[at + 1]);
  session.forwardBytes = Math.max(session.forwardBytes, views[at + 2]);
}

function addReply(session: Session, vantage: number, packets: number, bytes: number): void {
  if (session.replyVantage === -1) session.replyVantage = vantage;
  if (session.replyVantage === vantage) {
    session.replySumPackets += packets;
    session.replySumBytes += bytes;
    session.replyPackets = Math.max(session.replyPackets, session.replySumPackets);
    session.replyBytes = Math.max(session.replyBytes, session.replySumBytes);
    return;
  }
  const views = session.views ?? [];
  session.views = views;
  const at = addView(views, 2 * vantage + 1, packets, bytes);
  if (at < 0) return;
  session.replyPackets = Math.max(session.replyPackets, views[at + 1]);
  session.replyBytes = Math.max(session.replyBytes, views[at + 2]);
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

function newSession(key: string, firstRecord: number, receivedMs: number): Session {
  return {
    key,
    firstRecord,
    firstMs: receivedMs,
    lastMs: receivedMs,
    openUntilMs: receivedMs,
    forwardSeen: false,
    replySeen: false,
    forwardPackets: 0,
    forwardBytes: 0,
    replyPackets: 0,
    replyBytes: 0,
    forwardFlags: 0,
    replyFlags: 0,
    sampled: false,
    denied: false,
    inverted: false,
    released: false,
    waiting: false,
    stray: 0,
    flagsUnknown: false,
    dialogueSampled: false,
    grade: 0,
    half: false,
    deniedCounted: false,
    trial: 0,
    forwardVantage: -1,
    forwardSumPackets: 0,
    forwardSumBytes: 0,
    replyVantage: -1,
    replySumPackets: 0,
    replySumBytes: 0,
    views: null,
    older: null,
    newer: null,
  };
}

/** Key of a session: site, both addresses, both ports, as UTF-16 units of two bytes each. */
export function sessionKey(
  site: number,
  client: Uint8Array,
  clientAt: number,
  clientPort: number,
  server: Uint8Array,
  serverAt: number,
  serverPort: number,
): string {
  if (isMapped(client, clientAt) && isMapped(server, serverAt)) {
    return String.fromCharCode(
      site,
      clientPort,
      serverPort,
      unit(client, clientAt + 12),
      unit(client, clientAt + 14),
      unit(server, serverAt + 12),
      unit(server, serverAt + 14),
    );
  }
  return (
    String.fromCharCode(site, clientPort, serverPort) +
    addressKey(client, clientAt) +
    addressKey(server, serverAt)
  );
}

/** 16 address bytes as 8 UTF-16 units; an IPv4 address as 2. */
export function addressKey(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return String.fromCharCode(unit(bytes, at + 12), unit(bytes, at + 14));
  return String.fromCharCode(
    unit(bytes, at),
    unit(bytes, at + 2),
    unit(bytes, at + 4),
    unit(bytes, at + 6),
    unit(bytes, at + 8),
    unit(bytes, at + 10),
    unit(bytes, at + 12),
    unit(bytes, at + 14),
  );
}

/** The 16 address bytes of an addressKey. */
export function addressOfKey(key: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const at = 16 - 2 * key.length;
  if (key.length === 2) bytes.fill(0xff, 10, 12);
  for (let i = 0; i < key.length; i++) {
    bytes[at + 2 * i] = key.charCodeAt(i) >> 8;
    bytes[at + 2 * i + 1] = key.charCodeAt(i) & 0xff;
  }
  return bytes;
}

function unit(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  return (
    unit(bytes, at + 10) === 0xffff &&
    unit(bytes, at) === 0 &&
    unit(bytes, at + 2) === 0 &&
    unit(bytes, at + 4) === 0 &&
    unit(bytes, at + 6) === 0 &&
    unit(bytes, at + 8) === 0
  );
}

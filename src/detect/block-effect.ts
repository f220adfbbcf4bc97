/**
 * Whether a published block works, as the records that come after it tell: the closed loop of one host.
 *
 * Pure. Records tell the past, and ingress exporters count packets before the list drops them: only what began after the
 * block and its grace time speaks, and a client's own packets only where a blocked client could not have sent them. It
 * must never call a block effective while packets are seen to pass, nor complain about records of before it.
 */

import { readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { BLOCK_PORT } from './block.ts';
import { carriesPayload } from './evidence.ts';
import type { Sighting } from './screen.ts';
import { isDenied } from './sessions.ts';
import { TCP } from './tcp-flags.ts';

/** Where packets of a blocked host were seen. */
export interface PassingPlace {
  readonly address: string;
  readonly domain: number;
  readonly interface: number;
}

export interface BlockEffect {
  /** When the block was published. */
  publishedMs: number;
  state: 'unknown' | 'effective' | 'not_effective';
  /** When the state began; 0 while it is unknown. */
  sinceMs: number;
  /** Newest packets that got through after the grace time, and the connections tried in vain since; 0 for none. */
  passedMs: number;
  refused: number;
  /** The longest time between two that got through, since the block. */
  gapMs: number;
  /** Newest first. */
  passing: PassingPlace[];
}

/** Tried in vain so often, nothing gets through. One attempt may be half of a connection whose rest comes later. */
const REFUSED_PROOF = 2;
const MAX_PLACES = 8;
/** A host has a pace to judge its silence by from so many sessions on. */
const SESSIONS_OF_A_PACE = 10;
/** Silent for so many times its mean gap, or its longest since the block, a host has changed its ways. */
const MEAN_GAPS = 10;
const LONGEST_GAPS = 3;
/** A record of so many packets without payload may be one SYN and its retransmissions. */
const SYN_PACKETS = 8;
/** A client's record of this size is no retransmission into a block. */
const PASSED_PACKETS = 10;
const PASSED_BYTES = 1000;
/** A mean packet this large holds over 70 octets of payload, even as an IPv6 frame with TCP options in sFlow. */
const PAYLOAD_PACKET_BYTES = 160;

export function newEffect(publishedMs: number): BlockEffect {
  return { publishedMs, state: 'unknown', sinceMs: 0, passedMs: 0, refused: 0, gapMs: 0, passing: [] };
}

export type EffectEvidence = 'passed' | 'refused' | null;

/**
 * What a record of the host says, all by itself, about a block that was to work from `fromMs` on: what a restart has
 * forgotten of its connection must not change the answer.
 */
export function judgeRecord(s: Sighting, fromMs: number): EffectEvidence {
  if (s.columns === null || s.port !== BLOCK_PORT || s.internal || recordBeganMs(s) <= fromMs) return null;
  const { columns, row, forward } = s;
  if (isDenied(columns, row)) return forward ? 'refused' : null;
  const flags = (columns.present[row] & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
  const packets = readWide(columns.packets, row);
  const bytes = readWide(columns.bytes, row);
  if (!forward) {
    // The server answers, so it was reached; a reset may come from the list itself.
    const answers = flags === 0 ? carriesPayload(packets, bytes) : (flags & (TCP.ACK | TCP.RST)) === TCP.ACK;
    return answers ? 'passed' : null;
  }
  // Of an old connection, a few packets may be retransmissions into the block; so many are none.
  if (packets >= PASSED_PACKETS && bytes >= PASSED_BYTES) return 'passed';
  const sampled = columns.sampling_rate[row] > 1;
  if (sampled) return isPayloadSample(packets, bytes, flags) ? 'passed' : null;
  if (flags === 0) return withoutFlags(packets, bytes);
  if ((flags & TCP.SYN) === 0) return null;
  return (flags & (TCP.ACK | TCP.PSH | TCP.FIN)) === 0 ? 'refused' : 'passed';
}

/** Where no flags are exported, payload tells a connection, as it does for the grade; a few bare packets are attempts. */
function withoutFlags(packets: number, bytes: number): EffectEvidence {
  if (carriesPayload(packets, bytes)) return 'passed';
  return packets <= SYN_PACKETS ? 'refused' : null;
}

/** A record of sampled packets that only an established connection has. `flags` are 0 when unknown. */
function isPayloadSample(packets: number, bytes: number, flags: number): boolean {
  return (flags === 0 || (flags & TCP.ACK) !== 0) && bytes > PAYLOAD_PACKET_BYTES * packets;
}

/** When the packets of a record began, by the collector's clock and the record's own duration. */
function recordBeganMs({ columns, row, receivedMs }: Sighting): number {
  if (columns === null) return receivedMs;
  const timed = PRESENT.START | PRESENT.END;
  if ((columns.present[row] & timed) !== timed) return receivedMs;
  return receivedMs - Math.max(0, readWide(columns.end, row) - readWide(columns.start, row));
}

/** True when the state changed. */
export function noteEvidence(
  effect: BlockEffect,
  evidence: EffectEvidence,
  place: PassingPlace,
  atMs: number,
): boolean {
  if (evidence === 'passed') {
    const known = effect.passing.filter(
      (one) =>
        one.address !== place.address || one.domain !== place.domain || one.interface !== place.interface,
    );
    effect.passing = [place, ...known].slice(0, MAX_PLACES);
    if (effect.passedMs > 0) effect.gapMs = Math.max(effect.gapMs, atMs - effect.passedMs);
    effect.passedMs = atMs;
    effect.refused = 0;
    return turn(effect, 'not_effective', atMs);
  }
  if (evidence !== 'refused') return false;
  effect.refused++;
  return effect.refused >= REFUSED_PROOF && effect.state === 'unknown' && turn(effect, 'effective', atMs);
}

/** What is known of the sessions of a host. */
interface Seen {
  readonly sessions: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * Milliseconds between the sessions of a host on average; infinite for one of which too few were seen: its silence proves
 * nothing.
 */
export function paceOf({ sessions, firstMs, lastMs }: Seen): number {
  return sessions < SESSIONS_OF_A_PACE ? Number.POSITIVE_INFINITY : (lastMs - firstMs) / (sessions - 1);
}

/** When silence is to be judged next, by the host's own pace; infinite when there is nothing to wait for. */
export function silenceDueMs(effect: BlockEffect, graceMs: number, paceMs: number): number {
  const { state, publishedMs, passedMs, refused, gapMs } = effect;
  if (state === 'effective') return Number.POSITIVE_INFINITY;
  // Whoever is seen trying is not silent: only what got through counts then.
  const meanMs = refused >= REFUSED_PROOF ? 0 : MEAN_GAPS * paceMs;
  return Math.max(publishedMs + graceMs, passedMs) + Math.max(graceMs, meanMs, LONGEST_GAPS * gapMs);
}

/** Nothing passed for longer than the host's pace explains. True when the state changed. */
export function noteSilence(effect: BlockEffect, graceMs: number, paceMs: number, atMs: number): boolean {
  return silenceDueMs(effect, graceMs, paceMs) <= atMs && turn(effect, 'effective', atMs);
}

function turn(effect: BlockEffect, state: BlockEffect['state'], atMs: number): boolean {
  if (effect.state === state) return false;
  effect.state = state;
  effect.sinceMs = atMs;
  if (state === 'effective') effect.passing = [];
  return true;
}

/** In words for people. */
export function describeEffect({ state, passing, refused }: BlockEffect): string {
  if (state === 'not_effective') {
    const places = passing.map(({ address, interface: port }) => `exporter ${address} interface ${port}`);
    return `not effective on ${places.join(', ')}: packets to port ${BLOCK_PORT} still get through`;
  }
  if (state === 'unknown') return 'too early to say';
  return refused > 0
    ? 'effective: connections are tried in vain'
    : 'effective: no record since tells of a connection that got through';
}

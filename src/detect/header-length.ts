/**
 * How long the headers of a connection are, proven by sessions that repeat each other.
 *
 * A client that does the same thing with one server again sends the same payload, and so does the server; what differs is the
 * number of lone ACKs. Then the octets of two sessions differ by the length of a header for each packet: 40 octets without TCP
 * timestamps, 52 with them (IPv6: 60 and 72). Either half tells, and a difference of two packets tells more than one.
 *
 * What disturbs it: a RST is always bare, so a half with one says nothing. An ACK with a SACK block has 12 octets more: with it a
 * bare one passes for one with timestamps, and one ACK less with timestamps for a bare one. Most of what was sent twice shows,
 * as a little more payload in one half. So both halves must agree, a pair counts once however often it repeats, "bare" takes two
 * packets more in its favour than against it and "timestamps" three, and from the first small difference in payload on
 * nothing is proven any more: on a path that loses packets a false proof must come before the first loss that shows.
 *
 * It knows nothing of mail, and holds figures only.
 */

import { leastPayload } from './payload.ts';
import { TCP } from './tcp-flags.ts';

export const HEADER = { unknown: 0, bare: 1, timed: 2 } as const;
export type Header = (typeof HEADER)[keyof typeof HEADER];

const BARE = 40;
const TIMED = 52;
const V6_MORE = 20;
const PROVES_BARE = -2;
const PROVES_TIMED = 3;
/** One pair of sessions says no more than this, however many packets they differ by. */
const MOST_OF_PAIR = 2;
/** A command that was sent twice, and the SACK blocks that answer it, come to less than this. */
const SENT_TWICE = 160;
/** Larger sessions are not compared: what they carry is clear without. They also must fit into the places below. */
const MOST_PACKETS = 255;
const MOST_BYTES = 65_535;
/** A server's half without its chain of certificates is so much smaller, at least: more than one segment that was sent twice. */
const CERTIFICATE_LESS = 1600;

/** What is known of the sessions of a host with one server; integers, so that it survives a restart exactly. */
export interface RepeatedSizes {
  /** Of the session that others are compared with. */
  forwardPackets: number;
  forwardBytes: number;
  replyPackets: number;
  replyBytes: number;
  /** Packets of the session that was counted last. */
  votedForward: number;
  votedReply: number;
  /** Something was sent twice: such a path proves nothing. */
  disturbed: boolean;
  /** Below zero: bare headers; above: timestamps. */
  score: number;
  /** Payload of the server's half with its certificates, at least: the smallest, since some is sent twice at times. */
  fullReply: number;
  /** What the newest session weighs (MESSAGE), and what it would weigh with bare headers, and with timestamps. */
  weight: number;
  weightBare: number;
  weightTimed: number;
}

/** Both halves of a session, see SessionEvidence. */
interface ComparedSession {
  readonly forwardPackets: number;
  readonly forwardBytes: number;
  readonly forwardFlags: number;
  readonly replyPackets: number;
  readonly replyBytes: number;
  readonly replyFlags: number;
  readonly ipv6: boolean;
}

/** In words of 32 bits, for the memory of a destination and for a restart; all zero when nothing is known. */
export const SIZE_WORDS = 4;

export function packSizes(sizes: RepeatedSizes, words: Uint32Array, at: number): void {
  const { score, weight, weightBare, weightTimed } = sizes;
  words[at] = (sizes.forwardPackets << 16) | sizes.forwardBytes;
  words[at + 1] = (sizes.replyPackets << 16) | sizes.replyBytes;
  words[at + 3] = (sizes.disturbed ? 1 << 16 : 0) | (sizes.votedForward << 8) | sizes.votedReply;
  words[at + 2] =
    (sizes.fullReply << 16) | (weightTimed << 12) | (weightBare << 8) | (weight << 4) | (score & 15);
}

/** Words of any content give figures within their bounds. */
export function unpackSizes(sizes: RepeatedSizes, words: Uint32Array, at: number): void {
  const forward = words[at];
  const reply = words[at + 1];
  const rest = words[at + 2];
  const voted = words[at + 3];
  sizes.forwardPackets = (forward >>> 16) & MOST_PACKETS;
  sizes.forwardBytes = forward & MOST_BYTES;
  sizes.replyPackets = (reply >>> 16) & MOST_PACKETS;
  sizes.replyBytes = reply & MOST_BYTES;
  sizes.fullReply = rest >>> 16;
  sizes.weightTimed = (rest >>> 12) & 15;
  sizes.weightBare = (rest >>> 8) & 15;
  sizes.weight = (rest >>> 4) & 15;
  sizes.disturbed = (voted & (1 << 16)) !== 0;
  sizes.votedForward = (voted >>> 8) & MOST_PACKETS;
  sizes.votedReply = voted & MOST_PACKETS;
  // Four bits with a sign.
  sizes.score = Math.max(PROVES_BARE, Math.min(PROVES_TIMED, (rest << 28) >> 28));
}

export function noSizes(): RepeatedSizes {
  return {
    forwardPackets: 0,
    forwardBytes: 0,
    replyPackets: 0,
    replyBytes: 0,
    votedForward: 0,
    votedReply: 0,
    disturbed: false,
    score: 0,
    fullReply: 0,
    weight: 0,
    weightBare: 0,
    weightTimed: 0,
  };
}

export function headerOf({ score }: Pick<RepeatedSizes, 'score'>): Header {
  if (score <= PROVES_BARE) return HEADER.bare;
  return score >= PROVES_TIMED ? HEADER.timed : HEADER.unknown;
}

/** The session is there from its SYN to the end of both halves, and small enough to be compared. */
export function isComparable(session: ComparedSession): boolean {
  const { forwardFlags, replyFlags } = session;
  return (
    (forwardFlags & replyFlags & TCP.SYN) !== 0 &&
    (forwardFlags & (TCP.FIN | TCP.RST)) !== 0 &&
    // A client's RST may leave the server without a last word.
    ((replyFlags & (TCP.FIN | TCP.RST)) !== 0 || isReset(forwardFlags)) &&
    session.forwardPackets <= MOST_PACKETS &&
    session.replyPackets <= MOST_PACKETS &&
    session.forwardBytes <= MOST_BYTES &&
    session.replyBytes <= MOST_BYTES
  );
}

/** Compares a comparable session with an earlier one; one of another payload takes its place. */
export function compareSession(known: RepeatedSizes, session: ComparedSession): void {
  if (headerOf(known) === HEADER.unknown && !known.disturbed && !vote(known, session)) {
    known.score = 0;
    known.forwardPackets = session.forwardPackets;
    known.forwardBytes = isReset(session.forwardFlags) ? 0 : session.forwardBytes;
    known.replyPackets = session.replyPackets;
    known.replyBytes = isReset(session.replyFlags) ? 0 : session.replyBytes;
    known.votedForward = 0;
    known.votedReply = 0;
  }
  if (known.fullReply === 0 || (leastReply(session) < known.fullReply && !isResumed(known, session)))
    known.fullReply = leastReply(session);
}

/** Once proven it stays. False when the two sessions differ by more than packets without payload. */
function vote(known: RepeatedSizes, session: ComparedSession): boolean {
  const { forwardPackets, replyPackets, ipv6 } = session;
  // Halves with a RST are left out, in both sessions.
  const forward = known.forwardBytes !== 0 && !isReset(session.forwardFlags);
  const reply = known.replyBytes !== 0 && !isReset(session.replyFlags);
  if (!forward && !reply) return false;
  const forwardMore = forward ? forwardPackets - known.forwardPackets : 0;
  const replyMore = reply ? replyPackets - known.replyPackets : 0;
  const forwardOctets = forward ? session.forwardBytes - known.forwardBytes : 0;
  const replyOctets = reply ? session.replyBytes - known.replyBytes : 0;
  const more = ipv6 ? V6_MORE : 0;
  const isTimed = isHeader(TIMED + more, forwardMore, forwardOctets, replyMore, replyOctets);
  const isBare = isHeader(BARE + more, forwardMore, forwardOctets, replyMore, replyOctets);
  if (isTimed && isBare) return true;
  if (!isTimed && !(isBare && forward && reply)) {
    known.disturbed =
      isNearly(TIMED + more, forwardMore, forwardOctets, replyMore, replyOctets) ||
      isNearly(BARE + more, forwardMore, forwardOctets, replyMore, replyOctets);
    return false;
  }
  if (forwardPackets === known.votedForward && replyPackets === known.votedReply) return true;
  known.votedForward = forwardPackets;
  known.votedReply = replyPackets;
  const weight = Math.min(MOST_OF_PAIR, Math.abs(forwardMore) + Math.abs(replyMore));
  known.score += isTimed ? weight : -weight;
  known.score = Math.max(PROVES_BARE, Math.min(PROVES_TIMED, known.score));
  return true;
}

/** Headers of this length explain all octets that two sessions differ by, given the packets that their halves differ by. */
function isHeader(
  header: number,
  forwardMore: number,
  forwardOctets: number,
  replyMore: number,
  replyOctets: number,
): boolean {
  return forwardOctets === header * forwardMore && replyOctets === header * replyMore;
}

/** The same but for what was sent twice. */
function isNearly(
  header: number,
  forwardMore: number,
  forwardOctets: number,
  replyMore: number,
  replyOctets: number,
): boolean {
  return (
    Math.abs(forwardOctets - header * forwardMore) <= SENT_TWICE &&
    Math.abs(replyOctets - header * replyMore) <= SENT_TWICE
  );
}

const isReset = (flags: number): boolean => (flags & TCP.RST) !== 0;

/**
 * True when the server's certificate is missing that it sent to the same host before: the client resumed a TLS session.
 */
export function isResumed(known: RepeatedSizes, session: ComparedSession): boolean {
  return known.fullReply >= leastReply(session) + CERTIFICATE_LESS;
}

const leastReply = ({ replyPackets, replyBytes, ipv6 }: ComparedSession): number =>
  Math.max(0, leastPayload(replyPackets, replyBytes, ipv6, false));

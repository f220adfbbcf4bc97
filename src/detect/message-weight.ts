/**
 * How far the payload of one session is explained by something else than a message.
 *
 * What probes reach was measured on real programs (test/scenarios/README.md). It depends on whether the session used TLS: the
 * server's half shows it by the size of a certificate. Without that half, or with a part of it, a TLS check and a short mail
 * look alike, and nothing is concluded. A post-quantum key share makes the client's hello 1200 octets longer, whatever the
 * server answers, so that a check with it is as large as a short mail without it.
 */

import { HEADER, type Header } from './header-length.ts';
import { leastPayload, mostPayload } from './payload.ts';
import { TCP } from './tcp-flags.ts';

/** From weak to strong, as numbers: the hot path compares integers. A session that is no connection is `nothing`. */
export const MESSAGE = {
  nothing: 0,
  /** No more than a greeting. */
  greeting: 1,
  /** As much as the envelope takes: an address was verified, or the mail refused. No message. */
  envelope: 2,
  /** The two over TLS. */
  tlsGreeting: 3,
  tlsEnvelope: 4,
  /** A short message, or a TLS check: the records do not tell. */
  unclear: 5,
  /** More than a check takes, but a retransmitted hello explains it too: several such sessions prove messages. */
  likely: 6,
  /** A message, unless the client resumed an earlier TLS session, in which no certificate comes. */
  unlessResumed: 7,
  /** Only a message explains it. */
  certain: 8,
} as const;
type Message = (typeof MESSAGE)[keyof typeof MESSAGE];

/** Bounds on the payload of the client's half, in octets: `detection.conversed`. */
interface MessageBounds {
  readonly plain_payload_bytes: number;
  readonly tls_payload_bytes: number;
  readonly any_payload_bytes: number;
}

/** What the weight depends on; see SessionEvidence. */
export interface MessageEvidence {
  readonly forwardSeen: boolean;
  readonly replySeen: boolean;
  readonly forwardPackets: number;
  readonly forwardBytes: number;
  readonly replyPackets: number;
  readonly replyBytes: number;
  readonly forwardFlags: number;
  readonly replyFlags: number;
  readonly sampled: boolean;
  readonly ipv6: boolean;
  /** The connection has no TCP timestamps: some record proves it, or other sessions do. */
  readonly noTimestamps: boolean;
  /** It has: other sessions prove it. */
  readonly timestamps?: boolean;
  /** An earlier session had a certificate that this one lacks: it resumes that one. */
  readonly resumed?: boolean;
}

/** EHLO, MAIL, RCPT and QUIT take so much at least. */
const ENVELOPE_BYTES = 70;
/** So many packets of a server go with one address; each further answer may be about another address of so many octets. */
const ENVELOPE_ANSWERS = 10;
const ADDRESS_BYTES = 30;
/** The same over TLS, with the handshake. */
const TLS_ENVELOPE_BYTES = 800;
/** The smallest client half with a TLS handshake. */
const SMALLEST_TLS_BYTES = 380;
/** Payload of a server's half with a certificate, of one that resumes a session, and of one that resumes it in TLS 1.3. */
const CERTIFICATE_BYTES = 1200;
const RESUMED_BYTES = 420;
const RESUMED_13_BYTES = 600;
/**
 * Payload of such a half in which addresses are verified, in all and a packet: in the mail lab 873 and 64 at least. A mail to ten
 * in plain gets as much in all, in more and smaller answers.
 */
const RESUMED_CHECK_BYTES = 800;
const RESUMED_PACKET_BYTES = 62;
/** What a ticket adds to the client's hello. */
const TICKET_BYTES = 300;
/** Checks with a post-quantum hello lie in between: from a bare one without timestamps to an address that is verified. */
const POST_QUANTUM_FROM = 1480;
const POST_QUANTUM_TO = 1940;
/** The same where the length of the headers is known: Go's hello has 1506 octets with a short name, and 115 go with it. */
const POST_QUANTUM_KNOWN_FROM = 1600;
/**
 * A check that resumes a session sends a ticket of 32 octets at least in an extension of 47; one of OpenSSL makes 176. With a
 * post-quantum hello it is larger than this, and without one smaller than the bound for checks and a ticket.
 */
const RESUMED_TO = 1640;
const RESUMED_KNOWN_TO = 1760;
/** With long names or a ticket they reach this, and have fewer packets than a mail of that size. */
const POST_QUANTUM_LONG_TO = 2200;
const POST_QUANTUM_PACKETS = 18;
/** Packets of a server that answers a whole mail command by command, beside those that its certificates fill. */
const MAIL_ANSWERS = 15.5;
const SEGMENT_BYTES = 1448;
/** A mail of 300 octets in plain looks so small when its connection has no timestamps and no record proves that. */
const SHORT_MAIL_BYTES = 345;
const SHORT_MAIL_AT_LEAST = 200;
const SHORT_MAIL_ANSWERS = 10;
const SHORT_MAIL_MOST_ANSWERS = 13;
/** Options of a SYN without timestamps. */
const SYN_OPTIONS = 12;

/** The length of the headers of a session, as far as it is known. */
const headerOfSession = (e: MessageEvidence): Header =>
  e.noTimestamps ? HEADER.bare : e.timestamps ? HEADER.timed : HEADER.unknown;

/** The weight of a session that is known to be a connection; with `header` as if its headers were proven to be of that length. */
export function weighMessage(
  e: MessageEvidence,
  bounds: MessageBounds,
  header: Header = headerOfSession(e),
): Message {
  // What only the server said is no measure of what it was told; and without a number of packets headers cannot be taken off.
  if (!e.forwardSeen) return MESSAGE.greeting;
  if (e.forwardPackets === 0) return e.forwardBytes > TLS_ENVELOPE_BYTES ? MESSAGE.unclear : MESSAGE.greeting;
  const payload = leastPayload(e.forwardPackets, e.forwardBytes, e.ipv6, header === HEADER.bare);
  const known = !e.replySeen || isBalanced(e);
  if (payload >= bounds.any_payload_bytes) return known ? MESSAGE.certain : MESSAGE.unclear;
  if (e.sampled) return MESSAGE.greeting;
  if (isResumedMail(e, payload, bounds, header)) return MESSAGE.likely;
  if (showsCertificate(e)) return weighTls(e, payload, bounds, header);
  const addresses = ADDRESS_BYTES * Math.max(0, e.replyPackets - ENVELOPE_ANSWERS);
  if (payload < bounds.plain_payload_bytes + addresses) {
    if (isShortMail(e, payload)) return MESSAGE.likely;
    return payload < ENVELOPE_BYTES ? MESSAGE.greeting : MESSAGE.envelope;
  }
  if (payload < SHORT_MAIL_BYTES && e.replySeen)
    return isShortMail(e, payload) ? MESSAGE.likely : MESSAGE.unclear;
  if (!isWholeReply(e))
    return payload < bounds.tls_payload_bytes ? MESSAGE.unclear : weighTls(e, payload, bounds, header);
  const answer = mostPayload(e.replyPackets, e.replyBytes, e.ipv6);
  /** A check that resumes an earlier session has less. */
  const resumedTo = bounds.tls_payload_bytes + TICKET_BYTES;
  if (
    answer >= RESUMED_13_BYTES &&
    payload >= SMALLEST_TLS_BYTES &&
    payload < POST_QUANTUM_LONG_TO + TICKET_BYTES
  ) {
    // A post-quantum hello before the certificate, or with a ticket; or a handshake that the client broke off.
    const serverEnded = e.replyFlags !== 0 && isOver(e.replyFlags);
    if (payload >= POST_QUANTUM_FROM || !serverEnded) return MESSAGE.unclear;
    // A check that resumes a session whose certificate came before anybody looked.
    if (payload < resumedTo && answer >= Math.max(RESUMED_CHECK_BYTES, RESUMED_PACKET_BYTES * e.replyPackets))
      return MESSAGE.unclear;
  }
  // A check that resumes a session reaches this when its hello was sent twice.
  if (answer >= RESUMED_13_BYTES && payload >= resumedTo) return MESSAGE.likely;
  const mayBeResumed = answer >= RESUMED_BYTES && payload >= SMALLEST_TLS_BYTES && payload < resumedTo;
  return mayBeResumed ? MESSAGE.unlessResumed : MESSAGE.certain;
}

/**
 * True when the half is as large as the shortest mail should its connection have no timestamps, and the server gave all the
 * answers that a mail gets. With timestamps only an unusual number of commands comes to as much.
 */
function isShortMail(e: MessageEvidence, payload: number): boolean {
  return (
    payload >= SHORT_MAIL_AT_LEAST &&
    e.replyPackets >= SHORT_MAIL_ANSWERS &&
    e.replyPackets <= SHORT_MAIL_MOST_ANSWERS &&
    mostPayload(e.forwardPackets, e.forwardBytes, e.ipv6) >= SHORT_MAIL_BYTES + SYN_OPTIONS &&
    isWholeReply(e)
  );
}

/** The server's half is large enough for a certificate. */
export function showsCertificate(e: MessageEvidence): boolean {
  return e.replySeen && mostPayload(e.replyPackets, e.replyBytes, e.ipv6) >= CERTIFICATE_BYTES;
}

/** Too large for a check that resumes a session without a post-quantum hello, too small for one with it. */
function isResumedMail(e: MessageEvidence, payload: number, bounds: MessageBounds, header: Header): boolean {
  if (!e.resumed || payload < bounds.tls_payload_bytes + TICKET_BYTES) return false;
  return payload < (header === HEADER.unknown ? RESUMED_TO : RESUMED_KNOWN_TO) && isWholeReply(e);
}

function weighTls(e: MessageEvidence, payload: number, bounds: MessageBounds, header: Header): Message {
  if (payload < TLS_ENVELOPE_BYTES) return MESSAGE.tlsGreeting;
  if (payload < bounds.tls_payload_bytes) return MESSAGE.tlsEnvelope;
  if (payload >= POST_QUANTUM_LONG_TO) return MESSAGE.likely;
  // A session that goes on may be in the middle of a hello.
  if (!isOver(e.forwardFlags) && !isOver(e.replyFlags)) return MESSAGE.unclear;
  if (payload < (header === HEADER.unknown ? POST_QUANTUM_FROM : POST_QUANTUM_KNOWN_FROM))
    return MESSAGE.likely;
  if (payload >= POST_QUANTUM_TO)
    return e.forwardPackets < POST_QUANTUM_PACKETS ? MESSAGE.unclear : MESSAGE.likely;
  const answers = e.replyPackets - mostPayload(e.replyPackets, e.replyBytes, e.ipv6) / SEGMENT_BYTES;
  return e.forwardPackets >= POST_QUANTUM_PACKETS && answers >= MAIL_ANSWERS
    ? MESSAGE.likely
    : MESSAGE.unclear;
}

/**
 * True when the server's half is there from its SYN to the end of the connection, as far as the client's: a certificate that is
 * not in it does not come any more. The client's RST ends a connection without a word of the server; its FIN does not.
 */
function isWholeReply(e: MessageEvidence): boolean {
  if (!e.replySeen || !isBalanced(e)) return false;
  if (e.replyFlags === 0) return true;
  return (e.replyFlags & TCP.SYN) !== 0 && (isOver(e.replyFlags) || (e.forwardFlags & TCP.RST) !== 0);
}

/** The server sent at least half as many packets as the client: else a part is missing, or the client repeats itself in vain. */
const isBalanced = (e: MessageEvidence): boolean => 2 * e.replyPackets >= e.forwardPackets;

/** The connection has ended, or the exporter does not say. */
const isOver = (flags: number): boolean => flags === 0 || (flags & (TCP.FIN | TCP.RST)) !== 0;

/**
 * What the records of one TCP connection prove, as a pure function.
 *
 * Grades are steps of evidence, never estimates: counts are as exported, a sampled packet is one packet, durations are
 * not used (sampled and one-packet flows have none). What cannot be told from the records lowers the grade, except that
 * a packet which only an established connection can carry proves the connection, sampled or not.
 */

import { MESSAGE, type MessageEvidence } from './message-weight.ts';
import { TCP } from './tcp-flags.ts';

/** Grades of a session as numbers, so that the hot path compares integers. `none` is no act of the internal host. */
export const SESSION_GRADE = { none: 0, attempted: 1, connected: 2, conversed: 3 } as const;
export type SessionGrade = (typeof SESSION_GRADE)[keyof typeof SESSION_GRADE];

/**
 * Both halves of one session: the client is the internal host, the server the outside one. Counts are the most that any one
 * vantage point saw, not the sum over them; flags are those of all records of a half that had any, 0 when none had.
 */
export interface SessionEvidence extends MessageEvidence {
  /** A router says that it dropped packets of it. */
  readonly denied: boolean;
}

/** Packets from which a client half with ACK proves a connection although nothing was seen of the server. */
const CONNECTED_PACKETS = 4;
/** The longest packet without payload worth caring for: IPv6 and TCP header with the options of a SYN, and a bit. */
const BARE_PACKET_BYTES = 84;

/**
 * How far a session got: `connected` at most, see `gradeWith` for the message. `none` for what the internal host did not begin:
 * the RST with which it answers a packet to a connection that it does not know, or server packets that a spoofed address
 * provoked (backscatter).
 */
export function gradeConnection(e: SessionEvidence): SessionGrade {
  if (!e.forwardSeen) return provesByReplyOnly(e) ? SESSION_GRADE.connected : SESSION_GRADE.none;
  if (onlyRefuses(e.forwardFlags) && !replyProves(e)) return SESSION_GRADE.none;
  if (isBelievedDenied(e) || !isConnected(e)) return SESSION_GRADE.attempted;
  return SESSION_GRADE.connected;
}

/** The grade of a connection whose message has this weight. */
export function gradeWith(connection: SessionGrade, message: number): SessionGrade {
  return connection === SESSION_GRADE.connected && message >= MESSAGE.unlessResumed
    ? SESSION_GRADE.conversed
    : connection;
}

/**
 * A mark that a router dropped the packets is believed of SYNs, and of whatever else came to nothing. It is not believed
 * against payload of the client, a SYN-ACK, or an answer that only an established connection has: then another way was
 * found, the connection is older than the rule, or the record was read with a wrong template.
 */
function isBelievedDenied(e: SessionEvidence): boolean {
  if (!e.denied || carriesPayload(e.forwardPackets, e.forwardBytes)) return false;
  return !replyProves(e) && !(e.replySeen && (e.replyFlags & TCP.SYN) !== 0);
}

function isConnected(e: SessionEvidence): boolean {
  if (e.forwardFlags === 0) {
    // No flags to go by: payload, or packets that cannot all be retransmissions of one SYN.
    if (carriesPayload(e.forwardPackets, e.forwardBytes)) return true;
    if (e.forwardPackets >= CONNECTED_PACKETS && !allAlike(e.forwardPackets, e.forwardBytes)) return true;
    return replyProves(e) || (e.replySeen && (e.replyFlags & TCP.SYN) !== 0);
  }
  if ((e.forwardFlags & TCP.ACK) === 0) return replyProves(e);
  if ((e.forwardFlags & (TCP.PSH | TCP.FIN)) !== 0) return true;
  if (e.sampled || e.forwardPackets >= CONNECTED_PACKETS) return true;
  return e.replySeen && !onlyRefuses(e.replyFlags);
}

/** The server's half shows more than the answer to a SYN: only an established connection has that. */
function replyProves(e: SessionEvidence): boolean {
  if (!e.replySeen) return false;
  const flags = e.replyFlags;
  if (flags === 0) {
    return carriesPayload(e.replyPackets, e.replyBytes) || !allAlike(e.replyPackets, e.replyBytes);
  }
  if ((flags & (TCP.PSH | TCP.FIN)) !== 0) return true;
  if ((flags & (TCP.SYN | TCP.RST)) !== 0) return carriesPayload(e.replyPackets, e.replyBytes);
  return (flags & TCP.ACK) !== 0 && (e.sampled || e.replyPackets >= CONNECTED_PACKETS);
}

/**
 * A connection of which only the server's half was exported. Never more than that: an answer to EHLO or a certificate is large
 * whatever the client wanted.
 */
function provesByReplyOnly(e: SessionEvidence): boolean {
  // Without flags a handful of small packets may still be SYN-ACKs to somebody who used this address.
  return replyProves(e) && (e.replyFlags !== 0 || e.replyPackets >= CONNECTED_PACKETS || e.sampled);
}

/** RST, with or without ACK, and nothing else. */
function onlyRefuses(flags: number): boolean {
  return (flags & TCP.RST) !== 0 && (flags & (TCP.SYN | TCP.FIN | TCP.PSH)) === 0;
}

/** On average more than headers: only an established connection has that. */
export function carriesPayload(packets: number, bytes: number): boolean {
  return bytes > BARE_PACKET_BYTES * packets;
}

/** Packets that may all be the same small packet, as retransmitted SYNs are. */
function allAlike(packets: number, bytes: number): boolean {
  return packets <= 1 || bytes % packets === 0;
}

/**
 * What the records of one TCP connection prove, as a pure function.
 *
 * Grades are steps of evidence, never estimates: counts are as exported, a sampled packet is one packet, durations are
 * not used (sampled and one-packet flows have none). What cannot be told from the records lowers the grade, except that
 * a packet which only an established connection can carry proves the connection, sampled or not.
 */

export const TCP = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

/** Grades of a session as numbers, so that the hot path compares integers. `none` is no act of the internal host. */
export const SESSION_GRADE = { none: 0, attempted: 1, connected: 2, conversed: 3 } as const;
export type SessionGrade = (typeof SESSION_GRADE)[keyof typeof SESSION_GRADE];

/** Both halves of one session: the client is the internal host, the server the outside one. */
export interface SessionEvidence {
  readonly forwardSeen: boolean;
  readonly replySeen: boolean;
  /** Most that any one vantage point saw, not the sum over them. */
  readonly forwardPackets: number;
  readonly forwardBytes: number;
  readonly replyPackets: number;
  readonly replyBytes: number;
  /** Flags of all records of a half that had any; 0 when none had. */
  readonly forwardFlags: number;
  readonly replyFlags: number;
  /** Some record was made from one packet in N, N over 1. */
  readonly sampled: boolean;
  /** A router says that it dropped the packets. */
  readonly denied: boolean;
}

export interface ConversedThreshold {
  readonly packets: number;
  readonly bytes: number;
}

/** Packets from which a client half with ACK proves a connection although nothing was seen of the server. */
const CONNECTED_PACKETS = 4;
/** The shortest mail, as shares of what makes a dialogue otherwise. */
const SHORTEST_PACKETS = 0.6;
const SHORTEST_BYTES = 1.15;
/** The longest packet without payload worth caring for: IPv6 and TCP header with the options of a SYN, and a bit. */
const BARE_PACKET_BYTES = 84;

/**
 * The grade of a session. `none` for what the internal host did not begin: the RST with which it answers a packet to a
 * connection that it does not know, or server packets that a spoofed address provoked (backscatter).
 */
export function gradeSession(e: SessionEvidence, conversed: ConversedThreshold): SessionGrade {
  if (!e.forwardSeen) return gradeReplyOnly(e, conversed);
  const flags = e.forwardFlags;
  if (onlyRefuses(flags) && !replyProves(e)) return SESSION_GRADE.none;
  if (e.denied && !e.replySeen) return SESSION_GRADE.attempted;
  if (!isConnected(e)) return SESSION_GRADE.attempted;
  return isDialogue(e.forwardPackets, e.forwardBytes, conversed)
    ? SESSION_GRADE.conversed
    : SESSION_GRADE.connected;
}

/**
 * Enough packets and octets; or fewer packets with somewhat more octets. A short mail takes nine packets of a client that
 * sends no lone ACK, seven with PIPELINING (RFC 2920), and 1150 octets with its headers; greeting, refused recipients and
 * QUIT come to 700 in as many packets. More packets or octets never prove less.
 */
function isDialogue(packets: number, bytes: number, conversed: ConversedThreshold): boolean {
  if (bytes < conversed.bytes) return false;
  if (packets >= conversed.packets) return true;
  return packets >= SHORTEST_PACKETS * conversed.packets && bytes >= SHORTEST_BYTES * conversed.bytes;
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

function gradeReplyOnly(e: SessionEvidence, conversed: ConversedThreshold): SessionGrade {
  if (!replyProves(e)) return SESSION_GRADE.none;
  // Without flags a handful of small packets may still be SYN-ACKs to somebody who used this address.
  if (e.replyFlags === 0 && e.replyPackets < CONNECTED_PACKETS && !e.sampled) return SESSION_GRADE.none;
  // Answers to EHLO are large by themselves: what the server says needs the full number.
  return e.replyPackets >= conversed.packets && e.replyBytes >= conversed.bytes
    ? SESSION_GRADE.conversed
    : SESSION_GRADE.connected;
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

/**
 * What a firewall says of a session or a packet, as a logged flow.
 *
 * Firewalls write text; the readers take it apart into the words of a session, and this puts the checked values into the
 * flow. What the firewall does not say stays unknown: most count no flags, and some no packets.
 */

import { DROPPED, FORWARDED, type LineVerdict, type LoggedFlow } from './flow-log.ts';
import { epochMs, hasPorts, readAddress, readCount, readPort, readProtocol } from './values.ts';

export interface SessionWords {
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly sourcePort: string | undefined;
  readonly destinationPort: string | undefined;
  readonly protocol: string | undefined;
  /** Client to server, and back; undefined where the firewall does not count. */
  readonly packets?: string | undefined;
  readonly bytes?: string | undefined;
  readonly replyPackets?: string | undefined;
  readonly replyBytes?: string | undefined;
  /** Bits of the TCP flags column; 0 unknown. */
  readonly flags?: number;
  /** -1 where it is not known whether the packets went through. */
  readonly outcome: 'denied' | 'allowed' | 'unknown';
  readonly startMs: number;
  readonly endMs: number;
  /** Who saw it, a number of its own for each device and kind of log. */
  readonly domain: number;
  /** One line for each packet or session: 1. Unknown, since a rule may log some only: 0. */
  readonly samplingRate: number;
}

const NO_YEAR = -2;

/** Sets every field of the flow. The reply is a row when the firewall counted something in it. */
export function fillSession(words: SessionWords, flow: LoggedFlow): LineVerdict {
  const { startMs, endMs } = words;
  if (startMs === NO_YEAR || endMs === NO_YEAR) return 'no_year';
  if (epochMs(endMs) < 0) return 'bad_time';
  const protocol = words.protocol === undefined ? -1 : readProtocol(words.protocol, 0, words.protocol.length);
  if (protocol < 0) return 'bad_protocol';
  if (!address(words.source, flow.source) || !address(words.destination, flow.destination))
    return 'bad_address';
  const withPorts = hasPorts(protocol);
  flow.sourcePort = withPorts ? port(words.sourcePort) : -1;
  flow.destinationPort = withPorts ? port(words.destinationPort) : -1;
  if (flow.sourcePort < -1 || flow.destinationPort < -1) return 'bad_port';
  const { forward, reply } = flow;
  forward.packets = count(words.packets);
  forward.bytes = count(words.bytes);
  reply.packets = count(words.replyPackets);
  reply.bytes = count(words.replyBytes);
  if (Math.min(forward.packets, forward.bytes, reply.packets, reply.bytes) < -1) return 'bad_count';
  forward.flags = protocol === 6 ? (words.flags ?? 0) : 0;
  reply.flags = 0;
  forward.seen = forward.packets !== 0;
  reply.seen = reply.packets > 0 || (reply.packets < 0 && reply.bytes > 0);
  if (!forward.seen && !reply.seen) return 'no_packets';
  flow.startMs = epochMs(startMs);
  flow.endMs = endMs;
  flow.receivedMs = -1;
  flow.protocol = protocol;
  flow.exporter.fill(0);
  flow.domain = words.domain;
  flow.samplingRate = words.samplingRate;
  flow.inIf = 0;
  flow.outIf = 0;
  flow.forwarding = words.outcome === 'denied' ? DROPPED : words.outcome === 'allowed' ? FORWARDED : -1;
  flow.direction = -1;
  return 'flow';
}

function address(word: string | undefined, out: Uint8Array): boolean {
  return word !== undefined && readAddress(word, 0, word.length, out);
}

/** -1 for what is not told, -2 for what is no number. */
function count(word: string | undefined): number {
  if (word === undefined || word === '') return -1;
  const value = readCount(word, 0, word.length);
  return value < 0 ? -2 : value;
}

function port(word: string | undefined): number {
  if (word === undefined || word === '') return -1;
  const value = readPort(word, 0, word.length);
  return value < 0 ? -2 : value;
}

/** FNV-1a, 32 bit: a number for what has a name (a network interface, a firewall), the same in every run. */
export function hashOf(text: string, start = 0, end = text.length): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** By letter, as tcpdump and pf's filterlog write them: `.` and A are ACK, W is CWR. */
const TCPDUMP_FLAGS: Readonly<Record<string, number>> = {
  F: 1,
  S: 2,
  R: 4,
  P: 8,
  '.': 16,
  A: 16,
  U: 32,
  E: 64,
  W: 128,
  C: 128,
};

/** 0 when a letter is none of them. */
export function tcpdumpFlags(word: string): number {
  let flags = 0;
  for (const letter of word) {
    const bit = TCPDUMP_FLAGS[letter];
    if (bit === undefined) return 0;
    flags |= bit;
  }
  return flags;
}

const FLAG_WORDS: ReadonlyMap<string, number> = new Map([
  ['FIN', 1],
  ['SYN', 2],
  ['RST', 4],
  ['PSH', 8],
  ['ACK', 16],
  ['URG', 32],
  ['ECE', 64],
  ['CWR', 128],
]);

/** Flags written as words between spaces; other words are passed over. */
export function flagWords(text: string): number {
  let flags = 0;
  for (const word of text.split(' ')) flags |= FLAG_WORDS.get(word) ?? 0;
  return flags;
}

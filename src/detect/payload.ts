/**
 * How many octets of payload a half of a TCP connection carried: the octets of its records less the headers.
 *
 * Packet counts do not tell mail from probes, since lone ACKs, keep-alives and long certificate chains make as many packets
 * as a message; payload does. A flow record does not say how long its headers were. The larger length is assumed unless
 * the records rule it out, so that a probe never looks larger than it is: without TCP timestamps a half has up to 12
 * octets a packet more than it gets here.
 */

import { TCP } from './tcp-flags.ts';

/** IPv4 and TCP header: bare, and with the timestamps option (RFC 7323) that nearly every client sends. */
const BARE_V4 = 40;
const TIMED_V4 = 52;
/** What an IPv6 header is longer. */
const V6_MORE = 20;
/** Options of a SYN beyond those of later packets: MSS, SACK permitted, window scale; with timestamps, and without. */
const SYN_MORE_TIMED = 8;
const SYN_MORE_BARE = 12;
/**
 * Beyond so many packets a half consists of many small ones: keep-alives, NOOPs (28 octets over TLS 1.3), ACKs with SACK blocks
 * (12 octets), or packets counted with their Ethernet header (14, Open vSwitch in NetFlow v5). Each then counts for so much
 * less. A message of so many packets has hundreds of octets in every second one, and does not miss it.
 */
const FEW_PACKETS = 26;
const LESS_EACH = 45;

/** Octets of payload, at least: never more than there were with the options that clients of today use. May be negative. */
export function leastPayload(packets: number, bytes: number, ipv6: boolean, noTimestamps: boolean): number {
  const header = (noTimestamps ? BARE_V4 : TIMED_V4) + (ipv6 ? V6_MORE : 0);
  const syn = noTimestamps ? SYN_MORE_BARE : SYN_MORE_TIMED;
  return bytes - header * packets - syn - LESS_EACH * Math.max(0, packets - FEW_PACKETS);
}

/** Octets of payload, at most: with the shortest headers. */
export function mostPayload(packets: number, bytes: number, ipv6: boolean): number {
  return bytes - (BARE_V4 + (ipv6 ? V6_MORE : 0)) * packets;
}

/**
 * True when a record proves that its connection has no TCP timestamps: its packets are smaller on average than headers with
 * them. Both ends of a connection have them, or none. A RST has none in any case, and a record that says nothing of its
 * flags may hold one.
 */
export function provesNoTimestamps(packets: number, bytes: number, flags: number, ipv6: boolean): boolean {
  const more = ipv6 ? V6_MORE : 0;
  return (
    flags !== 0 &&
    (flags & TCP.RST) === 0 &&
    bytes < (TIMED_V4 + more) * packets &&
    bytes >= (BARE_V4 + more) * packets
  );
}

/**
 * Where the IP packet begins in a captured frame, by link type (tcpdump.org/linktypes.html).
 *
 * Only looks, never copies. What is no IP gives a negative answer, which the caller counts.
 */

import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN } from '../../decode/packet/link.ts';

const LINK_ETHERNET = 1;
const LINK_NULL = 0;
const LINK_LOOP = 108;
const LINK_LINUX_SLL = 113;
const LINK_LINUX_SLL2 = 276;
/** DLT_RAW of most systems, of OpenBSD and BSD/OS, LINKTYPE_RAW, and the two that say which IP. */
const LINK_RAW: ReadonlySet<number> = new Set([12, 14, 101, 228, 229]);

const MAX_TAGS = 4;

/** AF_INET everywhere; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and Darwin. */
const IP_FAMILIES: ReadonlySet<number> = new Set([2, 10, 24, 28, 30]);

export const NOT_IP = -1;
export const UNKNOWN_LINK = -2;
/** The frame ends within the headers before the IP packet. */
export const SHORT = -3;

/** Index in `bytes` of the first byte of the IP packet, or NOT_IP, UNKNOWN_LINK or SHORT. */
export function findIpPacket(linkType: number, bytes: Buffer, start: number, end: number): number {
  if (linkType === LINK_ETHERNET) return behindEthertype(bytes, start + 12, end);
  if (LINK_RAW.has(linkType)) return start;
  if (linkType === LINK_LINUX_SLL) return behindEthertype(bytes, start + 14, end);
  if (linkType === LINK_LINUX_SLL2) return behindSll2(bytes, start, end);
  if (linkType === LINK_NULL || linkType === LINK_LOOP) return behindFamily(bytes, start, end);
  return UNKNOWN_LINK;
}

/** `at` is the index of an EtherType that its payload follows, VLAN tags between them or not. */
function behindEthertype(bytes: Buffer, at: number, end: number): number {
  for (let tags = 0, type = at; tags <= MAX_TAGS; tags++, type += 4) {
    if (type + 2 > end) return SHORT;
    const value = bytes.readUInt16BE(type);
    if (value === ETHERTYPE_IPV4 || value === ETHERTYPE_IPV6) return type + 2;
    if (!ETHERTYPE_VLAN.has(value)) return NOT_IP;
  }
  return NOT_IP;
}

/** Cooked v2 begins with the EtherType; behind its 20 bytes come VLAN tags, if any, without a type before them. */
function behindSll2(bytes: Buffer, start: number, end: number): number {
  if (start + 20 > end) return SHORT;
  const type = bytes.readUInt16BE(start);
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return start + 20;
  return ETHERTYPE_VLAN.has(type) ? behindEthertype(bytes, start + 22, end) : NOT_IP;
}

/** BSD loopback: the address family in the byte order of the machine that captured, or in network order (OpenBSD). */
function behindFamily(bytes: Buffer, start: number, end: number): number {
  if (start + 4 > end) return SHORT;
  const known = IP_FAMILIES.has(bytes.readUInt32LE(start)) || IP_FAMILIES.has(bytes.readUInt32BE(start));
  return known ? start + 4 : NOT_IP;
}

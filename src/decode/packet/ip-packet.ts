/**
 * The header of an IP packet: where its payload lies, what it is, and whether it is a fragment.
 *
 * IPv4 (RFC 791) and IPv6 with extension headers (RFC 8200). Only looks, never copies; checksums are verified only by
 * `isPlausible`, since captures taken on the sending host do not have all of them yet.
 */

import { COMMON_TYPES } from './ethertype.ts';

export const PROTOCOL_UDP = 17;
/** The protocol of a packet that is cut before it is told. */
const PROTOCOL_UNKNOWN = -1;

/** Filled by `readIpPacket`, reused from packet to packet. Indices are into the bytes of the frame. */
export interface IpPacket {
  version: 4 | 6;
  /** Index of the addresses, source before destination, 4 or 16 bytes each; -1 when they are cut off. */
  addresses: number;
  protocol: number;
  /** The payload, without what the link layer padded. `end` is where it ends in the frame. */
  start: number;
  end: number;
  /** Length of the whole packet as its header tells it, in bytes; 0 when it does not. */
  total: number;
  /** The frame holds less than the header says. */
  truncated: boolean;
  fragmentId: number;
  /** Bytes; with `moreFragments` false and 0 here it is a whole packet. */
  fragmentOffset: number;
  moreFragments: boolean;
}

export function createIpPacket(): IpPacket {
  return {
    version: 4,
    addresses: -1,
    protocol: PROTOCOL_UNKNOWN,
    start: 0,
    end: 0,
    total: 0,
    truncated: false,
    fragmentId: 0,
    fragmentOffset: 0,
    moreFragments: false,
  };
}

/** After `truncated` the packet holds what was read before the cut: see `addresses` and `protocol`. */
export type IpVerdict = 'ok' | 'not_ip' | 'bad_packet' | 'truncated';

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const NEXT_HOP_BY_HOP = 0;
const NEXT_ROUTING = 43;
const NEXT_FRAGMENT = 44;
const NEXT_AUTHENTICATION = 51;
const NEXT_DESTINATION = 60;
const NEXT_MOBILITY = 135;
const NEXT_HIP = 139;
const NEXT_SHIM6 = 140;
/** More extension headers than that are an attack on parsers. */
const MAX_EXTENSIONS = 8;

export function readIpPacket(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  packet.addresses = -1;
  packet.protocol = PROTOCOL_UNKNOWN;
  packet.fragmentOffset = 0;
  packet.moreFragments = false;
  packet.start = end;
  packet.end = end;
  if (at >= end) return 'truncated';
  const version = bytes[at] >> 4;
  if (version === 4) return readIPv4(bytes, at, end, packet);
  if (version === 6) return readIPv6(bytes, at, end, packet);
  return 'not_ip';
}

/** Big-endian; the caller has checked that both bytes are there. Faster than Buffer's own, which checks again. */
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function readIPv4(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  const headerBytes = (bytes[at] & 0x0f) * 4;
  if (headerBytes < IPV4_HEADER_BYTES) return 'bad_packet';
  if (at + IPV4_HEADER_BYTES > end) return 'truncated';
  // 0 is what segmentation offload leaves in captures of the sending host: all that is there.
  const told = u16(bytes, at + 2);
  const total = told || Math.max(headerBytes, end - at);
  if (total < headerBytes) return 'bad_packet';
  const fragment = u16(bytes, at + 6);
  packet.version = 4;
  packet.addresses = at + 12;
  packet.protocol = bytes[at + 9];
  packet.total = told;
  packet.end = Math.min(at + total, end);
  packet.truncated = at + total > end;
  packet.fragmentId = u16(bytes, at + 4);
  packet.fragmentOffset = (fragment & 0x1fff) * 8;
  packet.moreFragments = (fragment & 0x2000) !== 0;
  packet.start = Math.min(at + headerBytes, end);
  if (at + headerBytes > end) return 'truncated';
  return packet.protocol === NEXT_AUTHENTICATION && packet.fragmentOffset === 0
    ? passAuthentication(bytes, packet)
    : 'ok';
}

/** RFC 4302: between IPv4 and what it protects, which is not encrypted, stands a header in the manner of IPv6. */
function passAuthentication(bytes: Buffer, packet: IpPacket): IpVerdict {
  let header = packet.start;
  let next = packet.protocol;
  packet.protocol = PROTOCOL_UNKNOWN;
  for (let i = 0; i < MAX_EXTENSIONS && next === NEXT_AUTHENTICATION; i++) {
    if (header + 8 > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
    next = bytes[header];
    header += authenticationBytes(bytes, header);
  }
  packet.protocol = next;
  packet.start = Math.min(header, packet.end);
  if (header > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
  return 'ok';
}

/** Its length is in words of four bytes, less two, where other extensions count eight, less one. */
function authenticationBytes(bytes: Buffer, at: number): number {
  return (bytes[at + 1] + 2) * 4;
}

function readIPv6(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  if (at + IPV6_HEADER_BYTES > end) return 'truncated';
  // 0 is a jumbogram (RFC 2675) or segmentation offload: all that is there.
  const told = u16(bytes, at + 4);
  const payloadEnd = at + IPV6_HEADER_BYTES + (told || end - at - IPV6_HEADER_BYTES);
  packet.version = 6;
  packet.addresses = at + 8;
  packet.total = told === 0 ? 0 : told + IPV6_HEADER_BYTES;
  packet.end = Math.min(payloadEnd, end);
  packet.truncated = payloadEnd > end;
  let next = bytes[at + 6];
  let header = at + IPV6_HEADER_BYTES;
  for (let i = 0; i < MAX_EXTENSIONS && isExtension(next); i++) {
    if (header + 8 > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
    const following = bytes[header];
    let length = (bytes[header + 1] + 1) * 8;
    if (next === NEXT_AUTHENTICATION) length = authenticationBytes(bytes, header);
    if (next === NEXT_FRAGMENT) {
      length = 8;
      const fragment = u16(bytes, header + 2);
      packet.fragmentOffset = fragment & 0xfff8;
      packet.moreFragments = (fragment & 1) !== 0;
      packet.fragmentId = bytes.readUInt32BE(header + 4);
    }
    next = following;
    header += length;
    // What follows is a piece of the fragmented part, to be looked at when that is whole.
    if (packet.fragmentOffset > 0 || packet.moreFragments) break;
  }
  packet.protocol = next;
  if (header > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
  packet.start = header;
  return 'ok';
}

function isExtension(next: number): boolean {
  return (
    next === NEXT_HOP_BY_HOP ||
    next === NEXT_ROUTING ||
    next === NEXT_FRAGMENT ||
    next === NEXT_AUTHENTICATION ||
    next === NEXT_DESTINATION ||
    next === NEXT_MOBILITY ||
    next === NEXT_HIP ||
    next === NEXT_SHIM6
  );
}

/** Next headers that are in use: extensions, transports, tunnels, routing protocols. */
const NEXT_HEADERS: ReadonlySet<number> = new Set([
  0, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 88, 89, 103, 112, 115, 132, 135, 136, 137, 139, 140, 143,
]);
/** A frame on Ethernet is filled up to 60 bytes, and its checksum of 4 may be counted. */
const MAX_PADDING = 50;

/**
 * Whether the bytes at `at` are an IP packet and not something that begins with the same four bits. For places where
 * nothing says what the payload is: behind MPLS labels (RFC 4928 section 3), in pseudowires, behind a UDP port.
 * `at` is where readIpPacket read `packet`; `wireEnd` is the index where the frame ended on the wire, or -1. IPv4 has a
 * checksum. IPv6 has none: its length has to fit, and its next header and addresses have to be such as are in use.
 */
export function isPlausible(
  bytes: Buffer,
  at: number,
  end: number,
  wireEnd: number,
  packet: IpPacket,
): boolean {
  if (packet.addresses < 0) return false;
  if (packet.version === 4) return isPlausibleIPv4(bytes, at, end, wireEnd);
  // A length that counts only what was sampled says nothing of the packet's end.
  const known = wireEnd > end + 4;
  const rest = (known ? wireEnd : end) - (at + packet.total);
  if (packet.total === 0 || rest > MAX_PADDING || (known && rest < -4)) return false;
  const source = bytes[packet.addresses];
  const destination = bytes[packet.addresses + 16];
  return (
    NEXT_HEADERS.has(bytes[at + 6]) &&
    isUnicastInUse(source) &&
    (isUnicastInUse(destination) || destination === 0xff)
  );
}

function isPlausibleIPv4(bytes: Buffer, at: number, end: number, wireEnd: number): boolean {
  const headerBytes = (bytes[at] & 15) * 4;
  if (at + headerBytes > end) return false;
  // Not filled in yet, as on a host that leaves it to its card: then at least the length has to be possible. A frame of a
  // device whose MAC begins with 45 looks so too: it has its EtherType where a packet has the source's first bytes.
  if (u16(bytes, at + 10) === 0 && at + u16(bytes, at + 2) <= Math.max(end, wireEnd))
    return !COMMON_TYPES.has(u16(bytes, at + 12));
  let sum = 0;
  for (let i = 0; i < headerBytes; i += 2) sum += u16(bytes, at + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

/** First byte of global unicast, unique local and link-local addresses, and of ::, mapped and translated ones. */
function isUnicastInUse(first: number): boolean {
  return (
    (first >= 0x20 && first <= 0x3f) || first === 0xfc || first === 0xfd || first === 0xfe || first === 0
  );
}

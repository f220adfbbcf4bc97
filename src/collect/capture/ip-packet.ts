/**
 * The header of an IP packet: where its payload lies, what it is, and whether it is a fragment.
 *
 * IPv4 (RFC 791) and IPv6 with extension headers (RFC 8200). Only looks, never copies; checksums are not verified,
 * since captures taken on the sending host do not have them yet.
 */

export const PROTOCOL_UDP = 17;

/** Filled by `readIpPacket`, reused from packet to packet. Indices are into the bytes of the frame. */
export interface IpPacket {
  version: 4 | 6;
  /** Index of the addresses, source before destination, 4 or 16 bytes each. */
  addresses: number;
  protocol: number;
  /** The payload, without what the link layer padded. `end` is where it ends in the frame. */
  start: number;
  end: number;
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
    addresses: 0,
    protocol: 0,
    start: 0,
    end: 0,
    truncated: false,
    fragmentId: 0,
    fragmentOffset: 0,
    moreFragments: false,
  };
}

export type IpVerdict = 'ok' | 'not_ip' | 'bad_packet' | 'truncated';

const IPV6_HEADER_BYTES = 40;
const NEXT_HOP_BY_HOP = 0;
const NEXT_ROUTING = 43;
const NEXT_FRAGMENT = 44;
const NEXT_AUTHENTICATION = 51;
const NEXT_DESTINATION = 60;
/** More extension headers than that are an attack on parsers. */
const MAX_EXTENSIONS = 8;

export function readIpPacket(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  if (at >= end) return 'truncated';
  const version = bytes[at] >> 4;
  if (version === 4) return readIPv4(bytes, at, end, packet);
  if (version === 6) return readIPv6(bytes, at, end, packet);
  return 'not_ip';
}

function readIPv4(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  const headerBytes = (bytes[at] & 0x0f) * 4;
  if (headerBytes < 20) return 'bad_packet';
  if (at + headerBytes > end) return 'truncated';
  // 0 is what segmentation offload leaves in captures of the sending host: all that is there.
  const total = bytes.readUInt16BE(at + 2) || end - at;
  if (total < headerBytes) return 'bad_packet';
  const fragment = bytes.readUInt16BE(at + 6);
  packet.version = 4;
  packet.addresses = at + 12;
  packet.protocol = bytes[at + 9];
  packet.start = at + headerBytes;
  packet.end = Math.min(at + total, end);
  packet.truncated = at + total > end;
  packet.fragmentId = bytes.readUInt16BE(at + 4);
  packet.fragmentOffset = (fragment & 0x1fff) * 8;
  packet.moreFragments = (fragment & 0x2000) !== 0;
  return 'ok';
}

function readIPv6(bytes: Buffer, at: number, end: number, packet: IpPacket): IpVerdict {
  if (at + IPV6_HEADER_BYTES > end) return 'truncated';
  // 0 is a jumbogram (RFC 2675) or segmentation offload: all that is there.
  const payload = bytes.readUInt16BE(at + 4) || end - at - IPV6_HEADER_BYTES;
  const payloadEnd = at + IPV6_HEADER_BYTES + payload;
  packet.version = 6;
  packet.addresses = at + 8;
  packet.end = Math.min(payloadEnd, end);
  packet.truncated = payloadEnd > end;
  packet.fragmentOffset = 0;
  packet.moreFragments = false;
  let next = bytes[at + 6];
  let header = at + IPV6_HEADER_BYTES;
  for (let i = 0; i < MAX_EXTENSIONS && isExtension(next); i++) {
    if (header + 8 > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
    const following = bytes[header];
    let length = (bytes[header + 1] + 1) * 8;
    if (next === NEXT_AUTHENTICATION) length = (bytes[header + 1] + 2) * 4;
    if (next === NEXT_FRAGMENT) {
      length = 8;
      const fragment = bytes.readUInt16BE(header + 2);
      packet.fragmentOffset = fragment & 0xfff8;
      packet.moreFragments = (fragment & 1) !== 0;
      packet.fragmentId = bytes.readUInt32BE(header + 4);
    }
    next = following;
    header += length;
    // What follows is a piece of the fragmented part, to be looked at when that is whole.
    if (packet.fragmentOffset > 0 || packet.moreFragments) break;
  }
  if (header > packet.end) return packet.truncated ? 'truncated' : 'bad_packet';
  packet.protocol = next;
  packet.start = header;
  return 'ok';
}

function isExtension(next: number): boolean {
  return (
    next === NEXT_HOP_BY_HOP ||
    next === NEXT_ROUTING ||
    next === NEXT_FRAGMENT ||
    next === NEXT_AUTHENTICATION ||
    next === NEXT_DESTINATION
  );
}

/**
 * From a captured frame to its IP headers, by link type (tcpdump.org/linktypes.html) and with the decoder's reader of packets.
 *
 * Only looks, never copies. A frame without IP headers gives a reason, which the caller counts.
 */

import { VLAN_TYPES } from '../../decode/packet/ethertype.ts';
import { u16 } from '../../decode/packet/ip-packet.ts';
import { layerOf } from '../../decode/packet/link.ts';
import { readPacket } from '../../decode/packet/read-packet.ts';
import { LAYER, type Layer, type PacketReason, type Walk } from '../../decode/packet/walk.ts';
import { type Frame, LINK_IPFIX_MESSAGE, type SkipReason } from './capture.ts';

/** The layer that a link type begins with, behind so many bytes of a header that tells nothing of it. */
const LAYERS: ReadonlyMap<number, readonly [layer: Layer, behind: number]> = new Map<
  number,
  readonly [Layer, number]
>([
  [1, [LAYER.ETHERNET, 0]],
  [6, [LAYER.TOKEN_RING, 0]],
  [9, [LAYER.PPP, 0]],
  [10, [LAYER.TOKEN_BUS, 0]],
  // DLT_RAW of most systems, of OpenBSD and BSD/OS, LINKTYPE_RAW, and the two that say which IP.
  ...[12, 14, 101, 228, 229].map((type) => [type, [LAYER.IP, 0]] as const),
  // PPP in HDLC; PPPoE without Ethernet; RFC 2684; Cisco HDLC; 802.11; frame relay; Linux cooked; Prism before 802.11.
  [50, [LAYER.PPP, 0]],
  [51, [LAYER.PPP, 6]],
  [100, [LAYER.AAL5, 0]],
  [104, [LAYER.PPP, 0]],
  [105, [LAYER.WIFI, 0]],
  [107, [LAYER.FRAME_RELAY, 0]],
  [113, [LAYER.ETHERTYPE, 14]],
  [119, [LAYER.WIFI, 144]],
  // PPP, Cisco HDLC and frame relay behind a byte for the direction; MPLS.
  [204, [LAYER.PPP, 1]],
  [205, [LAYER.PPP, 1]],
  [206, [LAYER.FRAME_RELAY, 1]],
  [219, [LAYER.MPLS, 0]],
]);
const LINK_NULL = 0;
const LINK_LOOP = 108;
const LINK_RADIOTAP = 127;
const LINK_LINUX_SLL2 = 276;

/** AF_INET everywhere; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and Darwin. */
const IP_FAMILIES: ReadonlySet<number> = new Set([2, 10, 24, 28, 30]);

const SKIPPED: Readonly<Record<PacketReason, SkipReason>> = {
  cut: 'truncated',
  not_ip: 'not_ip',
  unknown_protocol: 'unknown_protocol',
  encrypted: 'encrypted',
  bad_header: 'bad_packet',
  no_addresses: 'not_ip',
  no_ports: 'not_ip',
};

/** Reads the IP headers of the frame into `walk`; null when there is one at least, else why there is none. */
export function readFrame(frame: Frame, walk: Walk): SkipReason | null {
  const { linkType, bytes, start, end } = frame;
  const known = LAYERS.get(linkType);
  walk.count = 0;
  if (known !== undefined) return read(bytes, known[0], start + known[1], end, walk);
  if (linkType === LINK_IPFIX_MESSAGE) return 'link_type';
  if (linkType === LINK_NULL || linkType === LINK_LOOP) {
    if (start + 4 > end) return 'truncated';
    return isIpFamily(bytes, start) ? read(bytes, LAYER.IP, start + 4, end, walk) : 'not_ip';
  }
  if (linkType === LINK_RADIOTAP) {
    if (start + 4 > end) return 'truncated';
    return read(bytes, LAYER.WIFI, start + bytes.readUInt16LE(start + 2), end, walk);
  }
  return linkType === LINK_LINUX_SLL2 ? readSll2(bytes, start, end, walk) : 'link_type';
}

function read(bytes: Buffer, layer: Layer, at: number, end: number, walk: Walk): SkipReason | null {
  if (at >= end) return 'truncated';
  readPacket(bytes, layer, at, end, -1, walk);
  return walk.count > 0 ? null : SKIPPED[walk.reason ?? 'unknown_protocol'];
}

/** Cooked v2 begins with the EtherType; behind its 20 bytes come VLAN tags, if any, without a type before them. */
function readSll2(bytes: Buffer, start: number, end: number, walk: Walk): SkipReason | null {
  if (start + 20 > end) return 'truncated';
  const type = u16(bytes, start);
  if (VLAN_TYPES.has(type)) return read(bytes, LAYER.ETHERTYPE, start + 22, end, walk);
  const layer = layerOf(type);
  return layer === null ? 'not_ip' : read(bytes, layer, start + 20, end, walk);
}

/** BSD loopback: the address family in the byte order of the machine that captured, or in network order (OpenBSD). */
function isIpFamily(bytes: Buffer, start: number): boolean {
  return IP_FAMILIES.has(bytes.readUInt32LE(start)) || IP_FAMILIES.has(bytes.readUInt32BE(start));
}

/**
 * The head of a sampled packet: from the link layer to the transport's ports and flags.
 *
 * sFlow carries the first bytes of packets, usually 128 of them, cut anywhere. Every step checks what is left; what is
 * cut off is absent, never guessed, and chains of tags, labels and extension headers end after a few.
 */

import { PRESENT } from '../flow/columns.ts';
import type { WritableColumns } from './reader-context.ts';

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q, 802.1ad, and what came before the latter. */
const VLAN_TAGS = new Set([0x8100, 0x88a8, 0x9100]);
const MPLS = new Set([0x8847, 0x8848]);
const PPPOE_SESSION = 0x8864;
const MAX_NESTING = 8;

const TCP = 6;
/** TCP, UDP, DCCP, SCTP and UDP-Lite begin with the two ports. */
const WITH_PORTS = new Set([TCP, 17, 33, 132, 136]);
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in units of 8 bytes behind the first 8. */
const EXTENSIONS = new Set([0, 43, 60, 135, 139, 140]);

/** Reads an Ethernet frame (without preamble) into `row`; returns the PRESENT bits of what it had. */
export function readEthernet(
  view: DataView,
  at: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number {
  let position = at + 12;
  for (let depth = 0; depth < MAX_NESTING && position + 2 <= end; depth++) {
    const type = view.getUint16(position);
    position += 2;
    if (VLAN_TAGS.has(type)) position += 2;
    else if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6)
      return readIp(view, position, end, columns, row);
    else if (type === PPPOE_SESSION) return readIp(view, position + 8, end, columns, row);
    else if (MPLS.has(type)) return readIp(view, behindLabels(view, position, end), end, columns, row);
    else return 0;
  }
  return 0;
}

/** RFC 3032: four bytes a label, the lowest bit of the third says that it is the last. */
function behindLabels(view: DataView, at: number, end: number): number {
  let position = at;
  for (let depth = 0; depth < MAX_NESTING && position + 4 <= end; depth++) {
    position += 4;
    if ((view.getUint8(position - 2) & 1) === 1) return position;
  }
  return end;
}

/** Reads an IP packet of either version into `row`; returns the PRESENT bits of what it had. */
export function readIp(
  view: DataView,
  at: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number {
  if (at + 20 > end) return 0;
  const version = view.getUint8(at) >> 4;
  if (version === 4) return readIpv4(view, at, end, columns, row);
  return version === 6 ? readIpv6(view, at, end, columns, row) : 0;
}

function readIpv4(view: DataView, at: number, end: number, columns: WritableColumns, row: number): number {
  const headerBytes = (view.getUint8(at) & 15) * 4;
  if (headerBytes < 20) return 0;
  const protocol = view.getUint8(at + 9);
  const offset = view.getUint16(at + 6) & 0x1fff;
  columns.protocol[row] = protocol;
  columns.fragment_offset[row] = offset;
  writeIpv4(columns.src_addr, row, view, at + 12);
  writeIpv4(columns.dst_addr, row, view, at + 16);
  const present = PRESENT.SRC_ADDR | PRESENT.DST_ADDR | PRESENT.PROTOCOL;
  return offset > 0 ? present : present | readTransport(view, at + headerBytes, end, protocol, columns, row);
}

function readIpv6(view: DataView, at: number, end: number, columns: WritableColumns, row: number): number {
  if (at + 40 > end) return 0;
  writeIpv6(columns.src_addr, row, view, at + 8);
  writeIpv6(columns.dst_addr, row, view, at + 24);
  const present = PRESENT.SRC_ADDR | PRESENT.DST_ADDR;
  let protocol = view.getUint8(at + 6);
  let position = at + 40;
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const extension = EXTENSIONS.has(protocol) || protocol === AUTHENTICATION || protocol === FRAGMENT;
    if (!extension) break;
    // The protocol behind a header that is cut off is not known.
    if (position + 8 > end) return present;
    const fragment = protocol === FRAGMENT;
    const units = view.getUint8(position + 1);
    const bytes = fragment ? 8 : protocol === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
    protocol = view.getUint8(position);
    if (fragment) {
      const offset = view.getUint16(position + 2) >> 3;
      columns.fragment_offset[row] = offset;
      if (offset > 0) {
        columns.protocol[row] = protocol;
        return present | PRESENT.PROTOCOL;
      }
    }
    position += bytes;
  }
  columns.protocol[row] = protocol;
  return present | PRESENT.PROTOCOL | readTransport(view, position, end, protocol, columns, row);
}

function readTransport(
  view: DataView,
  at: number,
  end: number,
  protocol: number,
  columns: WritableColumns,
  row: number,
): number {
  if (!WITH_PORTS.has(protocol) || at + 4 > end) return 0;
  columns.src_port[row] = view.getUint16(at);
  columns.dst_port[row] = view.getUint16(at + 2);
  const present = PRESENT.SRC_PORT | PRESENT.DST_PORT;
  if (protocol !== TCP || at + 14 > end) return present;
  columns.tcp_flags[row] = view.getUint16(at + 12) & 0x01ff;
  return present | PRESENT.TCP_FLAGS;
}

/** Writes the IPv4 address at `at` in mapped form; the row's words are zero before. */
export function writeIpv4(words: Uint32Array, row: number, view: DataView, at: number): void {
  words[4 * row + 2] = 0xffff0000;
  words[4 * row + 3] = view.getUint32(at, true);
}

export function writeIpv6(words: Uint32Array, row: number, view: DataView, at: number): void {
  for (let word = 0; word < 4; word++) words[4 * row + word] = view.getUint32(at + 4 * word, true);
}

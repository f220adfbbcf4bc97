/**
 * One IP header of a sampled packet as the columns of a row: addresses, protocol, ports, flags, length.
 *
 * What is cut off is absent, never guessed.
 */

import { PRESENT } from '../../flow/columns.ts';
import type { WritableColumns } from '../writable-columns.ts';
import type { IpPacket } from './ip-packet.ts';

const TCP = 6;

/** Writes the header into `row`, whose words are zero before; returns the PRESENT bits of what it had. */
export function writePacket(view: DataView, packet: IpPacket, columns: WritableColumns, row: number): number {
  const { addresses, protocol, fragmentOffset, total } = packet;
  if (packet.version === 4) {
    writeIpv4(columns.src_addr, row, view.getUint32(addresses, true));
    writeIpv4(columns.dst_addr, row, view.getUint32(addresses + 4, true));
  } else {
    writeIpv6(columns.src_addr, row, view, addresses);
    writeIpv6(columns.dst_addr, row, view, addresses + 16);
  }
  let present: number = PRESENT.SRC_ADDR | PRESENT.DST_ADDR;
  if (total > 0) {
    // What the packet was; a frame's length may be that of the part that was sampled (Juniper).
    columns.bytes[2 * row] = total;
    present |= PRESENT.BYTES;
  }
  columns.fragment_offset[row] = fragmentOffset >> 3;
  if (protocol < 0) return present;
  columns.protocol[row] = protocol;
  present |= PRESENT.PROTOCOL;
  if (fragmentOffset > 0) return present;
  return present | writeTransport(view, protocol, packet.start, packet.end, columns, row);
}

/** Writes ports and flags out of the payload of an IP packet, which is no later fragment; returns their PRESENT bits. */
export function writeTransport(
  view: DataView,
  protocol: number,
  start: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number {
  if (!hasPorts(protocol) || start + 4 > end) return 0;
  columns.src_port[row] = view.getUint16(start);
  columns.dst_port[row] = view.getUint16(start + 2);
  const present = PRESENT.SRC_PORT | PRESENT.DST_PORT;
  if (protocol !== TCP || start + 14 > end) return present;
  columns.tcp_flags[row] = view.getUint16(start + 12) & 0x01ff;
  return present | PRESENT.TCP_FLAGS;
}

/** TCP, UDP, DCCP, SCTP and UDP-Lite begin with the two ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === TCP || protocol === 17 || protocol === 33 || protocol === 132 || protocol === 136;
}

/** True for a row without ports that may be TCP: its protocol is not known, or it is TCP and no later fragment. */
export function lacksPorts(present: number, columns: WritableColumns, row: number): boolean {
  if ((present & PRESENT.SRC_PORT) !== 0) return false;
  if ((present & PRESENT.PROTOCOL) === 0) return true;
  return columns.protocol[row] === TCP && columns.fragment_offset[row] === 0;
}

/** Writes an IPv4 address, its four bytes as a little-endian word, in mapped form. */
export function writeIpv4(words: Uint32Array, row: number, address: number): void {
  words[4 * row + 2] = 0xffff0000;
  words[4 * row + 3] = address;
}

export function writeIpv6(words: Uint32Array, row: number, view: DataView, at: number): void {
  for (let word = 0; word < 4; word++) words[4 * row + word] = view.getUint32(at + 4 * word, true);
}

/**
 * A piece of a packet inside of a flow record: the sampled frame (IE 315, Cisco's 104 in v9), IP header (313) and payload
 * (314), or label stack (316) and what it carries (317), as Juniper's inline monitoring, PSAMP (RFC 5477 section 8.5) and
 * Cisco's packet sections carry it. Pieces that continue each other are copied together, within a bound.
 */

import { PRESENT } from '../../flow/columns.ts';
import type { TunnelMode, WritableColumns } from '../writable-columns.ts';
import { writePacket } from './packet-row.ts';
import { readPacket } from './read-packet.ts';
import { LAYER, type Layer, type Walk } from './walk.ts';

/** IE 408: 1 Ethernet, 2 802.11; others are not known. */
export function frameLayer(type: number): Layer {
  return type === 1 ? LAYER.ETHERNET : type === 2 ? LAYER.WIFI : LAYER.STOP;
}

/**
 * Reads the section from `at` to `end` into `row`; returns the PRESENT bits of what it had, 0 when no address was found.
 * `wireBytes` is the frame's length on the wire, 0 if not told.
 */
export function readSection(
  bytes: Buffer,
  view: DataView,
  layer: Layer,
  at: number,
  end: number,
  wireBytes: number,
  walk: Walk,
  choice: TunnelMode,
  columns: WritableColumns,
  row: number,
): number {
  readPacket(bytes, layer, at, end, wireBytes === 0 ? -1 : at + wireBytes, walk);
  if (walk.count === 0) return 0;
  const chosen = choice === 'outer' ? 0 : walk.count - 1;
  const present = writePacket(view, walk.headers[chosen], columns, row);
  return chosen > 0 ? present | PRESENT.IN_TUNNEL : present;
}

/** Bytes of one piece that are looked at: many more than the headers of a tunnel take. */
const MAX_PIECE_BYTES = 1024;

export interface JoinedSection {
  readonly bytes: Buffer;
  readonly view: DataView;
  length: number;
  layer: Layer;
}

export function createJoinedSection(): JoinedSection {
  const bytes = Buffer.alloc(2 * MAX_PIECE_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { bytes, view, length: 0, layer: LAYER.STOP };
}

/**
 * Puts `other` (IE 314, or 316) to the piece from `begin` to `end` that it belongs to: the payload behind an IP header
 * (`layer` IP), or the label stack before what it carries (`layer` UNTOLD). False when that tells no more than the piece alone.
 */
export function joinSection(
  joined: JoinedSection,
  layer: Layer,
  bytes: Buffer,
  begin: number,
  end: number,
  otherBegin: number,
  otherEnd: number,
): boolean {
  if (otherBegin >= otherEnd || begin >= end) return false;
  if (layer !== LAYER.IP) {
    copyBoth(joined, bytes, otherBegin, otherEnd, begin, end);
    joined.layer = LAYER.MPLS;
    return true;
  }
  // RFC 5477 section 8.5.2: the payload follows the options of IPv4, and the fixed header of IPv6.
  const headerEnd = begin + (bytes[begin] >> 4 === 4 ? (bytes[begin] & 15) * 4 : 40);
  if (headerEnd > end || end - headerEnd >= otherEnd - otherBegin) return false;
  copyBoth(joined, bytes, begin, headerEnd, otherBegin, otherEnd);
  joined.layer = LAYER.IP;
  return true;
}

function copyBoth(
  joined: JoinedSection,
  bytes: Buffer,
  firstBegin: number,
  firstEnd: number,
  secondBegin: number,
  secondEnd: number,
): void {
  const first = bytes.copy(joined.bytes, 0, firstBegin, Math.min(firstEnd, firstBegin + MAX_PIECE_BYTES));
  const second = bytes.copy(
    joined.bytes,
    first,
    secondBegin,
    Math.min(secondEnd, secondBegin + MAX_PIECE_BYTES),
  );
  joined.length = first + second;
}

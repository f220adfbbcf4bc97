/**
 * A piece of a packet inside of a flow record: the sampled frame (IE 315, Cisco's 104 in v9), IP header (313) or payload of
 * an MPLS label stack (317), as Juniper's inline monitoring, PSAMP (RFC 5476) and Cisco's packet sections carry it.
 */

import type { TunnelMode, WritableColumns } from '../writable-columns.ts';
import { writePacket } from './packet-row.ts';
import { readPacket } from './read-packet.ts';
import { LAYER, type Layer, type Walk } from './walk.ts';

/** The layer that a section begins with, by its element. */
export const SECTION_LAYERS: ReadonlyMap<number, Layer> = new Map([
  [315, LAYER.ETHERNET],
  [104, LAYER.ETHERNET],
  [313, LAYER.IP],
  [317, LAYER.UNTOLD],
]);

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
  return writePacket(view, walk.headers[choice === 'outer' ? 0 : walk.count - 1], columns, row);
}

/**
 * The canary: a flow that is made to be found, so that it is known whether a real one would be. Pure.
 *
 * Its host has a documentation address (RFC 9637) that no network uses, and its exporter an observation domain of its own.
 * Everybody who meets such a flow sets it aside: it never gets to the archive, the incidents, the lists or the exporters. The
 * address that it "sends mail" to says which canary it was.
 */

import type { FlowBatch } from './batch.ts';

/** The source id of the NetFlow v9 datagram. */
export const CANARY_DOMAIN = 0xca9a_2b1d;
/** `3fff:ca:9a2b:1d::/64` is the network of the canary, `::25` its host. */
const NETWORK = Uint8Array.of(0x3f, 0xff, 0x00, 0xca, 0x9a, 0x2b, 0x00, 0x1d);
export const CANARY_NETWORK = '3fff:ca:9a2b:1d::/64';
/** The servers that it talks to are in another /64; the last eight bytes are the number of the canary. */
const SERVERS = Uint8Array.of(0x3f, 0xff, 0x00, 0xca, 0x9a, 0x2b, 0xff, 0xff);

export const CANARY_NUMBER_BYTES = 8;

/** 16 bytes: the host that sends. */
export function canaryHost(): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(NETWORK);
  bytes[15] = 0x25;
  return bytes;
}

/** 16 bytes: the server that the canary of this number (8 bytes) talks to. */
export function canaryServer(number: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(SERVERS);
  bytes.set(number.subarray(0, CANARY_NUMBER_BYTES), 8);
  return bytes;
}

/** Whether all rows of a batch are of canaries. A batch holds either only those or none. */
export function isCanaryBatch({ length, columns }: FlowBatch): boolean {
  if (length === 0 || columns.domain[0] !== CANARY_DOMAIN) return false;
  for (let row = 0; row < length; row++) if (!isCanaryRow(columns.src_addr, row)) return false;
  return true;
}

function isCanaryRow(source: Uint8Array, row: number): boolean {
  for (let i = 0; i < NETWORK.length; i++) if (source[16 * row + i] !== NETWORK[i]) return false;
  return true;
}

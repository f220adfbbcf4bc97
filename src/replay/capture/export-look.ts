/**
 * Whether a UDP payload looks like a datagram of flow exports, without decoding it: to tell somebody who read a capture of
 * exports as traffic what they have. Only the headers and the lengths in them are compared.
 */

import { u16 } from '../../decode/packet/ip-packet.ts';

const HEADER_BYTES: Readonly<Record<number, readonly [header: number, record: number]>> = {
  1: [16, 52],
  5: [24, 48],
  7: [24, 52],
};

/** `at` to `end` is what was captured of the payload, `length` what it was on the wire, in bytes. */
export function looksLikeExport(bytes: Buffer, at: number, end: number, length: number): boolean {
  if (at + 24 > end) return false;
  const version = u16(bytes, at);
  const count = u16(bytes, at + 2);
  const fixed = HEADER_BYTES[version];
  if (fixed !== undefined) return count > 0 && length === fixed[0] + count * fixed[1];
  if (version === 10) return count === length && isSet(bytes, at + 16, 2, length - 16);
  if (version === 9) return isSet(bytes, at + 20, 0, length - 20);
  // sFlow 5: four bytes of version, then the kind of the agent's address.
  return version === 0 && count === 5 && u16(bytes, at + 4) === 0 && [1, 2].includes(u16(bytes, at + 6));
}

/** A set with an id that the version knows, and a length that fits. */
function isSet(bytes: Buffer, at: number, templateSet: number, rest: number): boolean {
  const id = u16(bytes, at);
  const length = u16(bytes, at + 2);
  return (id === templateSet || id === templateSet + 1 || id >= 256) && length >= 4 && length <= rest;
}

/**
 * How the value of a field is read, as source text of expressions over the view `v`.
 *
 * Put together from positions and lengths only. Integers may be of 1 to 8 bytes (reduced-size encoding, RFC 7011 section
 * 6.2); what is longer than four is read as two words. `at` is the record's start, `p1`, `p2`, ... the ends of its
 * variable-length fields; the times use what the reader declares (`d`, `ex`, `up`, `upKnown`).
 */

import type { Slot } from './record-layout.ts';

/** Position of byte `byte` of a field, as an expression. */
export function place(slot: Slot, byte = 0): string {
  return `${slot.base === 0 ? 'at' : `p${slot.base}`}+${slot.offset + byte}`;
}

/** Big-endian unsigned integer of `length` (1 to 4) bytes. */
function unsigned(slot: Slot, byte: number, length: number): string {
  switch (length) {
    case 1:
      return `v.getUint8(${place(slot, byte)})`;
    case 2:
      return `v.getUint16(${place(slot, byte)})`;
    case 3:
      return `(v.getUint8(${place(slot, byte)})<<16|v.getUint16(${place(slot, byte + 1)}))`;
    default:
      return `v.getUint32(${place(slot, byte)})`;
  }
}

/** The low and high 32 bits of an integer of 1 to 8 bytes (reduced-size encoding, RFC 7011 section 6.2). */
export function low32(slot: Slot): string {
  return slot.length <= 4 ? unsigned(slot, 0, slot.length) : unsigned(slot, slot.length - 4, 4);
}

export function high32(slot: Slot): string {
  return slot.length <= 4 ? '0' : unsigned(slot, 0, slot.length - 4);
}

export function wide(slot: Slot): string {
  return slot.length <= 4 ? low32(slot) : `(${high32(slot)}*4294967296+${low32(slot)})`;
}

/**
 * NTP timestamp of 8 bytes (RFC 7011 section 6.1.9) in ms since 1970. Seconds before 1970 are those of the era that
 * begins in 2036; all zero is no time.
 */
export function ntp(slot: Slot): string {
  const seconds = unsigned(slot, 0, 4);
  const fraction = unsigned(slot, 4, 4);
  return `(d=${seconds},d===0?0:(d<2208988800?d+2085978496:d-2208988800)*1000+Math.floor(${fraction}*1000/4294967296))`;
}

export function deltaMicroseconds(slot: Slot): string {
  return `ex-${low32(slot)}/1000`;
}

/**
 * System uptime in ms, which rolls over after 49.7 days. Up to 3 days ahead of the datagram are taken as ahead, all
 * else as before it.
 */
export function uptime(slot: Slot): string {
  return `!upKnown?0:(d=(up-${low32(slot)})>>>0,d>=4026531840?ex+4294967296-d:ex-d)`;
}

/**
 * The memory of records seen lately, so that a record that is delivered again changes nothing.
 *
 * A record is known by where it came from (exporter, domain, sequence, index) and by what it says: exporters that
 * restart, or never count, reuse sequence numbers, and must not blind the detector. Kept as 53-bit hashes in two
 * generations of bounded size; what falls out of the older one is forgotten. A false match (about 1 in 10^10 at a full
 * table) loses one record; it never invents one.
 */

import type { FlowColumns } from '../flow/batch.ts';
import { finish, mix, readWord } from './murmur.ts';

/** Slots of one generation at most; half of them are used, at 8 bytes each. */
const MAX_SLOTS = 1 << 20;
const MIN_SLOTS = 1 << 10;
/** A power of two. */
const MARKS_A_SLOT = 4;

/**
 * 53-bit hash of a record, the same however often it is delivered. Receive time and exporter port are left out: a
 * datagram that the network doubled is still the same record.
 */
export function recordHash(columns: FlowColumns, row: number): number {
  let low = 0x9e3779b9 | 0;
  let high = 0x85ebca6b | 0;
  const at = 16 * row;
  const { exporter, src_addr, dst_addr, packets, bytes, start, end } = columns;
  for (let i = 0; i < 16; i += 4) {
    const word = readWord(exporter, at + i);
    low = mix(low, word);
    high = mix(high, ~word);
    const source = readWord(src_addr, at + i);
    low = mix(low, source);
    high = mix(high, ~source);
    const destination = readWord(dst_addr, at + i);
    low = mix(low, destination);
    high = mix(high, ~destination);
  }
  const ports = (columns.src_port[row] << 16) | columns.dst_port[row];
  low = mix(low, ports);
  high = mix(high, ~ports);
  low = mix(low, columns.domain[row]);
  high = mix(high, ~columns.sequence[row]);
  low = mix(low, columns.sequence[row]);
  high = mix(high, ~columns.domain[row]);
  const place = (columns.record[row] << 16) | (columns.version[row] << 8) | columns.reverse[row];
  low = mix(low, place);
  high = mix(high, ~place);
  low = mix(low, packets[2 * row]);
  high = mix(high, ~bytes[2 * row]);
  low = mix(low, bytes[2 * row]);
  high = mix(high, ~packets[2 * row]);
  low = mix(low, start[2 * row]);
  high = mix(high, ~end[2 * row]);
  low = mix(low, end[2 * row]);
  high = mix(high, ~start[2 * row]);
  return (finish(high) >>> 11) * 4294967296 + (finish(low) >>> 0);
}

/**
 * Hash of the datagram that carried a record. The time it was received counts too: some exporters never change their
 * sequence number, and all that they send would be one datagram for ever. A datagram that the network doubled has another
 * time, but its records are known already.
 */
export function datagramHash(columns: FlowColumns, row: number): number {
  let low = 0x27d4eb2f | 0;
  let high = 0x165667b1 | 0;
  for (let i = 0; i < 16; i += 4) {
    const word = readWord(columns.exporter, 16 * row + i);
    low = mix(low, word);
    high = mix(high, ~word);
  }
  const place = (columns.exporter_port[row] << 8) | columns.version[row];
  const received = columns.received_at[2 * row];
  low = mix(mix(mix(mix(low, columns.domain[row]), columns.sequence[row]), place), received);
  high = mix(mix(mix(mix(high, ~received), ~columns.sequence[row]), ~columns.domain[row]), ~place);
  return (finish(high) >>> 11) * 4294967296 + (finish(low) >>> 0);
}

export interface RecentRecords {
  /** Takes the hash in; false when it was there already. `nowMs` never goes backwards. */
  add(hash: number, nowMs: number): boolean;
}

/** Remembers for at least `horizonMs`, unless the bound on the number of records is reached earlier. */
export function createRecentRecords(horizonMs: number): RecentRecords {
  let current = new Float64Array(MIN_SLOTS);
  let previous = new Float64Array(MIN_SLOTS);
  let marks = marksOf(previous);
  let used = 0;
  let since = Number.NEGATIVE_INFINITY;

  function turnOver(nowMs: number): void {
    previous = current;
    marks = marksOf(previous);
    current = new Float64Array(MIN_SLOTS);
    used = 0;
    since = nowMs;
  }

  return {
    add(hash, nowMs) {
      // Zero marks an empty slot.
      const value = hash === 0 ? 1 : hash;
      if (nowMs - since > horizonMs) turnOver(nowMs);
      if (isMarked(marks, value) && find(previous, value) < 0) return false;
      const at = find(current, value);
      if (at < 0) return false;
      current[at] = value;
      used++;
      if (2 * used >= current.length) {
        if (current.length >= MAX_SLOTS) turnOver(nowMs);
        else current = grow(current);
      }
      return true;
    },
  };
}

/**
 * One bit for each value, so that most looks for one that is not there end without a load from the large table: for the
 * largest, half a megabyte in place of eight. Of the values that are not there, one in eight has its bit set by another.
 */
function marksOf(slots: Float64Array): Uint32Array {
  const marks = new Uint32Array((slots.length * MARKS_A_SLOT) / 32);
  const mask = slots.length * MARKS_A_SLOT - 1;
  for (const value of slots) {
    if (value === 0) continue;
    const bit = (value >>> 0) & mask;
    marks[bit >>> 5] |= 1 << (bit & 31);
  }
  return marks;
}

function isMarked(marks: Uint32Array, value: number): boolean {
  const bit = (value >>> 0) & (32 * marks.length - 1);
  return (marks[bit >>> 5] & (1 << (bit & 31))) !== 0;
}

/** The empty slot for the value, or -1 when the value is there. */
function find(slots: Float64Array, value: number): number {
  const mask = slots.length - 1;
  let at = (value >>> 0) & mask;
  for (;;) {
    const found = slots[at];
    if (found === 0) return at;
    if (found === value) return -1;
    at = (at + 1) & mask;
  }
}

function grow(slots: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * slots.length);
  for (const value of slots) if (value !== 0) larger[find(larger, value)] = value;
  return larger;
}

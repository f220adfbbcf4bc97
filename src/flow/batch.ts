/**
 * FlowBatch: flow records as parallel typed arrays.
 *
 * This is the only form in which flows travel through the program. Whoever fills a batch writes columns at index
 * `length` and then increments it; a row that is begun must have every column either written or left at zero, which is
 * what `clearFlowBatch` restores. Records must never become objects on the way (see rowOf for the edges).
 */

import {
  type ColumnArrays,
  type ColumnKind,
  FLOW_COLUMN_NAMES,
  FLOW_COLUMNS,
  type FlowColumn,
  KIND_BYTES,
} from './columns.ts';

export type FlowColumns = {
  readonly [C in FlowColumn]: ColumnArrays[(typeof FLOW_COLUMNS)[C]];
};

export interface FlowBatch {
  readonly capacity: number;
  /** Rows in use, at most `capacity`. */
  length: number;
  readonly columns: FlowColumns;
}

/** Array elements a row takes in a column of this kind. */
export const KIND_ELEMENTS: Readonly<Record<ColumnKind, number>> = {
  u8: 1,
  u16: 1,
  u32: 1,
  u64: 2,
  time: 2,
  address: 16,
};

function allocateColumn(kind: ColumnKind, capacity: number): ColumnArrays[ColumnKind] {
  const elements = capacity * KIND_ELEMENTS[kind];
  switch (kind) {
    case 'u8':
    case 'address':
      return new Uint8Array(elements);
    case 'u16':
      return new Uint16Array(elements);
    case 'u32':
    case 'u64':
    case 'time':
      return new Uint32Array(elements);
  }
}

/** An empty batch with room for `capacity` rows, every column zero. */
export function createFlowBatch(capacity: number): FlowBatch {
  const columns = Object.fromEntries(
    FLOW_COLUMN_NAMES.map((name) => [name, allocateColumn(FLOW_COLUMNS[name], capacity)]),
  ) as unknown as FlowColumns;
  return { capacity, length: 0, columns };
}

/** Forgets all rows, so that the next row written starts from zeroes. Costs only the rows that were in use. */
export function clearFlowBatch(batch: FlowBatch): void {
  clearRows(batch, 0);
}

/** As clearFlowBatch, for the rows from `from` on. */
export function clearRows(batch: FlowBatch, from: number): void {
  for (const name of FLOW_COLUMN_NAMES) {
    const width = KIND_ELEMENTS[FLOW_COLUMNS[name]];
    batch.columns[name].fill(0, from * width, batch.length * width);
  }
  batch.length = from;
}

/** Copies row `from` of `source` behind the last row of `target`, which must have room. */
export function appendRow(target: FlowBatch, source: FlowBatch, from: number): void {
  const to = target.length;
  for (const name of FLOW_COLUMN_NAMES) {
    const width = KIND_ELEMENTS[FLOW_COLUMNS[name]];
    const out = target.columns[name];
    const input = source.columns[name];
    for (let i = 0; i < width; i++) out[to * width + i] = input[from * width + i];
  }
  target.length = to + 1;
}

/** The bytes that the rows in use take in memory and on the wire, without headers. */
export function batchBytes(batch: FlowBatch): number {
  let bytes = 0;
  for (const name of FLOW_COLUMN_NAMES) bytes += KIND_BYTES[FLOW_COLUMNS[name]];
  return bytes * batch.length;
}

/** Value of a `u64` or `time` column. Exact up to 2^53; above that the nearest double. */
export function readWide(column: Uint32Array, row: number): number {
  return column[2 * row + 1] * 4294967296 + column[2 * row];
}

/** Writes a `u64` or `time` value; `value` must be a non-negative number below 2^64. */
export function writeWide(column: Uint32Array, row: number, value: number): void {
  column[2 * row] = value >>> 0;
  column[2 * row + 1] = (value / 4294967296) >>> 0;
}

/**
 * Codec between a FlowBatch and a ClickHouse `Native` block.
 *
 * These bytes are the only wire and disk form of flows: they are a Kafka message, a spool segment, the body of
 * `INSERT ... FORMAT Native` and what `file('segment', 'Native')` reads. Layout of a block: number of columns and rows
 * as LEB128, then for each column its name and type (LEB128 length and text) and its values back to back, little
 * endian, IPv6 in network order (ClickHouse documentation, "Native format"). Several blocks may follow one another.
 */

import { endianness } from 'node:os';
import { formatAddress } from './address.ts';
import { createFlowBatch, type FlowBatch, KIND_ELEMENTS } from './batch.ts';
import {
  FLOW_COLUMN_NAMES,
  FLOW_COLUMNS,
  FLOW_ROW_BYTES,
  type FlowColumn,
  KIND_BYTES,
  KIND_CLICKHOUSE,
} from './columns.ts';

if (endianness() !== 'LE')
  throw new Error('rogue-smtp needs a little-endian machine: flow columns are copied as they lie');

/** A block never holds more rows: a length field beyond it is taken for damage, not for a request to allocate. */
const MAX_BLOCK_ROWS = 1 << 20;

const MAX_SHOWN = 60;
const CLAIMS = 'claims';

const COLUMN_HEADERS: ReadonlyMap<FlowColumn, Buffer> = new Map(
  FLOW_COLUMN_NAMES.map((name) => [
    name,
    Buffer.concat([lengthPrefixed(name), lengthPrefixed(KIND_CLICKHOUSE[FLOW_COLUMNS[name]])]),
  ]),
);

const HEADER_BYTES = [...COLUMN_HEADERS.values()].reduce((sum, header) => sum + header.length, 0);

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(leb128(bytes.length)), bytes]);
}

function leb128(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
  return out;
}

/** Bytes that a block of so many rows takes. */
export function nativeBytes(rows: number): number {
  return leb128(FLOW_COLUMN_NAMES.length).length + leb128(rows).length + HEADER_BYTES + rows * FLOW_ROW_BYTES;
}

/**
 * The rows in use as one block. An empty batch gives an empty buffer: ClickHouse has no use for a block of no rows.
 * Written into `into` where the block has room there, which the result is then a part of: memory that is fresh from the
 * system costs ten times as much as the copying (72 of 86 ns a row were page faults).
 */
export function encodeNative(batch: FlowBatch, into?: Buffer): Buffer {
  const rows = batch.length;
  if (rows === 0) return Buffer.alloc(0);
  const head = [...leb128(FLOW_COLUMN_NAMES.length), ...leb128(rows)];
  const bytes = nativeBytes(rows);
  const out =
    into !== undefined && into.length >= bytes ? into.subarray(0, bytes) : Buffer.allocUnsafe(bytes);
  out.set(head, 0);
  let at = head.length;
  for (const name of FLOW_COLUMN_NAMES) {
    const header = COLUMN_HEADERS.get(name) as Buffer;
    header.copy(out, at);
    at += header.length;
    const column = batch.columns[name];
    const columnBytes = rows * KIND_BYTES[FLOW_COLUMNS[name]];
    out.set(new Uint8Array(column.buffer, column.byteOffset, columnBytes), at);
    at += columnBytes;
  }
  return out;
}

export type DecodedBlock =
  | {
      readonly ok: true;
      readonly batch: FlowBatch /** Offset of the byte behind the block. */;
      readonly next: number;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Reads the block at `offset`. Columns that this version does not know are passed over by the width of their type,
 * columns that the block lacks stay zero: both older and newer writers are understood. Damage is a reason, never an
 * exception, and never an allocation larger than the bytes at hand.
 */
export function decodeNative(bytes: Uint8Array, offset = 0): DecodedBlock {
  const reader = new BlockReader(bytes, offset);
  const head = reader.head();
  if (typeof head === 'string') return { ok: false, reason: head };
  const batch = createFlowBatch(head.rows);
  for (let i = 0; i < head.columns; i++) {
    const found = reader.anyColumn(head.rows);
    if (typeof found === 'string') return { ok: false, reason: found };
    const { name, values } = found;
    if (!isFlowColumn(name)) continue;
    const column = batch.columns[name];
    new Uint8Array(
      column.buffer,
      column.byteOffset,
      head.rows * KIND_ELEMENTS[FLOW_COLUMNS[name]] * column.BYTES_PER_ELEMENT,
    ).set(values);
  }
  batch.length = head.rows;
  return { ok: true, batch, next: reader.at };
}

/**
 * Looks at blocks that follow one another as `decodeNative` would, without taking their values: how many rows they have in
 * all, or why they cannot be read. `impossible`: a block claims more rows than there are bytes. Nothing is copied.
 */
export function inspectNative(
  bytes: Uint8Array,
):
  | { readonly ok: true; readonly rows: number }
  | { readonly ok: false; readonly reason: string; readonly impossible: boolean } {
  const reader = new BlockReader(bytes, 0);
  let rows = 0;
  do {
    const head = reader.head();
    if (typeof head === 'string') return { ok: false, reason: head, impossible: head.includes(CLAIMS) };
    for (let i = 0; i < head.columns; i++) {
      const found = reader.anyColumn(head.rows);
      if (typeof found === 'string') return { ok: false, reason: found, impossible: false };
    }
    rows += head.rows;
  } while (reader.at < bytes.length);
  return { ok: true, rows };
}

/** What can be told of a block without reading it whole. */
export interface BlockFacts {
  /** Receive times of the first and the last row, in milliseconds. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Exporters of its rows in text form, in the order of their appearance, up to a bound. */
  readonly exporters: readonly string[];
  /** There are exporters beyond the bound. */
  readonly hasMoreExporters: boolean;
}

/** Of the block that `bytes` begin with; null when they are not a block of this version or later. Nothing is copied. */
export function blockFacts(bytes: Uint8Array, maxExporters: number): BlockFacts | null {
  const reader = new BlockReader(bytes, 0);
  const columns = reader.varint();
  const rows = reader.varint();
  if (columns === null || rows === null || rows === 0) return null;
  const times = reader.column(FLOW_COLUMN_NAMES[0], KIND_CLICKHOUSE.time, rows * KIND_BYTES.time);
  const exporters = reader.column(FLOW_COLUMN_NAMES[1], KIND_CLICKHOUSE.address, rows * KIND_BYTES.address);
  if (times === null || exporters === null) return null;
  const view = new DataView(times.buffer, times.byteOffset, times.length);
  const named: number[] = [];
  let hasMoreExporters = false;
  for (let at = 0; at < exporters.length && !hasMoreExporters; at += KIND_BYTES.address) {
    if (named.some((other) => isSameAddress(exporters, other, at))) continue;
    if (named.length < maxExporters) named.push(at);
    else hasMoreExporters = true;
  }
  return {
    fromMs: Number(view.getBigUint64(0, true)),
    untilMs: Number(view.getBigUint64(times.length - KIND_BYTES.time, true)),
    exporters: named.map((at) => formatAddress(exporters, at)),
    hasMoreExporters,
  };
}

function isSameAddress(bytes: Uint8Array, a: number, b: number): boolean {
  // From the end: the beginning of mapped addresses is the same for all.
  for (let i = KIND_BYTES.address - 1; i >= 0; i--) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

const TYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ...Object.entries(KIND_CLICKHOUSE).map(
    ([kind, type]) => [type, KIND_BYTES[kind as keyof typeof KIND_BYTES]] as const,
  ),
  ['Int8', 1],
  ['Int16', 2],
  ['Int32', 4],
  ['Int64', 8],
  ['Float64', 8],
  ['DateTime', 4],
]);

/** Names come from whoever writes to the stream, and go into logs. */
const shown = (name: string) => (name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}...` : name);

function isFlowColumn(name: string): name is FlowColumn {
  return Object.hasOwn(FLOW_COLUMNS, name);
}

class BlockReader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** How many columns and rows follow; why that is not believed, in words. */
  head(): { readonly columns: number; readonly rows: number } | string {
    const columns = this.varint();
    const rows = this.varint();
    if (columns === null || rows === null) return 'block header is cut';
    if (rows > MAX_BLOCK_ROWS || rows > this.#bytes.length) return `block ${CLAIMS} ${rows} rows`;
    if (columns === 0) return 'block has no columns';
    return { columns, rows };
  }

  /** The next column, of a type that is known; why it cannot be read, in words. */
  anyColumn(rows: number): { readonly name: string; readonly values: Uint8Array } | string {
    const name = this.text();
    const type = this.text();
    if (name === null || type === null) return 'column header is cut';
    const width = TYPE_BYTES.get(type);
    if (width === undefined) return `column "${shown(name)}" has the unknown type "${shown(type)}"`;
    const values = this.take(rows * width);
    if (values === null) return `values of column "${shown(name)}" are cut`;
    const wanted = isFlowColumn(name) ? KIND_CLICKHOUSE[FLOW_COLUMNS[name]] : type;
    return wanted === type ? { name, values } : `column "${name}" is ${type}, not ${wanted}`;
  }

  varint(): number | null {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= this.#bytes.length) return null;
      const byte = this.#bytes[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return null;
  }

  take(length: number): Uint8Array | null {
    if (length > this.#bytes.length - this.at) return null;
    const part = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  /** The bytes of the next column, if it has this name and type. */
  column(name: string, type: string, length: number): Uint8Array | null {
    return this.text() === name && this.text() === type ? this.take(length) : null;
  }

  text(): string | null {
    const length = this.varint();
    const part = length === null ? null : this.take(length);
    return part === null ? null : Buffer.from(part.buffer, part.byteOffset, part.length).toString('utf8');
  }
}

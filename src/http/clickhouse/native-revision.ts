/**
 * `Native` blocks as the HTTP interface writes them, turned into those of the binary protocol.
 *
 * Clients that send `client_protocol_version` (clickhouse-go, and so Grafana) expect a header before each block and a byte
 * after each column's type; the embedded engine has no setting to write them. So blocks are walked by the types they name
 * and copied with the additions. A type whose length cannot be known from outside is an error, never a guess.
 */

import { ClickHouseException } from './exception.ts';

/** From here on a byte says whether a column is serialized in a kind of its own (sparse); ours never are. */
const CUSTOM_SERIALIZATION = 54_454;
/** is_overflows = 0 and bucket_num = -1, each behind its number, then 0: what every block that is no part of a merge has. */
const BLOCK_INFO = Uint8Array.of(1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0);
const NO_CUSTOM_SERIALIZATION = Uint8Array.of(0);

/** `blocks` (revision 0) in the form that a client of `revision` reads. Throws ClickHouseException. */
export function withRevision(blocks: Uint8Array, revision: number): Uint8Array {
  const reader = createReader(blocks);
  const parts: Uint8Array[] = [];
  while (reader.at < blocks.length) {
    parts.push(BLOCK_INFO);
    let from = reader.at;
    const columns = reader.varint();
    const rows = reader.varint();
    for (let i = 0; i < columns; i++) {
      reader.text();
      const type = parseType(reader.text());
      if (revision >= CUSTOM_SERIALIZATION) {
        parts.push(blocks.subarray(from, reader.at), NO_CUSTOM_SERIALIZATION);
        from = reader.at;
      }
      if (rows === 0) continue;
      skipPrefix(reader, type);
      skipData(reader, type, rows);
    }
    parts.push(blocks.subarray(from, reader.at));
  }
  return Buffer.concat(parts);
}

interface Reader {
  at: number;
  varint(): number;
  /** A 64-bit number that is known to be a length or count. */
  wide(): number;
  text(): string;
  skip(bytes: number): void;
}

function createReader(bytes: Uint8Array): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader: Reader = {
    at: 0,
    varint() {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = view.getUint8(reader.at++);
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
      }
    },
    wide() {
      const value = Number(view.getBigUint64(reader.at, true));
      reader.at += 8;
      return value;
    },
    text() {
      const length = reader.varint();
      const from = reader.at;
      reader.skip(length);
      return Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('utf8');
    },
    skip(count) {
      reader.at += count;
      if (reader.at > bytes.length) throw new RangeError('a Native block ends too early');
    },
  };
  return reader;
}

type Type =
  | { readonly kind: 'fixed'; readonly width: number }
  | { readonly kind: 'text' }
  | { readonly kind: 'nullable' | 'array' | 'dictionary'; readonly of: Type }
  | { readonly kind: 'tuple'; readonly of: readonly Type[] };

const WIDTHS: Readonly<Record<string, number>> = {
  Nothing: 1,
  Bool: 1,
  Int8: 1,
  UInt8: 1,
  Enum8: 1,
  Int16: 2,
  UInt16: 2,
  Enum16: 2,
  Date: 2,
  BFloat16: 2,
  Int32: 4,
  UInt32: 4,
  Float32: 4,
  IPv4: 4,
  Date32: 4,
  DateTime: 4,
  Time: 4,
  Int64: 8,
  UInt64: 8,
  Float64: 8,
  DateTime64: 8,
  Time64: 8,
  Int128: 16,
  UInt128: 16,
  UUID: 16,
  IPv6: 16,
  Int256: 32,
  UInt256: 32,
};

/** Digits that fit into 4, 8, 16 and 32 bytes. */
const DECIMAL_WIDTHS = [
  [9, 4],
  [18, 8],
  [38, 16],
  [76, 32],
] as const;

function parseType(text: string): Type {
  const [, name, inner] = /^\s*(\w+)(?:\((.*)\))?\s*$/s.exec(text) ?? ['', text, undefined];
  const fixed = Object.hasOwn(WIDTHS, name) ? WIDTHS[name] : undefined;
  if (fixed !== undefined) return { kind: 'fixed', width: fixed };
  if (name === 'String') return { kind: 'text' };
  if (name.startsWith('Interval')) return { kind: 'fixed', width: 8 };
  if (inner === undefined) return unknown(text);
  const parts = splitParts(inner);
  switch (name) {
    case 'Nullable':
      return { kind: 'nullable', of: parseType(inner) };
    case 'Array':
      return { kind: 'array', of: parseType(inner) };
    case 'Map':
      return { kind: 'array', of: { kind: 'tuple', of: parts.map(parseType) } };
    case 'Tuple':
      return { kind: 'tuple', of: parts.map((part) => parseType(withoutName(part))) };
    case 'LowCardinality':
      return { kind: 'dictionary', of: parseType(inner.replace(/^Nullable\((.*)\)$/s, '$1')) };
    case 'SimpleAggregateFunction':
      return parseType(parts.slice(1).join(','));
    case 'FixedString':
      return { kind: 'fixed', width: Number(inner) };
    case 'Decimal': {
      const width = DECIMAL_WIDTHS.find(([digits]) => Number(parts[0]) <= digits)?.[1];
      return width === undefined ? unknown(text) : { kind: 'fixed', width };
    }
    default:
      return unknown(text);
  }
}

function unknown(type: string): never {
  throw new ClickHouseException(
    501,
    48,
    'NOT_IMPLEMENTED',
    `a column of type ${type} cannot be had in Native by this client; cast it, or ask for another format`,
  );
}

/** At commas that are in no brackets and no quotes. */
function splitParts(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "'" || character === '`') {
      for (at++; at < text.length && text[at] !== character; at++) if (text[at] === '\\') at++;
    } else if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...parts, text.slice(from)];
}

/** Elements of a named tuple have their name before the type. */
function withoutName(part: string): string {
  return part.trim().replace(/^(?:\w+|`(?:[^`\\]|\\.)*`)\s+(?=\w)/s, '');
}

/** What is written once per column and block: the version of each dictionary. */
function skipPrefix(reader: Reader, type: Type): void {
  if (type.kind === 'dictionary') reader.skip(8);
  else if (type.kind === 'tuple') for (const of of type.of) skipPrefix(reader, of);
  else if (type.kind === 'array' || type.kind === 'nullable') skipPrefix(reader, type.of);
}

const INDEX_WIDTHS = [1, 2, 4, 8];

function skipData(reader: Reader, type: Type, rows: number): void {
  switch (type.kind) {
    case 'fixed':
      reader.skip(rows * type.width);
      return;
    case 'text':
      for (let i = 0; i < rows; i++) reader.skip(reader.varint());
      return;
    case 'nullable':
      reader.skip(rows);
      skipData(reader, type.of, rows);
      return;
    case 'tuple':
      for (const of of type.of) skipData(reader, of, rows);
      return;
    case 'array': {
      if (rows === 0) return;
      reader.skip((rows - 1) * 8);
      const elements = reader.wide();
      skipData(reader, type.of, elements);
      return;
    }
    case 'dictionary': {
      if (rows === 0) return;
      const flags = reader.wide();
      skipData(reader, type.of, reader.wide());
      reader.skip(reader.wide() * INDEX_WIDTHS[flags & 0xff]);
      return;
    }
  }
}

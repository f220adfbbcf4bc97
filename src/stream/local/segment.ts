/**
 * A segment: two files, the values of consecutive messages back to back, and beside them one JSON line a message.
 *
 * This module knows names and index lines, nothing of the log they make up. A message exists once its index line is
 * whole: data is written first, so a line never tells of bytes that are not there. Names carry the first offset
 * (`000000000000012.native`), those of compacted segments also the last offset they stand for and a generation
 * (`000000000000012-000000000000099.1.ndjson`), so that a crash between writing one and removing its sources is
 * recognised by the names alone.
 */

import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

export interface Segment {
  /** First and last offset that this segment stands for; compaction may have removed messages in between. */
  readonly base: number;
  last: number;
  /** 0 as written, else how often this range was compacted. */
  readonly generation: number;
  readonly dataFile: string;
  readonly indexFile: string;
  /** Whole messages only. What lies behind these lengths in the files is not part of the segment. */
  dataBytes: number;
  indexBytes: number;
  messages: number;
  rows: number;
  /** No more messages come, so that the file may be handed out. */
  sealed: boolean;
  /** False when the data file could not be cut to `dataBytes`: it must then not be handed out as a file. */
  exact: boolean;
  /** Written by this process, or read against its checksums since: what lay on disk meanwhile may have changed. */
  verified: boolean;
  /** Readers in it: it must not be removed meanwhile. */
  pins: number;
  /** Compacted streams: bytes of messages that are the newest of their key. */
  liveBytes: number;
}

export interface IndexEntry {
  readonly offset: number;
  /** Place and length of the value in the data file. */
  readonly at: number;
  readonly bytes: number;
  readonly rows: number;
  readonly key: string;
  readonly id: string;
  /** Only where the publisher named one: this log itself is not divided. */
  readonly partition?: number | undefined;
  /** Messages and rows of the segment up to and including this one: the last line tells the totals. */
  readonly messages: number;
  readonly sum: number;
  /** CRC-32 of the value: a power cut may keep an index line and lose the data. */
  readonly crc: number;
  /** Where the line ends in the index, newline included. Not written: known once it lies somewhere. */
  readonly end: number;
}

export interface SegmentName {
  readonly stem: string;
  readonly base: number;
  /** `base` unless compacted. */
  readonly until: number;
  readonly generation: number;
  readonly kind: 'data' | 'index' | 'index.new' | 'index.old';
}

const DIGITS = 15;
const NAME = /^((\d{15})(?:-(\d{15})\.(\d{1,9}))?)\.(native|ndjson|index|index\.new|index\.old)$/;

export function parseSegmentName(name: string, format: 'native' | 'ndjson'): SegmentName | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, stem, base, until, generation, extension] = match;
  if (extension !== format && !extension.startsWith('index')) return null;
  return {
    stem,
    base: Number(base),
    until: Number(until ?? base),
    generation: Number(generation ?? 0),
    kind: extension === format ? 'data' : (extension as SegmentName['kind']),
  };
}

export function createSegment(
  directory: string,
  format: 'native' | 'ndjson',
  range: { readonly base: number; readonly until?: number; readonly generation?: number },
): Segment {
  const digits = (value: number) => String(value).padStart(DIGITS, '0');
  const { base, until = base, generation = 0 } = range;
  const stem = generation === 0 ? digits(base) : `${digits(base)}-${digits(until)}.${generation}`;
  return {
    base,
    last: generation === 0 ? base - 1 : until,
    generation,
    dataFile: join(directory, `${stem}.${format}`),
    indexFile: join(directory, `${stem}.index`),
    dataBytes: 0,
    indexBytes: 0,
    messages: 0,
    rows: 0,
    sealed: false,
    exact: true,
    verified: false,
    pins: 0,
    liveBytes: 0,
  };
}

export function encodeIndexLine(entry: Omit<IndexEntry, 'end'>): string {
  const line =
    `{"offset":${entry.offset},"at":${entry.at},"bytes":${entry.bytes},"rows":${entry.rows},` +
    `"key":${JSON.stringify(entry.key)},"id":${JSON.stringify(entry.id)},` +
    (entry.partition === undefined ? '' : `"partition":${entry.partition},`) +
    `"messages":${entry.messages},"sum":${entry.sum},"crc":${entry.crc}`;
  return `${line},${LINE_CHECK}${crc32(line)}}\n`;
}

/** Begins the CRC-32 of the line before it: a flipped bit in a key would give a message to another host. */
const LINE_CHECK = '"check":';

/** Lines of earlier versions have no checksum and are believed. */
function isIntact(line: string): boolean {
  const at = line.lastIndexOf(`,${LINE_CHECK}`);
  return at < 0 || line.slice(at + 1 + LINE_CHECK.length, -1) === String(crc32(line.slice(0, at)));
}

/** The entry of a line without its newline, which ends before the byte `end` of the index; null when it is not one. */
function parseIndexLine(line: string, end: number): IndexEntry | null {
  if (!isIntact(line)) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { offset, at, bytes, rows, key, id, partition, messages, sum, crc } = value as Partial<
    Record<keyof IndexEntry, unknown>
  >;
  if (!isCount(offset) || !isCount(at) || !isCount(bytes) || !isCount(rows)) return null;
  if (!isCount(messages) || !isCount(sum) || !isCount(crc)) return null;
  if (typeof key !== 'string' || typeof id !== 'string') return null;
  if (partition !== undefined && !isCount(partition)) return null;
  return { offset, at, bytes, rows, key, id, partition, messages, sum, crc, end };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export interface IndexPiece {
  readonly entries: readonly IndexEntry[];
  /** Where the next line begins. */
  readonly next: number;
  /** Lines that are no entries. */
  readonly damaged: number;
}

/** Small enough that parsing it does not keep datagrams waiting, large enough for some hundred entries. */
const INDEX_PIECE_BYTES = 64 * 1024;
/** A line longer than this is damage. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** The whole lines of an index from `at` on, as many as fit into one piece but at least one while `at` is before `end`. */
export async function readIndexPiece(handle: FileHandle, at: number, end: number): Promise<IndexPiece> {
  for (let size = INDEX_PIECE_BYTES; ; size *= 4) {
    const bytes = await readExactly(handle, at, Math.min(size, end - at));
    const length = bytes.lastIndexOf(0x0a) + 1;
    if (length > 0) return parsePiece(bytes.subarray(0, length), at);
    // The file ends in the middle of a line, or this is no index: nothing more comes.
    if (bytes.length < size || size > MAX_LINE_BYTES) {
      return { entries: [], next: end, damaged: end > at ? 1 : 0 };
    }
  }
}

function parsePiece(bytes: Buffer, at: number): IndexPiece {
  const entries: IndexEntry[] = [];
  let damaged = 0;
  for (let from = 0; from < bytes.length; ) {
    const to = bytes.indexOf(0x0a, from);
    const entry = parseIndexLine(bytes.toString('utf8', from, to), at + to + 1);
    from = to + 1;
    if (entry === null) damaged++;
    else entries.push(entry);
  }
  return { entries, next: at + bytes.length, damaged };
}

/** Up to `length` bytes; fewer only when the file is shorter. */
export async function readExactly(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Writes all of `bytes` at `at`, however many calls it takes. */
export async function writeExactly(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, at + written);
    written += bytesWritten;
  }
}

/** Where the next value begins: a line format has a newline in between. */
export function endOfValue(format: 'native' | 'ndjson', at: number, bytes: number): number {
  return format === 'ndjson' ? at + bytes + 1 : at + bytes;
}

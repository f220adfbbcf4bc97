/**
 * Reads messages of a segment from disk, a piece at a time, from any offset on.
 *
 * Memory is bounded by a piece, whatever the backlog. What is damaged is passed over and counted: a consumer must never
 * stand still before a bad sector, and never be given bytes that are not what was published.
 */

import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { ReceivedMessage } from '../stream.ts';
import { type IndexEntry, readExactly, readIndexPiece, type Segment } from './segment.ts';

/** Where a reader is: the next offset it wants, and what it has read of the index on the way. */
export interface Cursor {
  offset: number;
  segment: Segment | null;
  indexAt: number;
  entries: readonly IndexEntry[];
  entryAt: number;
}

export function createCursor(offset: number): Cursor {
  return { offset, segment: null, indexAt: 0, entries: [], entryAt: 0 };
}

export interface PieceLimits {
  readonly bytes: number;
  readonly messages: number;
}

export interface Piece {
  readonly messages: ReceivedMessage[];
  readonly damaged: number;
}

/**
 * The next messages of `segment` from `cursor.offset` on; at least one if there is one. Moves the cursor behind them,
 * or behind the segment when nothing more is in it.
 */
export async function readPiece(cursor: Cursor, segment: Segment, limits: PieceLimits): Promise<Piece> {
  if (cursor.segment !== segment) {
    cursor.segment = segment;
    cursor.indexAt = 0;
    cursor.entries = [];
    cursor.entryAt = 0;
  }
  segment.pins++;
  try {
    return await readPinned(cursor, segment, limits);
  } catch (error) {
    // What was read of the index is not delivered: begin the segment anew next time.
    cursor.segment = null;
    if (!isLost(error)) throw error;
    const { last, messages } = segment;
    cursor.offset = Math.max(cursor.offset, last + 1);
    return { messages: [], damaged: messages };
  } finally {
    segment.pins--;
  }
}

/** The file was taken away, or the disk cannot give it back: trying again would be for ever. */
function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EIO');
}

async function readPinned(cursor: Cursor, segment: Segment, limits: PieceLimits): Promise<Piece> {
  // A segment that is written to grows meanwhile: what is there now belongs together.
  const { indexBytes, dataBytes, last } = segment;
  const wanted: IndexEntry[] = [];
  let damaged = 0;
  let bytes = 0;
  let next = cursor.offset;
  const index = await open(segment.indexFile, 'r');
  try {
    while (bytes < limits.bytes && wanted.length < limits.messages) {
      if (cursor.entryAt === cursor.entries.length) {
        if (cursor.indexAt >= indexBytes) break;
        const piece = await readIndexPiece(index, cursor.indexAt, indexBytes);
        cursor.entries = piece.entries;
        cursor.entryAt = 0;
        cursor.indexAt = piece.next;
        damaged += piece.damaged;
        continue;
      }
      const entry = cursor.entries[cursor.entryAt];
      if (entry.offset < next) {
        cursor.entryAt++;
      } else if (entry.offset > last || entry.at + entry.bytes > dataBytes) {
        cursor.entryAt++;
        damaged++;
      } else {
        if (wanted.length > 0 && bytes + entry.bytes > limits.bytes) break;
        wanted.push(entry);
        bytes += entry.bytes;
        next = entry.offset + 1;
        cursor.entryAt++;
      }
    }
  } finally {
    await index.close();
  }
  const messages = await readValues(segment, wanted);
  damaged += wanted.length - messages.length;
  const exhausted = cursor.entryAt === cursor.entries.length && cursor.indexAt >= indexBytes;
  cursor.offset = exhausted ? Math.max(next, last + 1) : next;
  return { messages, damaged };
}

/** Reads the stretch that holds all entries at once; an entry whose bytes are not what its checksum says is left out. */
async function readValues(segment: Segment, entries: readonly IndexEntry[]): Promise<ReceivedMessage[]> {
  if (entries.length === 0) return [];
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const { at, bytes } of entries) {
    from = Math.min(from, at);
    to = Math.max(to, at + bytes);
  }
  const data = await open(segment.dataFile, 'r');
  let stretch: Buffer;
  try {
    stretch = await readExactly(data, from, to - from);
  } finally {
    await data.close();
  }
  const messages: ReceivedMessage[] = [];
  for (const { offset, at, bytes, rows, key, id, partition, crc } of entries) {
    const value = stretch.subarray(at - from, at - from + bytes);
    if (value.length !== bytes || crc32(value) !== crc) continue;
    messages.push({ offset, key, id, value, rows, ...(partition !== undefined && { partition }) });
  }
  return messages;
}

/**
 * Reads a segment against its checksums: how many of its messages are damaged. Without loss for whoever reads it next, and
 * a piece at a time.
 */
export async function countDamaged(segment: Segment): Promise<number> {
  const cursor = createCursor(segment.base);
  let damaged = 0;
  while (cursor.offset <= segment.last) {
    const before = cursor.offset;
    const piece = await readPiece(cursor, segment, { bytes: VERIFY_BYTES, messages: 10_000 });
    damaged += piece.damaged;
    if (cursor.offset === before) break;
  }
  return damaged;
}

const VERIFY_BYTES = 8 * 1024 * 1024;

/** All entries of a segment, without their values. */
export async function* indexEntries(segment: Segment): AsyncGenerator<IndexEntry> {
  const index = await open(segment.indexFile, 'r');
  try {
    for (let at = 0; at < segment.indexBytes; ) {
      const { entries, next } = await readIndexPiece(index, at, segment.indexBytes);
      yield* entries;
      at = next;
    }
  } finally {
    await index.close();
  }
}

/** The first segment that holds or is behind `offset`; segments are in order. */
export function segmentFrom(segments: readonly Segment[], offset: number): Segment | undefined {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle].last < offset) low = middle + 1;
    else high = middle;
  }
  return segments[low];
}

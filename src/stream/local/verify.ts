/**
 * Reads a stopped stream's directory against its checksums, and changes nothing.
 *
 * What a kill may leave (half a line at the end of the newest segment, files of a compaction that was not finished) is no
 * damage. The directory must not be in use.
 */

import { existsSync } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { STREAM_NAMES, type StreamName } from '../stream.ts';
import { parsePositions } from './positions.ts';
import { countDamaged, createCursor, readPiece } from './reader.ts';
import { createSegment, parseSegmentName, readExactly, type Segment } from './segment.ts';
import { PIECE_BYTES, STREAM_SETTINGS } from './settings.ts';

/** What is damaged in the directory of a local stream, in words; empty when nothing is. Throws what the file system throws. */
export async function verifyStreams(directory: string): Promise<string[]> {
  const damages: string[] = [];
  for (const stream of STREAM_NAMES) {
    const folder = join(directory, stream);
    if (!existsSync(folder)) {
      damages.push(`${folder} is missing`);
      continue;
    }
    damages.push(...(await verifySegments(folder, STREAM_SETTINGS[stream].format)));
  }
  const groups = join(directory, 'groups');
  for (const name of existsSync(groups) ? await readdir(groups) : []) {
    const file = join(groups, name);
    if (name.endsWith('.json') && parsePositions(await readFile(file, 'utf8')) === null)
      damages.push(`${file}: the positions of a group are damaged`);
  }
  return damages;
}

/** Keys of all messages of a stream that can be read, in the directory of a local stream. */
export async function readableKeys(directory: string, stream: StreamName): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  const folder = join(directory, stream);
  if (!existsSync(folder)) return keys;
  for (const { segment } of await segmentsAsFound(folder, STREAM_SETTINGS[stream].format)) {
    const cursor = createCursor(segment.base);
    while (cursor.offset <= segment.last) {
      const before = cursor.offset;
      const { messages } = await readPiece(cursor, segment, { bytes: PIECE_BYTES, messages: 10_000 });
      for (const { key } of messages) keys.add(key);
      if (cursor.offset === before) break;
    }
  }
  return keys;
}

async function verifySegments(folder: string, format: 'native' | 'ndjson'): Promise<string[]> {
  const damages: string[] = [];
  const names = await readdir(folder);
  for (const name of names) {
    if (name.endsWith('.damaged'))
      damages.push(`${join(folder, name)} was set aside as damaged: remove it once it was looked at`);
    const parsed = parseSegmentName(name, format);
    if (parsed?.kind !== 'data' || parsed.generation > 0) continue;
    const isIndexed = ['index', 'index.old'].some((kind) => names.includes(`${parsed.stem}.${kind}`));
    if (!isIndexed && (await stat(join(folder, name))).size > 0)
      damages.push(`${join(folder, name)} has no index`);
  }
  const found = await segmentsAsFound(folder, format);
  for (const [i, { segment, indexSize }] of found.entries()) {
    const newest = i === found.length - 1;
    const damage = await verifySegment(segment, indexSize, newest);
    if (damage !== null) damages.push(damage);
  }
  return damages;
}

interface FoundSegment {
  /** All whole lines of its index, whatever the data. */
  readonly segment: Segment;
  readonly indexSize: number;
}

/** By offset. */
export async function segmentsAsFound(folder: string, format: 'native' | 'ndjson'): Promise<FoundSegment[]> {
  const found: FoundSegment[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const parsed = parseSegmentName(name, format);
    if (parsed?.kind !== 'index') continue;
    const segment = createSegment(folder, format, parsed);
    const indexSize = (await stat(segment.indexFile)).size;
    segment.indexBytes = await wholeLines(segment.indexFile, indexSize);
    segment.dataBytes = existsSync(segment.dataFile) ? (await stat(segment.dataFile)).size : 0;
    segment.last = segment.indexBytes === 0 ? segment.base - 1 : Number.MAX_SAFE_INTEGER - 1;
    found.push({ segment, indexSize });
  }
  return found;
}

async function verifySegment(segment: Segment, indexSize: number, newest: boolean): Promise<string | null> {
  if (!existsSync(segment.dataFile)) return indexSize === 0 ? null : `${segment.dataFile} is missing`;
  if (segment.indexBytes < indexSize && !newest) return `${segment.indexFile} ends in the middle of a line`;
  const damaged = await countDamaged(segment);
  return damaged === 0 ? null : `${segment.dataFile}: ${damaged} message(s) are damaged or gone`;
}

const TAIL_BYTES = 64 * 1024;

/** The length of a file up to the end of its last whole line. */
async function wholeLines(file: string, size: number): Promise<number> {
  const handle = await open(file, 'r');
  try {
    for (let end = size; end > 0; ) {
      const from = Math.max(0, end - TAIL_BYTES);
      const newline = (await readExactly(handle, from, end - from)).lastIndexOf(0x0a);
      if (newline >= 0) return from + newline + 1;
      end = from;
    }
    return 0;
  } finally {
    await handle.close();
  }
}

/**
 * What is found in a stream's directory at start: the segments in order, with everything that a kill, a power cut or
 * a person may have left behind put right.
 *
 * A torn tail is cut off both files. What cannot be explained (an index without its data) is renamed to `.damaged` and
 * reported, never deleted; files that are not ours are left alone. Must run before anything is written, and alone.
 */

import { existsSync } from 'node:fs';
import { open, readdir, rename, rm, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  createSegment,
  endOfValue,
  type IndexEntry,
  parseSegmentName,
  readExactly,
  readIndexPiece,
  type Segment,
  type SegmentName,
} from './segment.ts';
import type { StreamLogger, StreamSettings } from './settings.ts';

export interface Recovered {
  /** All sealed, by offset. */
  readonly segments: Segment[];
  /** Bytes cut off torn tails. */
  readonly cutBytes: number;
  /** Files set aside because they make no sense. */
  readonly damagedFiles: number;
  /** What is gone beyond the half message of a killed writer, a file each, in words; with how many messages it was. */
  readonly losses: readonly { readonly messages: number; readonly text: string }[];
}

interface Found {
  readonly name: SegmentName;
  readonly kinds: Set<SegmentName['kind']>;
}

export async function recoverSegments(
  directory: string,
  { format }: Pick<StreamSettings, 'format'>,
  log: StreamLogger,
): Promise<Recovered> {
  const found = new Map<string, Found>();
  const aliens: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const name = entry.isFile() ? parseSegmentName(entry.name, format) : null;
    if (name === null) {
      if (!OWN_FILES.test(entry.name)) aliens.push(entry.name);
      continue;
    }
    const known = found.get(name.stem);
    if (known === undefined) found.set(name.stem, { name, kinds: new Set([name.kind]) });
    else known.kinds.add(name.kind);
  }
  if (aliens.length > 0) {
    log.warn(
      { directory, files: aliens.slice(0, 10), count: aliens.length },
      'files in the spool that are not its own are left alone',
    );
  }

  const path = (stem: string, kind: SegmentName['kind']) =>
    join(directory, `${stem}.${kind === 'data' ? format : kind}`);
  const remove = async (stem: string, kinds: Iterable<SegmentName['kind']>) => {
    for (const kind of kinds) await unlink(path(stem, kind));
  };

  // What a crash interrupted: a removal is carried through, a compaction that was not complete is undone.
  for (const [stem, { name, kinds }] of found) {
    if (kinds.has('index.old')) {
      await remove(
        stem,
        REMOVAL_ORDER.filter((kind) => kinds.has(kind)),
      );
      found.delete(stem);
    } else if (name.generation > 0 && !kinds.has('index')) {
      await remove(stem, kinds);
      found.delete(stem);
    }
  }
  // A complete compacted segment stands for everything in its range.
  for (const { name: compacted } of [...found.values()].filter(({ name }) => name.generation > 0)) {
    for (const [stem, { name, kinds }] of found) {
      if (!supersedes(compacted, name)) continue;
      await remove(stem, kinds);
      found.delete(stem);
    }
  }

  const segments: Segment[] = [];
  let cutBytes = 0;
  let damagedFiles = 0;
  const losses: { messages: number; text: string }[] = [];
  const setAside = async (stem: string, kinds: Iterable<SegmentName['kind']>, why: string) => {
    for (const kind of kinds) {
      const file = path(stem, kind);
      await rename(file, `${file}.damaged`);
      damagedFiles++;
      log.error({ file: `${file}.damaged` }, `${why}: set aside`);
    }
    losses.push({
      messages: 1,
      text: `${join(directory, stem)}: ${why}; its files are set aside as .damaged`,
    });
  };

  const ordered = [...found.values()].sort((a, b) => a.name.base - b.name.base);
  for (const [i, { name, kinds }] of ordered.entries()) {
    const { stem } = name;
    if (kinds.delete('index.new')) await unlink(path(stem, 'index.new'));
    const previous = segments.at(-1);
    if (previous !== undefined && name.base <= previous.last) {
      await setAside(stem, kinds, 'a segment overlaps the one before it');
      continue;
    }
    if (!kinds.has('index') || !kinds.has('data')) {
      const [only] = kinds;
      if (only === undefined) continue;
      if ((await stat(path(stem, only))).size === 0) await unlink(path(stem, only));
      else await setAside(stem, kinds, `a segment has no ${only === 'data' ? 'index' : 'data'}`);
      continue;
    }
    const segment = createSegment(directory, format, name);
    const newest = i === ordered.length - 1;
    const { cut, lost } = await measure(segment, format, newest);
    if (lost > 0) {
      const text = `${segment.dataFile}: ${lost} message(s) at its end are damaged or gone`;
      losses.push({ messages: lost, text });
      log.error(
        { file: segment.dataFile, messages: lost, bytes: cut },
        'the end of a segment is damaged: cut off',
      );
    } else if (cut > 0) {
      log.warn({ file: segment.dataFile, bytes: cut }, 'a torn tail was cut off');
    }
    if (cut > 0) {
      cutBytes += cut;
    }
    if (segment.messages === 0) await remove(stem, ['index', 'data']);
    else segments.push(segment);
  }
  return { segments, cutBytes, damagedFiles, losses };
}

const OWN_FILES = /^(ids(\.1)?|probe)$|\.damaged$/;
/** The mark goes last, so that a second crash still finds it. */
const REMOVAL_ORDER: readonly SegmentName['kind'][] = ['data', 'index', 'index.new', 'index.old'];

function supersedes(compacted: SegmentName, other: SegmentName): boolean {
  if (compacted.stem === other.stem) return false;
  if (other.base < compacted.base || other.base > compacted.until) return false;
  return (
    compacted.until > other.until ||
    (compacted.until === other.until && compacted.generation > other.generation)
  );
}

/**
 * Removes both files so that a crash in between is recognised and the removal carried through at the next start.
 * Files that are gone already are no obstacle.
 */
export async function removeSegment(segment: Segment): Promise<void> {
  const mark = segment.indexFile.replace(/\.index$/, '.index.old');
  if (existsSync(segment.indexFile)) await rename(segment.indexFile, mark);
  await rm(segment.dataFile, { force: true });
  await rm(mark, { force: true });
}

/**
 * Sets the lengths and totals of `segment` from its files and cuts what is torn. Returns how many bytes were cut, and how
 * many messages whose index line was whole: those had been acknowledged.
 */
async function measure(
  segment: Segment,
  format: StreamSettings['format'],
  thorough: boolean,
): Promise<{ readonly cut: number; readonly lost: number }> {
  const dataSize = (await stat(segment.dataFile)).size;
  const indexSize = (await stat(segment.indexFile)).size;
  const last =
    (thorough ? null : await lastEntry(segment.indexFile, indexSize, dataSize, format)) ??
    (await lastWholeEntry(segment, format, indexSize, dataSize));
  segment.sealed = true;
  if (last !== null) {
    segment.last = Math.max(segment.last, last.offset);
    segment.messages = last.messages;
    segment.rows = last.sum;
    segment.dataBytes = endOfValue(format, last.at, last.bytes);
    segment.indexBytes = last.end;
  }
  const lost = indexSize > segment.indexBytes ? await linesBehind(segment, indexSize) : 0;
  let cut = 0;
  // The index first: a line must never tell of data that is not there.
  if (indexSize > segment.indexBytes) {
    await truncate(segment.indexFile, segment.indexBytes);
    cut += indexSize - segment.indexBytes;
  }
  if (dataSize > segment.dataBytes) {
    await truncate(segment.dataFile, segment.dataBytes);
    cut += dataSize - segment.dataBytes;
  }
  return { cut, lost };
}

/** Whole lines of the index behind what is part of the segment. */
async function linesBehind({ indexFile, indexBytes }: Segment, indexSize: number): Promise<number> {
  const handle = await open(indexFile, 'r');
  try {
    let lines = 0;
    for (let at = indexBytes; at < indexSize; ) {
      const bytes = await readExactly(handle, at, Math.min(COUNT_PIECE_BYTES, indexSize - at));
      for (const byte of bytes) if (byte === 0x0a) lines++;
      if (bytes.length === 0) break;
      at += bytes.length;
    }
    return lines;
  } finally {
    await handle.close();
  }
}

const COUNT_PIECE_BYTES = 1024 * 1024;

/** Enough for the last line but for unusual keys; else the thorough way is taken. */
const LAST_LINE_BYTES = 4096;

/** The last line of an index that ends well and agrees with the size of the data, else null. */
async function lastEntry(
  file: string,
  indexSize: number,
  dataSize: number,
  format: StreamSettings['format'],
): Promise<IndexEntry | null> {
  const handle = await open(file, 'r');
  try {
    const from = Math.max(0, indexSize - LAST_LINE_BYTES);
    const bytes = await readExactly(handle, from, indexSize - from);
    const lineStart = bytes.lastIndexOf(0x0a, -2) + 1;
    if (lineStart === 0 && from > 0) return null;
    if (bytes.at(-1) !== 0x0a) return null;
    const { entries } = await readIndexPiece(handle, from + lineStart, indexSize);
    const entry = entries.at(-1);
    if (entry === undefined || endOfValue(format, entry.at, entry.bytes) !== dataSize) return null;
    return entry;
  } finally {
    await handle.close();
  }
}

/** Reads the index from the start, and the data against it; the last entry whose data is there and unharmed. */
async function lastWholeEntry(
  segment: Segment,
  format: StreamSettings['format'],
  indexSize: number,
  dataSize: number,
): Promise<IndexEntry | null> {
  const index = await open(segment.indexFile, 'r');
  const data = await open(segment.dataFile, 'r');
  try {
    let last: IndexEntry | null = null;
    for (let at = 0; at < indexSize; ) {
      const piece = await readIndexPiece(index, at, indexSize);
      for (const entry of piece.entries) {
        if (endOfValue(format, entry.at, entry.bytes) > dataSize) continue;
        const value = await readExactly(data, entry.at, entry.bytes);
        if (crc32(value) === entry.crc) last = entry;
      }
      at = piece.next;
    }
    return last;
  } finally {
    await index.close();
    await data.close();
  }
}

/**
 * Compaction: of a run of segments, a new one with only those messages that are still the newest of their key.
 *
 * The new index gets its final name last: until then the new files are rubbish, from then on the old ones are, and
 * recovery tells by the names. Removing the old files is the caller's.
 */

import { rename, rm } from 'node:fs/promises';
import type { KeyPlace } from './newest-keys.ts';
import { createCursor, readPiece } from './reader.ts';
import { createSegment, type Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { StreamSettings } from './settings.ts';

/** Rewriting pays when at least half is dead; merging small segments, when there are so many of them. */
const MERGE_SEGMENTS = 16;
const WORTH_BYTES = 256 * 1024;
/** Small, since messages of other streams wait for the same disk. */
const REWRITE_PIECE = { bytes: 1024 * 1024, messages: 1000 };

/**
 * The longest run worth compacting, from the oldest segment on, or null. What lives in it fits into one segment;
 * segments that somebody reads are not in it.
 */
export function compactableRun(segments: readonly Segment[], sealBytes: number): readonly Segment[] | null {
  for (let from = 0; from < segments.length; ) {
    let to = from;
    let live = 0;
    let total = 0;
    while (to < segments.length) {
      const segment = segments[to];
      if (!segment.sealed || segment.pins > 0) break;
      if (to > from && live + segment.liveBytes > sealBytes) break;
      live += segment.liveBytes;
      total += segment.dataBytes;
      to++;
    }
    const length = to - from;
    const mostlyDead = total - live >= live && total - live >= Math.min(WORTH_BYTES, sealBytes / 4);
    if (length > 0 && (mostlyDead || length >= MERGE_SEGMENTS)) return segments.slice(from, to);
    from = Math.max(to, from + 1);
  }
  return null;
}

export interface Rewritten {
  readonly segment: Segment;
  /** What is in it, for the caller's account of keys. */
  readonly live: readonly KeyPlace[];
  /** Ids of the messages that were left out. */
  readonly deadIds: readonly string[];
}

export async function rewriteRun(
  directory: string,
  settings: Pick<StreamSettings, 'format' | 'fsync'>,
  run: readonly Segment[],
  isNewest: (key: string, offset: number) => boolean,
): Promise<Rewritten> {
  const { base } = run[0];
  const until = run[run.length - 1].last;
  const generation = Math.max(...run.map((segment) => segment.generation)) + 1;
  const segment = createSegment(directory, settings.format, { base, until, generation });
  const unfinishedIndex = `${segment.indexFile}.new`;
  const live: KeyPlace[] = [];
  const deadIds: string[] = [];
  const writer = await SegmentWriter.open(segment, settings, unfinishedIndex);
  try {
    const cursor = createCursor(base);
    for (const source of run) {
      while (cursor.offset <= source.last) {
        const { messages } = await readPiece(cursor, source, REWRITE_PIECE);
        const kept = messages.filter(({ key, offset }) => isNewest(key, offset));
        for (const { key, offset, value } of kept) live.push({ key, offset, bytes: value.length });
        for (const { key, offset, id } of messages) if (!isNewest(key, offset)) deadIds.push(id);
        await writer.append(kept);
      }
    }
  } catch (error) {
    await writer.close();
    await Promise.allSettled([rm(segment.dataFile), rm(unfinishedIndex)]);
    throw error;
  }
  await writer.close();
  await rename(unfinishedIndex, segment.indexFile);
  segment.sealed = true;
  return { segment, live, deadIds };
}

/**
 * The segments of a log, in order, with what they take of the bound; which of them may go, and which are gone.
 *
 * Only the pump of the log calls what changes files.
 */

import { existsSync } from 'node:fs';
import { messageOf } from '../../errors.ts';
import type { StreamName } from '../stream.ts';
import { compactableRun, rewriteRun } from './compaction.ts';
import { NewestKeys } from './newest-keys.ts';
import { PublishedIds } from './published-ids.ts';
import { indexEntries, segmentFrom } from './reader.ts';
import { removeSegment } from './recover.ts';
import type { Segment } from './segment.ts';
import { REMEMBERED_IDS, type StreamLogger, type StreamSettings } from './settings.ts';

export interface ShelfOptions {
  readonly stream: StreamName;
  readonly directory: string;
  readonly settings: StreamSettings;
  readonly sealBytes: number;
  readonly log: StreamLogger;
  /** What every group has committed, null without groups. */
  readonly lowestCommitted: () => number | null;
}

export class Shelf {
  /** Of the messages in the segments, and of some that were removed since. */
  readonly ids: PublishedIds;
  readonly newest = new NewestKeys();
  readonly #options: ShelfOptions;
  #segments: Segment[] = [];
  /** Replaced by compaction, to be removed when nobody reads them any more. */
  #replaced: Segment[] = [];
  #bytes = 0;

  constructor(options: ShelfOptions) {
    this.#options = options;
    this.ids = new PublishedIds(options.directory);
  }

  /** Takes what was found on disk: ids of as many of the newest segments as are worth it; all keys of a compacted stream. */
  async restore(segments: readonly Segment[]): Promise<void> {
    const { compacted } = this.#options.settings;
    this.#segments = [...segments];
    for (const segment of segments) this.#bytes += bytesOf(segment);
    await this.ids.load();
    let from = segments.length;
    for (let messages = 0; from > 0 && (compacted || messages < REMEMBERED_IDS); ) {
      messages += segments[--from].messages;
    }
    for (const segment of segments.slice(from)) {
      for await (const entry of indexEntries(segment)) {
        this.ids.add(entry.id);
        if (compacted) this.newest.add(entry, segment);
      }
    }
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  get oldest(): Segment | undefined {
    return this.#segments[0];
  }

  /** The segment that holds `offset` or is next behind it; undefined when there is none yet. */
  from(offset: number): Segment | undefined {
    return segmentFrom(this.#segments, offset);
  }

  /** Bytes in segments that some group has not committed completely. */
  uncommittedBytes(): number {
    const lowest = this.#options.lowestCommitted();
    if (lowest === null) return 0;
    return this.#segments.reduce((sum, segment) => sum + (segment.last > lowest ? bytesOf(segment) : 0), 0);
  }

  /** `segment`, the newest, has grown by so many bytes. It is put on the shelf when it gets its first ones. */
  grow(segment: Segment, bytes: number): void {
    if (bytesOf(segment) === bytes) this.#segments.push(segment);
    this.#bytes += bytes;
  }

  /** Removes what nobody needs any more. True when there may be more to do. */
  async tidy(): Promise<boolean> {
    const { log, stream, settings } = this.#options;
    try {
      const again = settings.compacted ? await this.#compact() : await this.#removeCommitted();
      const unread = this.#replaced.filter((segment) => segment.pins === 0);
      this.#replaced = this.#replaced.filter((segment) => segment.pins > 0);
      for (const segment of unread) await removeSegment(segment);
      return again;
    } catch (error) {
      log.error({ stream, error: messageOf(error) }, 'the spool could not be tidied');
      return false;
    }
  }

  async #removeCommitted(): Promise<false> {
    const lowest = this.#options.lowestCommitted() ?? -1;
    while (this.#segments.length > 0) {
      const [oldest] = this.#segments;
      if (!oldest.sealed || oldest.last > lowest) break;
      await this.#outlive(oldest);
      if (oldest.pins > 0) break;
      this.#segments.shift();
      this.#bytes -= bytesOf(oldest);
      await removeSegment(oldest);
    }
    return false;
  }

  /** Ids that cannot be kept are no reason to keep the messages: a full disk is helped by removing them. */
  async #outlive(segment: Segment): Promise<void> {
    try {
      const ids: string[] = [];
      for await (const { id } of indexEntries(segment)) ids.push(id);
      await this.ids.outlive(ids);
    } catch (error) {
      this.#options.log.warn({ file: segment.indexFile, error: messageOf(error) }, 'ids could not be kept');
    }
  }

  async #compact(): Promise<boolean> {
    const { directory, settings, sealBytes } = this.#options;
    const run = compactableRun(this.#segments, sealBytes);
    if (run === null) return false;
    const { segment, live, deadIds } = await rewriteRun(directory, settings, run, (key, offset) =>
      this.newest.isNewest(key, offset),
    );
    await this.ids.outlive(deadIds).catch(() => undefined);
    this.newest.move(live, segment);
    const kept = segment.messages > 0;
    this.#segments.splice(this.#segments.indexOf(run[0]), run.length, ...(kept ? [segment] : []));
    this.#replaced.push(...run, ...(kept ? [] : [segment]));
    for (const old of run) this.#bytes -= bytesOf(old);
    this.#bytes += bytesOf(segment);
    return true;
  }

  /**
   * Takes segments off the shelf whose files somebody has removed, and `writing` where it is one of them.
   *
   * @returns what is gone, and how many messages with it that not every group had. Null when nothing is.
   */
  dropVanished(writing: Segment | undefined): { gone: ReadonlySet<Segment>; messages: number } | null {
    const { directory, settings, lowestCommitted } = this.#options;
    const known = writing === undefined ? this.#segments : [...this.#segments, writing];
    const gone = new Set(
      known.filter(({ dataFile, indexFile }) => !existsSync(dataFile) || !existsSync(indexFile)),
    );
    // Also where nothing lay in it: no segment could be begun any more.
    if (gone.size === 0 && existsSync(directory)) return null;
    const lowest = settings.compacted ? -1 : (lowestCommitted() ?? -1);
    let messages = 0;
    for (const segment of gone) {
      if (segment.last > lowest) messages += segment.messages;
      if (this.#segments.includes(segment)) this.#bytes -= bytesOf(segment);
      // A reader that still comes to it must not count it again.
      segment.messages = 0;
      segment.sealed = true;
    }
    this.#segments = this.#segments.filter((segment) => !gone.has(segment));
    return { gone, messages };
  }
}

function bytesOf({ dataBytes, indexBytes }: Segment): number {
  return dataBytes + indexBytes;
}

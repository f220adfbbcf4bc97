/**
 * The log of one stream: segments in order, one writer, any number of readers.
 *
 * Everything that changes files (writing, sealing, removing, compacting) happens in one serial loop, the pump; many
 * publications that wait together become one write. It never waits for a consumer: what is over the bound is refused
 * and counted. It must never acknowledge what a kill could still take away.
 */

import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import type { Source } from '../../waiting.ts';
import type { ReceivedMessage, StreamMessage, StreamName } from '../stream.ts';
import { compactableRun, rewriteRun } from './compaction.ts';
import { NewestKeys } from './newest-keys.ts';
import { type Append, Publications, settleAll } from './publications.ts';
import { PublishedIds } from './published-ids.ts';
import {
  type Cursor,
  countDamaged,
  indexEntries,
  type PieceLimits,
  readPiece,
  segmentFrom,
} from './reader.ts';
import { recoverSegments, removeSegment } from './recover.ts';
import { createSegment, type Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';
import { PIECE_BYTES, REMEMBERED_IDS, type StreamLogger, type StreamSettings } from './settings.ts';
import { Tail } from './tail.ts';

export interface StreamLogOptions {
  readonly stream: StreamName;
  readonly directory: string;
  readonly maxBytes: number;
  readonly settings: StreamSettings;
  /** Milliseconds since the epoch: where the offsets of a new stream begin. */
  readonly now: () => number;
  readonly log: StreamLogger;
  /** What every group has committed, null without groups. */
  readonly lowestCommitted: () => number | null;
  readonly groupsBehind: () => readonly string[];
}

export interface StreamLogCounters {
  published: number;
  dropped: number;
  /** Messages recognised by their id as published before. */
  repeated: number;
  /** Messages that could not be read back. */
  damaged: number;
}

const PIECE: PieceLimits = { bytes: PIECE_BYTES, messages: 10_000 };
/** About an index line without key and id, for the bound; the exact length is booked after the write. */
const INDEX_LINE_BYTES = 110;
/** It is looked so often whether the files are still there. */
const LOOK_MS = 1000;
const MAX_DAMAGES = 50;
const BOUND_REACHED = 'the spool is full (spool.max_bytes)';
const SLOW_DISK = 'the disk does not keep up';
/** While messages are refused, it is tried so often whether so much can be written again. */
const PROBE_MS = 1000;
const PROBE_BYTES = 64 * 1024;
/** A full spool counts as relieved below this part of its bound, so that the log does not tell of every refusal. */
const RELIEVED = 0.9;

export class StreamLog {
  readonly counters: StreamLogCounters = { published: 0, dropped: 0, repeated: 0, damaged: 0 };
  readonly #options: StreamLogOptions;
  readonly #sealBytes: number;
  readonly #ids: PublishedIds;
  readonly #newest = new NewestKeys();
  readonly #tail = new Tail();
  readonly #queue = new Publications();
  #segments: Segment[] = [];
  /** Replaced by compaction, to be removed when nobody reads them any more. */
  #replaced: Segment[] = [];
  #writer: SegmentWriter | null = null;
  #bytes = 0;
  #end = 0;
  #tailReaders = 0;
  #changes = 0;
  readonly #waiting = new Set<() => void>();
  #pumping: Promise<void> | null = null;
  #sealDue = false;
  #sealWanted = false;
  #sealTimer: NodeJS.Timeout | null = null;
  #tidyDue = false;
  #probeDue = false;
  #lookDue = false;
  #watchTimer: NodeJS.Timeout | null = null;
  readonly #damages: string[] = [];
  /** Why messages are refused, as long as they are, and how many rows were. */
  #refusing: string | null = null;
  #refused = 0;
  #lastRefusal = '';
  #probeTimer: NodeJS.Timeout | null = null;
  /** Why messages cannot be read, as long as they cannot. */
  #unreadable: string | null = null;
  #closed = false;

  constructor(options: StreamLogOptions) {
    this.#options = options;
    // A bound that one segment could fill would leave nothing to remove.
    this.#sealBytes = Math.min(options.settings.sealBytes, Math.ceil(options.maxBytes / 8));
    this.#ids = new PublishedIds(options.directory);
  }

  /** Recovers what is on disk. `highestCommitted` is -1 when no group ever committed anything. */
  async open(highestCommitted: number): Promise<void> {
    const { directory, settings, log, stream, now } = this.#options;
    const existed = existsSync(directory);
    await mkdir(directory, { recursive: true });
    const { segments, losses } = await recoverSegments(directory, settings, log);
    this.#segments = segments;
    for (const { messages, text } of losses) this.#noteDamage(messages, text);
    if (segments.length === 0 && highestCommitted >= 0 && !existed)
      this.#noteDamage(0, `${directory} was removed since the last run, with all that was kept in it`);
    for (const segment of segments) this.#bytes += segment.dataBytes + segment.indexBytes;
    await this.#ids.load();
    await this.#readIndexes();
    const last = Math.max(segments.at(-1)?.last ?? -1, highestCommitted);
    // Consumers recognise a repeated message by its offset: one that is used again would be taken for it. So a stream
    // that knows nothing of its past, perhaps because somebody removed the files, begins where none has been.
    this.#end = last >= 0 ? last + 1 : Math.max(0, Math.floor(now()));
    if (segments.length > 0) {
      log.info(
        { stream, segments: segments.length, bytes: this.#bytes },
        'messages of the last run are kept',
      );
    }
    this.tidy();
    this.#watchTimer = setInterval(() => {
      this.#lookDue = true;
      this.#wake();
    }, LOOK_MS).unref();
  }

  /** Ids of as many of the newest segments as are worth it; all keys of a compacted stream. */
  async #readIndexes(): Promise<void> {
    const { compacted } = this.#options.settings;
    let from = this.#segments.length;
    for (let messages = 0; from > 0 && (compacted || messages < REMEMBERED_IDS); ) {
      messages += this.#segments[--from].messages;
    }
    for (const segment of this.#segments.slice(from)) {
      for await (const entry of indexEntries(segment)) {
        this.#ids.add(entry.id);
        if (compacted) this.#newest.add(entry, segment);
      }
    }
  }

  /** The offset of the oldest message kept, or of the next one when there is none. */
  get start(): number {
    return this.#segments[0]?.base ?? this.#end;
  }

  /** The offset that the next message gets. */
  get end(): number {
    return this.#end;
  }

  /** Bytes in segments that some group has not committed completely. */
  uncommittedBytes(): number {
    const lowest = this.#options.lowestCommitted();
    let bytes = 0;
    if (lowest === null) return 0;
    for (const { last, dataBytes, indexBytes } of this.#segments) {
      if (last > lowest) bytes += dataBytes + indexBytes;
    }
    return bytes;
  }

  publish(messages: readonly StreamMessage[]): Promise<{ accepted: number; dropped: number }> {
    if (this.#closed) {
      return Promise.reject(new RogueSmtpError('stream', `the stream "${this.#options.stream}" is stopped`));
    }
    return new Promise((resolve) => {
      const dropped = this.#queue.add(messages, resolve);
      if (dropped > 0) this.#refuse(dropped, SLOW_DISK);
      this.#wake();
    });
  }

  /** Starts the pump unless it runs. */
  #wake(): void {
    if (this.#pumping !== null || !this.#hasWork()) return;
    this.#pumping = this.#pump().finally(() => {
      this.#pumping = null;
      this.#wake();
    });
  }

  #hasWork(): boolean {
    return !this.#queue.empty || this.#sealDue || this.#tidyDue || this.#probeDue || this.#lookDue;
  }

  async #pump(): Promise<void> {
    // Publications of the same turn of the event loop go into the same write.
    await Promise.resolve();
    while (this.#hasWork()) {
      if (!this.#queue.empty) await this.#write(this.#take());
      if (this.#sealDue || this.#isFull()) {
        this.#sealDue = false;
        await this.#seal();
      }
      if (this.#tidyDue) {
        this.#tidyDue = false;
        await this.#tidyNow();
      }
      if (this.#lookDue) {
        this.#lookDue = false;
        await this.#noticeVanished();
      }
      if (this.#probeDue) {
        this.#probeDue = false;
        await this.#probe();
      }
    }
  }

  /** As many waiting messages as fit into one write and into the segment. */
  #take(): Append[] {
    const { sealRows, sealMessages } = this.#options.settings;
    const { rows = 0, messages = 0, dataBytes = 0 } = this.#writer?.segment ?? {};
    return this.#queue.take({
      bytes: Math.min(PIECE_BYTES, this.#sealBytes - dataBytes),
      rows: sealRows - rows,
      messages: sealMessages - messages,
    });
  }

  #isFull(): boolean {
    if (this.#writer === null) return false;
    const { sealRows, sealMessages } = this.#options.settings;
    const { rows, messages, dataBytes, indexBytes } = this.#writer.segment;
    return rows >= sealRows || messages >= sealMessages || dataBytes + indexBytes >= this.#sealBytes;
  }

  async #write(appends: readonly Append[]): Promise<void> {
    const { fresh, repeated } = this.#sort(appends);
    let failure: string | null = null;
    if (fresh.length > 0) {
      try {
        await this.#append(fresh.map((append) => append.message));
        for (const { message, publication } of fresh) publication.accepted += message.rows;
        this.#relieve();
      } catch (error) {
        failure = this.#writeFailure(error);
        await this.#writer?.cutBack();
        await this.#seal();
        for (const append of fresh) this.#drop(append, failure);
      }
    }
    for (const append of repeated) {
      // The first of two in the same write may just have failed.
      if (failure !== null && !this.#ids.has(append.message.id)) {
        this.#drop(append, failure);
        continue;
      }
      append.publication.accepted += append.message.rows;
      this.counters.repeated++;
    }
    settleAll(appends);
    this.#notify();
  }

  /** Parts what is new from what was published before, and drops what is over the bound. */
  #sort(appends: readonly Append[]): { fresh: Append[]; repeated: Append[] } {
    const fresh: Append[] = [];
    const repeated: Append[] = [];
    const ids = new Set<string>();
    let bytes = this.#bytes;
    for (const append of appends) {
      const { key, id, value } = append.message;
      if (id !== '' && (this.#ids.has(id) || ids.has(id))) {
        repeated.push(append);
        continue;
      }
      const size = value.length + INDEX_LINE_BYTES + key.length + id.length;
      if (bytes + size > this.#options.maxBytes) {
        this.#drop(append, BOUND_REACHED);
        continue;
      }
      bytes += size;
      ids.add(id);
      fresh.push(append);
    }
    return { fresh, repeated };
  }

  #drop({ message, publication }: Append, why: string): void {
    publication.dropped += message.rows;
    this.#refuse(message.rows, why);
  }

  #refuse(rows: number, why: string): void {
    this.counters.dropped += rows;
    this.#refused += rows;
    this.#lastRefusal = why;
    if (this.#refusing !== null) {
      // A disk may be full while the bound is reached: what stands in the way last is what to look at.
      this.#refusing = why;
      return;
    }
    this.#refusing = why;
    const { log, stream, maxBytes, groupsBehind } = this.#options;
    log.error(
      { stream, why, bytes: this.#bytes, maxBytes, groupsBehind: groupsBehind() },
      'the spool takes no messages: they are dropped and counted until it does',
    );
    this.#scheduleProbe();
  }

  /** In words that name the cause and the place. */
  #writeFailure(error: unknown): string {
    const { directory } = this.#options;
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOSPC') return `no space is left on the disk of ${directory}`;
    if (code === 'EDQUOT') return `the disk quota of ${directory} is used up`;
    return `it cannot be written: ${messageOf(error)}`;
  }

  /** Nobody may publish for a long time, and the refusal must end when its cause has. */
  #scheduleProbe(): void {
    if (this.#probeTimer !== null || this.#closed) return;
    this.#probeTimer = setTimeout(() => {
      this.#probeTimer = null;
      this.#probeDue = true;
      this.#wake();
    }, PROBE_MS).unref();
  }

  async #probe(): Promise<void> {
    if (this.#refusing === null) return;
    const file = join(this.#options.directory, 'probe');
    try {
      await writeFile(file, Buffer.alloc(PROBE_BYTES));
      this.#relieve();
    } catch (error) {
      this.#refusing = this.#writeFailure(error);
    }
    await rm(file, { force: true }).catch(() => undefined);
    if (this.#refusing !== null) this.#scheduleProbe();
  }

  /** Why the newest messages that were refused were, in words; '' when none was. */
  get lastRefusal(): string {
    return this.#lastRefusal;
  }

  /** What keeps messages from being taken or read at present. */
  troubles(): readonly string[] {
    const { stream } = this.#options;
    return [
      ...(this.#refusing === null ? [] : [`the stream ${stream} takes no messages: ${this.#refusing}`]),
      ...(this.#unreadable === null ? [] : [`the stream ${stream} cannot be read: ${this.#unreadable}`]),
    ];
  }

  /** Told by the readers; null when they can read again. */
  noteReading(failure: string | null): void {
    this.#unreadable = failure;
  }

  /** A write went well. */
  #relieve(): void {
    if (this.#refusing === null || this.#bytes > this.#options.maxBytes * RELIEVED) return;
    const { log, stream } = this.#options;
    log.info({ stream, dropped: this.#refused }, 'the spool takes messages again');
    this.#refusing = null;
    this.#refused = 0;
  }

  async #append(messages: readonly StreamMessage[]): Promise<void> {
    const { directory, settings } = this.#options;
    if (this.#writer === null) {
      const segment = createSegment(directory, settings.format, { base: this.#end });
      this.#writer = await SegmentWriter.open(segment, settings).catch(async (error: unknown) => {
        if (existsSync(directory)) throw error;
        await this.#noticeVanished();
        return SegmentWriter.open(segment, settings);
      });
    }
    const { segment } = this.#writer;
    const before = segment.dataBytes + segment.indexBytes;
    const first = this.#end;
    const written = await this.#writer.append(
      messages.map(({ key, id, rows, partition, value }, i) => ({
        offset: first + i,
        key,
        id,
        rows,
        partition,
        value,
      })),
    );
    if (before === 0) this.#segments.push(segment);
    this.#bytes += segment.dataBytes + segment.indexBytes - before;
    for (const message of written) {
      const { key, id, offset, rows, value } = message;
      this.#ids.add(id);
      this.counters.published += rows;
      if (settings.compacted) this.#newest.add({ key, offset, bytes: value.length }, segment);
      if (this.#tailReaders > 0) this.#tail.push(message);
    }
    this.#end = first + messages.length;
    if (this.#sealWanted) this.#scheduleSeal();
  }

  async #seal(): Promise<void> {
    const writer = this.#writer;
    if (writer === null) return;
    this.#writer = null;
    this.#sealWanted = false;
    if (this.#sealTimer !== null) clearTimeout(this.#sealTimer);
    this.#sealTimer = null;
    await writer.close();
    writer.segment.sealed = true;
    if (writer.segment.messages === 0) await removeSegment(writer.segment).catch(() => undefined);
    this.tidy();
    this.#notify();
  }

  /** A consumer by segment waits: the segment that is written is sealed when it is old enough, be it full or not. */
  wantSealed(): void {
    this.#sealWanted = true;
    this.#scheduleSeal();
  }

  #scheduleSeal(): void {
    if (this.#sealTimer !== null || this.#closed) return;
    if (this.#writer === null || this.#writer.segment.messages === 0) return;
    const ageMs = performance.now() - this.#writer.openedAtMs;
    this.#sealTimer = setTimeout(
      () => {
        this.#sealTimer = null;
        this.#sealDue = true;
        this.#wake();
      },
      Math.max(0, this.#options.settings.sealAgeMs - ageMs),
    );
  }

  /** Removes what nobody needs any more, soon. To be called when a group has committed or a segment was let go. */
  tidy(): void {
    if (this.#closed) return;
    this.#tidyDue = true;
    this.#wake();
  }

  async #tidyNow(): Promise<void> {
    const { log, stream, settings } = this.#options;
    try {
      if (settings.compacted) await this.#compact();
      else await this.#removeCommitted();
      const unread = this.#replaced.filter((segment) => segment.pins === 0);
      this.#replaced = this.#replaced.filter((segment) => segment.pins > 0);
      for (const segment of unread) await removeSegment(segment);
    } catch (error) {
      log.error({ stream, error: messageOf(error) }, 'the spool could not be tidied');
    }
  }

  async #removeCommitted(): Promise<void> {
    const lowest = this.#options.lowestCommitted() ?? -1;
    while (this.#segments.length > 0) {
      const [oldest] = this.#segments;
      if (!oldest.sealed || oldest.last > lowest) return;
      await this.#outlive(oldest);
      if (oldest.pins > 0) return;
      this.#segments.shift();
      this.#bytes -= oldest.dataBytes + oldest.indexBytes;
      await removeSegment(oldest);
    }
  }

  /** Ids that cannot be kept are no reason to keep the messages: a full disk is helped by removing them. */
  async #outlive(segment: Segment): Promise<void> {
    try {
      const ids: string[] = [];
      for await (const { id } of indexEntries(segment)) ids.push(id);
      await this.#ids.outlive(ids);
    } catch (error) {
      this.#options.log.warn({ file: segment.indexFile, error: messageOf(error) }, 'ids could not be kept');
    }
  }

  async #compact(): Promise<void> {
    const run = compactableRun(this.#segments, this.#sealBytes);
    if (run === null) return;
    const { directory, settings } = this.#options;
    const { segment, live, deadIds } = await rewriteRun(directory, settings, run, (key, offset) =>
      this.#newest.isNewest(key, offset),
    );
    await this.#ids.outlive(deadIds).catch(() => undefined);
    this.#newest.move(live, segment);
    const kept = segment.messages > 0;
    this.#segments.splice(this.#segments.indexOf(run[0]), run.length, ...(kept ? [segment] : []));
    this.#replaced.push(...run, ...(kept ? [] : [segment]));
    for (const { dataBytes, indexBytes } of run) this.#bytes -= dataBytes + indexBytes;
    this.#bytes += segment.dataBytes + segment.indexBytes;
    this.#tidyDue = true;
  }

  /** Messages are kept in memory for up-to-date readers from now on, until the returned function is called. */
  addTailReader(): () => void {
    this.#tailReaders++;
    return () => {
      this.#tailReaders--;
      if (this.#tailReaders === 0) this.#tail.clear();
    };
  }

  /** The next messages from the cursor on, at least one, and moves it behind them; none at the end of the log. */
  async read(cursor: Cursor): Promise<ReceivedMessage[]> {
    while (cursor.offset < this.#end) {
      const recent = this.#tail.from(cursor.offset, PIECE);
      if (recent.length > 0) {
        cursor.offset += recent.length;
        return recent;
      }
      const segment = segmentFrom(this.#segments, cursor.offset);
      if (segment === undefined) cursor.offset = this.#end;
      else {
        const messages = await this.readSegment(cursor, segment);
        if (messages.length > 0) return messages;
      }
    }
    return [];
  }

  /** As `read`, but not beyond `segment`. */
  async readSegment(cursor: Cursor, segment: Segment): Promise<ReceivedMessage[]> {
    const { messages, damaged } = await readPiece(cursor, segment, PIECE);
    if (damaged > 0) this.#countDamage(segment, damaged);
    return messages;
  }

  /** A segment of an earlier run is read against its checksums before it is handed out as a file. */
  async verify(segment: Segment): Promise<void> {
    if (segment.verified) return;
    segment.verified = true;
    // Message by message the harmed ones are passed over and counted.
    if ((await countDamaged(segment)) > 0) segment.exact = false;
  }

  /** Somebody removed files under us: what was in them is gone, and what is written on would be, too. */
  async #noticeVanished(): Promise<void> {
    const known = this.#writer === null ? this.#segments : [...this.#segments, this.#writer.segment];
    const gone = new Set(
      known.filter(({ dataFile, indexFile }) => !existsSync(dataFile) || !existsSync(indexFile)),
    );
    const { directory, settings, stream } = this.#options;
    // Also where nothing lay in it: no segment could be begun any more.
    if (gone.size === 0 && existsSync(directory)) return;
    const lowest = settings.compacted ? -1 : (this.#options.lowestCommitted() ?? -1);
    let messages = 0;
    for (const segment of gone) {
      if (segment.last > lowest) messages += segment.messages;
      if (this.#segments.includes(segment)) this.#bytes -= segment.dataBytes + segment.indexBytes;
      // A reader that still comes to it must not count it again.
      segment.messages = 0;
      segment.sealed = true;
    }
    this.#segments = this.#segments.filter((segment) => !gone.has(segment));
    if (this.#writer !== null && gone.has(this.#writer.segment)) {
      const writer = this.#writer;
      this.#writer = null;
      await writer.close();
    }
    const text = `${directory}: files of the stream ${stream} were removed while it runs, with ${messages} message(s)`;
    this.#options.log.error({ stream, directory, messages }, text);
    this.#noteDamage(messages, text);
    await mkdir(directory, { recursive: true }).catch(() => undefined);
    this.#notify();
  }

  #noteDamage(messages: number, text: string): void {
    this.counters.damaged += messages;
    if (this.#damages.length < MAX_DAMAGES) this.#damages.push(text);
  }

  /** What was found damaged or gone since the start, in words: the first findings. */
  get damages(): readonly string[] {
    return this.#damages;
  }

  /** A consumer was to get this segment as a file, and somebody has removed it. */
  countLost(segment: Segment): void {
    this.#countDamage(segment, segment.messages);
  }

  #countDamage(segment: Segment, messages: number): void {
    if (messages === 0) return;
    this.#noteDamage(
      messages,
      `${segment.dataFile}: ${messages} message(s) are damaged or gone, and passed over`,
    );
    this.#options.log.error(
      { file: segment.dataFile, messages },
      'messages in the spool are damaged or gone, and passed over',
    );
    if (!existsSync(segment.dataFile)) segment.messages = 0;
  }

  /** The sealed segment that holds `offset` or is next behind it; undefined when there is none yet. */
  sealedFrom(offset: number): Segment | undefined {
    const segment = segmentFrom(this.#segments, offset);
    return segment?.sealed === true ? segment : undefined;
  }

  /** Of a compacted stream: no later message has the same key. */
  isNewest({ key, offset }: ReceivedMessage): boolean {
    return this.#newest.isNewest(key, offset);
  }

  /** How many changes there were: messages, sealed segments, the end. */
  get changes(): number {
    return this.#changes;
  }

  /** Those that wait for a change now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next change after the first `seen` ones. */
  changed(seen: number): Source<void> {
    return (resolve) => {
      if (this.#changes !== seen) {
        resolve();
        return () => undefined;
      }
      // An object of its own for each wait, should two waits share a function.
      const wait = () => resolve();
      this.#waiting.add(wait);
      return () => this.#waiting.delete(wait);
    };
  }

  #notify(): void {
    this.#changes++;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Writes the publications that wait; takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#sealTimer !== null) clearTimeout(this.#sealTimer);
    this.#sealTimer = null;
    if (this.#probeTimer !== null) clearTimeout(this.#probeTimer);
    if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
    while (this.#pumping !== null) await this.#pumping;
    await this.#seal();
    this.#notify();
  }
}

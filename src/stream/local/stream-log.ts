/**
 * The log of one stream: segments in order, one writer, any number of readers.
 *
 * Everything that changes files (writing, sealing, removing, compacting) happens in one serial loop, the pump; many
 * publications that wait together become one write. It never waits for a consumer: what is over the bound is refused
 * and counted. It must never acknowledge what a kill could still take away.
 */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { RogueSmtpError } from '../../errors.ts';
import type { ReceivedMessage, StreamMessage, StreamName } from '../stream.ts';
import { Changes } from './changes.ts';
import { Damages } from './damages.ts';
import { type Append, Publications, settleAll } from './publications.ts';
import { type Cursor, countDamaged, type PieceLimits, readPiece } from './reader.ts';
import { recoverSegments, removeSegment } from './recover.ts';
import { Refusals, writeFailure } from './refusals.ts';
import { createSegment, type Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';
import { PIECE_BYTES, type StreamLogger, type StreamSettings } from './settings.ts';
import { Shelf } from './shelf.ts';
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
const BOUND_REACHED = 'the spool is full (spool.max_bytes)';
const SLOW_DISK = 'the disk does not keep up';

export class StreamLog {
  readonly counters: StreamLogCounters = { published: 0, dropped: 0, repeated: 0, damaged: 0 };
  /** Messages, sealed segments, the end: what a reader waits for. */
  readonly changes = new Changes();
  readonly #options: StreamLogOptions;
  readonly #sealBytes: number;
  readonly #shelf: Shelf;
  readonly #tail = new Tail();
  readonly #queue = new Publications();
  readonly #refusals: Refusals;
  readonly #damages: Damages;
  #writer: SegmentWriter | null = null;
  #end = 0;
  #tailReaders = 0;
  #pumping: Promise<void> | null = null;
  #sealDue = false;
  #sealWanted = false;
  #sealTimer: NodeJS.Timeout | null = null;
  #tidyDue = false;
  #probeDue = false;
  #lookDue = false;
  #watchTimer: NodeJS.Timeout | null = null;
  /** Why messages cannot be read, as long as they cannot. */
  #unreadable: string | null = null;
  #closed = false;

  constructor(options: StreamLogOptions) {
    this.#options = options;
    // A bound that one segment could fill would leave nothing to remove.
    this.#sealBytes = Math.min(options.settings.sealBytes, Math.ceil(options.maxBytes / 8));
    this.#shelf = new Shelf({ ...options, sealBytes: this.#sealBytes });
    this.#damages = new Damages(options.log, (messages) => {
      this.counters.damaged += messages;
    });
    this.#refusals = new Refusals({
      ...options,
      bytes: () => this.#shelf.bytes,
      onProbeDue: () => {
        this.#probeDue = true;
        this.#wake();
      },
    });
  }

  /** Recovers what is on disk. `highestCommitted` is -1 when no group ever committed anything. */
  async open(highestCommitted: number): Promise<void> {
    const { directory, settings, log, stream, now } = this.#options;
    const existed = existsSync(directory);
    await mkdir(directory, { recursive: true });
    const { segments, losses } = await recoverSegments(directory, settings, log);
    for (const { messages, text } of losses) this.#damages.note(messages, text);
    if (segments.length === 0 && highestCommitted >= 0 && !existed)
      this.#damages.note(0, `${directory} was removed since the last run, with all that was kept in it`);
    await this.#shelf.restore(segments);
    const last = Math.max(segments.at(-1)?.last ?? -1, highestCommitted);
    // Consumers recognise a repeated message by its offset: one that is used again would be taken for it. So a stream
    // that knows nothing of its past, perhaps because somebody removed the files, begins where none has been.
    this.#end = last >= 0 ? last + 1 : Math.max(0, Math.floor(now()));
    if (segments.length > 0) {
      log.info(
        { stream, segments: segments.length, bytes: this.#shelf.bytes },
        'messages of the last run are kept',
      );
    }
    this.tidy();
    this.#watchTimer = setInterval(() => {
      this.#lookDue = true;
      this.#wake();
    }, LOOK_MS).unref();
  }

  /** The offset of the oldest message kept, or of the next one when there is none. */
  get start(): number {
    return this.#shelf.oldest?.base ?? this.#end;
  }

  /** The offset that the next message gets. */
  get end(): number {
    return this.#end;
  }

  /** Bytes in segments that some group has not committed completely. */
  uncommittedBytes(): number {
    return this.#shelf.uncommittedBytes();
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
        if (await this.#shelf.tidy()) this.#tidyDue = true;
      }
      if (this.#lookDue) {
        this.#lookDue = false;
        await this.#noticeVanished();
      }
      if (this.#probeDue) {
        this.#probeDue = false;
        await this.#refusals.probe();
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
        this.#refusals.relieve();
      } catch (error) {
        failure = writeFailure(this.#options.directory, error);
        await this.#writer?.cutBack();
        await this.#seal();
        for (const append of fresh) this.#drop(append, failure);
      }
    }
    for (const append of repeated) {
      // The first of two in the same write may just have failed.
      if (failure !== null && !this.#shelf.ids.has(append.message.id)) {
        this.#drop(append, failure);
        continue;
      }
      append.publication.accepted += append.message.rows;
      this.counters.repeated++;
    }
    settleAll(appends);
    this.changes.notify();
  }

  /** Parts what is new from what was published before, and drops what is over the bound. */
  #sort(appends: readonly Append[]): { fresh: Append[]; repeated: Append[] } {
    const fresh: Append[] = [];
    const repeated: Append[] = [];
    const ids = new Set<string>();
    let bytes = this.#shelf.bytes;
    for (const append of appends) {
      const { key, id, value } = append.message;
      if (id !== '' && (this.#shelf.ids.has(id) || ids.has(id))) {
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
    this.#refusals.refuse(rows, why);
  }

  /** Why the newest messages that were refused were, in words; '' when none was. */
  get lastRefusal(): string {
    return this.#refusals.lastWhy;
  }

  /** What keeps messages from being taken or read at present. */
  troubles(): readonly string[] {
    const { stream } = this.#options;
    return [
      ...(this.#refusals.why === null
        ? []
        : [`the stream ${stream} takes no messages: ${this.#refusals.why}`]),
      ...(this.#unreadable === null ? [] : [`the stream ${stream} cannot be read: ${this.#unreadable}`]),
    ];
  }

  /** Told by the readers; null when they can read again. */
  noteReading(failure: string | null): void {
    this.#unreadable = failure;
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
    this.#shelf.grow(segment, segment.dataBytes + segment.indexBytes - before);
    for (const message of written) {
      const { key, id, offset, rows, value } = message;
      this.#shelf.ids.add(id);
      this.counters.published += rows;
      if (settings.compacted) this.#shelf.newest.add({ key, offset, bytes: value.length }, segment);
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
    this.changes.notify();
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
      const segment = this.#shelf.from(cursor.offset);
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
    this.#damages.noteUnreadable(segment, damaged);
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
    const vanished = this.#shelf.dropVanished(this.#writer?.segment);
    if (vanished === null) return;
    const { gone, messages } = vanished;
    if (this.#writer !== null && gone.has(this.#writer.segment)) {
      const writer = this.#writer;
      this.#writer = null;
      await writer.close();
    }
    const { directory, stream } = this.#options;
    const text = `${directory}: files of the stream ${stream} were removed while it runs, with ${messages} message(s)`;
    this.#options.log.error({ stream, directory, messages }, text);
    this.#damages.note(messages, text);
    await mkdir(directory, { recursive: true }).catch(() => undefined);
    this.changes.notify();
  }

  /** What was found damaged or gone since the start, in words: the first findings. */
  get damages(): readonly string[] {
    return this.#damages.findings;
  }

  /** A consumer was to get this segment as a file, and somebody has removed it. */
  countLost(segment: Segment): void {
    this.#damages.noteUnreadable(segment, segment.messages);
  }

  /** The sealed segment that holds `offset` or is next behind it; undefined when there is none yet. */
  sealedFrom(offset: number): Segment | undefined {
    const segment = this.#shelf.from(offset);
    return segment?.sealed === true ? segment : undefined;
  }

  /** Of a compacted stream: no later message has the same key. */
  isNewest({ key, offset }: ReceivedMessage): boolean {
    return this.#shelf.newest.isNewest(key, offset);
  }

  /** Writes the publications that wait; takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#sealTimer !== null) clearTimeout(this.#sealTimer);
    this.#sealTimer = null;
    this.#refusals.close();
    if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
    while (this.#pumping !== null) await this.#pumping;
    await this.#seal();
    this.changes.notify();
  }
}

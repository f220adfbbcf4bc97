/**
 * Moves what lies unread in the directory of a local stream to another stream, for an operator who changed to brokers.
 *
 * Each message keeps its offset as its number, under a name that stays with the directory, and names the groups that had
 * read it already. So a move that was killed goes on where it was, and no group handles a message twice. Of incidents and
 * decisions the newest of each key is moved, unless the other stream has one. Nothing is removed here: positions say what was
 * moved. The directory must not be in use.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RogueSmtpError } from '../../errors.ts';
import { producerBase } from '../producer-lives.ts';
import {
  type CompactedStream,
  isCompacted,
  type ReceivedMessage,
  STREAM_NAMES,
  type Stream,
  type StreamMessage,
  type StreamName,
} from '../stream.ts';
import { lockDirectory } from './directory-lock.ts';
import { GroupPositions } from './positions.ts';
import { createCursor, indexEntries, readPiece } from './reader.ts';
import { PIECE_BYTES, STREAM_SETTINGS, type StreamLogger } from './settings.ts';
import { segmentsAsFound } from './verify.ts';

/** The group whose position says what was moved, where no group has read the stream. */
const MAIN_READER = { flows: 'store', mail: 'detect', alerts: 'store' } as const;
const PATIENCE_MS = 30_000;
const PAUSE_MS = 500;
const PIECE = { bytes: PIECE_BYTES, messages: 1000 };

export interface MoveOptions {
  /** Of the local stream. */
  readonly directory: string;
  readonly to: Pick<Stream, 'publish' | 'latest' | 'partitions'>;
  /**
   * The message as it belongs into the partitions of the other stream: at most one part for each. The same message must
   * give the same parts whenever it is asked.
   */
  readonly partsOf: (stream: StreamName, message: ReceivedMessage) => readonly StreamMessage[];
  readonly log: StreamLogger;
}

export interface Moved {
  readonly stream: StreamName;
  /** Flow rows, or JSON messages. */
  readonly rows: number;
  /** Messages that could not be read. */
  readonly damaged: number;
}

/** Throws RogueSmtpError `io` when the directory is in use or cannot be read, `stream` when the other stream refuses. */
export async function moveStreams(options: MoveOptions): Promise<readonly Moved[]> {
  const { directory, log } = options;
  if (!existsSync(directory)) return [];
  const lock = await lockDirectory(directory);
  try {
    const positions = new GroupPositions(join(directory, 'groups'), log);
    await positions.load();
    const producer = `${await producerBase(directory)}-moved`;
    const moved: Moved[] = [];
    // What is known of hosts comes before the flows that change it.
    for (const stream of [...STREAM_NAMES].sort((a, b) => Number(isCompacted(b)) - Number(isCompacted(a)))) {
      if (!existsSync(join(directory, stream))) continue;
      moved.push(
        isCompacted(stream)
          ? await moveNewest(options, stream)
          : await moveUnread(options, stream, positions, producer),
      );
    }
    return moved;
  } finally {
    await lock.release();
  }
}

async function moveUnread(
  { directory, to, partsOf }: MoveOptions,
  stream: keyof typeof MAIN_READER,
  positions: GroupPositions,
  producer: string,
): Promise<Moved> {
  if (positions.readers(stream).size === 0) await positions.register(MAIN_READER[stream], [stream], () => 0);
  const from = (positions.lowest(stream) ?? -1) + 1;
  let rows = 0;
  let damaged = 0;
  const commit = async (offset: number) => {
    for (const group of positions.readers(stream).keys()) await positions.commit(group, stream, offset);
  };
  for await (const piece of piecesFrom(join(directory, stream), stream, from)) {
    const readers = [...positions.readers(stream)];
    const records = piece.messages.flatMap((message) => {
      const readBy = readers.filter(([, committed]) => committed >= message.offset).map(([group]) => group);
      const origin = { producer, sequence: message.offset };
      return partsOf(stream, message).map((part) => ({
        ...part,
        origin,
        ...(readBy.length > 0 && { readBy }),
      }));
    });
    await patiently(() => to.publish(stream, records));
    await commit(piece.last);
    damaged += piece.damaged;
    for (const message of piece.messages) rows += message.rows;
  }
  return { stream, rows, damaged };
}

async function moveNewest({ directory, to, partsOf }: MoveOptions, stream: CompactedStream): Promise<Moved> {
  const newest = new Map<string, ReceivedMessage>();
  let damaged = 0;
  for await (const piece of piecesFrom(join(directory, stream), stream, 0)) {
    damaged += piece.damaged;
    for (const message of piece.messages)
      if (message.offset >= (newest.get(message.key)?.offset ?? 0)) newest.set(message.key, message);
  }
  const partitions = Array.from({ length: to.partitions(stream) }, (_, partition) => partition);
  await patiently(async () => {
    for await (const { key } of to.latest(stream, partitions)) newest.delete(key);
  });
  const left = [...newest.values()].flatMap((message) => partsOf(stream, message));
  for (let at = 0; at < left.length; at += PIECE.messages)
    await patiently(() => to.publish(stream, left.slice(at, at + PIECE.messages)));
  return { stream, rows: left.length, damaged };
}

/** Tries again while brokers are away for a moment, or have not heard of a new topic. What was taken twice is told by its number. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof RogueSmtpError && error.transient) || performance.now() > deadline) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

interface FoundPiece {
  readonly messages: readonly ReceivedMessage[];
  readonly damaged: number;
  /** The last offset up to which everything was looked at. */
  readonly last: number;
}

async function* piecesFrom(folder: string, stream: StreamName, from: number): AsyncGenerator<FoundPiece> {
  for (const { segment } of await segmentsAsFound(folder, STREAM_SETTINGS[stream].format)) {
    let last = -1;
    for await (const { offset } of indexEntries(segment)) last = Math.max(last, offset);
    const cursor = createCursor(Math.max(segment.base, from));
    while (cursor.offset <= last) {
      const before = cursor.offset;
      const { messages, damaged } = await readPiece(cursor, segment, PIECE);
      yield { messages, damaged, last: Math.min(last, cursor.offset - 1) };
      if (cursor.offset === before) break;
    }
  }
}

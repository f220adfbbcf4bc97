/**
 * One consumer of one stream: fetches deliveries and hands them over one at a time, again and again until it takes
 * them.
 *
 * A slow consumer holds one delivery in memory, never the backlog. Nothing overtakes a delivery that was refused. It
 * must not move a position: committing is the consumer's, when its effects are durable.
 */

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import { aborted, firstOf } from '../../waiting.ts';
import type { Delivery, ReceivedMessage, StreamName, SubscribeOptions } from '../stream.ts';
import { createCursor } from './reader.ts';
import type { Segment } from './segment.ts';
import type { StreamLogger } from './settings.ts';
import type { StreamLog } from './stream-log.ts';

/** Streams are not divided here. */
export const ONLY_PARTITION = 0;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

export interface ReadingOptions extends Pick<SubscribeOptions, 'unit' | 'onDelivery'> {
  readonly stream: StreamName;
  readonly group: string;
  readonly streamLog: StreamLog;
  /** The offset of the first message wanted. */
  readonly from: number;
  /** The group's committed offset now. */
  readonly committed: () => number;
  readonly log: StreamLogger;
}

interface Fetched {
  readonly delivery: Delivery;
  /** The file is in use. */
  readonly segment: Segment | null;
}

/** Reads until `signal` is aborted, then resolves when the delivery under way is over. */
export async function readStream(options: ReadingOptions, signal: AbortSignal): Promise<void> {
  const { stream, group, unit, streamLog, onDelivery, committed, log } = options;
  const cursor = createCursor(options.from);
  const stopTailReading = unit === 'message' ? streamLog.addTailReader() : () => undefined;

  async function fetch(): Promise<Fetched | null> {
    if (unit === 'message') return deliveryOf(await streamLog.read(cursor));
    const segment = streamLog.sealedFrom(cursor.offset);
    if (segment === undefined) return null;
    await streamLog.verify(segment);
    if (segment.base >= cursor.offset && segment.exact) {
      cursor.offset = segment.last + 1;
      segment.pins++;
      return { delivery: fileDelivery(stream, segment), segment };
    }
    // The group stands in the middle of it, as one does that used to read by message.
    return deliveryOf(await streamLog.readSegment(cursor, segment));
  }

  async function readNext(): Promise<Fetched | null> {
    try {
      const fetched = await fetch();
      streamLog.noteReading(null);
      return fetched;
    } catch (error) {
      streamLog.noteReading(messageOf(error));
      throw error;
    }
  }

  function deliveryOf(messages: readonly ReceivedMessage[]): Fetched | null {
    return messages.length === 0 ? null : { delivery: messageDelivery(stream, messages), segment: null };
  }

  async function deliver({ delivery, segment }: Fetched): Promise<void> {
    try {
      await untilDone(async () => {
        // A consumer may commit and then fail: what it has committed is never repeated.
        if (delivery.lastOffset <= committed()) return;
        if (segment !== null && !existsSync(segment.dataFile)) streamLog.countLost(segment);
        else await onDelivery(delivery, signal);
      }, 'a delivery failed and comes again');
    } finally {
      if (segment !== null) {
        segment.pins--;
        streamLog.tidy();
      }
    }
  }

  async function untilDone<T>(work: () => Promise<T>, complaint: string): Promise<T | null> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ stream, group, error: messageOf(error), pauseMs }, complaint);
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
    return null;
  }

  try {
    while (!signal.aborted) {
      // Noted before looking, so that what comes in between is not missed.
      const seen = streamLog.changes.count;
      const before = cursor.offset;
      const fetched = await untilDone(readNext, 'the spool cannot be read');
      if (fetched !== null) await deliver(fetched);
      else if (cursor.offset === before && !signal.aborted) {
        if (unit === 'segment') streamLog.wantSealed();
        await firstOf(streamLog.changes.after(seen), aborted(signal, undefined));
      }
    }
  } finally {
    stopTailReading();
  }
}

function messageDelivery(stream: StreamName, messages: readonly ReceivedMessage[]): Delivery {
  let rows = 0;
  for (const message of messages) rows += message.rows;
  return {
    stream,
    partition: ONLY_PARTITION,
    firstOffset: messages[0].offset,
    lastOffset: messages[messages.length - 1].offset,
    rows,
    messages,
  };
}

function fileDelivery(stream: StreamName, { base, last, rows, dataFile }: Segment): Delivery {
  return {
    stream,
    partition: ONLY_PARTITION,
    firstOffset: base,
    lastOffset: last,
    rows,
    messages: [],
    file: dataFile,
  };
}

/**
 * Hands batches to the stream without ever waiting for it.
 *
 * UDP cannot be slowed down: while the stream is slow, encoded batches wait in memory up to a bound, and rows beyond it
 * are dropped and counted. Every row handed in is at any time either published, dropped under a reason, or in flight.
 */

import { messageOf } from '../errors.ts';
import { batchBytes, type FlowBatch } from '../flow/batch.ts';
import { encodeNative, nativeBytes } from '../flow/native.ts';
import type { StreamMessage } from '../stream/stream.ts';

export type PublishDropReason =
  /** Too much waits for the stream already. */
  | 'stream_backlog'
  /** The stream's own bound is reached (the spool is full). */
  | 'stream_refused'
  /** The stream failed; it says why in the log. */
  | 'stream_failed';

interface PublisherCounters {
  published: number;
  readonly dropped: Record<PublishDropReason, number>;
  /** Rows handed to the stream that it has not answered for yet. */
  inFlight: number;
}

export interface BatchPublisher {
  /**
   * Takes the rows, all of one partition where one is named; the batch may be reused at once. Resolves when the stream
   * has answered for them: they are published, or counted as dropped.
   */
  send(batch: FlowBatch, partition?: number): Promise<void>;
  /** Resolves when nothing is in flight. */
  settled(): Promise<void>;
  readonly counters: PublisherCounters;
}

/** A stream, or what stands for one. */
export interface BatchTarget {
  /**
   * As Stream.publish. `memory`: what the publisher may write its next value into, where the memory of the value went
   * elsewhere.
   */
  publish(
    stream: 'flows' | 'mail',
    messages: readonly StreamMessage[],
  ): Promise<{ readonly accepted: number; readonly memory?: Buffer }>;
}

export interface BatchPublisherOptions {
  readonly stream: BatchTarget;
  readonly name: 'flows' | 'mail';
  /** Bytes that may wait for the stream. One batch may always. */
  readonly maxInFlightBytes: number;
  /** Rows of the largest batch. */
  readonly maxRows: number;
  readonly onFailure: (message: string) => void;
}

/** Encoded batches are written into memory that was used before; a stream that keeps up needs one or two. */
const MAX_SPARE_BUFFERS = 4;
const MIN_BUFFER_ROWS = 256;
const ANSWERED = Promise.resolve();

export function createBatchPublisher(options: BatchPublisherOptions): BatchPublisher {
  const { stream, name, maxInFlightBytes, maxRows, onFailure } = options;
  const counters: PublisherCounters = {
    published: 0,
    dropped: { stream_backlog: 0, stream_refused: 0, stream_failed: 0 },
    inFlight: 0,
  };
  let inFlightBytes = 0;
  let idle: (() => void)[] = [];
  const spare: Buffer[] = [];

  /** As large as it need be, within a factor of two: a few rows must not hold the memory of a full batch. */
  function bufferFor(rows: number): Buffer {
    const fitting = spare.findIndex((buffer) => buffer.length >= nativeBytes(rows));
    if (fitting >= 0) return spare.splice(fitting, 1)[0];
    let capacity = Math.min(MIN_BUFFER_ROWS, maxRows);
    while (capacity < rows) capacity = Math.min(2 * capacity, maxRows);
    return Buffer.allocUnsafeSlow(nativeBytes(capacity));
  }

  async function publish(
    buffer: Buffer,
    value: Buffer,
    rows: number,
    partition: number | undefined,
  ): Promise<void> {
    counters.inFlight += rows;
    inFlightBytes += value.length;
    try {
      const { accepted, memory = buffer } = await stream.publish(name, [
        { key: '', id: '', value, rows, partition },
      ]);
      counters.published += accepted;
      counters.dropped.stream_refused += rows - accepted;
      if (spare.length < MAX_SPARE_BUFFERS) spare.push(memory);
    } catch (error) {
      counters.dropped.stream_failed += rows;
      onFailure(messageOf(error));
    } finally {
      counters.inFlight -= rows;
      inFlightBytes -= value.length;
      if (counters.inFlight === 0) {
        for (const resolve of idle) resolve();
        idle = [];
      }
    }
  }

  return {
    counters,
    send(batch, partition) {
      if (batch.length === 0) return ANSWERED;
      if (inFlightBytes > 0 && inFlightBytes + batchBytes(batch) > maxInFlightBytes) {
        counters.dropped.stream_backlog += batch.length;
        return ANSWERED;
      }
      const buffer = bufferFor(batch.length);
      return publish(buffer, encodeNative(batch, buffer), batch.length, partition);
    },
    settled() {
      if (counters.inFlight === 0) return Promise.resolve();
      return new Promise((resolve) => idle.push(resolve));
    },
  };
}

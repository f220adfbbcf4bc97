/**
 * Writes messages at the end of one new segment.
 *
 * Data first, then the index: what the index does not tell of does not exist. The lengths of the segment move only
 * when both are written, so that a write that failed half-way is simply written over or cut off.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { ReceivedMessage, StreamMessage } from '../stream.ts';
import { encodeIndexLine, type Segment, writeExactly } from './segment.ts';
import type { StreamSettings } from './settings.ts';

const NEWLINE = Uint8Array.of(0x0a);

export class SegmentWriter {
  readonly segment: Segment;
  /** When it was opened, by the monotonic clock. */
  readonly openedAtMs = performance.now();
  readonly #settings: Pick<StreamSettings, 'format' | 'fsync'>;
  readonly #data: FileHandle;
  readonly #index: FileHandle;

  private constructor(
    segment: Segment,
    settings: Pick<StreamSettings, 'format' | 'fsync'>,
    data: FileHandle,
    index: FileHandle,
  ) {
    this.segment = segment;
    this.#settings = settings;
    this.#data = data;
    this.#index = index;
  }

  static async open(
    segment: Segment,
    settings: Pick<StreamSettings, 'format' | 'fsync'>,
    indexFile: string = segment.indexFile,
  ): Promise<SegmentWriter> {
    // The index first: an index without data is empty, data without an index would be a riddle.
    const index = await open(indexFile, 'w');
    segment.verified = true;
    try {
      return new SegmentWriter(segment, settings, await open(segment.dataFile, 'w'), index);
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  /**
   * Writes all messages or, as far as the segment is concerned, none. The values of what it returns are copies: the
   * publisher may reuse its buffers, and nothing larger than the values stays alive with them.
   */
  async append(
    messages: readonly (StreamMessage & { readonly offset: number })[],
  ): Promise<ReceivedMessage[]> {
    const { segment } = this;
    const { format, fsync } = this.#settings;
    const values: Uint8Array[] = [];
    let lines = '';
    let { dataBytes: at, messages: count, rows: sum } = segment;
    for (const { offset, key, id, rows, partition, value } of messages) {
      count++;
      sum += rows;
      const place = { offset, at, bytes: value.length, rows, key, id, partition };
      lines += encodeIndexLine({ ...place, messages: count, sum, crc: crc32(value) });
      values.push(value);
      at += value.length;
      if (format === 'ndjson') {
        values.push(NEWLINE);
        at++;
      }
    }
    const block = Buffer.concat(values);
    const text = Buffer.from(lines);
    await writeExactly(this.#data, block, segment.dataBytes);
    if (fsync) await this.#data.datasync();
    await writeExactly(this.#index, text, segment.indexBytes);
    if (fsync) await this.#index.datasync();

    let from = 0;
    const written = messages.map(({ offset, key, id, rows, partition, value: { length } }) => {
      const value = block.subarray(from, from + length);
      from += format === 'ndjson' ? length + 1 : length;
      return { offset, key, id, rows, value, ...(partition !== undefined && { partition }) };
    });
    segment.dataBytes = at;
    segment.indexBytes += text.length;
    segment.messages = count;
    segment.rows = sum;
    segment.last = Math.max(segment.last, messages.at(-1)?.offset ?? -1);
    return written;
  }

  /** After a failed write: takes from the files what is not part of the segment. */
  async cutBack(): Promise<void> {
    try {
      await this.#index.truncate(this.segment.indexBytes);
      await this.#data.truncate(this.segment.dataBytes);
    } catch {
      this.segment.exact = false;
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#data.close(), this.#index.close()]);
  }
}

/**
 * How each stream is kept by the in-process implementation: file format, when a segment is full, what is compacted.
 *
 * Only figures and their reasons. The bound of what may lie on disk is the operator's (`spool.max_bytes`) and is not
 * here; nothing here may be needed to read what is already on disk but `format`.
 */

import type { StreamName } from '../stream.ts';

/** What this implementation says aloud; a pino logger fits. */
export interface StreamLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface StreamSettings {
  /** `native`: values back to back. `ndjson`: a newline behind each value, so that the file is one message a line. */
  readonly format: 'native' | 'ndjson';
  /** Only the newest message of a key is kept, for ever; else a message is kept until every group has committed it. */
  readonly compacted: boolean;
  /** A segment is sealed as soon as it holds so much. `sealBytes` counts data and index. */
  readonly sealRows: number;
  readonly sealBytes: number;
  readonly sealMessages: number;
  /** A consumer by segment waits at most so long for a segment that is not full. */
  readonly sealAgeMs: number;
  /** Wait for the disk, not only for the kernel, before a publication counts: survives a power cut, costs latency. */
  readonly fsync: boolean;
}

const COMMON = {
  // A segment is one insert. ClickHouse's work of an insert and of merging its part later depends more on how many
  // there are than on their rows: with 50,000 rows merging alone took half a core at 500,000 flows/s. A block of so
  // many rows takes about 50 MB in the engine, several times over while it is sorted and written; an engine of 512 MiB,
  // the least there is, takes 640,000 flows/s like that.
  sealRows: 250_000,
  sealBytes: 64 * 1024 * 1024,
  sealMessages: 10_000,
  sealAgeMs: 1000,
  fsync: false,
} as const;

export const STREAM_SETTINGS: Readonly<Record<StreamName, StreamSettings>> = {
  flows: { ...COMMON, format: 'native', compacted: false },
  mail: { ...COMMON, format: 'native', compacted: false },
  alerts: { ...COMMON, format: 'ndjson', compacted: false },
  incidents: { ...COMMON, format: 'ndjson', compacted: true },
  // Few, and an operator's word must outlive a power cut.
  decisions: { ...COMMON, format: 'ndjson', compacted: true, fsync: true },
};

/** A delivery, a read from disk and a write are all at most about so large; a single larger message goes alone. */
export const PIECE_BYTES = 8 * 1024 * 1024;
/** Of each stream, waiting in memory for the disk. What comes on top is refused: a stalled disk must not eat the RAM. */
export const PENDING_BYTES = 64 * 1024 * 1024;
/** Newest messages kept in memory for consumers that are up to date, so that these never wait for a read. */
export const TAIL_BYTES = 8 * 1024 * 1024;
/** Ids remembered per stream, to recognise a message that is published again. */
export const REMEMBERED_IDS = 100_000;

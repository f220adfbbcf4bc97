/**
 * Reads mail flows back from the store, in the order in which they were received, as the batches that they came in as.
 *
 * It asks by read-only SQL, so that the store may be a running instance, a server or a directory. Pages are bounded in
 * rows; nothing but our own numbers gets into a statement, and an answer that is not what was asked for is an error.
 */

import { RogueSmtpError } from '../errors.ts';
import type { FlowBatch } from '../flow/batch.ts';
import { FLOW_COLUMN_NAMES } from '../flow/columns.ts';
import { decodeNative } from '../flow/native.ts';
import { textOf } from './rows.ts';

/** Runs a read-only statement, and returns its result in the format. */
export type BytesQuery = (sql: string, format: string) => Promise<Uint8Array>;

export interface StoredFlowsRequest {
  /** TCP ports, on either side. */
  readonly ports: readonly number[];
  /** Received at or after, and before; milliseconds since 1970. Absent: everything that is kept. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** Some 10 MB a page: under what a store gives out at once. */
const PAGE_ROWS = 50_000;
const HOUR_MS = 3_600_000;

/** Throws RogueSmtpError `store` for an answer that cannot be read. */
export async function* storedFlows(
  query: BytesQuery,
  request: StoredFlowsRequest,
  pageRows: number = PAGE_ROWS,
): AsyncGenerator<FlowBatch> {
  const where = conditions(request);
  const hours = await query(
    `SELECT intDiv(toUnixTimestamp64Milli(received_at), ${HOUR_MS}) AS h, count() FROM flows WHERE ${where} GROUP BY h ORDER BY h`,
    'TabSeparated',
  );
  for (const line of linesOf(textOf(hours))) {
    const [hour, rows] = line.split('\t').map(Number);
    if (!Number.isSafeInteger(hour) || !Number.isSafeInteger(rows)) throw unreadable(line);
    const within = `${where} AND ${receivedFrom(hour * HOUR_MS)} AND ${receivedBefore((hour + 1) * HOUR_MS)}`;
    for (let offset = 0; offset < rows; offset += pageRows) {
      const page = await query(
        `SELECT ${COLUMNS} FROM flows WHERE ${within} ORDER BY received_at, exporter, domain, sequence, record LIMIT ${pageRows} OFFSET ${offset}`,
        'Native',
      );
      yield* blocksOf(page);
    }
  }
}

function conditions({ ports, fromMs, untilMs }: StoredFlowsRequest): string {
  const list = ports.map(Math.trunc).join(', ');
  return [
    `protocol = 6 AND fragment_offset = 0 AND (dst_port IN (${list}) OR src_port IN (${list}))`,
    ...(fromMs === undefined ? [] : [receivedFrom(fromMs)]),
    ...(untilMs === undefined ? [] : [receivedBefore(untilMs)]),
  ].join(' AND ');
}

const receivedFrom = (ms: number) => `received_at >= fromUnixTimestamp64Milli(toInt64(${Math.trunc(ms)}))`;
const receivedBefore = (ms: number) => `received_at < fromUnixTimestamp64Milli(toInt64(${Math.trunc(ms)}))`;

const COLUMNS = FLOW_COLUMN_NAMES.join(', ');

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function* blocksOf(page: Uint8Array): Generator<FlowBatch> {
  for (let offset = 0; offset < page.length; ) {
    const block = decodeNative(page, offset);
    if (!block.ok) throw unreadable(block.reason);
    if (block.batch.length > 0) yield block.batch;
    offset = block.next;
  }
}

function unreadable(line: string): RogueSmtpError {
  return new RogueSmtpError('store', `the store gave an answer that is no flow: ${line.slice(0, 100)}`);
}

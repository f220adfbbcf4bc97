/**
 * Reads mail flows back from the store, in the order in which they were received, as the batches that they came in as.
 *
 * It asks by read-only SQL, so that the store may be a running instance, a server or a directory. Pages are bounded in
 * rows; nothing but our own numbers gets into a statement, and an answer that is not what was asked for is an error.
 */

import { RogueSmtpError } from '../errors.ts';
import { createFlowBatch, type FlowBatch, writeWide } from '../flow/batch.ts';
import { type ColumnKind, FLOW_COLUMN_NAMES, FLOW_COLUMNS, type FlowColumn } from '../flow/columns.ts';

/** Runs a read-only statement, and returns its result in the format. */
export type TextQuery = (sql: string, format: string) => Promise<string>;

export interface StoredFlowsRequest {
  /** TCP ports, on either side. */
  readonly ports: readonly number[];
  /** Received at or after, and before; milliseconds since 1970. Absent: everything that is kept. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** Some 15 MB of text a page: under what a store gives out at once. */
const PAGE_ROWS = 50_000;
const HOUR_MS = 3_600_000;

/** Throws RogueSmtpError `store` for an answer that cannot be read. */
export async function* storedFlows(
  query: TextQuery,
  request: StoredFlowsRequest,
  pageRows: number = PAGE_ROWS,
): AsyncGenerator<FlowBatch> {
  const where = conditions(request);
  const hours = await query(
    `SELECT intDiv(toUnixTimestamp64Milli(received_at), ${HOUR_MS}) AS h, count() FROM flows WHERE ${where} GROUP BY h ORDER BY h`,
    'TabSeparated',
  );
  for (const line of linesOf(hours)) {
    const [hour, rows] = line.split('\t').map(Number);
    if (!Number.isSafeInteger(hour) || !Number.isSafeInteger(rows)) throw unreadable(line);
    const within = `${where} AND ${receivedFrom(hour * HOUR_MS)} AND ${receivedBefore((hour + 1) * HOUR_MS)}`;
    for (let offset = 0; offset < rows; offset += pageRows) {
      const page = await query(
        `SELECT ${COLUMNS} FROM flows WHERE ${within} ORDER BY received_at, exporter, domain, sequence, record LIMIT ${pageRows} OFFSET ${offset}`,
        'TabSeparated',
      );
      const batch = batchOf(linesOf(page));
      if (batch.length > 0) yield batch;
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

/** Every column as digits: addresses as 32 of base 16, times as milliseconds. */
const COLUMNS = FLOW_COLUMN_NAMES.map((name) => asDigits(name, FLOW_COLUMNS[name])).join(', ');

function asDigits(name: FlowColumn, kind: ColumnKind): string {
  if (kind === 'address') return `hex(${name})`;
  return kind === 'time' ? `toUnixTimestamp64Milli(${name})` : name;
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

function batchOf(lines: readonly string[]): FlowBatch {
  const batch = createFlowBatch(Math.max(1, lines.length));
  for (const line of lines) {
    const cells = line.split('\t');
    if (cells.length !== FLOW_COLUMN_NAMES.length) throw unreadable(line);
    for (let i = 0; i < cells.length; i++) writeCell(batch, FLOW_COLUMN_NAMES[i], cells[i], line);
    batch.length++;
  }
  return batch;
}

function writeCell(batch: FlowBatch, name: FlowColumn, text: string, line: string): void {
  const row = batch.length;
  const column = batch.columns[name];
  const kind = FLOW_COLUMNS[name];
  if (kind === 'address') {
    if (!/^[0-9A-Fa-f]{32}$/.test(text)) throw unreadable(line);
    for (let i = 0; i < 16; i++) column[16 * row + i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
    return;
  }
  const value = Number(text);
  if (text === '' || !(value >= 0)) throw unreadable(line);
  if (column instanceof Uint32Array && (kind === 'time' || kind === 'u64')) writeWide(column, row, value);
  else column[row] = value;
}

function unreadable(line: string): RogueSmtpError {
  return new RogueSmtpError('store', `the store gave an answer that is no flow: ${line.slice(0, 100)}`);
}

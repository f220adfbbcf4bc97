/**
 * Log lines that other programs have packed: JSON with the line in `message` (CloudWatch, Firehose, Filebeat, Logstash,
 * Docker, journald, Splunk, Elasticsearch), and CSV with a column `message` (CloudWatch exports, Insights).
 *
 * What is in them is read as if it lay in a file of its own. The packaging says nothing about the flow but when the line was
 * written, which stands in for a time that the line lacks: the kernel's messages in journald have none.
 */

import { splitCsv } from '../../files/csv.ts';
import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { isRecord, type JsonRecord, parseJson, readJsonTime } from './json.ts';
import type { PackedTime } from './syslog.ts';
import { epochMs, readCount, readTime } from './values.ts';

/** In this order: ECS keeps the line in `event.original` when it has made something else of `message`. */
const KEYS = ['@message', 'message', 'Message', 'MESSAGE', 'log', '_raw', 'line'] as const;

/** The line that an object has packed; null when it has none. */
export function packedLine(row: JsonRecord): string | null {
  const original = isRecord(row.event) ? row.event.original : row['event.original'];
  if (typeof original === 'string') return original;
  // CloudWatch Insights: one object for each field of an event.
  if (typeof row.field === 'string' && typeof row.value === 'string')
    return row.field === '@message' ? row.value : null;
  for (const key of KEYS) {
    const value = row[key];
    if (typeof value === 'string') return value;
    // CloudWatch console exports parse a message that is JSON.
    if (isRecord(value)) return JSON.stringify(value);
  }
  for (const key of ['_source', 'result', 'fields'] as const) {
    const inner = row[key];
    if (isRecord(inner)) return packedLine(inner);
  }
  return null;
}

/** When a packed line was written; -1 where the object does not say it, or in a form that is not known. */
function packedTime(row: JsonRecord): number {
  for (const key of ['_SOURCE_REALTIME_TIMESTAMP', '__REALTIME_TIMESTAMP']) {
    const value = row[key];
    if (typeof value === 'string') return epochMs(readCount(value, 0, value.length) / 1000);
  }
  for (const key of ['@timestamp', 'timestamp', 'time', '_time']) {
    const ms = readJsonTime(row[key]);
    if (ms >= 0) return ms;
  }
  for (const key of ['_source', 'result', 'fields'] as const) {
    const inner = row[key];
    if (isRecord(inner)) return packedTime(inner);
  }
  return -1;
}

/** `written` is set to the time of each line, where it is known. */
export function packedInJson(inner: FlowLogFormat, written: PackedTime): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = parseJson(text, start, end);
    if (row === null) return 'bad_json';
    const line = packedLine(row)?.trim();
    if (line === undefined) return 'other_event';
    written.ms = packedTime(row);
    return line === '' ? 'header' : inner.parse(line, 0, line.length, flow);
  }
  return { name: `${inner.name} in JSON`, parse };
}

const TIME_COLUMN = /^@?(timestamp|time|ingestiontime)$/;

/** Which column holds the lines, when this is the header of such a CSV; -1 when it is not. */
export function messageColumn(header: string): number {
  const names = columnNames(header);
  if (names.length < 2 || !names.some((name) => TIME_COLUMN.test(name))) return -1;
  return names.findIndex((name) => /^@?message$/.test(name));
}

function columnNames(header: string): string[] {
  return splitCsv(header).map((name) => name.trim().toLowerCase());
}

/**
 * `column` is that of the lines in `header`; a message that is not quoted may have commas where it is the last column.
 * `written` is set to the time of each line, where it is known.
 */
export function packedInCsv(
  inner: FlowLogFormat,
  column: number,
  header: string,
  written: PackedTime,
): FlowLogFormat {
  const columns = header.split(',').length;
  const timeColumn = columnNames(header).findIndex((name) => TIME_COLUMN.test(name));
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = text.slice(start, end);
    if (messageColumn(row) >= 0) return 'header';
    const line = csvMessage(row, column, columns);
    if (line === null) return 'field_count';
    const time = timeColumn < column ? (splitCsv(row)[timeColumn]?.trim() ?? '') : '';
    written.ms = readTime(time, 0, time.length);
    return line === '' ? 'header' : inner.parse(line, 0, line.length, flow);
  }
  return { name: `${inner.name} in CSV`, parse };
}

export function csvMessage(row: string, column: number, columns: number): string | null {
  const fields = splitCsv(row);
  if (fields.length < columns) return null;
  if (fields.length > columns && column !== columns - 1) return null;
  return (column === columns - 1 ? fields.slice(column).join(',') : fields[column]).trim();
}

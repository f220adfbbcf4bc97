/**
 * Log lines that other programs have packed: JSON with the line in `message` (CloudWatch, Firehose, Filebeat, Logstash,
 * Docker, journald, Splunk, Elasticsearch), and CSV with a column `message` (CloudWatch exports, Insights).
 *
 * What is in them is read as if it lay in a file of its own; the packaging says nothing about the flow.
 */

import { splitCsv } from '../../files/csv.ts';
import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { isRecord, type JsonRecord, parseJson } from './json.ts';

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

export function packedInJson(inner: FlowLogFormat): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = parseJson(text, start, end);
    if (row === null) return 'bad_json';
    const line = packedLine(row)?.trim();
    if (line === undefined) return 'other_event';
    return line === '' ? 'header' : inner.parse(line, 0, line.length, flow);
  }
  return { name: `${inner.name} in JSON`, parse };
}

/** Which column holds the lines, when this is the header of such a CSV; -1 when it is not. */
export function messageColumn(header: string): number {
  const names = splitCsv(header).map((name) => name.trim().toLowerCase());
  if (names.length < 2 || !names.some((name) => /^@?(timestamp|time|ingestiontime)$/.test(name))) return -1;
  return names.findIndex((name) => /^@?message$/.test(name));
}

/** `column` and `columns` of the header; a message that is not quoted may have commas where it is the last column. */
export function packedInCsv(inner: FlowLogFormat, column: number, columns: number): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = text.slice(start, end);
    if (messageColumn(row) >= 0) return 'header';
    const line = csvMessage(row, column, columns);
    if (line === null) return 'field_count';
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

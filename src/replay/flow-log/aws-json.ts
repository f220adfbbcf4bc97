/**
 * AWS flow log records as JSON objects: what Athena, Glue, Firehose and converters of Parquet make of the fields.
 *
 * An object is put into the order of a text record and read as one, so that both forms mean the same.
 */

import { areAwsFields, awsFlowLog, fieldName } from './aws-vpc.ts';
import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { type JsonRecord, parseJson } from './json.ts';

// biome-ignore format: a table
const NAMES = [
  'interface-id', 'tgw-attachment-id', 'srcaddr', 'dstaddr', 'pkt-srcaddr', 'pkt-dstaddr', 'srcport', 'dstport', 'protocol',
  'packets', 'bytes', 'start', 'end', 'action', 'log-status', 'tcp-flags', 'flow-direction', 'packets-lost-no-route',
  'packets-lost-blackhole', 'packets-lost-mtu-exceeded', 'packets-lost-ttl-expired',
];

export function isAwsRow(row: JsonRecord): boolean {
  return areAwsFields(Object.keys(row).map(fieldName));
}

export function awsJson(): FlowLogFormat {
  const text = awsFlowLog({ names: NAMES, separator: ' ' });

  function parse(json: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = parseJson(json, start, end);
    if (row === null) return 'bad_json';
    if (!isAwsRow(row)) return 'other_event';
    const values = new Map(Object.entries(row).map(([key, value]) => [fieldName(key), value]));
    const line = NAMES.map((name) => word(values.get(name))).join(' ');
    return text.parse(line, 0, line.length, flow);
  }
  return { name: 'AWS VPC flow log (JSON)', parse };
}

/** What is no word (a text with spaces, an object) is a value that no field can have. */
function word(value: unknown): string {
  if (value === undefined || value === null || value === '') return '-';
  if (typeof value !== 'string' && typeof value !== 'number') return '?';
  const text = String(value);
  return /\s/.test(text) ? '?' : text;
}

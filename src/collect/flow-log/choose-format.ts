/**
 * Which flow log a file is, by its first lines.
 *
 * Never by its name. A file of none of the known kinds is refused with what was expected: reading a log as something
 * that it is not would look like a quiet network.
 */

import { argusCsv, argusFields } from './argus.ts';
import { awsFields, awsVpc } from './aws-vpc.ts';
import type { FlowLogFormat } from './flow-log.ts';
import { isRecord, parseJson } from './json.ts';
import { nfdumpCsv, nfdumpFields } from './nfdump.ts';
import { suricataEve } from './suricata.ts';
import { isConnHeader, isConnRow, zeekJson, zeekTsv } from './zeek.ts';

/** So many lines may come before the header or the first event that tells. */
const MAX_LINES = 1000;

/** The format of a log that begins with these whole lines; null when it is none that is known. */
export function chooseFormat(text: string): FlowLogFormat | null {
  const lines = text.split('\n', MAX_LINES).map((line) => line.trimEnd());
  const first = lines.find((line) => line !== '');
  if (first === undefined) return null;
  if (first.startsWith('#')) return isZeekConn(lines) ? zeekTsv() : null;
  if (first.startsWith('{')) return chooseJson(lines);
  for (const line of lines.slice(0, 10)) {
    const argus = argusFields(line);
    if (argus !== null) return argusCsv(argus.names, argus.separator);
    const nfdump = nfdumpFields(line);
    if (nfdump !== null) return nfdumpCsv(nfdump);
    const aws = awsFields(line);
    if (aws !== null) return awsVpc(aws);
  }
  return null;
}

function isZeekConn(lines: readonly string[]): boolean {
  const fields = lines.find((line) => line.startsWith('#fields'));
  // The separator is the text between the directive and the first field.
  const separator = fields === undefined ? null : /^#fields(.+?)ts/.exec(fields);
  return fields !== undefined && separator !== null && isConnHeader(fields, separator[1]);
}

/** A log that begins with other events than flows is told by the first event whose kind is known. */
function chooseJson(lines: readonly string[]): FlowLogFormat | null {
  for (const line of lines) {
    const row = parseJson(line, 0, line.length);
    if (row === null) continue;
    if (typeof row.event_type === 'string' && (isRecord(row.stats) || row.timestamp !== undefined))
      return suricataEve();
    if (isConnRow(row)) return zeekJson();
  }
  return null;
}

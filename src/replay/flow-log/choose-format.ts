/**
 * Which flow log a file is, by its first lines.
 *
 * Never by its name. A file of none of the known kinds, or of more than one, is refused with what was expected: reading
 * a log as something that it is not would look like a quiet network.
 */

import { argusCsv, argusFields } from './argus.ts';
import { awsJson, isAwsRow } from './aws-json.ts';
import { areAwsFields, awsFlowLog, awsLayout, headerLayout } from './aws-vpc.ts';
import { ciscoAsa, isCiscoAsa } from './cisco-asa.ts';
import type { FlowLogFormat } from './flow-log.ts';
import { fortigate, isFortigate } from './fortigate.ts';
import { beginsJson, isRecord, parseJson } from './json.ts';
import { isJunosFlow, junosFlow } from './junos-flow.ts';
import { isNetfilter, netfilterLog } from './netfilter.ts';
import { nfdumpCsv, nfdumpFields } from './nfdump.ts';
import { isPanosSyslog, panosFields, panosTraffic } from './panos.ts';
import { filterlog, isFilterlog, isPflogText, pflogText } from './pf.ts';
import { suricataEve } from './suricata.ts';
import type { LogClues, PackedTime } from './syslog.ts';
import { csvMessage, messageColumn, packedInCsv, packedInJson, packedLine } from './wrapper.ts';
import { isConnHeader, isConnRow, zeekJson, zeekTsv } from './zeek.ts';

/** So many lines may come before the header or the first event that tells. */
const MAX_LINES = 1000;
/** A header is among the first of them. */
const MAX_HEADER_LINES = 10;
/** A line may be packed in a line that is packed: Filebeat over a file of Docker. */
const MAX_PACKINGS = 2;
/** No firewall writes longer lines: syslog over UDP ends at 8 KiB. */
const MAX_FIREWALL_LINE = 16_384;

/** What `--format` takes, with words for people. */
export const FLOW_LOG_FORMATS = {
  zeek: 'Zeek conn as TSV with #fields or as JSON',
  suricata: 'Suricata EVE with flow events',
  aws: 'AWS VPC and transit gateway flow logs as text, CSV or JSON',
  nfdump: 'nfdump -o csv',
  argus: 'Argus ra -c with header',
  netfilter: 'iptables or nftables kernel log lines',
  filterlog: 'pf filterlog of pfSense and OPNsense',
  pflog: 'pflog as tcpdump text',
  asa: 'Cisco ASA syslog',
  fortigate: 'FortiGate traffic logs (key=value, CEF)',
  panos: 'Palo Alto TRAFFIC CSV',
  junos: 'Juniper SRX RT_FLOW',
} as const;

export type FlowLogFormatName = keyof typeof FLOW_LOG_FORMATS;

export interface LogOptions extends LogClues {
  /** Read as this format, whatever else could be in the file. */
  readonly format?: FlowLogFormatName;
}

type Maker = (clues: LogClues) => FlowLogFormat;

/** Formats of which each line stands for itself, so that a file may hold lines of several. */
const LINE_FORMATS: readonly (readonly [FlowLogFormatName, (line: string) => boolean, Maker])[] = [
  ['netfilter', isNetfilter, netfilterLog],
  ['filterlog', isFilterlog, filterlog],
  ['pflog', isPflogText, pflogText],
  ['asa', isCiscoAsa, ciscoAsa],
  ['fortigate', isFortigate, fortigate],
  ['panos', isPanosSyslog, () => panosTraffic(null)],
  ['junos', isJunosFlow, junosFlow],
];

export type Choice =
  | { readonly kind: 'format'; readonly format: FlowLogFormat }
  | { readonly kind: 'unknown' }
  /** Lines of more than one format. */
  | { readonly kind: 'ambiguous'; readonly names: readonly FlowLogFormatName[] };

/** The format of a log that begins with these whole lines. */
export function chooseFormat(text: string, options: LogOptions = {}): Choice {
  return choose(
    text.split('\n', MAX_LINES).map((line) => line.trimEnd()),
    { ...options, packed: { ms: -1 } },
    MAX_PACKINGS,
  );
}

const UNKNOWN: Choice = { kind: 'unknown' };

type PackableOptions = LogOptions & { readonly packed: PackedTime };

function choose(lines: readonly string[], options: PackableOptions, packings: number): Choice {
  const first = lines.find((line) => line !== '');
  if (first === undefined) return UNKNOWN;
  const wanted = (name: FlowLogFormatName) => options.format === undefined || options.format === name;
  const chosen = (format: FlowLogFormat): Choice => ({ kind: 'format', format });
  if (first.startsWith('#')) return wanted('zeek') && isZeekConn(lines) ? chosen(zeekTsv()) : UNKNOWN;
  if (beginsJson(first)) {
    const json = chooseJson(lines, wanted);
    if (json !== null) return chosen(json);
    if (packings === 0) return UNKNOWN;
    const packed = lines.flatMap((line) => {
      const row = parseJson(line, 0, line.length);
      return (row === null ? null : packedLine(row)?.trim()) || [];
    });
    const inner = choose(packed, options, packings - 1);
    return inner.kind === 'format' ? chosen(packedInJson(inner.format, options.packed)) : inner;
  }
  if (options.fields !== undefined && wanted('aws')) {
    const names = options.fields;
    if (areAwsFields(names)) return chosen(awsFlowLog({ names, separator: ' ' }));
  }
  for (const line of lines.slice(0, MAX_HEADER_LINES)) {
    // The whole record tells more than columns that somebody chose beside it, where it can be read.
    const packed = packings === 0 ? null : choosePacked(lines, line, options, packings);
    if (packed?.kind === 'format') return packed;
    const format = byHeader(line, wanted);
    if (format !== null) return chosen(format);
    if (packed !== null) return packed;
  }
  return chooseByLines(lines, options);
}

/** The format of the lines in a CSV with this header; null when it is not the header of such a one. */
function choosePacked(
  lines: readonly string[],
  header: string,
  options: PackableOptions,
  packings: number,
): Choice | null {
  const column = messageColumn(header);
  if (column < 0) return null;
  const columns = header.split(',').length;
  const messages = lines.slice(lines.indexOf(header) + 1);
  const inner = choose(
    messages.flatMap((row) => csvMessage(row, column, columns) || []),
    options,
    packings - 1,
  );
  return inner.kind === 'format'
    ? { kind: 'format', format: packedInCsv(inner.format, column, header, options.packed) }
    : inner;
}

function byHeader(line: string, wanted: (name: FlowLogFormatName) => boolean): FlowLogFormat | null {
  const argus = wanted('argus') ? argusFields(line) : null;
  if (argus !== null) return argusCsv(argus.names, argus.separator);
  const nfdump = wanted('nfdump') ? nfdumpFields(line) : null;
  if (nfdump !== null) return nfdumpCsv(nfdump);
  const aws = wanted('aws') ? awsLayout(line) : null;
  if (aws !== null) return awsFlowLog(aws);
  const panos = wanted('panos') ? panosFields(line) : null;
  return panos === null ? null : panosTraffic(panos);
}

function chooseByLines(lines: readonly string[], options: LogOptions): Choice {
  const candidates = LINE_FORMATS.filter(([name]) => options.format === undefined || options.format === name);
  const found = candidates.filter(([, isOne]) =>
    lines.some((line) => line.length <= MAX_FIREWALL_LINE && isOne(line)),
  );
  if (found.length > 1) return { kind: 'ambiguous', names: found.map(([name]) => name) };
  return found.length === 0 ? UNKNOWN : { kind: 'format', format: bounded(found[0][2](options)) };
}

/** Firewalls' lines are taken apart by expressions that are not for lines of a megabyte. */
function bounded({ name, parse }: FlowLogFormat): FlowLogFormat {
  return {
    name,
    parse: (text, start, end, flow) =>
      end - start > MAX_FIREWALL_LINE ? 'too_long' : parse(text, start, end, flow),
  };
}

/**
 * The format whose columns the line names, or, of AWS, a line that needs no header; null for every other line. Logs
 * that were put together have a header within, which may name the columns in another order than the first did.
 */
export function formatOfHeader(line: string): FlowLogFormat | null {
  return byHeader(line, () => true);
}

function isZeekConn(lines: readonly string[]): boolean {
  const fields = lines.find((line) => line.startsWith('#fields'));
  // The separator is the text between the directive and the first field.
  const separator = fields === undefined ? null : /^#fields(.+?)ts/.exec(fields);
  return fields !== undefined && separator !== null && isConnHeader(fields, separator[1]);
}

/** A log that begins with other events than flows is told by the first event whose kind is known. */
function chooseJson(
  lines: readonly string[],
  wanted: (name: FlowLogFormatName) => boolean,
): FlowLogFormat | null {
  for (const line of lines) {
    const row = parseJson(line, 0, line.length);
    if (row === null) continue;
    const isEve = typeof row.event_type === 'string' && (isRecord(row.stats) || row.timestamp !== undefined);
    if (isEve && wanted('suricata')) return suricataEve();
    if (isConnRow(row) && wanted('zeek')) return zeekJson();
    if (isAwsRow(row) && wanted('aws')) return awsJson();
  }
  return null;
}

/** `aws` or `aws:FIELDS` as a person names a format; null for what is not one. */
export function parseFormatOption(text: string): LogOptions | null {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  if (!Object.hasOwn(FLOW_LOG_FORMATS, name)) return null;
  const format = name as FlowLogFormatName;
  if (colon < 0) return { format };
  const layout = format === 'aws' ? headerLayout(text.slice(colon + 1).trim()) : null;
  return layout === null ? null : { format, fields: layout.names };
}

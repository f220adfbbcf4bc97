/**
 * Reads complaints from the forms in which they come: ARF (RFC 5965, with the fields of RFC 6692), XARF (versions 0.2, 3
 * and 4), the evidence text of a blocklist's web page, and CSV of sinkhole operators and abuse mailboxes.
 *
 * Whoever sends a complaint is not trusted: sizes are bounded, nothing is executed or fetched, and what cannot be read is an
 * error that says where. Pure.
 */

import { RogueSmtpError } from '../errors.ts';
import { splitCsv } from '../files/csv.ts';
import { parseAddress } from '../flow/address.ts';
import type { ComplaintTexts } from './complaint.ts';

export const MAX_REPORT_BYTES = 4 << 20;
const MAX_COMPLAINTS = 1000;

/** `withinMs`, `source`: what the texts of a blocklist often leave to the reader. Throws RogueSmtpError `usage`. */
export function readComplaints(text: string): readonly ComplaintTexts[] {
  if (text.length > MAX_REPORT_BYTES) throw refused(`it is longer than ${MAX_REPORT_BYTES >> 20} MiB`);
  const read = readers.find(({ matches }) => matches(text));
  const found = read === undefined ? [] : read.read(text);
  if (found.length === 0)
    throw refused(
      'no report was found in it. Known are ARF and XARF mails, XARF JSON, CSV with a line of names, and the text of a blocklist page with an address and a time',
    );
  if (found.length > MAX_COMPLAINTS)
    throw refused(
      `it holds ${found.length} reports, and at most ${MAX_COMPLAINTS} are looked at; divide the file`,
    );
  return found;
}

interface Reader {
  readonly matches: (text: string) => boolean;
  readonly read: (text: string) => ComplaintTexts[];
}

const readers: readonly Reader[] = [
  { matches: (text) => /^\s*[[{]/.test(text), read: readXarfJson },
  { matches: (text) => /^content-type:\s*message\/feedback-report/im.test(text), read: readArf },
  { matches: (text) => /^x-xarf:|^x-arf:|^reported-from:/im.test(text), read: readXarfMail },
  { matches: (text) => csvColumns(text) !== null, read: readCsv },
  { matches: () => true, read: readEvidence },
];

/** RFC 5965 section 3: fields as in mail headers, in a part of its own. */
function readArf(text: string): ComplaintTexts[] {
  const reports: ComplaintTexts[] = [];
  // The part begins after the header that names it, and ends at the next boundary.
  for (const part of text.split(/^content-type:\s*message\/feedback-report.*$/im).slice(1)) {
    const body = decodedPart(part.split(/^--/m, 1)[0]);
    const fields = fieldsOf(body);
    if (!fields.has('source-ip') && !fields.has('arrival-date')) continue;
    reports.push({
      at: fields.get('arrival-date') ?? fields.get('received-date') ?? dateOfMail(text),
      source: fields.get('source-ip'),
      sourcePort: fields.get('source-port'),
    });
  }
  return reports;
}

/** A part may be in base64, which hides its lines. */
function decodedPart(part: string): string {
  const split = /\r?\n\r?\n/.exec(part.replace(/^\r?\n/, ''));
  if (split === null || !/^content-transfer-encoding:\s*base64/im.test(part)) return part;
  const body = part.replace(/^\r?\n/, '').slice(split.index + split[0].length);
  return Buffer.from(body.replace(/\s+/g, ''), 'base64').toString('utf8');
}

function dateOfMail(text: string): string | undefined {
  const head = text.split(/\r?\n\r?\n/, 1)[0];
  return fieldsOf(head).get('date');
}

/** `Name: value` lines with continuation lines, names in lower case; of a name given twice the first counts. */
function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const match = /^([A-Za-z][\w-]{0,60}):\s*(.*)$/.exec(line);
    if (match === null) continue;
    const [, name, value] = match;
    const key = name.toLowerCase();
    if (!fields.has(key)) fields.set(key, value.trim());
  }
  return fields;
}

/** XARF 0.2: YAML of flat `Name: value` lines in a part of a mail. */
function readXarfMail(text: string): ComplaintTexts[] {
  const part = /(?:^|\n)(Reported-From:[\s\S]*?)(?:\r?\n--|\r?\n\r?\n\S*$|$)/i.exec(text);
  const json = /\{[\s\S]*\}/.exec(text);
  if (part === null) return json === null ? [] : readXarfJson(json[0]);
  const fields = new Map(
    [...fieldsOf(part[1])].map(([name, value]) => [name, value.replace(/^(['"])(.*)\1$/, '$2')]),
  );
  return [
    {
      at: fields.get('date'),
      source: fields.get('source'),
      sourcePort: fields.get('source-port') ?? fields.get('sourceport'),
      destination: addressOnly(fields.get('destination')),
      destinationPort: fields.get('destination-port') ?? fields.get('port'),
    },
  ];
}

/** XARF 3 has the report below `Report`, XARF 4 at the top. */
function readXarfJson(text: string): ComplaintTexts[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw refused('it begins as JSON and is none');
  }
  return (Array.isArray(parsed) ? parsed : [parsed]).flatMap((entry) => {
    const top = recordOf(entry);
    const report = top === null ? null : (recordOf(top.Report) ?? top);
    if (report === null) return [];
    const value = (...names: readonly string[]): string | undefined => {
      for (const name of names) {
        const found = report[name];
        if (typeof found === 'string' || typeof found === 'number') return String(found);
      }
      return undefined;
    };
    const source = value('SourceIp', 'source_identifier', 'source_ip', 'Source', 'SourceIdentifier');
    const at = value('Date', 'timestamp', 'date', 'Timestamp');
    if (source === undefined && at === undefined) return [];
    return [
      {
        at,
        source: addressOnly(source),
        sourcePort: value('SourcePort', 'source_port'),
        destination: addressOnly(value('DestinationIp', 'destination_ip')),
        destinationPort: value('DestinationPort', 'destination_port'),
      },
    ];
  });
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

/** A name of a host says nothing that flows could be searched for. */
function addressOnly(text: string | undefined): string | undefined {
  return text !== undefined && parseAddress(text) !== null ? text : undefined;
}

/**
 * The text of a blocklist's page: the first time in it, how far it may be off, the address that is listed, and where the
 * page tells of a sinkhole its address and ports.
 */
function readEvidence(text: string): ComplaintTexts[] {
  const time = TIMES.map((pattern) => pattern.exec(text)?.[0]).find((found) => found !== undefined);
  const off = /\(?(?:\+\/-|±)\s*(\d{1,4})\s*(second|minute|hour)s?/i.exec(text);
  const destination = new RegExp(
    `(?:sinkhole|destination|server|connect(?:ing|ed|ion)?\\s+to|to\\s+(?:the\\s+)?(?:ip\\s+)?address)\\D{0,80}?(${ADDRESS})`,
    'i',
  ).exec(text)?.[1];
  const addresses = [...text.matchAll(new RegExp(ADDRESS, 'g'))].map(([found]) => found).filter(isAddress);
  const source = addresses.find((address) => address !== destination);
  if (time === undefined || (source === undefined && destination === undefined)) return [];
  const sourcePort = /source\s+port\D{0,20}(\d{1,5})/i.exec(text)?.[1];
  const destinationPort = /(?:destination|dest\.?|sinkhole|on|to)\s+(?:tcp\s+)?port\D{0,20}(\d{1,5})/i.exec(
    text,
  )?.[1];
  return [
    {
      at: time,
      ...(off !== null && { within: Number(off[1]) * (UNIT_MS[off[2].toLowerCase()] ?? 60_000) }),
      source,
      sourcePort,
      destination: destination !== undefined && isAddress(destination) ? destination : undefined,
      destinationPort,
    },
  ];
}

const UNIT_MS: Readonly<Record<string, number>> = { second: 1000, minute: 60_000, hour: 3_600_000 };
const ADDRESS = '(?:\\d{1,3}(?:\\.\\d{1,3}){3}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7})';
const TIMES = [
  /\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\s*(?:GMT|UTC|Z\b|[+-]\d\d:?\d\d))?/,
  /(?:\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|UTC|[+-]\d{4})/,
];
const isAddress = (text: string) => parseAddress(text) !== null;

/** Names of columns in reports of sinkhole operators and in what mailboxes export, in lower case. */
const CSV_NAMES = {
  at: ['timestamp', 'time', 'date', 'datetime', 'event_time', 'first_seen', 'seen', 'time.source'],
  source: ['ip', 'src_ip', 'source_ip', 'srcip', 'src', 'source', 'source-ip', 'source.ip'],
  sourcePort: ['port', 'src_port', 'source_port', 'srcport', 'source-port', 'source.port'],
  destination: [
    'dst_ip',
    'dest_ip',
    'destination_ip',
    'dstip',
    'dst',
    'destination',
    'destination.ip',
    'cc_ip',
  ],
  destinationPort: ['dst_port', 'dest_port', 'destination_port', 'dstport', 'destination.port', 'cc_port'],
} as const satisfies Record<Exclude<keyof ComplaintTexts, 'within'>, readonly string[]>;

interface CsvColumns {
  readonly separator: string;
  readonly index: Readonly<Record<keyof typeof CSV_NAMES, number>>;
}

/** Null for a first line that does not name a time and an address. */
function csvColumns(text: string): CsvColumns | null {
  const first = text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0];
  const separator = [',', ';', '\t'].find((mark) => first.includes(mark));
  if (separator === undefined) return null;
  const names = splitCsv(first, separator).map((name) => name.trim().toLowerCase());
  const indexOf = (known: readonly string[]) => names.findIndex((name) => known.includes(name));
  const index = {
    at: indexOf(CSV_NAMES.at),
    source: indexOf(CSV_NAMES.source),
    sourcePort: indexOf(CSV_NAMES.sourcePort),
    destination: indexOf(CSV_NAMES.destination),
    destinationPort: indexOf(CSV_NAMES.destinationPort),
  };
  return index.at < 0 || (index.source < 0 && index.destination < 0) ? null : { separator, index };
}

function readCsv(text: string): ComplaintTexts[] {
  const columns = csvColumns(text);
  if (columns === null) return [];
  const { separator, index } = columns;
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .slice(1)
    .filter((line) => line.trim() !== '')
    .slice(0, MAX_COMPLAINTS + 1)
    .map((line) => {
      const cells = splitCsv(line, separator);
      const cell = (at: number) => (at < 0 ? undefined : cells[at]?.trim() || undefined);
      return {
        at: cell(index.at),
        source: cell(index.source),
        sourcePort: cell(index.sourcePort),
        destination: addressOnly(cell(index.destination)),
        destinationPort: cell(index.destinationPort),
      };
    });
}

const refused = (why: string) => new RogueSmtpError('usage', `the report cannot be read: ${why}`);

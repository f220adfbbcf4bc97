/**
 * AWS flow logs of VPCs (versions 2 to 5, and the fields added since) and of transit gateways (version 6), as text: fields
 * separated by spaces, commas or tabs, with quotes or without, named by a header line, by the caller, or in one of the two
 * default formats (what CloudWatch Logs hands out, also with its own time and stream name before each record).
 *
 * A record is one direction on one network interface, or one attachment of a transit gateway, within an aggregation
 * interval. Where the packet's own addresses are logged (`pkt-srcaddr`), those are the ends of the session, not the
 * interface's. AWS captures unsampled. Files of both kinds put together are read line by line: a header changes what
 * follows, and a record of the other default format is read as that.
 */

import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { DROPPED, FORWARDED, LOG_DOMAIN } from './flow-log.ts';
import { hashOf } from './session.ts';
import { createTable } from './table.ts';
import { hasPorts, readAddress, readCount, readPort, readProtocol, readTime } from './values.ts';

const FIN = 1;
const SYN = 2;
const ACK = 16;
const TCP = 6;

/** The default format (version 2), in the words of the user guide ("Flow log records"). */
const DEFAULT_FIELDS =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'.split(
    ' ',
  );
/** The default format of transit gateways ("Transit Gateway Flow Log records"). */
const GATEWAY_FIELDS =
  'version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service'.split(
    ' ',
  );
const STATUS = /^(OK|NODATA|SKIPDATA)$/;

/** Fields of other formats that are read, for their names without hyphens. */
const MORE_FIELDS = ['pkt-srcaddr', 'pkt-dstaddr', 'tgw-attachment-id', 'tcp-flags', 'flow-direction'];

/** Columns of tables that Amazon's guides for Athena and Glue have made, and those of CloudWatch Insights (`srcAddr`). */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ...[...DEFAULT_FIELDS, ...GATEWAY_FIELDS, ...MORE_FIELDS].map(
    (name) => [name.replaceAll('-', ''), name] as const,
  ),
  ['account', 'account-id'],
  ['sourceaddress', 'srcaddr'],
  ['destinationaddress', 'dstaddr'],
  ['sourceport', 'srcport'],
  ['destinationport', 'dstport'],
  ['numpackets', 'packets'],
  ['numbytes', 'bytes'],
  ['starttime', 'start'],
  ['endtime', 'end'],
]);

/** Which fields a record has, and what lies between them. */
export interface AwsLayout {
  readonly names: readonly string[];
  readonly separator: string;
}

/** The layout that a line names or, being a record of a default format, has; null when it is neither. */
export function awsLayout(line: string): AwsLayout | null {
  return headerLayout(line) ?? recordLayout(line);
}

/** The word that AWS uses for a field. Athena and converters of Parquet write underscores. */
export function fieldName(word: string): string {
  const name = word
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .replace(/^\$\{(.*)\}$/, '$1')
    .toLowerCase()
    .replaceAll('_', '-');
  return ALIASES.get(name) ?? name;
}

/** True when these fields are enough to make a flow of. */
export function areAwsFields(names: readonly string[]): boolean {
  const named = (name: string) => names.includes(name) || names.includes(`pkt-${name}`);
  return named('srcaddr') && named('dstaddr') && names.includes('end');
}

/** Field names as a person writes them (`${srcaddr} dstaddr ...`), as a layout; null when they are not enough. */
export function headerLayout(line: string): AwsLayout | null {
  // A record begins with a digit: this is asked of every line.
  if (!/^[\s"$@A-Za-z]/.test(line)) return null;
  for (const separator of [' ', ',', '\t', ';']) {
    if (!line.includes(separator)) continue;
    const names = line
      .trim()
      .split(separator === ' ' ? / +/ : separator)
      .map(fieldName);
    // Insights has a time of its own beside the columns that were asked for: that of the record.
    if (!names.includes('end')) {
      const at = names.indexOf('@timestamp');
      if (at >= 0) names[at] = 'end';
    }
    if (areAwsFields(names)) return { names, separator };
  }
  return null;
}

function recordLayout(line: string): AwsLayout | null {
  for (const separator of [' ', ',', '\t']) {
    const words = line.trim().split(separator === ' ' ? / +/ : separator);
    if (words.length < DEFAULT_FIELDS.length || words.length > GATEWAY_FIELDS.length + 2) continue;
    // `aws logs tail` writes the time and the name of the stream before a record; an S3 copy of the log, the time.
    for (let before = 0; before <= 2; before++) {
      if (before > 0 && readTime(words[0], 0, words[0].length) <= 0) break;
      const fields = defaultFields(words.slice(before));
      if (fields !== null)
        return { names: [...['timestamp', 'stream'].slice(0, before), ...fields], separator };
    }
  }
  return null;
}

function defaultFields(words: readonly string[]): readonly string[] | null {
  const { length } = words;
  if (length === DEFAULT_FIELDS.length && words[0] === '2' && STATUS.test(words[13])) return DEFAULT_FIELDS;
  const isGateway = length === GATEWAY_FIELDS.length && words[1] === 'TransitGateway';
  return isGateway && STATUS.test(words[25]) ? GATEWAY_FIELDS : null;
}

/** IPv6 and TCP header with the options of a SYN, and a bit: a longer packet carries payload. */
const BARE_PACKET_BYTES = 84;

/** Begins with this layout, and follows the lines that name another one. */
export function awsFlowLog(first: AwsLayout): FlowLogFormat {
  let layout = first;
  let reader = createReader(first);

  function follow(next: AwsLayout): void {
    const same = next.separator === layout.separator && next.names.join() === layout.names.join();
    if (same) return;
    layout = next;
    reader = createReader(next);
  }

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const code = text.charCodeAt(start);
    // A record begins with a digit, or with a quote, or is named by its fields.
    if (code < ZERO || code > NINE) {
      const header = headerLayout(text.slice(start, end));
      if (header !== null) {
        follow(header);
        return 'header';
      }
    } else if (text.startsWith('6 TransitGateway ', start) && !layout.names.includes('resource-type')) {
      const record = recordLayout(text.slice(start, end));
      if (record !== null) follow(record);
    }
    const verdict = reader(text, start, end, flow);
    if (verdict !== 'field_count') return verdict;
    const record = recordLayout(text.slice(start, end));
    if (record === null) return verdict;
    follow(record);
    return reader(text, start, end, flow);
  }

  return { name: 'AWS VPC flow log', parse };
}

const ZERO = 48;
const NINE = 57;
const QUOTE = 34;

function createReader({ names, separator }: AwsLayout): FlowLogFormat['parse'] {
  const table = createTable(names, separator);
  const { starts, ends } = table;
  const source = table.column('srcaddr');
  const destination = table.column('dstaddr');
  const packetSource = table.column('pkt-srcaddr');
  const packetDestination = table.column('pkt-dstaddr');
  const sourcePort = table.column('srcport');
  const destinationPort = table.column('dstport');
  const protocolAt = table.column('protocol');
  const packets = table.column('packets');
  const bytes = table.column('bytes');
  const start = table.column('start');
  const end = table.column('end');
  const action = table.column('action');
  const status = table.column('log-status');
  const tcpFlags = table.column('tcp-flags');
  const direction = table.column('flow-direction');
  const interfaceId = table.column('interface-id', 'tgw-attachment-id');
  const lost = names.flatMap((name, i) => (name.startsWith('packets-lost-') ? [i] : []));

  function parse(text: string, from: number, to: number, flow: LoggedFlow): LineVerdict {
    if (!table.cut(text, from, to)) return 'field_count';
    unquote(text);
    if (is(text, status, 'NODATA')) return 'no_data';
    if (is(text, status, 'SKIPDATA')) return 'skip_data';

    const endMs = readTime(text, starts[end], ends[end]);
    const startMs = isSet(text, start) ? readTime(text, starts[start], ends[start]) : -1;
    if (endMs < 0 || (start >= 0 && startMs < 0)) return 'bad_time';
    if (
      !address(text, packetSource, source, flow.source) ||
      !address(text, packetDestination, destination, flow.destination)
    ) {
      return 'bad_address';
    }
    const protocol = isSet(text, protocolAt) ? readProtocol(text, starts[protocolAt], ends[protocolAt]) : -1;
    if (protocol < 0) return 'bad_protocol';
    const withPorts = hasPorts(protocol);
    flow.sourcePort = withPorts ? number(text, sourcePort, readPort) : -1;
    flow.destinationPort = withPorts ? number(text, destinationPort, readPort) : -1;
    if (flow.sourcePort < -1 || flow.destinationPort < -1) return 'bad_port';
    const { forward, reply } = flow;
    forward.packets = number(text, packets, readCount);
    forward.bytes = number(text, bytes, readCount);
    const told = number(text, tcpFlags, readCount);
    if (Math.min(forward.packets, forward.bytes, told) < -1) return 'bad_count';
    // A gateway counts what it could not pass on for itself: packets that came, and went nowhere.
    let dropped = is(text, action, 'REJECT');
    if (forward.packets === 0) {
      forward.packets = lost.reduce((sum, column) => sum + Math.max(0, number(text, column, readCount)), 0);
      if (forward.packets === 0) return 'no_packets';
      forward.bytes = -1;
      dropped = true;
    }
    forward.flags = protocol === TCP ? awsFlags(told, forward.packets, forward.bytes) : 0;
    forward.seen = true;
    reply.seen = false;

    flow.startMs = startMs;
    flow.endMs = endMs;
    flow.receivedMs = -1;
    flow.protocol = protocol;
    flow.exporter.fill(0);
    flow.domain = interfaceId < 0 ? LOG_DOMAIN.aws : hashOf(text, starts[interfaceId], ends[interfaceId]);
    flow.samplingRate = 1;
    flow.inIf = 0;
    flow.outIf = 0;
    flow.forwarding = dropped ? DROPPED : is(text, action, 'ACCEPT') ? FORWARDED : -1;
    flow.direction = is(text, direction, 'ingress') ? 0 : is(text, direction, 'egress') ? 1 : -1;
    return 'flow';
  }

  function unquote(text: string): void {
    for (let i = 0; i < names.length; i++) {
      if (text.charCodeAt(starts[i]) !== QUOTE || ends[i] - starts[i] < 2) continue;
      if (text.charCodeAt(ends[i] - 1) !== QUOTE) continue;
      starts[i]++;
      ends[i]--;
    }
  }

  function is(text: string, column: number, word: string): boolean {
    return (
      column >= 0 && ends[column] - starts[column] === word.length && text.startsWith(word, starts[column])
    );
  }

  /** AWS writes `-` for what does not apply; tables of it have nothing there, or null. */
  function isSet(text: string, column: number): boolean {
    return (
      column >= 0 && starts[column] < ends[column] && !is(text, column, '-') && !is(text, column, 'null')
    );
  }

  /** -1 for what is not told, -2 for what is no number. */
  function number(
    text: string,
    column: number,
    read: (text: string, start: number, end: number) => number,
  ): number {
    if (!isSet(text, column)) return -1;
    const value = read(text, starts[column], ends[column]);
    return value < 0 ? -2 : value;
  }

  function address(text: string, first: number, second: number, out: Uint8Array): boolean {
    const column = isSet(text, first) ? first : second;
    return column >= 0 && readAddress(text, starts[column], ends[column], out);
  }

  return parse;
}

/**
 * AWS tells FIN, SYN, RST and SYN-ACK only: of all other segments neither ACK nor PSH. What surely was there is added:
 * FIN and payload go with ACK. A SYN is told as the only flag where it was the only packet; of two small packets the
 * second may be the same SYN again or the ACK of the handshake, so 0 is returned for "not told". `told` is -1 without
 * the field, and 0 for an interval without any of the four.
 */
function awsFlags(told: number, packets: number, bytes: number): number {
  if (told <= 0) return 0;
  const payload = bytes > BARE_PACKET_BYTES * packets;
  if (told === SYN && !payload && packets > 1) return 0;
  return told | ((told & FIN) !== 0 || payload ? ACK : 0);
}

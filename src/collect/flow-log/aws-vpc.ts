/**
 * AWS VPC flow logs, versions 2 to 5, as text: fields separated by spaces, named by a header line, or the default
 * format without one (what CloudWatch Logs hands out, also with its own time before each record).
 *
 * A record is one direction on one network interface within an aggregation interval. Where the packet's own addresses
 * are logged (`pkt-srcaddr`), those are the ends of the session, not the interface's. AWS captures unsampled.
 */

import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { DROPPED, FORWARDED, LOG_DOMAIN } from './flow-log.ts';
import { createTable } from './table.ts';
import { hasPorts, readAddress, readCount, readPort, readProtocol, readTime } from './values.ts';

const FIN = 1;
const SYN = 2;
const ACK = 16;
const TCP = 6;

/** The default format (version 2), in the words of the user guide. */
const DEFAULT_FIELDS =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status';

/** IPv6 and TCP header with the options of a SYN, and a bit: a longer packet carries payload. */
const BARE_PACKET_BYTES = 84;

/** The names that the first line gives to the fields, or those of the default format; null when it is neither. */
export function awsFields(line: string): readonly string[] | null {
  const words = line.trim().split(/ +/);
  // Athena and Parquet converters write underscores.
  const names = words.map((word) => word.replaceAll('_', '-'));
  const named = (name: string) => names.includes(name) || names.includes(`pkt-${name}`);
  if (named('srcaddr') && named('dstaddr') && names.includes('end')) return names;
  const fields = DEFAULT_FIELDS.split(' ');
  if (isDefaultRecord(words)) return fields;
  return isDefaultRecord(words.slice(1)) && readTime(words[0], 0, words[0].length) > 0
    ? ['timestamp', ...fields]
    : null;
}

function isDefaultRecord(words: readonly string[]): boolean {
  return words.length === 14 && words[0] === '2' && /^(OK|NODATA|SKIPDATA)$/.test(words[13]);
}

/** `names` as awsFields gave them. */
export function awsVpc(names: readonly string[]): FlowLogFormat {
  const table = createTable(names, ' ');
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
  const interfaceId = table.column('interface-id');

  function parse(text: string, from: number, to: number, flow: LoggedFlow): LineVerdict {
    if (!table.cut(text, from, to)) return 'field_count';
    // Files that were put together have the header again.
    if (is(text, end, 'end')) return 'header';
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
    if (forward.packets === 0) return 'no_packets';
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
    flow.forwarding = is(text, action, 'REJECT') ? DROPPED : is(text, action, 'ACCEPT') ? FORWARDED : -1;
    flow.direction = is(text, direction, 'ingress') ? 0 : is(text, direction, 'egress') ? 1 : -1;
    return 'flow';
  }

  function is(text: string, column: number, word: string): boolean {
    return (
      column >= 0 && ends[column] - starts[column] === word.length && text.startsWith(word, starts[column])
    );
  }

  /** AWS writes `-` for what does not apply. */
  function isSet(text: string, column: number): boolean {
    return column >= 0 && !is(text, column, '-');
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

  return { name: 'AWS VPC flow log', parse };
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

/** FNV-1a, 32 bit: a number for a network interface, the same in every run. */
function hashOf(text: string, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

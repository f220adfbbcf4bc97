/**
 * What Argus' `ra -c,` writes: fields under a header line, with any separator.
 *
 * A line is both directions, and tells who opened the connection by an arrow. Where it has only totals of both, nothing
 * is shared out by guess: a direction gets what it must have had, or no count. Times without a date cannot be placed
 * (`ra -u`, or a time format with the date); without a zone they are UTC.
 */

import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { LOG_DOMAIN } from './flow-log.ts';
import { createTable } from './table.ts';
import {
  epochMs,
  hasPorts,
  readAddress,
  readCount,
  readFlagLetters,
  readPort,
  readProtocol,
  readSeconds,
  readTime,
} from './values.ts';

const TCP = 6;
const SYN = 2;
const ACK = 16;
const FIN = 1;

/** Link layer, IPv4 and TCP header: no frame of TCP is shorter. */
const SMALLEST_FRAME_BYTES = 54;
/**
 * In a connection each side answers at least every second packet of the other (RFC 1122 section 4.2.3.2), so that a third
 * of all are its own. In large transfers one ACK may stand for many segments: not beyond this many packets.
 */
const SHARED_PACKETS = 100;
const LEAST_SHARE = 3;

/** What has no IP protocol: layer 2, and the status records of the sensor. */
const NOT_IP = new Set(['arp', 'rarp', 'llc', 'lldp', 'man', 'loop', 'ipx', 'stp', 'cdp', 'ether', 'isis']);

/** Without -n, ra writes names: those of the mail ports. */
const PORT_NAMES: ReadonlyMap<string, number> = new Map([
  ['smtp', 25],
  ['smtps', 465],
  ['ssmtp', 465],
  ['urd', 465],
  ['submissions', 465],
  ['submission', 587],
]);

/** States in words: what each asserts of the flags of [source, destination], and whether the destination answered. */
const STATES: Readonly<Record<string, readonly [number, number, boolean]>> = {
  REQ: [SYN, 0, false],
  ACC: [SYN, SYN | ACK, true],
  EST: [ACK, ACK, true],
  CON: [ACK, ACK, true],
  FIN: [ACK, ACK, true],
  CLO: [ACK | FIN, ACK, true],
  RST: [0, 0, true],
  TIM: [0, 0, true],
  INT: [0, 0, false],
};

/** The columns that the line names and what lies between them, when it is a header of ra; else null. */
export function argusFields(line: string): { names: readonly string[]; separator: string } | null {
  const separator = /^\s*[A-Za-z]+ *([^A-Za-z\d\s]|\t)/.exec(line)?.[1];
  if (separator === undefined) return null;
  const names = line.split(separator).map((name) => name.trim());
  const has = (name: string) => names.includes(name);
  const isHeader = has('SrcAddr') && has('DstAddr') && has('Proto') && (has('StartTime') || has('LastTime'));
  return isHeader ? { names, separator } : null;
}

export function argusCsv(names: readonly string[], separator: string): FlowLogFormat {
  const table = createTable(names, separator);
  const { starts, ends } = table;
  const at = (name: string) => table.column(name);
  const startTime = at('StartTime');
  const lastTime = at('LastTime');
  const duration = at('Dur');
  const proto = at('Proto');
  const source = at('SrcAddr');
  const destination = at('DstAddr');
  const sourcePort = at('Sport');
  const destinationPort = at('Dport');
  const arrow = at('Dir');
  const state = at('State');
  const sourcePackets = at('SrcPkts');
  const destinationPackets = at('DstPkts');
  const totalPackets = at('TotPkts');
  const sourceBytes = at('SrcBytes');
  const destinationBytes = at('DstBytes');
  const totalBytes = at('TotBytes');

  function parse(text: string, from: number, to: number, flow: LoggedFlow): LineVerdict {
    if (table.isHeader(text, from, to)) return 'header';
    if (!table.cut(text, from, to)) return 'field_count';
    const name = text.slice(starts[proto], ends[proto]).toLowerCase();
    if (NOT_IP.has(name)) return 'not_ip';
    const protocol = readProtocol(name, 0, name.length);
    if (protocol < 0) return 'bad_protocol';
    const verdict = readTimes(text, flow);
    if (verdict !== 'flow') return verdict;

    const opened = arrow < 0 ? '->' : text.slice(starts[arrow], ends[arrow]);
    // `<-`: the second address opened the connection.
    const turned = opened.includes('<') && !opened.includes('>') && !opened.includes('?');
    const [one, other] = turned ? [flow.destination, flow.source] : [flow.source, flow.destination];
    if (
      !readAddress(text, starts[source], ends[source], one) ||
      !readAddress(text, starts[destination], ends[destination], other)
    ) {
      return 'bad_address';
    }
    const onePort = hasPorts(protocol) ? port(text, sourcePort) : -1;
    const otherPort = hasPorts(protocol) ? port(text, destinationPort) : -1;
    if (onePort < -1 || otherPort < -1) return 'bad_port';
    flow.sourcePort = turned ? otherPort : onePort;
    flow.destinationPort = turned ? onePort : otherPort;

    const counted = readCounts(text, flow, turned, protocol);
    if (counted !== 'flow') return counted;
    flow.protocol = protocol;
    flow.receivedMs = -1;
    flow.exporter.fill(0);
    flow.domain = LOG_DOMAIN.argus;
    flow.samplingRate = 1;
    flow.inIf = 0;
    flow.outIf = 0;
    flow.forwarding = -1;
    flow.direction = -1;
    return 'flow';
  }

  function readTimes(text: string, flow: LoggedFlow): LineVerdict {
    const startMs = startTime < 0 ? -1 : readTime(text, starts[startTime], ends[startTime]);
    const durationMs =
      duration < 0 || starts[duration] === ends[duration]
        ? 0
        : readSeconds(text, starts[duration], ends[duration]);
    if ((startTime >= 0 && startMs < 0) || durationMs < 0) return 'bad_time';
    const endMs =
      lastTime < 0 ? epochMs(startMs + durationMs) : readTime(text, starts[lastTime], ends[lastTime]);
    flow.startMs = startMs;
    flow.endMs = endMs;
    return endMs < 0 ? 'bad_time' : 'flow';
  }

  /** Counts and flags of both halves. */
  function readCounts(text: string, flow: LoggedFlow, turned: boolean, protocol: number): LineVerdict {
    const [one, other] = turned ? [flow.reply, flow.forward] : [flow.forward, flow.reply];
    one.flags = 0;
    other.flags = 0;
    let answered: boolean | null = null;
    if (state >= 0) {
      const word = text.slice(starts[state], ends[state]);
      const bar = word.indexOf('_');
      if (bar >= 0) {
        answered = bar < word.length - 1;
        if (protocol === TCP) {
          one.flags = Math.max(0, readFlagLetters(word, 0, bar));
          other.flags = Math.max(0, readFlagLetters(word, bar + 1, word.length));
        }
      } else if (Object.hasOwn(STATES, word)) {
        const [oneFlags, otherFlags, hasAnswer] = STATES[word];
        answered = hasAnswer;
        if (protocol === TCP) {
          one.flags = oneFlags;
          other.flags = otherFlags;
        }
      }
    }
    const packets = count(text, totalPackets);
    const bytes = count(text, totalBytes);
    one.packets = count(text, sourcePackets);
    one.bytes = count(text, sourceBytes);
    other.packets = count(text, destinationPackets);
    other.bytes = count(text, destinationBytes);
    if (Math.min(packets, bytes, one.packets, one.bytes, other.packets, other.bytes) < -1) return 'bad_count';
    if (other.bytes < 0 && bytes >= 0 && one.bytes >= 0) other.bytes = Math.max(0, bytes - one.bytes);
    if (other.packets < 0 && packets >= 0 && one.packets >= 0)
      other.packets = Math.max(0, packets - one.packets);
    if (other.packets >= 0) answered = other.packets > 0;
    else if (other.bytes >= 0) answered = other.bytes > 0;
    if (one.packets < 0 && packets >= 0) share(one, other, packets, bytes, answered);
    one.seen = one.packets !== 0;
    other.seen = other.packets !== 0 && answered === true;
    return one.seen || other.seen ? 'flow' : 'no_packets';
  }

  /** -1 without the column, -2 for what is no number. */
  function count(text: string, column: number): number {
    if (column < 0 || starts[column] === ends[column]) return -1;
    const value = readCount(text, starts[column], ends[column]);
    return value < 0 ? -2 : value;
  }

  function port(text: string, column: number): number {
    if (column < 0 || starts[column] === ends[column]) return -1;
    const number = readPort(text, starts[column], ends[column]);
    if (number >= 0) return number;
    return PORT_NAMES.get(text.slice(starts[column], ends[column])) ?? -2;
  }

  return { name: 'Argus CSV', parse, columns: names };
}

/** Totals of both directions: all of them where only one side sent, else the least that each side must have sent. */
function share(
  one: LoggedFlow['forward'],
  other: LoggedFlow['forward'],
  packets: number,
  bytes: number,
  answered: boolean | null,
): void {
  if (answered === false) {
    one.packets = packets;
    if (one.bytes < 0) one.bytes = bytes;
    return;
  }
  const connected = (one.flags & other.flags & ACK) !== 0 && packets <= SHARED_PACKETS;
  const least = connected ? Math.floor(packets / LEAST_SHARE) : 1;
  one.packets = atLeast(packets, other.bytes, least);
  other.packets = atLeast(packets, one.bytes, least);
}

/** Of `packets` of both sides this side sent those that cannot be the other's, whose bytes are known; -1 unknown. */
function atLeast(packets: number, otherBytes: number, least: number): number {
  if (otherBytes < 0) return -1;
  return Math.max(1, least, packets - Math.floor(otherBytes / SMALLEST_FRAME_BYTES));
}

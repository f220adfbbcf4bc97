/**
 * What `nfdump -o csv` writes, of 1.6 and 1.7 up to 1.7.2 (`ts,te,td,sa,da,...`) and since (`firstSeen,duration,...`),
 * also with columns chosen by `-o csv:...`.
 *
 * nfdump prints times in the zone of the machine it runs on and does not say which: they are taken as UTC (run it with
 * TZ=UTC). It knows the router, which is the exporter here, and has multiplied sampled counts already or not: the
 * sampling rate is unknown.
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

/** The columns that the line names, when it is a header of nfdump; else null. */
export function nfdumpFields(line: string): readonly string[] | null {
  const names = line.trim().split(',');
  const has = (...wanted: readonly string[]) => wanted.some((name) => names.includes(name));
  const isHeader =
    has('sa', 'srcAddr') &&
    has('da', 'dstAddr') &&
    has('ts', 'te', 'tr', 'firstSeen', 'lastSeen', 'received');
  return isHeader && has('pr', 'proto') ? names : null;
}

/** `names` as nfdumpFields gave them. */
export function nfdumpCsv(names: readonly string[]): FlowLogFormat {
  const table = createTable(names, ',');
  const { starts, ends } = table;
  const first = table.column('ts', 'firstSeen');
  const last = table.column('te', 'lastSeen');
  const duration = table.column('td', 'duration');
  const received = table.column('tr', 'received');
  const source = table.column('sa', 'srcAddr');
  const destination = table.column('da', 'dstAddr');
  const sourcePort = table.column('sp', 'srcPort');
  const destinationPort = table.column('dp', 'dstPort');
  const protocolAt = table.column('pr', 'proto');
  const flags = table.column('flg', 'flags');
  const forwarding = table.column('fwd', 'fwdStatus');
  const packets = table.column('ipkt', 'inPackets', 'packets', 'pkt');
  const bytes = table.column('ibyt', 'inBytes', 'bytes', 'byt');
  const replyPackets = table.column('opkt', 'outPackets');
  const replyBytes = table.column('obyt', 'outBytes');
  const input = table.column('in', 'input');
  const output = table.column('out', 'output');
  const direction = table.column('dir', 'direction');
  const router = table.column('ra', 'routerIP');
  const engine = table.column('eng', 'engine');
  /** Behind the rows come totals. */
  let inTotals = false;

  function parse(text: string, from: number, to: number, flow: LoggedFlow): LineVerdict {
    if (table.isHeader(text, from, to)) {
      inTotals = false;
      return 'header';
    }
    if (inTotals || text.startsWith('Summary', from) || text.startsWith('No matching flows', from)) {
      inTotals = inTotals || text.startsWith('Summary', from);
      return 'header';
    }
    if (!table.cut(text, from, to)) return 'field_count';
    const verdict = readTimes(text, flow);
    if (verdict !== 'flow') return verdict;
    if (
      !readAddress(text, starts[source], ends[source], flow.source) ||
      !readAddress(text, starts[destination], ends[destination], flow.destination)
    ) {
      return 'bad_address';
    }
    const protocol = readProtocol(text, starts[protocolAt], ends[protocolAt]);
    if (protocol < 0) return 'bad_protocol';
    const withPorts = hasPorts(protocol);
    flow.protocol = protocol;
    flow.sourcePort = withPorts && sourcePort >= 0 ? port(text, sourcePort) : -1;
    flow.destinationPort = withPorts && destinationPort >= 0 ? port(text, destinationPort) : -1;
    if (flow.sourcePort < -1 || flow.destinationPort < -1) return 'bad_port';

    const { forward, reply } = flow;
    forward.packets = count(text, packets);
    forward.bytes = count(text, bytes);
    reply.packets = count(text, replyPackets);
    reply.bytes = count(text, replyBytes);
    if (Math.min(forward.packets, forward.bytes, reply.packets, reply.bytes) < -1) return 'bad_count';
    forward.seen = forward.packets !== 0;
    reply.seen = reply.packets > 0;
    if (!forward.seen && !reply.seen) return 'no_packets';
    // The flags of a row with both directions are those of both: they say nothing about either.
    const told = flags < 0 || reply.seen ? 0 : readFlagLetters(text, starts[flags], ends[flags]);
    forward.flags = protocol === TCP ? Math.max(0, told) : 0;
    reply.flags = 0;

    const status = count(text, forwarding);
    flow.forwarding = status > 0 && status <= 255 ? status : -1;
    flow.inIf = Math.max(0, count(text, input));
    flow.outIf = Math.max(0, count(text, output));
    // Ingress is also what nfdump prints when the exporter did not tell.
    flow.direction =
      direction >= 0 && /^(1|E)$/.test(text.slice(starts[direction], ends[direction])) ? 1 : -1;
    if (
      router < 0 ||
      !readAddress(text, starts[router], ends[router], flow.exporter) ||
      isZero(flow.exporter)
    )
      flow.exporter.fill(0);
    flow.domain = domain(text);
    flow.samplingRate = 0;
    return 'flow';
  }

  /** 1970 is what nfdump prints for a time that it does not have. */
  function readTimes(text: string, flow: LoggedFlow): LineVerdict {
    let startMs = -1;
    if (first >= 0) {
      startMs = readTime(text, starts[first], ends[first]);
      if (startMs < 0) return 'bad_time';
    }
    let endMs = -1;
    if (last >= 0) {
      endMs = readTime(text, starts[last], ends[last]);
      if (endMs < 0) return 'bad_time';
    } else if (startMs > 0) {
      const ms = duration < 0 ? 0 : readDuration(text, starts[duration], ends[duration]);
      endMs = ms < 0 ? -1 : epochMs(startMs + ms);
      if (endMs < 0) return 'bad_time';
    }
    const receivedMs = received < 0 ? -1 : readTime(text, starts[received], ends[received]);
    flow.startMs = startMs > 0 ? startMs : -1;
    flow.endMs = endMs > 0 ? endMs : flow.startMs;
    flow.receivedMs = receivedMs > 0 ? receivedMs : -1;
    return Math.max(flow.endMs, flow.receivedMs) > 0 ? 'flow' : 'bad_time';
  }

  function port(text: string, column: number): number {
    const value = readPort(text, starts[column], ends[column]);
    return value < 0 ? -2 : value;
  }

  /** -1 without the column, -2 for what is no number. */
  function count(text: string, column: number): number {
    if (column < 0) return -1;
    const value = readCount(text, starts[column], ends[column]);
    return value < 0 ? -2 : value;
  }

  /** Engine type and id, as in version 5. */
  function domain(text: string): number {
    if (engine < 0) return LOG_DOMAIN.nfdump;
    const slash = text.indexOf('/', starts[engine]);
    if (slash < 0 || slash >= ends[engine]) return LOG_DOMAIN.nfdump;
    const type = readCount(text, starts[engine], slash);
    const id = readCount(text, slash + 1, ends[engine]);
    return type >= 0 && id >= 0 ? ((type & 255) << 8) | (id & 255) : LOG_DOMAIN.nfdump;
  }

  return { name: 'nfdump CSV', parse, columns: names };
}

/** Seconds, or hours, minutes and seconds as 1.7 prints them, with days before; milliseconds, or -1. */
function readDuration(text: string, start: number, end: number): number {
  const seconds = readSeconds(text, start, end);
  if (seconds >= 0) return seconds;
  const match = /^(?:(\d+)d? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text.slice(start, end));
  if (match === null) return -1;
  const [, days = '0', hours, minutes, rest] = match;
  return 1000 * (86_400 * Number(days) + 3600 * Number(hours) + 60 * Number(minutes) + Number(rest));
}

/** 0.0.0.0 or ::, which nfdump prints for a router that it does not know. */
function isZero(address: Uint8Array): boolean {
  return address.every((byte, i) => byte === 0 || (byte === 0xff && (i === 10 || i === 11)));
}

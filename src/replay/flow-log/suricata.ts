/**
 * Suricata's EVE log: events of type `flow` (both directions of a session) and `netflow` (one direction).
 *
 * All other events are passed over, most of them without being parsed. Suricata counts whole frames, link layer
 * included, and sees every packet: unsampled. Where a log holds both kinds of event, each is a view of its own, so that
 * they do not add up.
 */

import type { FlowLogFormat, LineVerdict, LoggedFlow } from './flow-log.ts';
import { DROPPED, LOG_DOMAIN } from './flow-log.ts';
import {
  isRecord,
  type JsonRecord,
  parseJson,
  readJsonAddress,
  readJsonProtocol,
  readJsonTime,
} from './json.ts';
import { hasPorts } from './values.ts';

const TCP = 6;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

const EMPTY: JsonRecord = {};

export function suricataEve(): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    if (text.charCodeAt(start) !== OPEN_BRACE || text.charCodeAt(end - 1) !== CLOSE_BRACE) return 'bad_json';
    if (!mayBeFlow(text.slice(start, end))) return 'other_event';
    const event = parseJson(text, start, end);
    if (event === null) return 'bad_json';
    if (event.event_type === 'flow') return readFlow(event, flow);
    return event.event_type === 'netflow' ? readNetflow(event, flow) : 'other_event';
  }
  return { name: 'Suricata EVE', parse };
}

/** Much cheaper than parsing an alert with its packet. Inside of other strings the quotes would be escaped. */
function mayBeFlow(line: string): boolean {
  return (
    line.includes('"event_type":"flow"') ||
    line.includes('"event_type":"netflow"') ||
    line.includes('"event_type": ')
  );
}

function readFlow(event: JsonRecord, flow: LoggedFlow): LineVerdict {
  const told = isRecord(event.flow) ? event.flow : EMPTY;
  const verdict = readCommon(event, told, flow);
  if (verdict !== 'flow') return verdict;
  const { forward, reply } = flow;
  forward.packets = count(told.pkts_toserver);
  forward.bytes = count(told.bytes_toserver);
  reply.packets = count(told.pkts_toclient);
  reply.bytes = count(told.bytes_toclient);
  if (Math.min(forward.packets, forward.bytes, reply.packets, reply.bytes) < -1) return 'bad_count';
  const tcp = flow.protocol === TCP && isRecord(event.tcp) ? event.tcp : EMPTY;
  forward.flags = flagsOf(tcp.tcp_flags_ts);
  reply.flags = flagsOf(tcp.tcp_flags_tc);
  forward.seen = forward.packets !== 0;
  reply.seen = reply.packets > 0;
  if (!forward.seen && !reply.seen) return 'no_packets';
  const { action } = isRecord(event.verdict) ? event.verdict : EMPTY;
  flow.forwarding = told.action === 'drop' || action === 'drop' ? DROPPED : -1;
  flow.domain = LOG_DOMAIN.suricataFlow;
  return 'flow';
}

function readNetflow(event: JsonRecord, flow: LoggedFlow): LineVerdict {
  const told = isRecord(event.netflow) ? event.netflow : EMPTY;
  const verdict = readCommon(event, told, flow);
  if (verdict !== 'flow') return verdict;
  const { forward, reply } = flow;
  forward.packets = count(told.pkts);
  forward.bytes = count(told.bytes);
  if (Math.min(forward.packets, forward.bytes) < -1) return 'bad_count';
  if (forward.packets === 0) return 'no_packets';
  const tcp = flow.protocol === TCP && isRecord(event.tcp) ? event.tcp : EMPTY;
  forward.flags = flagsOf(tcp.tcp_flags);
  forward.seen = true;
  reply.seen = false;
  flow.forwarding = -1;
  flow.domain = LOG_DOMAIN.suricataNetflow;
  return 'flow';
}

/** What both kinds of event have; `told` is their own object. */
function readCommon(event: JsonRecord, told: JsonRecord, flow: LoggedFlow): LineVerdict {
  const startMs = readJsonTime(told.start ?? event.timestamp);
  // An event without an end is one that was logged while the flow went on.
  const endMs = readJsonTime(told.end ?? event.timestamp);
  if (startMs < 0 || endMs < 0) return 'bad_time';
  const protocol = readJsonProtocol(event.proto);
  if (protocol < 0) return 'bad_protocol';
  if (!readJsonAddress(event.src_ip, flow.source) || !readJsonAddress(event.dest_ip, flow.destination))
    return 'bad_address';
  const withPorts = hasPorts(protocol);
  const sourcePort = withPorts ? port(event.src_port) : -1;
  const destinationPort = withPorts ? port(event.dest_port) : -1;
  if (sourcePort < -1 || destinationPort < -1) return 'bad_port';
  flow.startMs = startMs;
  flow.endMs = endMs;
  flow.receivedMs = -1;
  flow.protocol = protocol;
  flow.sourcePort = sourcePort;
  flow.destinationPort = destinationPort;
  flow.exporter.fill(0);
  flow.samplingRate = 1;
  flow.inIf = 0;
  flow.outIf = 0;
  flow.direction = -1;
  return 'flow';
}

/** -1 for what is not told, -2 for what is no count. */
function count(value: unknown): number {
  if (value === undefined || value === null) return -1;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : -2;
}

function port(value: unknown): number {
  const number = count(value);
  return number <= 65_535 ? number : -2;
}

/** Hexadecimal digits, as Suricata writes flags; 0 when they say nothing. */
function flagsOf(value: unknown): number {
  return typeof value === 'string' && /^[\da-f]{1,3}$/i.test(value) ? Number.parseInt(value, 16) : 0;
}

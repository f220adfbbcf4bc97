/**
 * Zeek's conn log: tab separated with its own header lines, or JSON lines.
 *
 * One line is both directions of a connection, originator first. Packets and bytes are of IP packets; where Zeek was
 * told not to count those, the payload bytes stand for them, which are fewer. Zeek takes every packet: unsampled.
 */

import type { FlowLogFormat, LineVerdict, LoggedFlow, LoggedHalf } from './flow-log.ts';
import { LOG_DOMAIN } from './flow-log.ts';
import {
  isRecord,
  type JsonRecord,
  parseJson,
  readJsonAddress,
  readJsonProtocol,
  readJsonSeconds,
  readJsonTime,
} from './json.ts';
import { createTable, type Table } from './table.ts';
import {
  epochMs,
  hasPorts,
  readAddress,
  readCount,
  readPort,
  readProtocol,
  readSeconds,
  readTime,
} from './values.ts';
import { historyFlags, ORIGINATOR, RESPONDER, stateFlags } from './zeek-state.ts';

const HASH = 35;
const TCP = 6;

/** Where the columns of a conn log lie; -1 for one that it lacks. */
interface ConnColumns {
  readonly table: Table;
  readonly ts: number;
  readonly origHost: number;
  readonly origPort: number;
  readonly respHost: number;
  readonly respPort: number;
  readonly proto: number;
  readonly duration: number;
  readonly origBytes: number;
  readonly respBytes: number;
  readonly state: number;
  readonly history: number;
  readonly origPackets: number;
  readonly origIpBytes: number;
  readonly respPackets: number;
  readonly respIpBytes: number;
  /** The last of them in a line; behind it labels may be missing, or be added without a word in the header. */
  readonly last: number;
}

/** The header names the columns of a conn log; null when it is another log's. */
function connColumns(names: readonly string[], separator: string): ConnColumns | null {
  const table = createTable(names, separator);
  const columns = {
    table,
    ts: table.column('ts'),
    origHost: table.column('id.orig_h', 'id_orig_h'),
    origPort: table.column('id.orig_p', 'id_orig_p'),
    respHost: table.column('id.resp_h', 'id_resp_h'),
    respPort: table.column('id.resp_p', 'id_resp_p'),
    proto: table.column('proto'),
    duration: table.column('duration'),
    origBytes: table.column('orig_bytes'),
    respBytes: table.column('resp_bytes'),
    state: table.column('conn_state'),
    history: table.column('history'),
    origPackets: table.column('orig_pkts'),
    origIpBytes: table.column('orig_ip_bytes'),
    respPackets: table.column('resp_pkts'),
    respIpBytes: table.column('resp_ip_bytes'),
  };
  const { ts, origHost, origPort, respHost, respPort, proto, state, origPackets } = columns;
  const needed = Math.min(ts, origHost, origPort, respHost, respPort, proto);
  if (needed < 0 || Math.max(state, origPackets) < 0) return null;
  const { table: _, ...places } = columns;
  return { ...columns, last: Math.max(...Object.values(places)) };
}

/** Reads its header lines as they come; rows before one, or under another log's header, are rejected. */
export function zeekTsv(): FlowLogFormat {
  let separator = '\t';
  let unset = '-';
  let empty = '(empty)';
  let columns: ConnColumns | null = null;

  /** `#fields` and its like; the rest of the line is cut at the separator, but for the line that tells it. */
  function readHeader(line: string): void {
    if (line.startsWith('#separator ')) {
      separator = unescapeHex(line.slice('#separator '.length).trim()) || '\t';
      return;
    }
    const [directive, ...values] = line.split(separator);
    if (directive === '#unset_field') unset = values[0] ?? unset;
    else if (directive === '#empty_field') empty = values[0] ?? empty;
    else if (directive === '#fields') columns = connColumns(values, separator);
  }

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    if (text.charCodeAt(start) === HASH) {
      readHeader(text.slice(start, end));
      return 'header';
    }
    if (columns === null) return 'no_header';
    const { table } = columns;
    if (!table.cut(text, start, end, columns.last)) return 'field_count';
    const { starts, ends } = table;

    const isSet = (column: number) =>
      column >= 0 &&
      !is(text, starts[column], ends[column], unset) &&
      !is(text, starts[column], ends[column], empty);
    /** -1 for what is not told, -2 for what is no number. */
    const count = (column: number) => {
      if (!isSet(column)) return -1;
      const value = readCount(text, starts[column], ends[column]);
      return value < 0 ? -2 : value;
    };

    const startMs = readTime(text, starts[columns.ts], ends[columns.ts]);
    if (startMs < 0) return 'bad_time';
    let durationMs = 0;
    if (isSet(columns.duration)) {
      durationMs = readSeconds(text, starts[columns.duration], ends[columns.duration]);
      if (durationMs < 0) return 'bad_time';
    }
    const endMs = epochMs(startMs + durationMs);
    if (endMs < 0) return 'bad_time';
    const protocol = readProtocol(text, starts[columns.proto], ends[columns.proto]);
    if (protocol < 0) return 'bad_protocol';
    if (
      !readAddress(text, starts[columns.origHost], ends[columns.origHost], flow.source) ||
      !readAddress(text, starts[columns.respHost], ends[columns.respHost], flow.destination)
    ) {
      return 'bad_address';
    }
    const withPorts = hasPorts(protocol);
    const origPort = withPorts ? readPort(text, starts[columns.origPort], ends[columns.origPort]) : -1;
    const respPort = withPorts ? readPort(text, starts[columns.respPort], ends[columns.respPort]) : -1;
    if (withPorts && (origPort < 0 || respPort < 0)) return 'bad_port';

    const { forward, reply } = flow;
    forward.packets = count(columns.origPackets);
    reply.packets = count(columns.respPackets);
    forward.bytes = count(columns.origIpBytes);
    reply.bytes = count(columns.respIpBytes);
    if (forward.bytes === -1) forward.bytes = count(columns.origBytes);
    if (reply.bytes === -1) reply.bytes = count(columns.respBytes);
    if (Math.min(forward.packets, reply.packets, forward.bytes, reply.bytes) < -1) return 'bad_count';

    forward.flags = 0;
    reply.flags = 0;
    if (protocol === TCP) {
      if (isSet(columns.history)) {
        forward.flags = historyFlags(text, starts[columns.history], ends[columns.history], ORIGINATOR);
        reply.flags = historyFlags(text, starts[columns.history], ends[columns.history], RESPONDER);
      } else if (isSet(columns.state)) {
        const state = text.slice(starts[columns.state], ends[columns.state]);
        forward.flags = stateFlags(state, ORIGINATOR);
        reply.flags = stateFlags(state, RESPONDER);
      }
    }
    return finish(flow, startMs, endMs, protocol, origPort, respPort);
  }

  return { name: 'Zeek conn', parse };
}

/** True when a `#fields` line is that of a conn log. */
export function isConnHeader(line: string, separator: string): boolean {
  return connColumns(line.split(separator).slice(1), separator) !== null;
}

/** Keys as Zeek writes them, as exporters flatten them (`id_orig_h`), or in an object `id`. */
function idOf(row: JsonRecord, key: string): unknown {
  const flat = row[`id.${key}`] ?? row[`id_${key}`];
  if (flat !== undefined) return flat;
  return isRecord(row.id) ? row.id[key] : undefined;
}

/** Another log's line has the addresses too, but neither state nor counts of the connection. */
export function isConnRow(row: JsonRecord): boolean {
  if (row._path !== undefined && row._path !== 'conn') return false;
  return idOf(row, 'orig_h') !== undefined && (row.conn_state !== undefined || row.orig_pkts !== undefined);
}

export function zeekJson(): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const row = parseJson(text, start, end);
    if (row === null) return 'bad_json';
    if (!isConnRow(row)) return 'other_event';

    const startMs = readJsonTime(row.ts);
    const durationMs =
      row.duration === undefined || row.duration === null ? 0 : readJsonSeconds(row.duration);
    const endMs = epochMs(startMs + durationMs);
    if (startMs < 0 || !(durationMs >= 0) || endMs < 0) return 'bad_time';
    const protocol = readJsonProtocol(row.proto);
    if (protocol < 0) return 'bad_protocol';
    if (
      !readJsonAddress(idOf(row, 'orig_h'), flow.source) ||
      !readJsonAddress(idOf(row, 'resp_h'), flow.destination)
    ) {
      return 'bad_address';
    }
    const withPorts = hasPorts(protocol);
    const origPort = withPorts ? jsonNumber(idOf(row, 'orig_p')) : -1;
    const respPort = withPorts ? jsonNumber(idOf(row, 'resp_p')) : -1;
    if (withPorts && !(origPort >= 0 && origPort <= 65_535 && respPort >= 0 && respPort <= 65_535))
      return 'bad_port';

    const { forward, reply } = flow;
    forward.packets = jsonNumber(row.orig_pkts);
    reply.packets = jsonNumber(row.resp_pkts);
    forward.bytes = jsonNumber(row.orig_ip_bytes ?? row.orig_bytes);
    reply.bytes = jsonNumber(row.resp_ip_bytes ?? row.resp_bytes);
    if (Math.min(forward.packets, reply.packets, forward.bytes, reply.bytes) < -1) return 'bad_count';

    forward.flags = 0;
    reply.flags = 0;
    if (protocol === TCP) {
      const { history, conn_state: state } = row;
      if (typeof history === 'string') {
        forward.flags = historyFlags(history, 0, history.length, ORIGINATOR);
        reply.flags = historyFlags(history, 0, history.length, RESPONDER);
      } else if (typeof state === 'string') {
        forward.flags = stateFlags(state, ORIGINATOR);
        reply.flags = stateFlags(state, RESPONDER);
      }
    }
    return finish(flow, startMs, endMs, protocol, origPort, respPort);
  }

  return { name: 'Zeek conn (JSON)', parse };
}

/** -1 for what is not told, -2 for what is no count. */
function jsonNumber(value: unknown): number {
  if (value === undefined || value === null) return -1;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : -2;
}

function finish(
  flow: LoggedFlow,
  startMs: number,
  endMs: number,
  protocol: number,
  origPort: number,
  respPort: number,
): LineVerdict {
  const { forward, reply } = flow;
  forward.seen = wasSeen(forward);
  reply.seen = wasSeen(reply);
  // No counts of either side: the connection was opened by somebody.
  if (forward.packets < 0 && reply.packets < 0 && !reply.seen) forward.seen = true;
  if (!forward.seen && !reply.seen) return 'no_packets';
  flow.startMs = startMs;
  flow.endMs = endMs;
  flow.receivedMs = -1;
  flow.protocol = protocol;
  flow.sourcePort = origPort;
  flow.destinationPort = respPort;
  flow.exporter.fill(0);
  flow.domain = LOG_DOMAIN.zeek;
  flow.samplingRate = 1;
  flow.inIf = 0;
  flow.outIf = 0;
  flow.forwarding = -1;
  flow.direction = -1;
  return 'flow';
}

function wasSeen(half: LoggedHalf): boolean {
  return half.packets >= 0 ? half.packets > 0 : half.flags > 0 || half.bytes > 0;
}

function is(text: string, start: number, end: number, word: string): boolean {
  return end - start === word.length && text.startsWith(word, start);
}

/** `\x09` as Zeek writes its separator. */
function unescapeHex(text: string): string {
  return text.replace(/\\x([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * The words of the flow-log readers: a logged flow, what became of a line, and the account of a file.
 *
 * Kept apart from the readers so that all formats share one account: `lines` is always the sum of `flows` and all of
 * `skipped` and `rejected`. A line must never be an exception.
 */

/** Why a sound line gave no flow. */
export type SkipReason =
  /** Header, comment, empty line, totals at the end. */
  | 'header'
  /** EVE: not a flow or netflow event. Zeek JSON: another log's line. Syslog: not a firewall's line about traffic. */
  | 'other_event'
  /** A session began (firewalls): its counts come with the line at its end. */
  | 'session_start'
  /** Layer 2 traffic, or a status record of the tool itself (Argus). */
  | 'not_ip'
  /** Neither side sent a packet that the tool counted. */
  | 'no_packets'
  /** AWS: nothing happened on the interface (NODATA). */
  | 'no_data'
  /** AWS: flows of the interval were lost (SKIPDATA): a gap, not silence. */
  | 'skip_data';

/** Why a line is not understood. */
export type RejectReason =
  | 'too_long'
  /** More or fewer fields than the header names. */
  | 'field_count'
  /** A row before any header. */
  | 'no_header'
  | 'bad_json'
  | 'bad_time'
  | 'bad_address'
  | 'bad_port'
  | 'bad_protocol'
  | 'bad_count'
  /** A time without a year, in a file whose own time is not known. */
  | 'no_year'
  /** Which side opened the session is not told (Cisco ASA). */
  | 'no_direction'
  /** The file ends within its compressed form. */
  | 'cut_file';

export type LineVerdict = 'flow' | SkipReason | RejectReason;

/** One direction of a logged flow; -1 is what the tool does not tell. */
export interface LoggedHalf {
  /** Packets went this way, as far as the log tells: the half becomes a row. */
  seen: boolean;
  packets: number;
  /** Of IP packets where the tool tells them; Suricata and Argus count the link layer too. */
  bytes: number;
  /** As in the `tcp_flags` column. 0 is not told either: no packet of TCP is without a flag. */
  flags: number;
}

/** One line. A single object that is filled anew for each. Its source is the side that opened the connection. */
export interface LoggedFlow {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** -1 where there is none. */
  sourcePort: number;
  destinationPort: number;
  protocol: number;
  /** Milliseconds since 1970 UTC, -1 for what is not told. */
  startMs: number;
  endMs: number;
  /** When a collector received the flow, where the log tells; else -1, and the end of the flow stands for it. */
  receivedMs: number;
  /** Source to destination, and back. */
  readonly forward: LoggedHalf;
  readonly reply: LoggedHalf;
  /** Who saw it, so that what two tools saw of one session is not added up. All zero for the tool itself. */
  readonly exporter: Uint8Array;
  domain: number;
  /** As in the `sampling_rate` column: 1 unsampled, 0 unknown. */
  samplingRate: number;
  inIf: number;
  outIf: number;
  /** As in the columns of the same name, -1 for what is not told. */
  forwarding: number;
  direction: number;
}

/** Forwarding status (IE 89) of what a firewall let through, and of what it dropped. */
export const FORWARDED = 64;
export const DROPPED = 128;

/** Observation domains of tools that have none: each sees sessions whole, so tools must not add up. */
export const LOG_DOMAIN = {
  zeek: 1,
  suricataFlow: 2,
  suricataNetflow: 3,
  aws: 4,
  nfdump: 5,
  argus: 6,
  packets: 7,
  netfilter: 8,
  pf: 9,
  ciscoAsa: 10,
  fortigate: 11,
  panos: 12,
  junos: 13,
} as const;

export function createLoggedFlow(): LoggedFlow {
  const half = (): LoggedHalf => ({ seen: false, packets: -1, bytes: -1, flags: -1 });
  return {
    source: new Uint8Array(16),
    destination: new Uint8Array(16),
    sourcePort: -1,
    destinationPort: -1,
    protocol: 0,
    startMs: -1,
    endMs: -1,
    receivedMs: -1,
    forward: half(),
    reply: half(),
    exporter: new Uint8Array(16),
    domain: 0,
    samplingRate: 0,
    inIf: 0,
    outIf: 0,
    forwarding: -1,
    direction: -1,
  };
}

/** Reads the line that lies in `text` from `start` to `end` into `flow`, every field of which it sets when it is one. */
type LineParser = (text: string, start: number, end: number, flow: LoggedFlow) => LineVerdict;

export interface FlowLogFormat {
  /** For people. */
  readonly name: string;
  readonly parse: LineParser;
  /**
   * Names of the columns, where one line names them all: logs that were put together have such a line again, perhaps
   * with other columns.
   */
  readonly columns?: readonly string[];
}

interface RejectedLine {
  readonly line: number;
  readonly reason: RejectReason;
  /** The beginning of it. */
  readonly text: string;
}

export interface FlowLogCounters {
  /** The format, for people; empty before it is known. */
  format: string;
  lines: number;
  /** Lines that are flows, and the rows that they gave: one for each direction. */
  flows: number;
  rows: number;
  readonly skipped: Partial<Record<SkipReason, number>>;
  readonly rejected: Partial<Record<RejectReason, number>>;
  /** The first few. */
  readonly examples: RejectedLine[];
}

export function createFlowLogCounters(): FlowLogCounters {
  return { format: '', lines: 0, flows: 0, rows: 0, skipped: {}, rejected: {}, examples: [] };
}

const SKIP_REASONS: ReadonlySet<string> = new Set<SkipReason>([
  'header',
  'other_event',
  'session_start',
  'not_ip',
  'no_packets',
  'no_data',
  'skip_data',
]);

export function isSkipped(verdict: LineVerdict): verdict is SkipReason {
  return SKIP_REASONS.has(verdict);
}

/**
 * The first look at a record: is it about a mail session of an internal host that may not have it, and which end is the
 * host? Most records end here. A decision needs the record and the policy only, nothing that was seen before.
 */

import { type FlowColumns, readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { createInsideAddresses } from '../flow/inside-address.ts';
import { type Expectation, NOTHING_EXPECTED } from './expected.ts';
import { PORT_CLASS, type Policy, type SenderVerdict } from './policy.ts';
import type { SessionKey } from './sessions.ts';
import { TCP } from './tcp-flags.ts';

/** Why a record is no evidence. */
export type IgnoreReason =
  /** Not TCP, a later fragment (which has no ports), or no mail port. */
  | 'not_mail'
  /** Neither end is internal; both are; or the outside end is the client. */
  | 'foreign'
  | 'internal'
  | 'inbound'
  | 'authorised'
  /** An internal source that came in by an outside interface. */
  | 'spoofed'
  /** Both ports are mail ports, and nothing tells who is the client. */
  | 'ambiguous'
  /** Counts that no flow has: a record that was read with the wrong template. */
  | 'implausible'
  /** The record was seen before. */
  | 'duplicate';

/** An IPv6 packet with the largest payload that needs no jumbo option. */
const MAX_PACKET_BYTES = 65_575;
const MAX_PACKETS = 2 ** 40;
const MAX_BYTES = 2 ** 48;

/**
 * How a session on a submission port stands to the bounds of its host (submission-fans.ts): within them, or on another port;
 * over them by attempts that reach nobody; over them by connections.
 */
export const FAN = { none: 0, attempts: 1, connections: 2 } as const;

/** One record as the accounting needs it; a single object that is filled anew for each row. */
export interface Sighting extends SessionKey {
  site: number;
  client: Uint8Array;
  clientAt: number;
  clientPort: number;
  server: Uint8Array;
  serverAt: number;
  port: number;
  /** The record is the client's half. */
  forward: boolean;
  /** Counts only when the session is known: the record alone does not tell who is the client. */
  knownOnly: boolean;
  /** The server is internal, too. */
  internal: boolean;
  /** Of a record that is no evidence against a host: client and server are filled in, the server is internal. */
  service: boolean;
  verdict: SenderVerdict;
  /** How the session stands to what is declared of the client; known once the session is graded. */
  expectation: Expectation;
  /** A value of FAN; known once the session is graded. */
  fan: number;
  vantage: number;
  /** The interface towards the host. */
  interface: number;
  samplingRate: number;
  receivedMs: number;
  partition: number;
  offset: number;
  /** The row, while it is at hand; null for a timer. */
  columns: FlowColumns | null;
  row: number;
}

export function emptySighting(): Sighting {
  return {
    site: 0,
    client: new Uint8Array(16),
    clientAt: 0,
    clientPort: 0,
    server: new Uint8Array(16),
    serverAt: 0,
    port: 0,
    forward: true,
    knownOnly: false,
    internal: false,
    service: false,
    verdict: { kind: 'none', sender: '', reason: '' },
    expectation: NOTHING_EXPECTED,
    fan: FAN.none,
    vantage: 0,
    interface: 0,
    samplingRate: 0,
    receivedMs: 0,
    partition: 0,
    offset: 0,
    columns: null,
    row: 0,
  };
}

/** Fills the sighting from a row, or says why the row is none. The caller has set `receivedMs` and the position. */
export type Screen = (columns: FlowColumns, row: number, into: Sighting) => IgnoreReason | null;

export function createScreen(policy: Policy): Screen {
  const { portClass } = policy;
  const sitesConfigured = policy.siteNames.length > 1;
  const inside = createInsideAddresses(policy.isInternal, policy.isNatPool);

  /** A record of a session with an internal server: it tells who is one. */
  function noteService(
    columns: FlowColumns,
    row: number,
    forward: boolean,
    source: Uint8Array,
    destination: Uint8Array,
    into: Sighting,
  ): void {
    const at = 16 * row;
    into.service = true;
    into.forward = forward;
    into.client = forward ? source : destination;
    into.server = forward ? destination : source;
    into.clientAt = at;
    into.serverAt = at;
    into.clientPort = forward ? columns.src_port[row] : columns.dst_port[row];
    into.port = forward ? columns.dst_port[row] : columns.src_port[row];
    into.site = sitesConfigured ? policy.site(columns.exporter, at, vrfOf(columns, row)) : 0;
    into.columns = columns;
    into.row = row;
  }

  return (columns, row, into) => {
    into.service = false;
    const toPort = portClass[columns.dst_port[row]];
    const fromPort = portClass[columns.src_port[row]];
    if (
      columns.protocol[row] !== 6 ||
      columns.fragment_offset[row] !== 0 ||
      (toPort === PORT_CLASS.none && fromPort === PORT_CLASS.none)
    ) {
      return 'not_mail';
    }
    const at = 16 * row;
    const source = inside.source(columns, row);
    const destination = inside.destination(columns, row);
    const sourceInside = policy.isInternal(source, at);
    const internal = sourceInside && policy.isInternal(destination, at);
    if (internal && !policy.watchesInternal) {
      if (toPort === PORT_CLASS.none || fromPort === PORT_CLASS.none) {
        into.internal = true;
        noteService(columns, row, toPort !== PORT_CLASS.none, source, destination, into);
      }
      return 'internal';
    }
    if (!sourceInside && !policy.isInternal(destination, at)) return 'foreign';
    if (sourceInside && policy.comesFromOutside(columns.exporter, at, columns.in_if[row])) return 'spoofed';
    // Between internal hosts the port tells the client; mail ports at both ends tell nothing.
    const fromInside = internal ? toPort !== PORT_CLASS.none : sourceInside;
    if (internal && toPort !== PORT_CLASS.none && fromPort !== PORT_CLASS.none) return 'ambiguous';
    into.internal = internal;
    if ((fromInside ? toPort : fromPort) === PORT_CLASS.none) {
      noteService(columns, row, !fromInside, source, destination, into);
      return 'inbound';
    }
    if (isImplausible(columns, row)) return 'implausible';
    into.knownOnly = false;
    if (toPort !== PORT_CLASS.none && fromPort !== PORT_CLASS.none) {
      const sourceIsClient = clientOfMailPorts(columns, row);
      if (sourceIsClient !== null && sourceIsClient !== fromInside) return 'inbound';
      into.knownOnly = sourceIsClient === null;
    }
    into.forward = fromInside;
    into.client = fromInside ? source : destination;
    into.server = fromInside ? destination : source;
    into.clientAt = at;
    into.serverAt = at;
    into.port = fromInside ? columns.dst_port[row] : columns.src_port[row];
    into.site = sitesConfigured ? policy.site(columns.exporter, at, vrfOf(columns, row)) : 0;
    into.clientPort = fromInside
      ? portOf(columns, row, source === columns.src_addr, PRESENT.POST_NAT_SRC_PORT)
      : portOf(columns, row, destination === columns.dst_addr, PRESENT.POST_NAT_DST_PORT);
    into.columns = columns;
    into.row = row;
    into.verdict = policy.verdict(into.client, at, into.server, at, into.receivedMs, into.site);
    if (into.verdict.kind === 'authorised') {
      into.service = internal;
      return 'authorised';
    }
    if (internal && policy.isSender(into.server, at, into.receivedMs, into.site)) return 'internal';
    into.service = internal;
    into.interface = fromInside ? columns.in_if[row] : columns.out_if[row];
    into.samplingRate = columns.sampling_rate[row];
    return null;
  };
}

/** The client's port, on the same side of the NAT as its address. */
function portOf(columns: FlowColumns, row: number, isPlain: boolean, translated: number): number {
  const isSource = translated === PRESENT.POST_NAT_SRC_PORT;
  if (isPlain || (columns.present[row] & translated) === 0)
    return isSource ? columns.src_port[row] : columns.dst_port[row];
  return isSource ? columns.post_nat_src_port[row] : columns.post_nat_dst_port[row];
}

/** Exporters without packet or byte counts leave them at zero, which says nothing. */
function isImplausible(columns: FlowColumns, row: number): boolean {
  const packets = readWide(columns.packets, row);
  const bytes = readWide(columns.bytes, row);
  if (packets >= MAX_PACKETS || bytes >= MAX_BYTES) return true;
  return packets > 0 && bytes > packets * MAX_PACKET_BYTES;
}

/** Between two mail ports: true when the source is the client, false when the destination is, null when untold. */
function clientOfMailPorts(columns: FlowColumns, row: number): boolean | null {
  if (columns.reverse[row] === 1) return false;
  const flags = (columns.present[row] & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
  return (flags & (TCP.SYN | TCP.ACK)) === TCP.SYN ? true : null;
}

function vrfOf(columns: FlowColumns, row: number): number | null {
  return (columns.present[row] & PRESENT.VRF) === 0 ? null : columns.vrf[row];
}

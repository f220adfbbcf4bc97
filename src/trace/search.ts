/**
 * Searches the stored flows for the inside hosts that a complaint can mean: what is asked of the store, and its rows.
 *
 * A record is looked at from both ends. The host is the inside address of the end, and what the outside saw of it is its
 * translated address and port where a record names them (IE 225 to 228, NSEL, NAT events): see flow/inside-address.ts. The
 * time that counts is the flow's own, first to last packet; when it was received only bounds what is read. Nothing but our
 * own numbers and address literals gets into the statement.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import { PRESENT } from '../flow/columns.ts';
import type { Prefix } from '../flow/prefix.ts';
import { addressRange, inAnyPrefix } from '../store/conditions.ts';
import { parseRows } from '../store/rows.ts';
import type { BytesQuery } from '../store/stored-flows.ts';
import type { Complaint, Endpoint } from './complaint.ts';

export interface Inside {
  readonly internal: readonly Prefix[];
  /** Addresses that many hosts share: never the answer. */
  readonly nat: readonly Prefix[];
}

/** What the records say of one host around the time. */
export interface HostMatch {
  readonly host: string;
  readonly records: number;
  /** First and last packet of its matching flows. */
  readonly first: string;
  readonly last: string;
  /** Records that were going on at the very time. */
  readonly at_the_time: number;
  /** Records that name the public address for it, and those that name the port as well. */
  readonly by_address: number;
  readonly by_port: number;
  /** Records in which its own port, before any translation, is that of the complaint. */
  readonly by_own_port: number;
  readonly peers: number;
  readonly some_peers: readonly string[];
  readonly peer_ports: readonly number[];
  readonly exporters: readonly string[];
  /** Sent by the host, as exported. */
  readonly packets: number;
  readonly bytes: number;
}

/** What there was to search in. */
export interface Searched {
  readonly records: number;
  /** Records that name a translated source or destination. */
  readonly translated: number;
  /** The largest sampling rate; 0 where none is known. */
  readonly sampling: number;
  /** Received first of all that is kept; null in an empty store. */
  readonly oldest: string | null;
}

/** More hosts than this are no answer. */
export const MAX_CANDIDATES = 50;
/** Active timeouts of routers go up to half an hour, and a flow may wait in a spool. */
const RECEIVED_LATER_MS = 2 * 3_600_000;
/** A clock of an exporter that is fast. */
const RECEIVED_EARLIER_MS = 3_600_000;

/** At most MAX_CANDIDATES + 1 hosts, the best matches first. */
export async function searchHosts(
  query: BytesQuery,
  complaint: Complaint,
  inside: Inside,
): Promise<readonly HostMatch[]> {
  const { source, destination, atMs } = complaint;
  const address = source.address === null ? null : literal(source.address);
  const at = time(atMs);
  const matching = [
    "inside != toIPv6('::')",
    ...endpointIs(destination, 'peer', 'peer_port'),
    // A record that names another public address for the host is about somebody else's complaint.
    ...(address === null ? [] : [`(outside = ${address} OR inside = ${address} OR outside = toIPv6('::'))`]),
  ];
  const names = address === null ? '0' : `(outside = ${address} OR inside = ${address})`;
  const port = source.port ?? 0;
  const sql = `
    SELECT toString(inside) AS host, toUInt32(count()) AS records, min(began) AS first, max(ended) AS last,
      toUInt32(countIf(began <= ${at} AND ended >= ${at})) AS at_the_time,
      toUInt32(countIf(${names})) AS by_address, toUInt32(countIf(${names} AND outside_port = ${port} AND ${port} != 0)) AS by_port,
      toUInt32(countIf(own_port = ${port} AND ${port} != 0)) AS by_own_port,
      toUInt32(uniq(peer)) AS peers, arraySort(arrayMap(x -> toString(x), groupUniqArray(5)(peer))) AS some_peers,
      arraySort(groupUniqArray(5)(peer_port)) AS peer_ports,
      arraySort(arrayMap(x -> toString(x), groupUniqArray(5)(exporter))) AS exporters,
      sum(sent_packets) AS packets, sum(sent_bytes) AS bytes
    FROM (${oriented(complaint, inside, 'src', 'dst')} UNION ALL ${oriented(complaint, inside, 'dst', 'src')})
    WHERE ${matching.join(' AND ')}
    GROUP BY inside
    ORDER BY by_port DESC, by_own_port DESC, by_address DESC, at_the_time DESC, bytes DESC, host
    LIMIT ${MAX_CANDIDATES + 1}`;
  const rows = parseRows<HostMatch>(await query(sql, 'JSONCompact'), { bySettings: false });
  return rows.map((row) => ({
    ...row,
    host: written(row.host),
    some_peers: row.some_peers.map(written),
    exporters: row.exporters.map(written),
  }));
}

/** The rows of `flows` around the time, seen from one end. */
function oriented(complaint: Complaint, inside: Inside, own: 'src' | 'dst', other: 'src' | 'dst'): string {
  const nat = own === 'src' ? PRESENT.POST_NAT_SRC_ADDR : PRESENT.POST_NAT_DST_ADDR;
  const natPort = own === 'src' ? PRESENT.POST_NAT_SRC_PORT : PRESENT.POST_NAT_DST_PORT;
  const isHost = (column: string) =>
    `(${inAnyPrefix(column, inside.internal)} AND NOT ${inAnyPrefix(column, inside.nat)})`;
  const direct = isHost(`${own}_addr`);
  const translated = `(bitAnd(present, ${nat}) != 0)`;
  const hasPort = `(bitAnd(present, ${natPort}) != 0)`;
  const behind = `(${translated} AND ${isHost(`post_nat_${own}_addr`)})`;
  const { source, destination } = complaint;
  // What the index of the table can use is said of its own columns.
  const sargable = [
    ...endpointIs(destination, `${other}_addr`, `${other}_port`),
    ...(source.address === null || destination.address !== null
      ? []
      : [
          `(${direct} OR ${own}_addr = ${literal(source.address)} OR post_nat_${own}_addr = ${literal(source.address)})`,
        ]),
  ];
  return `
    SELECT multiIf(${direct}, ${own}_addr, ${behind}, post_nat_${own}_addr, toIPv6('::')) AS inside,
      multiIf(NOT ${direct}, ${own}_addr, ${translated}, post_nat_${own}_addr, toIPv6('::')) AS outside,
      multiIf(NOT ${direct}, ${own}_port, ${hasPort}, post_nat_${own}_port, ${translated}, 0, ${own}_port) AS outside_port,
      multiIf(${direct}, ${own}_port, ${hasPort}, post_nat_${own}_port, 0) AS own_port,
      ${other}_addr AS peer, ${other}_port AS peer_port, exporter,
      ${BEGAN} AS began, ${ENDED} AS ended,
      ${own === 'src' ? 'packets' : '0'} AS sent_packets, ${own === 'src' ? 'bytes' : '0'} AS sent_bytes
    FROM flows
    WHERE ${around(complaint)} AND fragment_offset = 0 ${sargable.map((each) => `AND ${each}`).join(' ')}`;
}

export async function whatWasSearched(query: BytesQuery, complaint: Complaint): Promise<Searched> {
  const named = PRESENT.POST_NAT_SRC_ADDR | PRESENT.POST_NAT_DST_ADDR;
  const [found] = parseRows<Omit<Searched, 'oldest'>>(
    await query(
      `SELECT toUInt32(count()) AS records, toUInt32(countIf(bitAnd(present, ${named}) != 0)) AS translated,
        toUInt32(max(sampling_rate)) AS sampling FROM flows WHERE ${around(complaint)}`,
      'JSONCompact',
    ),
    { bySettings: false },
  );
  const [oldest] = parseRows<{ oldest: string }>(
    await query(
      'SELECT received_at AS oldest FROM flows ORDER BY toStartOfFiveMinutes(received_at), dst_port, src_addr, received_at LIMIT 1',
      'JSONCompact',
    ),
    { bySettings: false },
  );
  return { ...found, oldest: oldest?.oldest ?? null };
}

function around({ atMs, withinMs }: Complaint): string {
  const from = atMs - withinMs;
  const until = atMs + withinMs;
  return [
    `received_at BETWEEN ${time(from - RECEIVED_EARLIER_MS)} AND ${time(until + RECEIVED_LATER_MS)}`,
    `${BEGAN} <= ${time(until)}`,
    `${ENDED} >= ${time(from)}`,
  ].join(' AND ');
}

function endpointIs({ address, port }: Endpoint, column: string, portColumn: string): string[] {
  return [
    ...(address === null ? [] : [addressRange(column, { bytes: address, length: 128 })]),
    ...(port === null ? [] : [`${portColumn} = ${port}`]),
  ];
}

/** A record without times has happened when it came. */
const BEGAN = `if(bitAnd(present, ${PRESENT.START}) != 0, start, received_at)`;
const ENDED = `if(bitAnd(present, ${PRESENT.END}) != 0, end, received_at)`;

const time = (ms: number) => `fromUnixTimestamp64Milli(toInt64(${Math.trunc(ms)}), 'UTC')`;
const literal = (bytes: Uint8Array) => addressRange('', { bytes, length: 128 }).replace(/^ = /, '');

function written(address: string): string {
  const bytes = parseAddress(address);
  return bytes === null ? address : formatAddress(bytes);
}

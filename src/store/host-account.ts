/** What the store knows of one host beside its flows: incidents and blocks it ever had, and the servers it talked to. */

import { formatAddress, parseAddress } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';
import { addressRange } from './conditions.ts';
import type { Engine } from './store.ts';

export interface PastIncident {
  readonly incident_id: string;
  readonly state: 'open' | 'closed';
  readonly grade: string;
  readonly opened_at: string;
  readonly closed_at: string | null;
  readonly first_seen: string;
  readonly last_seen: string;
  readonly sessions: number;
  readonly attempts: number;
  readonly destinations: number;
  readonly bytes: number;
  readonly block_state: string;
  readonly block_reason: string;
}

export interface PastBlock {
  readonly incident_id: string;
  readonly state: string;
  readonly reason: string;
  readonly since: string | null;
  readonly until: string | null;
  readonly updated_at: string;
}

export interface Destination {
  readonly address: string;
  readonly sessions: number;
  readonly packets: number;
  readonly bytes: number;
  readonly first_seen: string;
  readonly last_seen: string;
}

interface HostAtSite {
  readonly host: string;
  readonly site: string;
}

/** Newest first, at most 100. */
export async function pastIncidents(engine: Engine, { host, site }: HostAtSite): Promise<PastIncident[]> {
  const rows = await engine.query<PastIncident>(
    `SELECT incident_id, state, grade, opened_at, closed_at, first_seen, last_seen, sessions, attempts, destinations, bytes,
      block_state, block_reason
    FROM incidents FINAL WHERE host = {host:String} AND site = {site:String} ORDER BY opened_at DESC LIMIT 100`,
    { params: { host, site } },
  );
  return rows.map((row) => ({
    ...row,
    sessions: Number(row.sessions),
    attempts: Number(row.attempts),
    destinations: Number(row.destinations),
    bytes: Number(row.bytes),
  }));
}

/** Every state that a block of the host was ever in, newest first, at most 200. */
export function pastBlocks(engine: Engine, { host, site }: HostAtSite): Promise<PastBlock[]> {
  return engine.query<PastBlock>(
    `SELECT incident_id, state, reason, since, until, updated_at FROM blocks FINAL
    WHERE host = {host:String} AND site = {site:String} ORDER BY updated_at DESC LIMIT 200`,
    { params: { host, site } },
  );
}

export interface DestinationsQuery {
  readonly host: Prefix;
  readonly fromMs: number;
  readonly toMs: number;
  readonly ports: readonly number[];
}

const MAX_DESTINATIONS = 500;

/** Servers that the host talked to, those with the most sessions first. Sites are not told apart: sessions know none. */
export async function destinationsOf(engine: Engine, query: DestinationsQuery): Promise<Destination[]> {
  const { host, ports, fromMs, toMs } = query;
  const rows = await engine.query<Destination>(
    `SELECT toString(server) AS address, uniqCombined(client, client_port, hour) AS sessions,
      sum(s.packets_to_server) AS packets, sum(s.bytes_to_server) AS bytes,
      min(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen
    FROM mail_sessions AS s
    WHERE ${addressRange('client', host)} AND server_port IN (${ports.map(Math.trunc).join(', ')})
      AND hour >= toStartOfHour(parseDateTime64BestEffort({from:String}, 3, 'UTC'))
      AND hour <= parseDateTime64BestEffort({to:String}, 3, 'UTC')
    GROUP BY server ORDER BY sessions DESC, address LIMIT ${MAX_DESTINATIONS}`,
    { params: { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() } },
  );
  return rows.map((row) => {
    const bytes = parseAddress(row.address);
    return {
      ...row,
      address: bytes === null ? row.address : formatAddress(bytes),
      sessions: Number(row.sessions),
      packets: Number(row.packets),
      bytes: Number(row.bytes),
    };
  });
}

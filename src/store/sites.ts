/**
 * Sites in SQL: which site a stored flow, or a row of mail sessions, belongs to, by the rules of the configuration.
 *
 * The store knows exporters and VRFs, not sites, so that a changed configuration is right for the past, too. It must say
 * what `Policy.site` says: the first site that matches. Nothing but numbers and addresses of ours gets into a statement.
 */

import type { Config } from '../config/schema.ts';
import { PRESENT } from '../flow/columns.ts';
import { inAnyPrefix, ON_MAIL_PORTS } from './conditions.ts';

export type Sites = Config['networks']['sites'];

/**
 * The number of the site of a row of `flows`: 1 for the first, 0 outside of all. `exporter` is the expression of its exporter.
 */
export function siteNumber(sites: Sites, exporter = 'exporter'): string {
  if (sites.length === 0) return '0';
  const cases = sites.map(({ vrf, exporters }, i) => {
    const conditions = [
      ...(vrf === undefined ? [] : [`(bitAnd(present, ${PRESENT.VRF}) != 0 AND vrf = ${Math.trunc(vrf)})`]),
      ...(exporters === undefined ? [] : [inAnyPrefix(exporter, exporters)]),
    ];
    return `${conditions.length === 0 ? '1' : conditions.join(' AND ')}, ${i + 1}`;
  });
  return `multiIf(${cases.join(', ')}, 0)`;
}

export const siteName = (sites: Sites, number: number): string => sites[number - 1]?.name ?? '';

const hasVrf = (sites: Sites): boolean => sites.some(({ vrf }) => vrf !== undefined);

/**
 * A table in parentheses: mail sessions by hour with their site, in partial rows that add up. A session that routers of two
 * sites saw counts at both. Where sites go by VRF it is made of the flows, which are kept for a shorter time.
 */
export function sessionsWithSite(sites: Sites, since: string): string {
  if (hasVrf(sites)) return `(${fromFlows(siteNumber(sites), since)})`;
  const site =
    sites.length === 0
      ? '0'
      : `arrayJoin(arrayDistinct(arrayMap(one -> ${siteNumber(sites, 'one')}, exporters)))`;
  return `(SELECT hour, client, server, server_port, client_port, ${site} AS site, first_seen AS began, last_seen AS ended,
      packets_to_server, bytes_to_server, packets_to_client, flags_to_client
    FROM mail_sessions ${since === '' ? '' : `WHERE hour >= ${since}`})`;
}

/** The columns of a session as 0002_mail.sql makes them of a flow. */
const fromFlows = (site: string, since: string) =>
  `SELECT toStartOfHour(received_at) AS hour, dst_port IN (25, 465, 587, 2525) AS to_server,
      if(to_server, src_addr, dst_addr) AS client, if(to_server, dst_addr, src_addr) AS server,
      if(to_server, dst_port, src_port) AS server_port, if(to_server, src_port, dst_port) AS client_port,
      ${site} AS site, received_at AS began, received_at AS ended,
      if(to_server, packets, 0) AS packets_to_server, if(to_server, bytes, 0) AS bytes_to_server,
      if(to_server, 0, packets) AS packets_to_client, if(to_server, 0, tcp_flags) AS flags_to_client
    FROM flows
    WHERE protocol = 6 AND fragment_offset = 0 AND ${ON_MAIL_PORTS} ${since === '' ? '' : `AND received_at >= ${since}`}`;

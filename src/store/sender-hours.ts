/**
 * The past of the authorised senders, as the store keeps it: servers outside that each talked to, hour by hour.
 *
 * It is kept as long as mail sessions are, so that a baseline outlives every restart. Only reads.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';
import { inAnyPrefix } from './conditions.ts';
import { type Sites, sessionsWithSite, siteName } from './sites.ts';
import type { Engine } from './store.ts';

export interface SenderHourRow {
  readonly host: string;
  /** '' outside of every site. */
  readonly site: string;
  readonly hourMs: number;
  readonly destinations: number;
}

const MAX_ROWS = 200_000;

/** Hours since `sinceMs` in which a host of `senders` talked to port 25 outside of `internal`, oldest first. */
export async function senderHours(
  engine: Engine,
  given: {
    readonly senders: readonly Prefix[];
    readonly internal: readonly Prefix[];
    readonly sites: Sites;
    readonly sinceMs: number;
  },
): Promise<SenderHourRow[]> {
  const rows = await engine.query<{ host: string; site: number; h: number; destinations: number }>(
    `SELECT client AS host, site, toUnixTimestamp(hour) AS h, uniqExact(server) AS destinations
    FROM ${sessionsWithSite(given.sites, `toDateTime(${Math.trunc(given.sinceMs / 1000)}, 'UTC')`)}
    WHERE server_port = 25
      AND ${inAnyPrefix('client', given.senders)} AND NOT ${inAnyPrefix('server', given.internal)}
    GROUP BY client, site, hour ORDER BY hour, client, site LIMIT ${MAX_ROWS}`,
  );
  return rows.map(({ host, site, h, destinations }) => {
    const bytes = parseAddress(host);
    return {
      host: bytes === null ? host : formatAddress(bytes),
      site: siteName(given.sites, site),
      hourMs: 1000 * Number(h),
      destinations: Number(destinations),
    };
  });
}

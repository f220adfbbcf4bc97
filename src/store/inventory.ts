/**
 * Who talks SMTP: one row per internal host and site, and whether it looks like a mail server that nobody has declared yet.
 *
 * A proposal for a person, never a permission. Sending alone proves nothing, a bot sends too: what marks a mail server
 * is that others come to it with mail, from outside or from inside, and that it answers.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';
import { inAnyPrefix } from './conditions.ts';
import { type Sites, sessionsWithSite, siteName } from './sites.ts';
import type { Engine } from './store.ts';

export interface InventoryOptions {
  /** The internal networks of the configuration. */
  readonly internal: readonly Prefix[];
  /** The sites of the configuration: equal addresses of two of them are two hosts. */
  readonly sites: Sites;
  /** Only what was seen at or after, ISO 8601. Default: everything kept. */
  readonly since?: string | undefined;
}

export interface InventoryRow {
  readonly host: string;
  /** '' outside of every site. */
  readonly site: string;
  readonly likely_mail_server: boolean;
  /** Why it is thought one, or why not, in words. */
  readonly reasons: readonly string[];
  /** Connections to port 25 outside, to how many servers, in how many hours. Estimates above some thousands. */
  readonly sessions_out: number;
  readonly destinations: number;
  readonly hours_out: number;
  readonly packets_out: number;
  readonly bytes_out: number;
  /** Connections from outside to its port 25 that it answered, and from how many hosts. */
  readonly sessions_in: number;
  readonly sources_in: number;
  /** Internal hosts that hand it mail (port 25 or submission) and get answers. */
  readonly internal_clients: number;
  /** Connections to submission ports outside. */
  readonly submission_out: number;
  /** ISO 8601; '' for a configured sender that was never seen. */
  readonly first_seen: string;
  readonly last_seen: string;
  /** Beside a policy: the sender that names the host, and what is new about it. */
  readonly sender?: string | null;
  readonly news?: 'new' | 'quiet' | 'never_seen' | null;
}

const MAX_ROWS = 10_000;
/** One answered connection may be a misdirected scan; a few hosts that come by are not. */
const SOURCES_OF_A_SERVER = 2;
/** One outside host that comes again and again, to a host that sends itself: a small site's provider or partner. */
const SESSIONS_OF_A_SERVER = 3;
const CLIENTS_OF_A_RELAY = 3;
const STEADY_HOURS = 12;
const MANY_DESTINATIONS = 20;

/** More than a refusal: data (PSH), or as many packets as a greeting takes. */
const ANSWERED = '(bitAnd(flags_to_client, 8) != 0 OR packets_to_client >= 3)';

export async function inventory(
  engine: Engine,
  { internal, sites, since }: InventoryOptions,
): Promise<InventoryRow[]> {
  const out = `${inAnyPrefix('client', internal)} AND NOT ${inAnyPrefix('server', internal)}`;
  const incoming = `${inAnyPrefix('server', internal)} AND NOT ${inAnyPrefix('client', internal)}`;
  const inside = `${inAnyPrefix('server', internal)} AND ${inAnyPrefix('client', internal)}`;
  const connection = 'hour, client, server, server_port, client_port, site';
  const from = "toStartOfHour(parseDateTime64BestEffort({since:String}, 3, 'UTC'))";
  const rows = await engine.query<StoredRow>(
    `SELECT host, site,
      uniqCombinedIf((server, client_port, hour), role = 'out' AND server_port = 25) AS sessions_out,
      uniqCombinedIf(server, role = 'out' AND server_port = 25) AS destinations,
      uniqExactIf(hour, role = 'out' AND server_port = 25) AS hours_out,
      sumIf(packets, role = 'out' AND server_port = 25) AS packets_out,
      sumIf(bytes, role = 'out' AND server_port = 25) AS bytes_out,
      uniqCombinedIf((client, client_port, hour), role = 'in') AS sessions_in,
      uniqCombinedIf(client, role = 'in') AS sources_in,
      uniqCombinedIf(client, role = 'inside') AS internal_clients,
      uniqCombinedIf((server, client_port, hour), role = 'out' AND server_port != 25) AS submission_out,
      min(first_seen) AS first_seen,
      max(last_seen) AS last_seen
    FROM (
      SELECT ${connection},
        multiIf(${out}, 'out', ${incoming}, 'in', ${inside}, 'inside', '') AS role,
        if(role = 'out', client, server) AS host,
        min(began) AS first_seen,
        max(ended) AS last_seen,
        sum(sessions.packets_to_server) AS packets,
        sum(sessions.bytes_to_server) AS bytes,
        sum(sessions.packets_to_client) AS packets_to_client,
        groupBitOr(sessions.flags_to_client) AS flags_to_client
      FROM ${sessionsWithSite(sites, since === undefined ? '' : from)} AS sessions
      GROUP BY ${connection}
      HAVING role = 'out' OR (role = 'in' AND server_port = 25 AND ${ANSWERED}) OR (role = 'inside' AND ${ANSWERED})
    )
    GROUP BY host, site
    ORDER BY sources_in DESC, sessions_out DESC, host, site
    LIMIT ${MAX_ROWS}`,
    since === undefined ? {} : { params: { since } },
  );
  return rows.map((row) => {
    const host = parseAddress(row.host);
    return {
      ...row,
      host: host === null ? row.host : formatAddress(host),
      site: siteName(sites, row.site),
      ...judge(row),
    };
  });
}

/** With the number of its site. */
type StoredRow = Omit<InventoryRow, 'likely_mail_server' | 'reasons' | 'site'> & { readonly site: number };

function judge(row: StoredRow): Pick<InventoryRow, 'likely_mail_server' | 'reasons'> {
  const { sources_in, sessions_in, internal_clients, sessions_out, destinations, hours_out, submission_out } =
    row;
  const reasons: string[] = [];
  if (sources_in >= SOURCES_OF_A_SERVER) reasons.push(`answers SMTP from ${sources_in} hosts outside`);
  else if (sources_in > 0 && sessions_in >= SESSIONS_OF_A_SERVER && sessions_out > 0)
    reasons.push(`answered ${sessions_in} SMTP sessions from outside, and sends itself`);
  if (internal_clients >= CLIENTS_OF_A_RELAY && sessions_out > 0)
    reasons.push(`takes mail from ${internal_clients} internal hosts and sends outside`);
  const contacted = sources_in > 0 || internal_clients > 0;
  if (contacted && hours_out >= STEADY_HOURS && destinations >= MANY_DESTINATIONS)
    reasons.push(`sends to ${destinations} servers over ${hours_out} hours, and is contacted itself`);
  if (reasons.length > 0) return { likely_mail_server: true, reasons };
  if (sessions_out > 0 && !contacted) reasons.push('only sends; nobody was seen handing it mail');
  else if (sessions_out > 0) reasons.push('sends, and was contacted too little to tell');
  else if (submission_out > 0) reasons.push('only submits mail to servers outside');
  else if (contacted) reasons.push('answers SMTP, but was contacted too little to tell');
  return { likely_mail_server: false, reasons };
}

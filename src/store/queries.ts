/**
 * What the program asks of the store: offenders, alerts, incidents, evidence, exporters.
 *
 * Typed functions over the engine, the same for the CLI and the HTTP API. Outside text travels only in placeholders;
 * every result has a bound. Addresses come back as people write them, IPv4 dotted. `inventory` has a file of its own.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import { flowVersionName, PRESENT } from '../flow/columns.ts';
import { type Prefix, parsePrefix } from '../flow/prefix.ts';
import { type Alert, alertSchema, type Incident, incidentSchema } from '../messages/alert.ts';
import { severalSites, splitSite } from '../messages/host-at-site.ts';
import { addressRange, ON_MAIL_PORTS } from './conditions.ts';
import { type Sites, siteNumber } from './sites.ts';
import type { Engine } from './store.ts';

export { type InventoryRow, inventory } from './inventory.ts';

/** Numbers beyond 2^53 arrive as text, so that they are never rounded. */
type WideNumber = number | string;

export interface OffenderRow {
  readonly host: string;
  readonly site: string;
  readonly state: 'open' | 'closed';
  readonly grade: string;
  readonly flags: readonly string[];
  readonly sessions: WideNumber;
  readonly attempts: WideNumber;
  readonly destinations: WideNumber;
  readonly packets: WideNumber;
  readonly bytes: WideNumber;
  readonly first_seen: string;
  readonly last_seen: string;
  /** By the exporters' clocks; '' where no record tells. */
  readonly first_packet?: string;
  readonly last_packet?: string;
  readonly ports?: readonly number[];
  readonly block_state: string;
  readonly block_reason: string;
  readonly block_until: string | null;
  readonly recurrence: WideNumber;
  readonly incident_id: string;
}

export interface EvidenceRow {
  readonly received_at: string;
  readonly exporter: string;
  readonly domain: number;
  readonly version: string;
  /** With `exporter` and `domain` the identity of the record: sequence of the datagram, index within it. */
  readonly sequence: number;
  readonly record: number;
  readonly src_addr: string;
  readonly src_port: number;
  readonly dst_addr: string;
  readonly dst_port: number;
  readonly packets: WideNumber;
  readonly bytes: WideNumber;
  readonly tcp_flags: number | null;
  readonly start: string | null;
  readonly end: string | null;
  readonly in_if: number;
  readonly out_if: number;
  readonly sampling_rate: number;
  readonly forwarding: number | null;
}

export interface ExporterRow {
  readonly exporter: string;
  readonly domain: number;
  readonly version: string;
  readonly first_seen: string;
  readonly last_seen: string;
  /** Flows in the store, whole history; the rest are the collector's counters, summed over its runs. */
  readonly flows_stored: WideNumber;
  readonly flows: WideNumber;
  readonly datagrams: WideNumber;
  readonly sequence_lost: WideNumber;
  readonly sequence_reordered: WideNumber;
  readonly sequence_resets: WideNumber;
  /** Gaps in the numbers in which an unknown number was lost; absent in answers of earlier versions. */
  readonly sequence_unknown?: WideNumber;
  /** What its sequence numbers count: `nothing` where they never change. */
  readonly counting?: string | null;
  readonly sampling_rates: readonly number[];
  readonly clock_skew_ms: WideNumber | null;
  /** Records whose addresses could not be read and that may be mail, and why. */
  readonly unread: WideNumber;
  readonly unread_reasons: readonly string[];
  /** What the exporter's OUT counters (23, 24) turned out to mean, by its own records; null: not known. */
  readonly out_counters: string | null;
}

export interface AlertsQuery {
  /** The newest so many; returned oldest first. */
  readonly limit: number;
  readonly host?: string | undefined;
  /** Emitted at or after, ISO 8601. */
  readonly since?: string | undefined;
}

export interface EvidenceQuery {
  /** An address, or a prefix where incidents are per prefix. */
  readonly host: string;
  /** The site of the host, by its name, and all sites of the configuration. */
  readonly site: string;
  readonly sites: Sites;
  /** Received between, ISO 8601, both included. */
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

const MAX_ROWS = 100_000;

export function offenders(engine: Engine): Promise<OffenderRow[]> {
  return engine.query<OffenderRow>(
    // The view is for people's SQL; here come the ports and the times of packets beside it.
    `SELECT offenders.*, extra.ports AS ports, extra.first_packet AS first_packet, extra.last_packet AS last_packet
    FROM offenders LEFT JOIN (
      SELECT incident_id, ports, JSONExtractString(message, 'first_packet') AS first_packet,
        JSONExtractString(message, 'last_packet') AS last_packet
      FROM incidents FINAL
    ) AS extra USING (incident_id)
    ORDER BY state = 'open' DESC, last_seen DESC, host LIMIT ${MAX_ROWS}`,
  );
}

export async function alerts(engine: Engine, { limit, host, since }: AlertsQuery): Promise<Alert[]> {
  const conditions = [
    ...(host === undefined ? [] : ['host = {host:String}']),
    ...(since === undefined ? [] : ["emitted_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')"]),
  ];
  const rows = await engine.query<{ message: string }>(
    `SELECT message FROM alerts FINAL ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`} ` +
      'ORDER BY emitted_at DESC, alert_id DESC LIMIT {limit:UInt32}',
    {
      params: {
        limit: Math.min(Math.max(0, Math.trunc(limit)), MAX_ROWS),
        ...(host === undefined ? {} : { host: canonicalHost(host) }),
        ...(since === undefined ? {} : { since }),
      },
    },
  );
  return messagesOf(rows, (value) => alertSchema.safeParse(value)).reverse();
}

export async function alertsOfIncident(engine: Engine, incidentId: string): Promise<Alert[]> {
  const rows = await engine.query<{ message: string }>(
    `SELECT message FROM alerts FINAL WHERE incident_id = {id:String} ORDER BY emitted_at, alert_id LIMIT ${MAX_ROWS}`,
    { params: { id: incidentId } },
  );
  return messagesOf(rows, (value) => alertSchema.safeParse(value));
}

/**
 * The newest revision of an incident, by its id, or the newest of a host, as `HOST@SITE` where several sites have one; null
 * when there is none. Throws RogueSmtpError `usage` for a host of several sites without the site.
 */
export async function incident(engine: Engine, idOrHost: string): Promise<Incident | null> {
  const { host, site } = splitSite(idOrHost);
  const wanted = canonicalHost(host);
  const rows = await engine.query<{ message: string }>(
    `SELECT message FROM incidents
    WHERE incident_id = {id:String} OR (host = {host:String} AND ({any:UInt8} = 1 OR site = {site:String}))
    ORDER BY incident_id = {id:String} DESC, opened_at DESC, revision DESC LIMIT 1 BY site LIMIT ${MAX_SITES}`,
    { params: { id: idOrHost, host: wanted, any: site === undefined ? 1 : 0, site: site ?? '' } },
  );
  const found = messagesOf(rows, (value) => incidentSchema.safeParse(value));
  if (found.length > 1 && found[0].incident_id !== idOrHost)
    throw severalSites(
      wanted,
      found.map((one) => one.site),
    );
  return found[0] ?? null;
}

/** More are not listed as choices. */
const MAX_SITES = 20;

/** The newest incident of every host (and site), most recently seen first. */
export async function newestIncidents(engine: Engine): Promise<Incident[]> {
  const rows = await engine.query<{ message: string }>(
    'SELECT message FROM (SELECT message, host, site, last_seen, opened_at, incident_id FROM incidents FINAL ' +
      `ORDER BY opened_at DESC, incident_id DESC LIMIT 1 BY host, site) ORDER BY last_seen DESC, host LIMIT ${MAX_ROWS}`,
  );
  return messagesOf(rows, (value) => incidentSchema.safeParse(value));
}

/** The flow records of a host on mail ports, both directions, in the order they were received. */
export async function evidence(engine: Engine, query: EvidenceQuery): Promise<EvidenceRow[]> {
  const range = hostRange(query.host);
  if (range === null) return [];
  const rows = await engine.query<Record<string, unknown> & StoredFlow>(
    `SELECT received_at, exporter, domain, version, sequence, record, present, src_addr, src_port, dst_addr, dst_port,
      packets, bytes, tcp_flags, start, end, in_if, out_if, sampling_rate, forwarding
    FROM flows
    WHERE received_at >= parseDateTime64BestEffort({from:String}, 3, 'UTC')
      AND received_at <= parseDateTime64BestEffort({to:String}, 3, 'UTC')
      AND protocol = 6
      AND ${ON_MAIL_PORTS}
      AND (${addressRange('src_addr', range)} OR ${addressRange('dst_addr', range)})
      AND ${ofSite(query)}
    ORDER BY received_at, exporter, domain, sequence, record
    LIMIT {limit:UInt32}`,
    {
      params: {
        from: query.from,
        to: query.to,
        limit: Math.min(Math.max(0, Math.trunc(query.limit)), MAX_ROWS),
      },
    },
  );
  return rows.map(evidenceRow);
}

/** A site that the configuration has no more is taken for any. */
function ofSite({ site, sites }: EvidenceQuery): string {
  const at = sites.findIndex(({ name }) => name === site);
  return site !== '' && at < 0 ? '1' : `${siteNumber(sites)} = ${at + 1}`;
}

export async function exporters(engine: Engine): Promise<ExporterRow[]> {
  const rows = await engine.query<Omit<ExporterRow, 'version'> & { readonly version: number }>(
    `SELECT exporter, domain, version,
      min(first_seen) AS first_seen, max(last_seen) AS last_seen,
      sum(flows_stored) AS flows_stored, sum(flows) AS flows, sum(datagrams) AS datagrams,
      sum(sequence_lost) AS sequence_lost, sum(sequence_reordered) AS sequence_reordered,
      sum(sequence_resets) AS sequence_resets, sum(sequence_unknown) AS sequence_unknown,
      argMaxIf(counting, run, counting IS NOT NULL) AS counting,
      arraySort(groupUniqArrayArray(sampling_rates)) AS sampling_rates,
      argMaxIf(clock_skew_ms, run, clock_skew_ms IS NOT NULL) AS clock_skew_ms,
      sum(unread) AS unread, arraySort(groupUniqArrayArray(unread_reasons)) AS unread_reasons,
      argMaxIf(out_counters, run, out_counters IS NOT NULL) AS out_counters
    FROM (SELECT exporter, domain, version, run,
        min(exporters.first_seen) AS first_seen, max(exporters.last_seen) AS last_seen,
        sum(exporters.flows_stored) AS flows_stored, max(exporters.flows) AS flows,
        max(exporters.datagrams) AS datagrams, max(exporters.sequence_lost) AS sequence_lost,
        max(exporters.sequence_reordered) AS sequence_reordered, max(exporters.sequence_resets) AS sequence_resets,
        max(exporters.sequence_unknown) AS sequence_unknown, anyLast(exporters.counting) AS counting,
        groupUniqArrayArray(exporters.sampling_rates) AS sampling_rates, anyLast(exporters.clock_skew_ms) AS clock_skew_ms,
        max(exporters.unread) AS unread, groupUniqArrayArray(exporters.unread_reasons) AS unread_reasons,
        anyLast(exporters.out_counters) AS out_counters
      FROM exporters GROUP BY exporter, domain, version, run)
    GROUP BY exporter, domain, version
    ORDER BY exporter, domain, version
    LIMIT ${MAX_ROWS}`,
  );
  return rows.map((row) => ({
    ...row,
    exporter: canonicalHost(row.exporter),
    version: flowVersionName(row.version),
  }));
}

interface StoredFlow extends Omit<EvidenceRow, 'version' | 'tcp_flags' | 'start' | 'end' | 'forwarding'> {
  readonly version: number;
  readonly present: number;
  readonly tcp_flags: number;
  readonly start: string;
  readonly end: string;
  readonly forwarding: number;
}

function evidenceRow(row: StoredFlow): EvidenceRow {
  const { present, version, tcp_flags, start, end, forwarding, ...rest } = row;
  const has = (bit: number) => (present & bit) !== 0;
  return {
    ...rest,
    exporter: canonicalHost(row.exporter),
    src_addr: canonicalHost(row.src_addr),
    dst_addr: canonicalHost(row.dst_addr),
    version: flowVersionName(version),
    tcp_flags: has(PRESENT.TCP_FLAGS) ? tcp_flags : null,
    start: has(PRESENT.START) ? start : null,
    end: has(PRESENT.END) ? end : null,
    forwarding: has(PRESENT.FORWARDING) ? forwarding : null,
  };
}

/** An address in the form that the detector writes; any other text as it is. */
function canonicalHost(text: string): string {
  const bytes = parseAddress(text);
  return bytes === null ? text : formatAddress(bytes);
}

function hostRange(host: string): Prefix | null {
  const parsed = parsePrefix(host);
  return parsed.ok ? parsed.prefix : null;
}

/** Messages that no longer fit the schema are left out: they were checked when they were stored. */
function messagesOf<Message>(
  rows: readonly { readonly message: string }[],
  check: (value: unknown) => { success: true; data: Message } | { success: false },
): Message[] {
  const messages: Message[] = [];
  for (const { message } of rows) {
    const checked = check(JSON.parse(message));
    if (checked.success) messages.push(checked.data);
  }
  return messages;
}

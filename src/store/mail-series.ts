/**
 * Mail sessions over time, for charts: those of authorised senders, those of hosts with an incident, and all others.
 *
 * Up to an hour by minute it reads `mail_sessions`, beyond that the rollup `mail_5m`, so that a week costs rows by client and not by
 * connection. A client is judged as a whole: the rollup does not know the servers. Only numbers and addresses of ours get into a
 * statement; times travel in placeholders.
 */

import type { Prefix } from '../flow/prefix.ts';
import { addressRange, inAnyPrefix } from './conditions.ts';
import type { Engine } from './store.ts';

export interface MailSeriesQuery {
  readonly fromMs: number;
  readonly toMs: number;
  /** Seconds. Under five minutes only where `fromMs` and `toMs` are not far apart. */
  readonly stepS: number;
  /** Server ports that count as mail. */
  readonly ports: readonly number[];
  /** Prefixes of senders in force. */
  readonly senders: readonly Prefix[];
  /** Only clients in it. */
  readonly host?: Prefix | undefined;
  /** Incidents may be of a whole IPv6 /64 (`detection.ipv6_group`). */
  readonly grouped: boolean;
}

export interface MailSeriesRow {
  /** Where the bucket begins, seconds since 1970. */
  readonly at: number;
  readonly authorised: number;
  readonly rogue: number;
  readonly other: number;
}

const ROLLUP_S = 300;

export async function mailSeries(engine: Engine, query: MailSeriesQuery): Promise<MailSeriesRow[]> {
  const { ports, senders, host, grouped, stepS, fromMs, toMs } = query;
  const step = Math.max(1, Math.trunc(stepS));
  const where = [
    `server_port IN (${ports.map(Math.trunc).join(', ')})`,
    ...(host === undefined ? [] : [addressRange('client', host)]),
  ].join(' AND ');
  const per = step < ROLLUP_S ? byMinute(step, where) : byRollup(step, where);
  const rows = await engine.query<MailSeriesRow>(
    `SELECT at,
      sumIf(sessions, who = 1) AS authorised, sumIf(sessions, who = 2) AS rogue, sumIf(sessions, who = 0) AS other
    FROM (SELECT at, sessions, multiIf(${ofIncident(grouped)}, 2, ${inAnyPrefix('client', senders)}, 1, 0) AS who FROM (${per}))
    GROUP BY at ORDER BY at LIMIT ${MAX_BUCKETS}`,
    { params: { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() } },
  );
  return rows.map(({ at, authorised, rogue, other }) => ({
    at: Number(at),
    authorised: Number(authorised),
    rogue: Number(rogue),
    other: Number(other),
  }));
}

const MAX_BUCKETS = 10_000;

/** A session counts in the minute in which it began. */
const byMinute = (step: number, where: string) =>
  `SELECT toUnixTimestamp(toStartOfInterval(began, toIntervalSecond(${step}))) AS at, client, count() AS sessions
    FROM (
      SELECT client, toDateTime(min(first_seen), 'UTC') AS began
      FROM mail_sessions
      WHERE hour >= toStartOfHour(${FROM}) AND hour <= ${TO} AND ${where}
      GROUP BY client, server_port, hour, server, client_port
    )
    WHERE began >= ${FROM} AND began < ${TO}
    GROUP BY at, client`;

/** One that lasts longer than a bucket counts in each. */
const byRollup = (step: number, where: string) =>
  `SELECT toUnixTimestamp(toStartOfInterval(bucket, toIntervalSecond(${step}))) AS at, client,
      uniqCombinedMerge(12)(connections) AS sessions
    FROM mail_5m
    WHERE bucket >= ${FROM} AND bucket < ${TO} AND ${where}
    GROUP BY at, client`;

const FROM = "parseDateTime64BestEffort({from:String}, 3, 'UTC')";
const TO = "parseDateTime64BestEffort({to:String}, 3, 'UTC')";

/** The client has an incident in this time, open or closed by now. */
function ofIncident(grouped: boolean): string {
  const hosts = (condition: string, host: string) =>
    `(SELECT toIPv6OrDefault(${host}) FROM incidents FINAL WHERE last_seen >= ${FROM} AND first_seen <= ${TO} AND ${condition})`;
  const single = `client IN ${hosts("NOT endsWith(host, '/64')", 'host')}`;
  if (!grouped) return single;
  const network = hosts("endsWith(host, '/64')", "replaceOne(host, '/64', '')");
  return `(${single} OR tupleElement(IPv6CIDRToRange(client, 64), 1) IN ${network})`;
}

export interface HostSparksQuery {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ports: readonly number[];
  /** Addresses as text. */
  readonly hosts: readonly string[];
}

export interface HostSparkRow {
  readonly host: string;
  /** Hour, seconds since 1970. */
  readonly at: number;
  readonly sessions: number;
}

/** Sessions of some hosts by hour. */
export async function hostSparks(engine: Engine, query: HostSparksQuery): Promise<HostSparkRow[]> {
  const { hosts, ports, fromMs, toMs } = query;
  if (hosts.length === 0) return [];
  const rows = await engine.query<HostSparkRow>(
    `SELECT toString(client) AS host, toUnixTimestamp(toStartOfHour(bucket)) AS at, uniqCombinedMerge(12)(connections) AS sessions
    FROM mail_5m
    WHERE bucket >= ${FROM} AND bucket < ${TO} AND server_port IN (${ports.map(Math.trunc).join(', ')})
      AND client IN (SELECT arrayJoin(arrayMap(one -> toIPv6OrDefault(one), {hosts:Array(String)})))
    GROUP BY client, at ORDER BY client, at LIMIT 100000`,
    { params: { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), hosts } },
  );
  return rows.map(({ host, at, sessions }) => ({ host, at: Number(at), sessions: Number(sessions) }));
}

/** From and to in milliseconds. */
export type HeardSpan = readonly [fromMs: number, toMs: number];

/** The account of the collector is written once a minute. */
const ACCOUNT_MS = 90_000;

/**
 * When any router was heard, in no order: by the runs of collectors; of a store that none wrote its account to, by the flows. What lies
 * outside is a gap in what is known.
 */
export async function heardSpans(engine: Engine, fromMs: number): Promise<HeardSpan[]> {
  const rows = await engine.query<{ live: number; first: number; last: number }>(
    `SELECT run > toDateTime64(0, 3, 'UTC') AS live, toUnixTimestamp64Milli(min(exporters.first_seen)) AS first,
      toUnixTimestamp64Milli(max(exporters.last_seen)) AS last
    FROM exporters GROUP BY exporter, domain, version, run
    HAVING max(exporters.last_seen) >= ${FROM} LIMIT 100000`,
    { params: { from: new Date(fromMs).toISOString() } },
  );
  const ofRuns = rows.filter(({ live }) => Number(live) === 1);
  return (ofRuns.length > 0 ? ofRuns : rows).map(({ first, last }) => [
    Number(first) - ACCOUNT_MS,
    Number(last) + ACCOUNT_MS,
  ]);
}

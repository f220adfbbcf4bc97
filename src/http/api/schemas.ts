/**
 * What the page asks under `/api/v1` and what it is answered, as zod schemas. `schemas/openapi.json` is made from them.
 *
 *     POST   /session                  a token in, a session cookie and a CSRF token out        (no role)
 *     GET    /session                  who I am, and my CSRF token                              (read)
 *     DELETE /session                  ends it                                                  (read)
 *     GET    /overview                 the sentence's numbers, routers, what waits              (read, or kiosk)
 *     GET    /timeseries               mail sessions over time, authorised and rogue            (read, or kiosk)
 *     GET    /hosts                    offenders, filtered, sorted, by cursor                   (read)
 *     GET    /hosts/{host}             all about one host; it need not have an incident         (read)
 *     GET    /hosts/{host}/what-if     what a decision would change, before it is made          (read)
 *     GET    /explore                  stored flows or mail sessions, with the SQL behind them  (read)
 *     GET    /blocks                   mode, hosts, lists with their diffs                      (read)
 *     GET    /blocks/{target}/{family} one list: text, entries, revisions, diff                 (read)
 *     GET    /coverage                 routers, and what cannot be seen                         (read)
 *     GET    /health                   is it working                                            (read)
 *     GET    /events                   server-sent events: alerts (see events.ts)               (read)
 *
 * Older routes, which the command line uses, are beside them in command-schemas.ts: /status /offenders /inventory /exporters
 * /sight /alerts /incidents/{id} /acl (and what is below it) /reload. A host in a path or query is an address, an IPv6 prefix,
 * `HOST@SITE`, or the id of an incident.
 *
 * Times are ISO 8601 in UTC with `Z`, but `times` of series are seconds since 1970 (what uPlot takes). Durations end in `_s` or
 * `_ms`. Numbers are numbers: what a store counts beyond 2^53 is rounded. Text fields may hold what a stranger chose: they are text,
 * never markup. Every refusal is `application/problem+json` (`problemSchema`).
 */

import { z } from 'zod';
import { ACL_FAMILIES } from '../../acl/model.ts';
import { ACL_KINDS, ACL_PLATFORMS } from '../../acl/platforms.ts';
import { ROLES } from '../../messages/access-role.ts';
import { FLAGS, GRADES, incidentSchema } from '../../messages/alert.ts';

const count = z.number().int().nonnegative();
const time = z.iso.datetime();
const nullableTime = time.nullable();
const grade = z.enum(GRADES);
/** A host, a prefix or an incident, in a path or a query. */
export const hostText = z.string().min(1).max(128);
/** An address or a prefix; bits behind the length of a prefix are passed over. */
const addressText = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'expected an address or a prefix');
const siteText = z.string().max(63);
/** Opaque: what the answer before gave as `next_cursor`. */
const cursor = z
  .string()
  .max(1024)
  .regex(/^[A-Za-z0-9_-]*$/);
const limitUpTo = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);

/** RFC 9457. `error` and `code` are what clients of earlier versions read. */
export const problemSchema = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.number().int().min(400).max(599),
  detail: z.string(),
  instance: z.string().optional(),
  /** The same as `detail`. */
  error: z.string(),
  /** `usage` `config` `not_found` `refused` `unavailable` `io` `stream` `store`, or `token` `role` `csrf` `foreign` `rate` `internal`. */
  code: z.string(),
});
export type Problem = z.infer<typeof problemSchema>;

// ---- sessions

export const sessionRequest = z.strictObject({ token: z.string().min(1).max(512) });
/** Without any token configured (loopback only) everybody is `local` with the role `admin`, and nobody need log in. */
export const sessionAnswer = z.object({
  /** The token's name in the configuration: the audit log shows it. */
  name: z.string(),
  /** `read` sees; `decide` also approves, rejects, releases, blocks, rolls back; `admin` also reloads the configuration. */
  role: z.enum(ROLES),
  /** `session`: by cookie, and unsafe requests need `X-CSRF-Token: <csrf>`. `token`: by header. `open`: no token is configured. `kiosk`: nobody is logged in, and only `/overview` and `/timeseries` are answered. */
  by: z.enum(['session', 'token', 'open', 'kiosk']),
  csrf: z.string().nullable(),
  expires_at: nullableTime,
});
export type SessionAnswer = z.infer<typeof sessionAnswer>;

// ---- hosts

/** `passing`: blocked, and packets still get through. `watching`: an open incident that is neither blocked nor waits. */
const HOST_STANDINGS = ['passing', 'waiting', 'watching', 'blocked', 'closed'] as const;

const blockSchema = incidentSchema.shape.block;

/** A DHCP client and its owner, each '' where not known. */
const holder = z
  .object({ name: z.string(), mac: z.string(), owner: z.string(), since: nullableTime })
  .nullable();

export const hostRow = z.object({
  host: z.string(),
  /** '' where no site is configured. */
  site: siteText,
  incident_id: z.string(),
  state: z.enum(['open', 'closed']),
  standing: z.enum(HOST_STANDINGS),
  grade,
  flags: z.array(z.enum(FLAGS)),
  first_seen: time,
  last_seen: time,
  sessions: count,
  attempts: count,
  destinations: count,
  /** False: at least so many. */
  destinations_exact: z.boolean(),
  packets: count,
  bytes: count,
  ports: z.array(count),
  /** Earlier incidents of the host. */
  recurrence: count,
  /** The strongest reason for the grade, in words. */
  reason: z.string(),
  block: blockSchema,
  listed_at: nullableTime,
  /** Held back from the lists for coming with too many others. */
  held_since: nullableTime,
  /** Mail sessions by hour in the last 24 hours, oldest first; null where nothing was heard. Empty: not asked for. */
  spark: z.array(count.nullable()),
  /** Who had the address at `last_seen` (`identity` of the configuration); null where nothing is known or, as in the overview, not asked for. */
  identity: holder,
});
export type HostRow = z.infer<typeof hostRow>;

const HOST_SORTS = ['grade', 'last', 'first', 'sessions', 'sent', 'host'] as const;
export const hostsQuery = z.strictObject({
  /** An address or a prefix: only hosts in it. */
  host: addressText.optional(),
  /** At least this grade. */
  grade: grade.optional(),
  site: siteText.optional(),
  /** Of the incident (`open`, `closed`), of its block (`published`, `proposed` ...), or a standing (`waiting` ...). */
  state: z.string().max(32).optional(),
  /** Active at or after, and at or before. */
  since: time.optional(),
  until: time.optional(),
  sort: z.enum(HOST_SORTS).default('grade'),
  spark: z.enum(['true', 'false']).default('true'),
  limit: limitUpTo(1000, 100),
  cursor: cursor.optional(),
});
export const hostsAnswer = z.object({
  hosts: z.array(hostRow),
  /** That the filters choose, whatever the limit. */
  total: count,
  next_cursor: z.string().nullable(),
});
export type HostsAnswer = z.infer<typeof hostsAnswer>;

export const evidenceRow = z.object({
  received_at: time,
  exporter: z.string(),
  domain: count,
  version: z.string(),
  sequence: count,
  record: count,
  src_addr: z.string(),
  src_port: count,
  dst_addr: z.string(),
  dst_port: count,
  packets: count,
  bytes: count,
  tcp_flags: count.nullable(),
  start: nullableTime,
  end: nullableTime,
  in_if: count,
  out_if: count,
  /** 0: unknown. */
  sampling_rate: count,
  forwarding: count.nullable(),
});

const destination = z.object({
  address: z.string(),
  sessions: count,
  packets: count,
  bytes: count,
  first_seen: nullableTime,
  last_seen: nullableTime,
});

export const auditEntry = z.object({
  at: z.string(),
  /** A person or the name of a token, or `detector`, `configuration`, `limits`. */
  by: z.string(),
  what: z.string(),
  why: z.string(),
  host: z.string().optional(),
  decision_id: z.string().optional(),
  target: z.string().optional(),
  family: z.enum(ACL_FAMILIES).optional(),
  revision: z.string().optional(),
  added: z.array(z.string()).optional(),
  removed: z.array(z.string()).optional(),
});

/** What the configuration says of a host. */
const policyAnswer = z.object({
  version: z.string(),
  internal: z.boolean(),
  /** `authorised`: may send anywhere. `restricted`: to some destinations only. `expired`: its permission has ended. */
  sender: z.object({
    kind: z.enum(['none', 'authorised', 'restricted', 'expired']),
    name: z.string(),
    owner: z.string(),
  }),
  /** Name of the entry of `expected` that names it. */
  expected: z.string().nullable(),
  never_blocked: z.boolean(),
  nat: z.boolean(),
  /** All of it in sentences. */
  says: z.array(z.string()),
});

/** A `path` between a host and the world. */
const routerOnPath = z.object({
  exporter: z.string(),
  domain: count,
  interface: count,
  /** Packets of a blocked host were seen to get through here. */
  passing: z.boolean(),
});

/** Marks on the time axis. */
export const mark = z.object({
  at: time,
  kind: z.string(),
  host: z.string(),
  incident_id: z.string(),
  grade: grade.nullable(),
  text: z.string(),
});

export const seriesAnswer = z.object({
  from: time,
  to: time,
  step_s: count,
  /** What the numbers count, per `step_s`: connections to mail ports, estimated. Divide by `step_s / 60` for a minute. */
  unit: z.literal('sessions'),
  /** Seconds since 1970 at which each bucket begins. The arrays below are as long. */
  times: z.array(count),
  /** Null: no router was heard then, so nothing is known. */
  authorised: z.array(count.nullable()),
  /** Of hosts with an incident in this time. */
  rogue: z.array(count.nullable()),
  /** Of hosts that are neither, such as clients of an internal relay. */
  other: z.array(count.nullable()),
  /** Routers that look at one packet in `rate` only: draw as hatched. */
  sampled: z.array(z.object({ exporter: z.string(), rate: count })),
  marks: z.array(mark),
});
export type SeriesAnswer = z.infer<typeof seriesAnswer>;
const RANGES = ['1h', '6h', '24h', '7d'] as const;
export const seriesQuery = z.strictObject({
  range: z.enum(RANGES).default('24h'),
  /** Instead of `range`, at most 92 days apart; without `to` until now. */
  from: time.optional(),
  to: time.optional(),
  /** An address or a prefix. */
  host: addressText.optional(),
});

export const hostAnswer = z.object({
  host: z.string(),
  site: siteText,
  /** Who had the address when its newest flow was seen (`identity` of the configuration); null where nothing is known. */
  identity: holder,
  /** Null: it has none. */
  row: hostRow.nullable(),
  /** Why the grade, and what evidence was not to be had. */
  reasons: z.array(z.string()),
  missing: z.array(z.string()),
  sampling: z.array(count),
  time_to_block_ms: count.nullable(),
  /** The newest alerts of its incidents, oldest first. */
  alerts: z.array(mark),
  /** All incidents, newest first, with the states that their block was ever in. */
  incidents: z.array(
    z.object({
      incident_id: z.string(),
      state: z.enum(['open', 'closed']),
      grade,
      opened_at: time,
      closed_at: nullableTime,
      first_seen: time,
      last_seen: time,
      sessions: count,
      attempts: count,
      destinations: count,
      bytes: count,
      block_state: z.string(),
      block_reason: z.string(),
    }),
  ),
  blocks: z.array(
    z.object({
      incident_id: z.string(),
      state: z.string(),
      reason: z.string(),
      since: nullableTime,
      until: nullableTime,
      updated_at: time,
    }),
  ),
  decisions: z.array(auditEntry),
  evidence: z.array(evidenceRow),
  destinations: z.array(destination),
  routers: z.array(routerOnPath),
  /** The last 24 hours, or the day of the incident when that is over. */
  timeline: seriesAnswer,
  policy: policyAnswer,
  /** YAML to add to the configuration. */
  declare: z.object({ sender: z.string(), expected: z.string() }),
  /** The statement behind `evidence`, to go on with in a console. */
  sql: z.string(),
});
export type HostAnswer = z.infer<typeof hostAnswer>;

// ---- lists

/** `hunk` is a header of a unified diff. */
const diffLine = z.object({ kind: z.enum(['same', 'added', 'removed', 'hunk']), text: z.string() });
export const listDiff = z.object({
  added: count,
  removed: count,
  lines: z.array(diffLine),
  /** Why there is no such list, in words. */
  refused: z.string().nullable(),
});
export type ListDiff = z.infer<typeof listDiff>;

const WHAT_IF_ACTIONS = ['block', 'approve', 'reject', 'release'] as const;
export const whatIfQuery = z.strictObject({
  action: z.enum(WHAT_IF_ACTIONS),
  /** Of `block` and `release`: such as 24h. */
  for: z
    .string()
    .regex(/^[1-9][0-9]{0,2}[smhd]$/, 'expected a time such as 30m, 24h or 7d')
    .default('24h'),
});
export const whatIfAnswer = z.object({
  host: z.string(),
  site: siteText,
  action: z.enum(WHAT_IF_ACTIONS),
  /** Whether the decision would be taken; else why not. */
  allowed: z.boolean(),
  refused: z.string().nullable(),
  /** What would come of it, in sentences. */
  says: z.array(z.string()),
  /** Lists that would be different. */
  lists: z.array(
    z.object({
      target: z.string(),
      family: z.enum(ACL_FAMILIES),
      platform: z.enum(ACL_PLATFORMS),
      diff: listDiff,
    }),
  ),
  /** In the last 24 hours, to port 25: whom the block would cut off. */
  cuts: z.object({ destinations: count, sessions: count }),
});
export type WhatIfAnswer = z.infer<typeof whatIfAnswer>;

/** A decision that no detector has acted on yet. */
export const pendingDecision = z.object({
  action: z.string(),
  by: z.string(),
  reason: z.string(),
  decided_at: z.string(),
});

export const blockRow = z.object({
  host: z.string(),
  site: siteText,
  incident_id: z.string().nullable(),
  grade: grade.nullable(),
  last_seen: nullableTime,
  by_hand: z.boolean(),
  listed: z.boolean(),
  block: blockSchema,
  pending: pendingDecision.nullable(),
  waiting: z.boolean(),
  held_since: nullableTime,
  listed_at: nullableTime,
  time_to_block_ms: z.number().nullable(),
});

const revision = z.object({
  revision: z.string(),
  digest: z.string(),
  written_at: z.string(),
  current: z.boolean(),
});
export const targetState = z.object({
  target: z.string(),
  family: z.enum(ACL_FAMILIES),
  kind: z.enum(ACL_KINDS),
  platform: z.enum(ACL_PLATFORMS),
  /** Newest first. */
  revisions: z.array(revision),
  pin: z.object({ revision: z.string(), by: z.string(), reason: z.string(), at: z.string() }).nullable(),
  trouble: z.string().nullable(),
});

const listSummary = targetState.extend({
  interface: z.string().nullable(),
  site: siteText.nullable(),
  /** Lines of the list as it would be written now, without the final permit; null: it is refused. */
  entries: count.nullable(),
  refused: z.string().nullable(),
  left_out: z.array(z.object({ host: z.string(), reason: z.string() })),
  /** From what lies there to the list with everything approved. */
  diff: listDiff,
});
export const blocksAnswer = z.object({
  mode: z.enum(['observe', 'propose', 'publish']),
  /** Those that wait first. */
  hosts: z.array(blockRow),
  waiting: count,
  blocked: count,
  lists: z.array(listSummary),
  /** By router: blocked hosts whose packets still get through there. */
  effect: z.array(
    z.object({ exporter: z.string(), domain: count, interface: count, hosts: z.array(z.string()) }),
  ),
  /** Why lists are not as they should be. */
  troubles: z.array(z.string()),
});
export type BlocksAnswer = z.infer<typeof blocksAnswer>;
export const listAnswer = listSummary.extend({ text: z.string() });
export type ListAnswer = z.infer<typeof listAnswer>;

// ---- routers

const EXPORTER_STATES = ['ok', 'lossy', 'silent', 'unread'] as const;
export const exporterLine = z.object({
  exporter: z.string(),
  domain: count,
  version: z.string(),
  state: z.enum(EXPORTER_STATES),
  first_seen: time,
  last_seen: time,
  silent_s: count,
  /** Flows a second by minute over the last hour, oldest first; null: not measured (this process does not collect, or it began later). */
  rates: z.array(z.number().nullable()),
  flows_per_s: z.number().nullable(),
  datagrams_per_s: z.number().nullable(),
  flows: count,
  datagrams: count,
  flows_stored: count,
  /** Since it is known, and in the last hour (null: not measured). */
  lost: count,
  lost_last_hour: count.nullable(),
  /** Of what it sent in the last hour. */
  loss: z.number().min(0).max(1).nullable(),
  unknown_gaps: count,
  reordered: count,
  resets: count,
  /** What its sequence numbers count; `nothing`: losses cannot be known. */
  counting: z.string().nullable(),
  /** One packet in N; empty: it never told. */
  sampling: z.array(count),
  /** Null: this process does not collect. */
  templates: count.nullable(),
  clock_skew_ms: z.number().nullable(),
  unread: count,
  unread_reasons: z.array(z.string()),
});
export type ExporterLine = z.infer<typeof exporterLine>;

/** What cannot be seen, and what to do about it. */
const finding = z.object({
  kind: z.enum([
    'silent',
    'loss',
    'sampled',
    'unread',
    'clock',
    'uncounted',
    'no_exporters',
    'blind',
    'refused',
    'alert',
  ]),
  severity: z.enum(['info', 'warning', 'critical']),
  exporter: z.string().nullable(),
  text: z.string(),
  /** How to see it. '' where there is nothing to do. */
  advice: z.string(),
});

export const coverageAnswer = z.object({
  exporters: z.array(exporterLine),
  findings: z.array(finding),
  /** Of the mail of the newest day. */
  sight: z.object({
    flows: count,
    ignored: z.record(z.string(), count),
    strangers: z.array(z.string()),
    says: z.array(z.string()),
  }),
  /** Addresses that sent and may not (`collector.exporters`). */
  refused: z.array(z.object({ exporter: z.string(), datagrams: count })),
});
export type CoverageAnswer = z.infer<typeof coverageAnswer>;

// ---- overview

export const overviewAnswer = z.object({
  now: time,
  version: z.string(),
  mode: z.enum(['observe', 'propose', 'publish']),
  /** Declared senders; 0: nothing is ever blocked. */
  senders: count,
  /** `open` = passing + waiting + watching + blocked. */
  open: count,
  by_grade: z.record(grade, count),
  blocked: count,
  waiting: count,
  watching: count,
  /** Blocked, and packets still get through. */
  passing: count,
  coverage: z.object({
    exporters: count,
    /** Heard within `coverage.silent_after`. */
    reporting: count,
    silent: z.array(z.object({ exporter: z.string(), last_seen: time, silent_s: count })),
    sampled: z.array(z.object({ exporter: z.string(), rate: count })),
    lost_last_hour: count.nullable(),
    /** Share of records lost in the last hour, 0 to 1; null: not known. */
    loss: z.number().min(0).max(1).nullable(),
    /** Datagrams that the kernel of this machine dropped in the last hour. */
    kernel_drops_last_hour: count.nullable(),
    /** Routers of which too much could not be read. */
    unread: z.array(z.string()),
  }),
  /** Since the start: for the page before anything was exported. */
  heard: z.object({ datagrams: count, flows: count, since: time, listen: z.array(z.string()) }),
  /** The first of those that wait for a decision, the most evidence first; at most 20. */
  waits: z.array(hostRow),
  routers: z.array(exporterLine),
  /** What keeps the service from being ready. */
  troubles: z.array(z.string()),
});
export type OverviewAnswer = z.infer<typeof overviewAnswer>;

// ---- explore

const EXPLORE_TABLES = ['sessions', 'flows'] as const;
export const exploreQuery = z.strictObject({
  table: z.enum(EXPLORE_TABLES).default('sessions'),
  /** Default: the last hour. */
  from: time.optional(),
  to: time.optional(),
  /** An address or prefix on either side; as the client, as the server. */
  host: addressText.optional(),
  client: addressText.optional(),
  server: addressText.optional(),
  /** On the server's side (sessions) or either side (flows). */
  port: z.coerce.number().int().min(0).max(65535).optional(),
  exporter: addressText.optional(),
  limit: limitUpTo(10_000, 200),
  cursor: cursor.optional(),
  format: z.enum(['json', 'csv']).default('json'),
});
export const exploreAnswer = z.object({
  table: z.enum(EXPLORE_TABLES),
  columns: z.array(
    z.object({ name: z.string(), type: z.enum(['time', 'address', 'number', 'text', 'list']) }),
  ),
  /** In the order of `columns`, newest first. */
  rows: z.array(z.array(z.union([z.string(), z.number(), z.null(), z.array(z.string())]))),
  next_cursor: z.string().nullable(),
  /** To be pasted into a console: the values are in it, escaped. */
  sql: z.string(),
});
export type ExploreAnswer = z.infer<typeof exploreAnswer>;

// ---- health

export const policyStatus = z.object({
  version: z.string(),
  loaded_at: z.string(),
  error: z.string().nullable(),
  need_restart: z.array(z.string()),
  lists: z.array(
    z.object({
      name: z.string(),
      source: z.string(),
      state: z.enum(['fresh', 'stale', 'missing']),
      entries: count,
      written_at: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
});
/** Since the start of the process. */
export const lossesSchema = z.object({
  kernel_drops: count,
  not_decoded: count,
  not_kept: count,
  set_aside: count.optional(),
});
export const healthAnswer = z.object({
  version: z.string(),
  node: z.string(),
  started_at: time,
  now: time,
  ready: z.boolean(),
  troubles: z.array(z.string()),
  config_file: z.string().nullable(),
  policy: policyStatus,
  /** Around SQL of users. */
  walls: z.array(z.object({ stands: z.boolean(), text: z.string() })),
  store: z.object({ kind: z.enum(['embedded', 'server', 'none']), database: z.string(), set_aside: count }),
  streams: z.object({
    kind: z.enum(['embedded', 'kafka']),
    waiting_bytes: count.nullable(),
    dropped: count.nullable(),
  }),
  disk: z.object({ path: z.string(), free_bytes: count, size_bytes: count }).nullable(),
  memory: z.object({ rss_bytes: count, heap_bytes: count }),
  lost: z.object({ kernel_drops: count, not_decoded: count, not_kept: count, set_aside: count.optional() }),
  /** The configuration in force; secrets are `"(hidden)"`. */
  config: z.unknown(),
});
export type HealthAnswer = z.infer<typeof healthAnswer>;

// ---- events

/**
 * `/api/v1/events` (and `/events`): `event: opened|escalated|updated|closed|coverage|delivery|finding` with `id:` and the alert as `data:`
 * (schemas/alert.schema.json). Reconnect with `Last-Event-ID` (EventSource does it): what came in between is sent first. When that is
 * no longer known there is one `event: reset` with `data: {"reason": "..."}`: read the page's data anew.
 */
export const EVENT_RESET = 'reset';

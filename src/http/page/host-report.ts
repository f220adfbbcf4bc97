/** All about one host, from the stream, the store, the audit log and the configuration; it need not have an incident. */

import { RogueSmtpError } from '../../errors.ts';
import type { Prefix } from '../../flow/prefix.ts';
import { gradeSchema, type Incident } from '../../messages/alert.ts';
import { hostStreamKey } from '../../messages/decision.ts';
import { severalSites, splitSite } from '../../messages/host-at-site.ts';
import type { AuditEntry, BlockRow } from '../../publish/desk.ts';
import { exploreSql } from '../../store/explore.ts';
import { destinationsOf, pastBlocks, pastIncidents } from '../../store/host-account.ts';
import {
  type EvidenceRow,
  type ExporterRow,
  evidence,
  incident as storedIncident,
} from '../../store/queries.ts';
import type { HostAnswer } from '../api/schemas.ts';
import { declarations, policyAnswer } from './host-policy.ts';
import { hostRow } from './host-rows.ts';
import type { createKnownIdentities } from './known-identities.ts';
import { canonicalHost, prefixOf } from './lookup.ts';
import { mailPortsOf, markOf, seriesOf, sparksOf } from './series.ts';
import type { PageSources } from './sources.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TIMELINE_STEP_S = 900;
const EVIDENCE_ROWS = 200;
/** Evidence begins a little before the first record, for the half of a session that another exporter told earlier. */
const MARGIN_MS = 60_000;
const MAX_ALERTS = 200;
const MAX_DECISIONS = 1000;

interface NamedHost {
  readonly host: string;
  readonly site: string;
  readonly incident: Incident | null;
}

/**
 * By address, prefix, `HOST@SITE` or incident. Throws RogueSmtpError `usage` where several sites have the address, `not_found` for
 * what is neither an address nor a known incident.
 */
async function namedHost(sources: PageSources, name: string): Promise<NamedHost> {
  const incidents = await sources.incidents();
  const byId = incidents.find(({ incident_id }) => incident_id === name);
  if (byId !== undefined) return { host: byId.host, site: byId.site, incident: byId };
  const { host: text, site } = splitSite(name);
  const host = hostOf(text);
  if (host === null) {
    const earlier = await storedIncident(sources.engine, name);
    if (earlier === null)
      throw new RogueSmtpError('not_found', `there is no incident or host "${name.slice(0, 64)}"`);
    return { host: earlier.host, site: earlier.site, incident: earlier };
  }
  const found = incidents.filter((one) => one.host === host && (site === undefined || one.site === site));
  if (found.length > 1)
    throw severalSites(
      host,
      found.map((one) => one.site),
    );
  return { host, site: found[0]?.site ?? site ?? '', incident: found[0] ?? null };
}

function hostOf(text: string): string | null {
  try {
    return canonicalHost(text);
  } catch {
    return null;
  }
}

export async function hostReport(
  sources: PageSources,
  name: string,
  {
    blocks,
    exporters,
    identityOf,
  }: {
    readonly blocks: readonly BlockRow[];
    readonly exporters: readonly ExporterRow[];
    readonly identityOf: ReturnType<typeof createKnownIdentities>;
  },
): Promise<HostAnswer> {
  const { engine, model } = sources;
  const config = sources.config();
  const nowMs = sources.now();
  const { host, site, incident } = await namedHost(sources, name);
  const prefix = prefixOf(host);
  const block = blocks.find((row) => hostStreamKey(row) === hostStreamKey({ host, site }));
  const row = incident === null ? null : hostRow(incident, block);
  // Of the newest flow: an address that changed hands since then is not the offender's.
  const identity = identityOf(host, incident === null ? nowMs : Date.parse(incident.last_seen));
  const seen = spanOf(incident, nowMs);
  const endMs = nowMs - seen.toMs > DAY_MS ? seen.toMs + HOUR_MS : nowMs;
  const alerts = await model.alerts({ limit: MAX_ALERTS, host });
  const [past, states, found, timeline, destinations, log, sparks] = await Promise.all([
    pastIncidents(engine, { host, site }),
    pastBlocks(engine, { host, site }),
    evidence(engine, {
      host,
      site,
      sites: config.networks.sites,
      from: new Date(seen.fromMs).toISOString(),
      to: new Date(seen.toMs).toISOString(),
      limit: EVIDENCE_ROWS,
    }),
    seriesOf(
      { engine, config, exporters, alerts, nowMs },
      { fromMs: endMs - DAY_MS, toMs: endMs, stepS: TIMELINE_STEP_S },
      prefix,
    ),
    destinationsOf(engine, { host: prefix, ...seen, ports: mailPortsOf(config) }),
    sources.desk?.log(MAX_DECISIONS) ?? [],
    row === null || prefix.length < 128 ? new Map() : sparksOf(engine, config, [host], nowMs),
  ]);
  return {
    host,
    site,
    identity,
    row: row === null ? null : { ...row, spark: [...(sparks.get(host) ?? [])], identity },
    reasons: incident?.reasons ?? [],
    missing: incident?.missing ?? [],
    sampling: incident?.sampling ?? [],
    time_to_block_ms: block?.time_to_block_ms ?? null,
    alerts: alerts.map(markOf),
    incidents: past.map((one) => ({ ...one, grade: gradeSchema.catch('attempted').parse(one.grade) })),
    blocks: states,
    decisions: decisionsOf(log, host),
    evidence: found.map(evidenceLine),
    destinations,
    routers: routersOf(incident),
    timeline,
    policy: policyAnswer(config, prefix, site, nowMs),
    declare: declarations(host, site, incident),
    sql: evidenceSql(prefix, seen),
  };
}

function spanOf(
  incident: Incident | null,
  nowMs: number,
): { readonly fromMs: number; readonly toMs: number } {
  if (incident === null) return { fromMs: nowMs - DAY_MS, toMs: nowMs };
  return {
    fromMs: Date.parse(incident.first_seen) - MARGIN_MS,
    toMs: Date.parse(incident.last_seen) + MARGIN_MS,
  };
}

const evidenceSql = (host: Prefix, span: { readonly fromMs: number; readonly toMs: number }): string =>
  exploreSql({ table: 'flows', ...span, host, limit: EVIDENCE_ROWS });

const evidenceLine = (row: EvidenceRow): HostAnswer['evidence'][number] => ({
  ...row,
  packets: Number(row.packets),
  bytes: Number(row.bytes),
});

function decisionsOf(log: readonly AuditEntry[], host: string): HostAnswer['decisions'] {
  return log
    .filter((entry) => entry.host === host || entry.added?.includes(host) || entry.removed?.includes(host))
    .map(({ added, removed, ...entry }) => ({
      ...entry,
      ...(added !== undefined && { added: added.filter((one) => one === host) }),
      ...(removed !== undefined && { removed: removed.filter((one) => one === host) }),
    }));
}

function routersOf(incident: Incident | null): HostAnswer['routers'] {
  if (incident === null) return [];
  const passing = incident.block.effect?.passing ?? [];
  return incident.exporters.map((one) => ({
    exporter: one.address,
    domain: one.domain,
    interface: one.interface,
    passing: passing.some(
      (other) =>
        other.address === one.address && other.domain === one.domain && other.interface === one.interface,
    ),
  }));
}

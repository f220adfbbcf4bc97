/**
 * The read model over a store: what the HTTP API of a running instance and the CLI without one both answer from.
 *
 * Only reads. ACLs are rendered from the newest incidents by the same function that writes the files.
 */

import type { ExemptHost } from '../acl/interlocks.ts';
import type { RenderedAcl } from '../acl/render.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { type AddressBytes, formatAddress, isIPv4, parseAddress } from '../flow/address.ts';
import { formatPrefix } from '../flow/prefix.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import { splitSite } from '../messages/host-at-site.ts';
import { type AclRenderRequest, renderFor, requestOf } from '../publish/acl-request.ts';
import type { BlockRow, DecisionInForce } from '../publish/desk.ts';
import type { BlockedHost } from '../publish/hand-blocks.ts';
import { mailSight } from '../store/mail-sight.ts';
import * as queries from '../store/queries.ts';
import type { Engine } from '../store/store.ts';
import { type ExplainedHost, type Explanation, explainedAddress, explainHost } from './explain.ts';
import { withNews } from './inventory-news.ts';
import type { AlertsRequest, ReadModel, Status } from './read-model.ts';
import { incidentAsListed, offendersAsListed } from './said-of-blocks.ts';

/** How many flow records an incident shows. */
const EVIDENCE_ROWS = 200;
/** Evidence begins a little before the first record, for the half of a session that another exporter told earlier. */
const EVIDENCE_MARGIN_MS = 60_000;
const QUERY_TIMEOUT_MS = 30_000;

/** Who is in the lists, and what people decided: of a running instance, or of the data directory of one that is stopped. */
export interface ListSources {
  /** Incidents whose host the lists may name: what waits for approval is not among them. */
  readonly blocked: () => readonly BlockedHost[];
  /** Hosts that a standing decision keeps out of the lists of a site. */
  readonly exempt: (site: string | undefined) => readonly ExemptHost[];
  /** The rows of `acl list`; null where this process makes no lists, or does not know all incidents yet. */
  readonly blocks: () => Promise<readonly BlockRow[] | null>;
  /** What a person decided about the host of an incident, while it is in force. */
  readonly decisionAbout: (incident: Incident) => DecisionInForce | null;
}

export interface LiveSources extends ListSources {
  readonly status: () => Status | Promise<Status>;
  /** The newest alerts, some of which the store may have yet to take. */
  readonly recentAlerts: () => readonly Alert[];
  /** Brings the account of the exporters in the store up to date. */
  readonly refreshExporters: () => Promise<void>;
}

/** The model of a running instance: what is in memory is told from there. */
export function createLiveModel(engine: Engine, config: () => Config, live: LiveSources): ReadModel {
  return {
    ...createListedModel(engine, config, live),
    status: async () => live.status(),
    alerts: async (request) =>
      withRecent(await queries.alerts(engine, request), live.recentAlerts(), request),
    exporters: async () => {
      await live.refreshExporters();
      return queries.exporters(engine);
    },
  };
}

/** Why a host is graded and blocked or not. `rowOf`: its row among the blocks, once its incident is known. */
async function explained(
  engine: Engine,
  config: Config,
  asked: string,
  renderAcl: ReadModel['renderAcl'],
  rowOf: (incident: Incident | null) => ExplainedHost['row'],
): Promise<Explanation> {
  const address = explainedAddress(asked);
  const group = config.detection.ipv6_group === 64 && !isIPv4(address) ? networkOf64(address, asked) : null;
  const incident =
    (await queries.incident(engine, asked)) ??
    (group === null ? null : await queries.incident(engine, group));
  const host = incident?.host ?? formatAddress(address);
  const family = isIPv4(address) ? '4' : '6';
  const site = incident?.site ?? splitSite(asked).site;
  const lists = config.acl.targets
    .filter((target) => target.kind === 'offenders' && (target.site === undefined || target.site === site))
    .map(async (target) => {
      const list = `${target.name}.${family}`;
      try {
        const { leftOut } = await renderAcl(requestOf(target, family));
        return { list, leftOut: leftOut.find((one) => one.host === host)?.reason ?? null };
      } catch (error) {
        return { list, leftOut: messageOf(error) };
      }
    });
  return explainHost(
    config,
    { asked, incident, row: rowOf(incident), lists: await Promise.all(lists) },
    Date.now(),
  );
}

/** The model of a store beside what is known of the lists. */
export function createListedModel(engine: Engine, config: () => Config, lists: ListSources): ReadModel {
  const stored = createStoredModel(engine, config);
  const renderAcl: ReadModel['renderAcl'] = async (request) => renderListed(config(), lists, request);
  return {
    ...stored,
    async offenders() {
      const [rows, blocks] = [await queries.offenders(engine), await lists.blocks()];
      return blocks === null ? rows : offendersAsListed(rows, blocks);
    },
    async incident(idOrHost) {
      const report = await stored.incident(idOrHost);
      const blocks = await lists.blocks();
      return blocks === null
        ? report
        : incidentAsListed(report, blocks, lists.decisionAbout(report.incident));
    },
    renderAcl,
    explain: async (asked) => {
      const blocks = await lists.blocks();
      return explained(engine, config(), asked, renderAcl, (incident) =>
        blocks === null
          ? undefined
          : (blocks.find(
              ({ host, site }) =>
                host === (incident?.host ?? formatAddress(explainedAddress(asked))) &&
                site === (incident?.site ?? splitSite(asked).site ?? ''),
            ) ?? null),
      );
    },
  };
}

/** A list of those who are in the lists. Throws RogueSmtpError as `renderFor` does. */
export function renderListed(
  config: Config,
  lists: Pick<ListSources, 'blocked' | 'exempt'>,
  request: AclRenderRequest,
): RenderedAcl {
  const blocked = request.kind === 'policy' ? [] : lists.blocked();
  return renderFor(config, blocked, request, Date.now(), lists.exempt(request.site));
}

/** The model of a store of which no lists and no decisions are known, as `replay --data` leaves one. */
export function createStoredModel(engine: Engine, config: () => Config): ReadModel {
  const renderAcl: ReadModel['renderAcl'] = async (request) =>
    renderFor(config(), await queries.newestIncidents(engine), request, Date.now());
  return {
    status: async () => {
      throw new RogueSmtpError('unavailable', 'no running instance');
    },
    offenders: () => queries.offenders(engine),
    alerts: (request) => queries.alerts(engine, request),
    inventory: async () => {
      const { networks, senders } = config();
      const rows = await queries.inventory(engine, networks);
      return withNews(rows, senders, Date.now());
    },
    exporters: () => queries.exporters(engine),
    sight: () => mailSight(engine, config()),
    query: ({ sql, format, timeoutMs = QUERY_TIMEOUT_MS, request }) =>
      engine.queryBytes(sql, format, {
        readonly: true,
        timeoutMs: Math.min(timeoutMs, QUERY_TIMEOUT_MS),
        ...(request === undefined ? {} : { request }),
      }),
    renderAcl,
    explain: (asked) => explained(engine, config(), asked, renderAcl, () => undefined),
    async incident(idOrHost) {
      const incident = await queries.incident(engine, idOrHost);
      if (incident === null)
        throw new RogueSmtpError('not_found', `there is no incident or host "${shortened(idOrHost)}"`);
      const { sites } = config().networks;
      const [alerts, evidence] = await Promise.all([
        queries.alertsOfIncident(engine, incident.incident_id),
        queries.evidence(engine, {
          host: incident.host,
          sites,
          site: incident.site,
          from: new Date(Date.parse(incident.first_seen) - EVIDENCE_MARGIN_MS).toISOString(),
          to: incident.last_seen,
          limit: EVIDENCE_ROWS,
        }),
      ]);
      return { incident, alerts, evidence };
    },
  };
}

/** Alerts reach the store a little after they are emitted; whoever asks in between must not miss them. */
export function withRecent(
  stored: readonly Alert[],
  recent: readonly Alert[],
  { limit, host, since }: AlertsRequest,
): readonly Alert[] {
  const known = new Set(stored.map((alert) => alert.alert_id));
  // What is older than the oldest of a full answer is missing there for want of room, not of storing.
  const fromMs = Math.max(
    since === undefined ? 0 : Date.parse(since),
    stored.length < limit ? 0 : Date.parse(stored[0].emitted_at),
  );
  const wanted = host === undefined ? null : canonical(host);
  const missing = recent.filter(
    (alert) =>
      !known.has(alert.alert_id) &&
      Date.parse(alert.emitted_at) >= fromMs &&
      (wanted === null || alert.host === wanted),
  );
  if (missing.length === 0) return stored;
  return [...stored, ...missing]
    .sort((a, b) => Date.parse(a.emitted_at) - Date.parse(b.emitted_at))
    .slice(-limit);
}

function canonical(host: string): string {
  const address = parseAddress(host);
  return address === null ? host : formatAddress(address);
}

/** As much of what was asked for as fits a message. */
function shortened(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 64)}...`;
}

/** The /64 of an address, at the site that was asked for: with `detection.ipv6_group: 64` incidents are of those. */
function networkOf64(address: AddressBytes, asked: string): string {
  const { site } = splitSite(asked);
  const network = formatPrefix({ bytes: Uint8Array.from(address).fill(0, 8), length: 64 });
  return site === undefined ? network : `${network}@${site}`;
}

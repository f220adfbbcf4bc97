/**
 * The answers for the page, from the parts of a running instance.
 *
 * What a page asks for every few seconds is asked of the parts once for all pages that are open, so that many screens cost what one does
 * and never slow what is received.
 */

import { duration, formatSocketAddress } from '../../config/values.ts';
import { describeMailSight } from '../../detect/mail-sight.ts';
import { RogueSmtpError } from '../../errors.ts';
import { parsePrefix } from '../../flow/prefix.ts';
import { GRADES } from '../../messages/alert.ts';
import { nameAtSite, splitSite } from '../../messages/host-at-site.ts';
import type { BlockRow } from '../../publish/desk.ts';
import type { ListReview } from '../../publish/list-review.ts';
import { explore } from '../../store/explore.ts';
import { destinationsOf } from '../../store/host-account.ts';
import { exporters as storedExporters } from '../../store/queries.ts';
import type { HostRow, HostsAnswer, OverviewAnswer } from '../api/schemas.ts';
import type { PageModel } from '../page-routes.ts';
import { valid } from '../valid.ts';
import { effectOf, listAnswerOf, listSummary, whatIfAnswer } from './block-lists.ts';
import { coverageFindings, coverageSummary, exporterLines } from './exporter-lines.ts';
import { healthReport } from './health-report.ts';
import { hostReport } from './host-report.ts';
import { hostRows, pageOf, sparkable } from './host-rows.ts';
import { createKnownIdentities } from './known-identities.ts';
import { cursorOf, optionalPrefix, prefixOf, readCursor, shared } from './lookup.ts';
import { mailPortsOf, seriesOf, sparksOf, windowOf } from './series.ts';
import type { PageSources } from './sources.ts';

const DAY_MS = 86_400_000;
/** Of blocks: they change by decisions, which the page asks for anew by itself. */
const BLOCKS_VALID_MS = 1000;
/** The collector writes its account once a minute. */
const EXPORTERS_VALID_MS = 15_000;
const SERIES_VALID_MS = 5000;
/** Kept for the ranges that all pages ask for. */
const MAX_SERIES = 8;
const MAX_WAITING = 20;
const MAX_MARKS = 500;

export function createPageModel(sources: PageSources): PageModel {
  const { engine, model, now } = sources;
  const identityOf = createKnownIdentities(() => sources.config().identity, now);

  const blockRows = shared<readonly BlockRow[]>(
    async () => (sources.desk === null ? [] : (await sources.desk.overview()).hosts),
    BLOCKS_VALID_MS,
    now,
  );
  /** The account of the store; while it is away there is that of the collector. */
  const exporterRows = shared(() => storedExporters(engine).catch(() => []), EXPORTERS_VALID_MS, now);
  const lines = async () =>
    exporterLines(
      await exporterRows(),
      sources.traffic?.exporters() ?? null,
      sources.config().coverage,
      now(),
    );
  const rows = async (): Promise<HostRow[]> => {
    const [incidents, blocks] = await Promise.all([sources.incidents(), blockRows()]);
    return hostRows(incidents, blocks);
  };
  /** Series without a host, by their range. */
  const seriesByRange = new Map<
    string,
    ReturnType<typeof shared<Awaited<ReturnType<PageModel['timeseries']>>>>
  >();

  function review(): ListReview {
    if (sources.review !== null) return sources.review;
    throw new RogueSmtpError(
      'not_found',
      'this process renders no ACLs: ask the one that runs the role serve',
    );
  }

  async function timeseries(query: Parameters<PageModel['timeseries']>[0]) {
    const nowMs = now();
    const window = windowOf(query, nowMs);
    const host = optionalPrefix(query.host);
    const alerts = await model.alerts({
      limit: MAX_MARKS,
      since: new Date(window.fromMs).toISOString(),
      ...(host?.length === 128 && { host: query.host }),
    });
    const seen = { engine, config: sources.config(), exporters: await exporterRows(), alerts, nowMs };
    return seriesOf(seen, window, host);
  }

  /** Decisions are about hosts; a page may name the incident. */
  async function addressOf(name: string): Promise<string> {
    const incident = (await sources.incidents()).find(({ incident_id }) => incident_id === name);
    if (incident !== undefined) return nameAtSite(incident);
    if (!parsePrefix(splitSite(name).host).ok)
      throw new RogueSmtpError('not_found', `there is no incident or host "${name.slice(0, 64)}"`);
    return name;
  }

  return {
    async overview() {
      const [all, exporters, troubles] = await Promise.all([rows(), lines(), sources.troubles()]);
      const config = sources.config();
      const nowMs = now();
      const waiting = pageOf(all, { state: 'waiting' }, 'grade', MAX_WAITING);
      const count = (standing: HostRow['standing']) => all.filter((row) => row.standing === standing).length;
      const open = all.filter(({ standing }) => standing !== 'closed');
      const totals = sources.traffic?.totals() ?? { datagrams: 0, flows: 0 };
      return {
        now: new Date(nowMs).toISOString(),
        version: sources.version,
        mode: config.block.mode,
        senders: config.senders.length,
        open: open.length,
        by_grade: Object.fromEntries(
          GRADES.map((grade) => [grade, open.filter((row) => row.grade === grade).length]),
        ) as OverviewAnswer['by_grade'],
        blocked: count('blocked'),
        waiting: count('waiting'),
        watching: count('watching'),
        passing: count('passing'),
        coverage: coverageSummary(exporters, sources.traffic),
        heard: {
          ...totals,
          since: sources.startedAt,
          listen: config.collector.listen.map(formatSocketAddress),
        },
        waits: [...waiting.rows],
        routers: exporters,
        troubles: [...troubles],
      };
    },
    timeseries(query) {
      if (query.host !== undefined || query.from !== undefined || query.to !== undefined)
        return timeseries(query);
      const known = seriesByRange.get(query.range);
      if (known !== undefined) return known();
      if (seriesByRange.size >= MAX_SERIES) seriesByRange.clear();
      const made = shared(() => timeseries(query), SERIES_VALID_MS, now);
      seriesByRange.set(query.range, made);
      return made();
    },
    async hosts({
      host,
      grade,
      site,
      state,
      since,
      until,
      sort,
      spark,
      limit,
      cursor,
    }): Promise<HostsAnswer> {
      const wanted = {
        ...(grade !== undefined && { grade }),
        ...(site !== undefined && { site }),
        ...(state !== undefined && { state }),
        ...(host !== undefined && host !== '' && { host: prefixOf(host) }),
        ...(since !== undefined && { since: Date.parse(since) }),
        ...(until !== undefined && { until: Date.parse(until) }),
      };
      const after = cursor === undefined ? undefined : readCursor(cursor);
      const page = pageOf(await rows(), wanted, sort, limit, after);
      // A list without sparks is better than none while the store is away.
      const sparks =
        spark === 'true'
          ? await sparksOf(engine, sources.config(), sparkable(page.rows), now()).catch(() => new Map())
          : new Map();
      return {
        hosts: page.rows.map((row) => ({
          ...row,
          spark: [...(sparks.get(row.host) ?? [])],
          identity: identityOf(row.host, Date.parse(row.last_seen)),
        })),
        total: page.total,
        next_cursor: page.last === null ? null : cursorOf(page.last),
      };
    },
    async host(name) {
      const [blocks, exporters] = await Promise.all([blockRows(), exporterRows()]);
      return hostReport(sources, name, { blocks, exporters, identityOf });
    },
    async whatIf(name, { action, for: forText }) {
      const forMs = valid(duration, forText);
      const host = await addressOf(name);
      const decision = await review().decision({ action, host, forMs });
      const nowMs = now();
      const parsed = parsePrefix(decision.host);
      const destinations = parsed.ok
        ? await destinationsOf(engine, {
            host: parsed.prefix,
            fromMs: nowMs - DAY_MS,
            toMs: nowMs,
            ports: mailPortsOf(sources.config()),
          })
        : [];
      const sessions = destinations.reduce((sum, one) => sum + one.sessions, 0);
      const cuts = { destinations: destinations.length, sessions };
      return whatIfAnswer(action, decision, cuts, sources.config().block.mode);
    },
    async explore({ table, from, to, host, client, server, port, exporter, limit, cursor }) {
      const toMs = to === undefined ? now() : Date.parse(to);
      const fromMs = from === undefined ? toMs - 3_600_000 : Date.parse(from);
      if (!(fromMs < toMs)) throw new RogueSmtpError('usage', 'from: expected a time before to');
      const page = await explore(engine, {
        table,
        fromMs,
        toMs,
        host: optionalPrefix(host),
        client: optionalPrefix(client),
        server: optionalPrefix(server),
        exporter: optionalPrefix(exporter),
        port,
        limit,
        after: cursor === undefined ? undefined : readCursor(cursor),
      });
      return {
        table,
        columns: [...page.columns],
        rows: page.rows.map((row) =>
          row.map((cell) => (Array.isArray(cell) ? [...cell] : cell)),
        ) as HostCells,
        next_cursor: page.last === null ? null : cursorOf(page.last),
        sql: page.sql,
      };
    },
    async blocks() {
      const lists = await review().lists();
      const hosts = await blockRows();
      return {
        mode: sources.config().block.mode,
        hosts: hosts.map((row) => ({ ...row })),
        waiting: hosts.filter((row) => row.waiting).length,
        blocked: hosts.filter((row) => row.listed).length,
        lists: lists.map(listSummary),
        effect: effectOf(hosts),
        troubles: [...sources.listTroubles()],
      };
    },
    async list(target, family) {
      return listAnswerOf(await review().list(target, family));
    },
    async coverage() {
      const [exporters, sight] = await Promise.all([lines(), model.sight()]);
      const refused = (sources.traffic?.refused() ?? []).map((one) => ({ ...one }));
      return {
        exporters,
        findings: coverageFindings(exporters, sight, refused),
        sight: {
          flows: sight.flows,
          ignored: { ...sight.ignored },
          strangers: [...sight.strangers],
          says: [...describeMailSight(sight).lines],
        },
        refused,
      };
    },
    health: () => healthReport(sources),
  };
}

type HostCells = Awaited<ReturnType<PageModel['explore']>>['rows'];

/**
 * Routers as the page shows them, and what cannot be seen of the network, with what to do about it.
 *
 * Pure: of the store's account and of what the collector has now. It must never sound better than what is known: a rate or a loss that
 * was not measured is null.
 */

import type { Config } from '../../config/schema.ts';
import { unreadInWords } from '../../detect/coverage.ts';
import { describeMailSight, type MailSight } from '../../detect/mail-sight.ts';
import { sessionsToBeSeen } from '../../detect/sampled-dialogue.ts';
import type { ExporterRow } from '../../store/queries.ts';
import type { CoverageAnswer, ExporterLine, OverviewAnswer } from '../api/schemas.ts';
import type { LiveExporter, Traffic } from './sources.ts';

type CoverageConfig = Pick<Config['coverage'], 'silent_after' | 'loss'>;

const keyOf = ({
  exporter,
  domain,
  version,
}: Pick<ExporterLine, 'exporter' | 'domain' | 'version'>): string => `${exporter} ${domain} ${version}`;

/** The busiest first, those that say nothing any more at the end. */
export function exporterLines(
  stored: readonly ExporterRow[],
  live: readonly LiveExporter[] | null,
  config: CoverageConfig,
  nowMs: number,
): ExporterLine[] {
  const lines = new Map<string, ExporterLine>();
  for (const row of stored) lines.set(keyOf(row), lineOfStored(row, nowMs));
  for (const one of live ?? []) {
    const key = keyOf(one);
    lines.set(key, withLive(lines.get(key) ?? newLine(one), one, nowMs));
  }
  return [...lines.values()]
    .map((line) => ({ ...line, state: stateOf(line, config) }))
    .sort(
      (a, b) =>
        Number(a.state === 'silent') - Number(b.state === 'silent') ||
        (b.flows_per_s ?? 0) - (a.flows_per_s ?? 0) ||
        b.flows - a.flows,
    );
}

function lineOfStored(row: ExporterRow, nowMs: number): ExporterLine {
  const lastMs = Date.parse(row.last_seen);
  return {
    exporter: row.exporter,
    domain: row.domain,
    version: row.version,
    state: 'ok',
    first_seen: row.first_seen,
    last_seen: row.last_seen,
    silent_s: secondsSince(lastMs, nowMs),
    rates: [],
    flows_per_s: null,
    datagrams_per_s: null,
    flows: Number(row.flows),
    datagrams: Number(row.datagrams),
    flows_stored: Number(row.flows_stored),
    lost: Number(row.sequence_lost),
    lost_last_hour: null,
    loss: null,
    unknown_gaps: Number(row.sequence_unknown ?? 0),
    reordered: Number(row.sequence_reordered),
    resets: Number(row.sequence_resets),
    counting: row.counting ?? null,
    sampling: [...row.sampling_rates],
    templates: null,
    clock_skew_ms: row.clock_skew_ms === null ? null : Number(row.clock_skew_ms),
    unread: Number(row.unread),
    unread_reasons: [...row.unread_reasons],
  };
}

/** Of an exporter that the store has no account of yet. */
function newLine(one: LiveExporter): ExporterLine {
  const at = new Date(one.lastSeenMs).toISOString();
  return {
    exporter: one.exporter,
    domain: one.domain,
    version: one.version,
    state: 'ok',
    first_seen: at,
    last_seen: at,
    silent_s: 0,
    rates: [],
    flows_per_s: null,
    datagrams_per_s: null,
    flows: one.flows,
    datagrams: one.datagrams,
    flows_stored: 0,
    lost: one.lost,
    lost_last_hour: null,
    loss: null,
    unknown_gaps: one.unknownGaps,
    reordered: one.reordered,
    resets: one.resets,
    counting: one.counting,
    sampling: [...one.sampling],
    templates: one.templates,
    clock_skew_ms: one.clockSkewMs,
    unread: one.unread,
    unread_reasons: [...one.unreadReasons],
  };
}

/** Counts of the store are of all runs, and up to a minute old. */
function withLive(line: ExporterLine, one: LiveExporter, nowMs: number): ExporterLine {
  const lastMs = Math.max(Date.parse(line.last_seen), one.lastSeenMs);
  const lost = Math.max(0, one.lostLastHour);
  const sent = lost + Math.max(0, one.unitsLastHour);
  return {
    ...line,
    last_seen: new Date(lastMs).toISOString(),
    silent_s: secondsSince(lastMs, nowMs),
    rates: [...one.rates],
    flows_per_s: one.flowsPerS,
    datagrams_per_s: one.datagramsPerS,
    flows: Math.max(line.flows, one.flows),
    datagrams: Math.max(line.datagrams, one.datagrams),
    lost: Math.max(line.lost, one.lost),
    lost_last_hour: lost,
    loss: one.counting === 'nothing' || sent === 0 ? null : lost / sent,
    counting: one.counting ?? line.counting,
    sampling: [...new Set([...line.sampling, ...one.sampling])].sort((a, b) => a - b),
    templates: one.templates,
    clock_skew_ms: one.clockSkewMs === null ? line.clock_skew_ms : Math.round(one.clockSkewMs),
    unread: Math.max(line.unread, one.unread),
    unread_reasons: [...new Set([...line.unread_reasons, ...one.unreadReasons])],
  };
}

const secondsSince = (ms: number, nowMs: number): number => Math.max(0, Math.round((nowMs - ms) / 1000));

function stateOf(line: ExporterLine, { silent_after, loss }: CoverageConfig): ExporterLine['state'] {
  if (line.silent_s * 1000 >= silent_after) return 'silent';
  if (isUnread(line, loss)) return 'unread';
  return line.loss !== null && line.loss >= loss ? 'lossy' : 'ok';
}

/** So much could not be read that an empty list says nothing about this router. */
const isUnread = ({ unread, flows }: ExporterLine, loss: number): boolean =>
  unread > 0 && unread >= loss * flows;

/** By address: an exporter with several domains or versions is one router. */
export function coverageSummary(
  lines: readonly ExporterLine[],
  traffic: Traffic | null,
): OverviewAnswer['coverage'] {
  const byRouter = new Map<string, ExporterLine[]>();
  for (const line of lines) byRouter.set(line.exporter, [...(byRouter.get(line.exporter) ?? []), line]);
  const routers = [...byRouter].map(([exporter, own]) => ({
    exporter,
    newest: own.reduce((a, b) => (a.silent_s <= b.silent_s ? a : b)),
    rate: Math.max(0, ...own.flatMap(({ sampling }) => sampling)),
    isUnread: own.some(({ state }) => state === 'unread'),
  }));
  const silent = routers.filter(({ newest }) => newest.state === 'silent');
  const counted = lines.filter(({ loss }) => loss !== null);
  const lost = counted.reduce((sum, { lost_last_hour }) => sum + (lost_last_hour ?? 0), 0);
  const sent = counted.reduce((sum, line) => sum + sentLastHour(line), 0);
  return {
    exporters: routers.length,
    reporting: routers.length - silent.length,
    silent: silent.map(({ exporter, newest }) => ({
      exporter,
      last_seen: newest.last_seen,
      silent_s: newest.silent_s,
    })),
    sampled: routers.filter(({ rate }) => rate > 1).map(({ exporter, rate }) => ({ exporter, rate })),
    lost_last_hour: traffic === null ? null : lost,
    loss: counted.length === 0 || sent === 0 ? null : lost / sent,
    kernel_drops_last_hour: traffic?.kernelDropsLastHour() ?? null,
    unread: routers.filter((router) => router.isUnread).map(({ exporter }) => exporter),
  };
}

/** What the share of losses is of. */
const sentLastHour = ({ loss, lost_last_hour, rates, flows_per_s }: ExporterLine): number =>
  loss !== null && loss > 0
    ? (lost_last_hour ?? 0) / loss
    : (rates.reduce<number>((sum, rate) => sum + (rate ?? 0), 0) || (flows_per_s ?? 0)) * 60;

type Finding = CoverageAnswer['findings'][number];

/** Clocks that follow NTP differ by far less, and exporters stamp whole seconds. */
const CLOCK_SKEW_MS = 10_000;

/** What cannot be seen, the worst first. */
export function coverageFindings(
  lines: readonly ExporterLine[],
  sight: MailSight,
  refused: CoverageAnswer['refused'],
): Finding[] {
  const found: Finding[] = [];
  const add = (
    severity: Finding['severity'],
    kind: Finding['kind'],
    exporter: string | null,
    text: string,
    advice: string,
  ) => found.push({ kind, severity, exporter, text, advice });
  if (lines.length === 0)
    add(
      'critical',
      'no_exporters',
      null,
      'No router has exported anything yet: nothing is known about the network.',
      'Let a router send NetFlow, IPFIX or sFlow to this machine; docs/exporters.md has the lines for each platform.',
    );
  if (describeMailSight(sight).isBlind)
    add(
      'critical',
      'blind',
      null,
      'There was mail, and none of it could be judged.',
      'Put your own networks into networks.internal, and export inside of any NAT.',
    );
  for (const line of lines) {
    const { exporter, domain } = line;
    const who = `${exporter}${domain === 0 ? '' : ` domain ${domain}`}`;
    if (line.state === 'silent')
      add(
        'critical',
        'silent',
        exporter,
        `${who} has sent nothing since ${line.last_seen}: what passes there is not seen.`,
        'Look whether the router runs, still exports to this address, and is not stopped by a firewall.',
      );
    if (line.state === 'unread')
      add(
        'critical',
        'unread',
        exporter,
        `${line.unread} of ${line.flows} records of ${who} ${unreadInWords(line.unread_reasons)}: mail in them is not seen.`,
        'Export source and destination address, ports and protocol; make the router repeat its templates more often.',
      );
    if (line.loss !== null && line.loss > 0)
      add(
        line.state === 'lossy' ? 'warning' : 'info',
        'loss',
        exporter,
        `${percent(line.loss)} of what ${who} sent in the last hour was lost (${line.lost_last_hour}).`,
        'Raise collector.receive_buffer and net.core.rmem_max; look at the path for drops.',
      );
    if (line.counting === 'nothing')
      add(
        'info',
        'uncounted',
        exporter,
        `Losses of ${who} are not known: its sequence numbers never change.`,
        '',
      );
    const rate = Math.max(0, ...line.sampling);
    if (rate > 1)
      add(
        'warning',
        'sampled',
        exporter,
        `${who} looks at one packet in ${rate}: a host is seen with 95 % probability only after about ${sessionsToBeSeen(rate)} mails.`,
        'Export without sampling, or sample less, on the interfaces that face your hosts.',
      );
    if (line.clock_skew_ms !== null && Math.abs(line.clock_skew_ms) >= CLOCK_SKEW_MS)
      add(
        'info',
        'clock',
        exporter,
        `The clock of ${who} is ${Math.round(Math.abs(line.clock_skew_ms) / 1000)} s ${line.clock_skew_ms > 0 ? 'behind' : 'ahead'}.`,
        'Use NTP on the router. Detection goes by the clock of this machine.',
      );
  }
  for (const { exporter, datagrams } of refused)
    add(
      'warning',
      'refused',
      exporter,
      `${exporter} sent ${datagrams} datagrams and is not in collector.exporters.`,
      'Add it there if it is a router of yours.',
    );
  const ranks = { critical: 0, warning: 1, info: 2 };
  return found.sort((a, b) => ranks[a.severity] - ranks[b.severity]);
}

const percent = (share: number): string => `${(100 * share).toPrecision(2)} %`;

/** Mail over time for charts: buckets of a fixed width, with gaps where no router was heard. */

import type { Config } from '../../config/schema.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { Prefix } from '../../flow/prefix.ts';
import type { Alert } from '../../messages/alert.ts';
import { type HeardSpan, heardSpans, hostSparks, mailSeries } from '../../store/mail-series.ts';
import type { ExporterRow } from '../../store/queries.ts';
import type { Engine } from '../../store/store.ts';
import type { SeriesAnswer } from '../api/schemas.ts';
import type { Sparks } from './host-rows.ts';
import { canonicalHost } from './lookup.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RANGES_MS = { '1h': HOUR_MS, '6h': 6 * HOUR_MS, '24h': DAY_MS, '7d': 7 * DAY_MS } as const;
/** Widths of buckets in seconds, with the longest time that each is used for. */
const STEPS = [
  [HOUR_MS, 60],
  [6 * HOUR_MS, 300],
  [DAY_MS, 900],
  [7 * DAY_MS, 3600],
  [92 * DAY_MS, 86_400],
] as const;

export interface SeriesWindow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepS: number;
}

/** Throws RogueSmtpError `usage`. */
export function windowOf(
  { range, from, to }: { range: keyof typeof RANGES_MS; from?: string | undefined; to?: string | undefined },
  nowMs: number,
): SeriesWindow {
  const toMs = to === undefined ? nowMs : Date.parse(to);
  const fromMs = from === undefined ? toMs - RANGES_MS[range] : Date.parse(from);
  if (!(fromMs < toMs)) throw new RogueSmtpError('usage', 'from: expected a time before to');
  const step = STEPS.find(([most]) => toMs - fromMs <= most);
  if (step === undefined) throw new RogueSmtpError('usage', 'from: more than 92 days before to');
  return { fromMs, toMs, stepS: step[1] };
}

export const mailPortsOf = ({ detection }: Config): readonly number[] => [
  ...detection.ports,
  ...(detection.submission.alert ? detection.submission.ports : []),
];

/** Prefixes of the senders in force. */
const sendersInForce = ({ senders }: Config, nowMs: number): readonly Prefix[] =>
  senders
    .filter(({ until }) => until === undefined || nowMs < Date.parse(until))
    .flatMap(({ hosts }) => hosts);

export interface SeriesSources {
  readonly engine: Engine;
  readonly config: Config;
  readonly exporters: readonly ExporterRow[];
  readonly alerts: readonly Alert[];
  readonly nowMs: number;
}

export async function seriesOf(
  { engine, config, exporters, alerts, nowMs }: SeriesSources,
  { fromMs, toMs, stepS }: SeriesWindow,
  host: Prefix | undefined,
): Promise<SeriesAnswer> {
  const stepMs = stepS * 1000;
  const firstMs = Math.floor(fromMs / stepMs) * stepMs;
  const [rows, heard] = await Promise.all([
    mailSeries(engine, {
      fromMs: firstMs,
      toMs,
      stepS,
      ports: mailPortsOf(config),
      senders: sendersInForce(config, nowMs),
      host,
      grouped: config.detection.ipv6_group === 64,
    }),
    heardSpans(engine, firstMs),
  ]);
  const byTime = new Map(rows.map((row) => [row.at, row]));
  const times: number[] = [];
  for (let ms = firstMs; ms < toMs; ms += stepMs) times.push(ms / 1000);
  const known = times.map(
    (at) => byTime.has(at) || isHeard(heard, at * 1000, Math.min(toMs, at * 1000 + stepMs)),
  );
  const column = (name: 'authorised' | 'rogue' | 'other') =>
    times.map((at, i) => (known[i] ? (byTime.get(at)?.[name] ?? 0) : null));
  return {
    from: new Date(firstMs).toISOString(),
    to: new Date(toMs).toISOString(),
    step_s: stepS,
    unit: 'sessions',
    times,
    authorised: column('authorised'),
    rogue: column('rogue'),
    other: column('other'),
    sampled: sampledOf(exporters),
    marks: alerts.filter((alert) => isWithin(alert, firstMs, toMs)).map(markOf),
  };
}

const isHeard = (spans: readonly HeardSpan[], fromMs: number, toMs: number): boolean =>
  spans.some(([from, to]) => from < toMs && to > fromMs);

function isWithin({ emitted_at }: Alert, fromMs: number, toMs: number): boolean {
  const ms = Date.parse(emitted_at);
  return ms >= fromMs && ms <= toMs;
}

export function markOf(alert: Alert): SeriesAnswer['marks'][number] {
  return {
    at: alert.emitted_at,
    kind: alert.kind,
    host: alert.host,
    incident_id: alert.incident_id,
    grade: alert.grade,
    text: alert.reasons[0] ?? '',
  };
}

function sampledOf(exporters: readonly ExporterRow[]): SeriesAnswer['sampled'] {
  const rates = new Map<string, number>();
  for (const { exporter, sampling_rates } of exporters)
    rates.set(exporter, Math.max(rates.get(exporter) ?? 0, ...sampling_rates));
  return [...rates].filter(([, rate]) => rate > 1).map(([exporter, rate]) => ({ exporter, rate }));
}

const SPARK_HOURS = 24;

/** Sessions of hosts by hour over the last day. */
export async function sparksOf(
  engine: Engine,
  config: Config,
  hosts: readonly string[],
  nowMs: number,
): Promise<Sparks> {
  if (hosts.length === 0) return new Map();
  const endMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS + HOUR_MS;
  const fromMs = endMs - SPARK_HOURS * HOUR_MS;
  const [rows, heard] = await Promise.all([
    hostSparks(engine, { fromMs, toMs: endMs, ports: mailPortsOf(config), hosts }),
    heardSpans(engine, fromMs),
  ]);
  const hours = Array.from({ length: SPARK_HOURS }, (_, i) => fromMs + i * HOUR_MS);
  const known = hours.map((ms) => isHeard(heard, ms, ms + HOUR_MS));
  const sparks = new Map<string, (number | null)[]>(
    hosts.map((host) => [host, known.map((isKnown) => (isKnown ? 0 : null))]),
  );
  for (const { host, at, sessions } of rows) {
    const spark = sparks.get(canonicalHost(host));
    const hour = Math.round((at * 1000 - fromMs) / HOUR_MS);
    if (spark !== undefined && hour >= 0 && hour < SPARK_HOURS) spark[hour] = sessions;
  }
  return sparks;
}

/**
 * `rogue-smtp exporters`: who exports, how much, what is lost, and what keeps its flows from being read.
 *
 * Of a running instance it shows what the collector counts now, with rates; exporters that have sent nothing since its start
 * come from the store, and without an instance all of them do.
 */

import { type Collection, collectionTroubles, exporterTroubles, formatSpan } from '../api/collection.ts';
import type { LoadedConfig } from '../config/load.ts';
import { unreadInWords } from '../detect/coverage.ts';
import type { ExporterRow } from '../store/queries.ts';
import { withModel } from './model.ts';
import { type ReportStreams, writeJson } from './reports.ts';
import { formatTable, NARROW, printable, shortTime, zoneName } from './table.ts';

/** One exporter, domain and version, of the collector or of the store. */
export interface ExporterLine {
  readonly exporter: string;
  readonly domain: number;
  readonly version: string;
  readonly agent: string | null;
  /** False of what the store remembers from before the start of the instance. */
  readonly heard: boolean;
  /** Null where no collector counts it now. */
  readonly datagrams_per_second: number | null;
  readonly flows_per_second: number | null;
  readonly datagrams: number;
  readonly flows: number;
  /** Of the instance since its start, else of the whole history: see `heard`. */
  readonly lost: number;
  readonly sampling_rates: readonly number[];
  readonly templates: number | null;
  readonly last_seen: string;
  readonly clock_skew_ms: number | null;
  /** What is wrong with it, sentences without a full stop. */
  readonly troubles: readonly string[];
}

/** Those of the collector, the busiest first, then those that only the store knows, the newest first. */
export function exporterLines(
  collection: Collection | undefined,
  stored: readonly ExporterRow[],
): ExporterLine[] {
  const live = (collection?.exporters ?? []).map((row): ExporterLine => {
    const { unread: _inTroubles, counting: _inTroublesToo, ...shown } = row;
    return {
      ...shown,
      heard: true,
      troubles: collection === undefined ? [] : exporterTroubles(row, collection),
    };
  });
  const known = new Set(live.map(keyOf));
  const silent = stored
    .filter((row) => !known.has(keyOf(row)))
    .map((row): ExporterLine => {
      const unread = Number(row.unread);
      return {
        exporter: row.exporter,
        domain: row.domain,
        version: row.version,
        agent: null,
        heard: false,
        datagrams_per_second: null,
        flows_per_second: null,
        datagrams: Number(row.datagrams),
        flows: Number(row.flows),
        lost: Number(row.sequence_lost),
        sampling_rates: row.sampling_rates,
        templates: null,
        last_seen: isoTime(row.last_seen),
        clock_skew_ms: row.clock_skew_ms === null ? null : Number(row.clock_skew_ms),
        troubles: [
          ...(collection === undefined ? [] : ['it has sent nothing since the start of the instance']),
          ...(unread === 0 ? [] : [`${unread} records ${unreadInWords(row.unread_reasons)}`]),
        ],
      };
    })
    .sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1));
  return [...live, ...silent];
}

const keyOf = ({ exporter, domain, version }: Pick<ExporterLine, 'exporter' | 'domain' | 'version'>) =>
  `${exporter} ${domain} ${version}`;

/** The store's times carry no zone: they are UTC. */
const isoTime = (text: string) => (/Z$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);

/** `width`: of the terminal; absent: all columns are shown. `nowMs`: what "last seen" is told from. */
export function exportersTable(lines: readonly ExporterLine[], nowMs: number, width?: number): string {
  return formatTable<ExporterLine>(
    [
      {
        title: 'EXPORTER',
        value: ({ exporter, agent }) => (agent === null ? exporter : `${agent} via ${exporter}`),
      },
      { title: 'DOMAIN', value: ({ domain }) => domain, align: 'right', expendable: 3 },
      { title: 'VERSION', value: ({ version }) => version, expendable: 2 },
      { title: 'FLOWS/S', value: ({ flows_per_second }) => flows_per_second ?? '-', align: 'right' },
      {
        title: 'DATAGRAMS/S',
        value: (row) => row.datagrams_per_second ?? '-',
        align: 'right',
        expendable: 6,
      },
      { title: 'FLOWS', value: ({ flows }) => flows, align: 'right', expendable: 7 },
      { title: 'LOST', value: ({ lost }) => lost, align: 'right' },
      {
        title: 'SAMPLING',
        value: ({ sampling_rates }) => samplingOf(sampling_rates),
        align: 'right',
        expendable: 1,
      },
      { title: 'TEMPLATES', value: ({ templates }) => templates ?? '-', align: 'right', expendable: 5 },
      { title: 'LAST SEEN', value: ({ last_seen }) => ago(last_seen, nowMs) },
      { title: 'CLOCK', value: ({ clock_skew_ms }) => clockOf(clock_skew_ms), align: 'right', expendable: 4 },
    ],
    lines,
    width,
  );
}

function samplingOf(rates: readonly number[]): string {
  return rates.length === 0 ? 'unknown' : rates.map((rate) => `1:${rate}`).join(' ');
}

function ago(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso);
  return ms < 86_400_000 ? `${formatSpan(Math.max(0, ms))} ago` : shortTime(iso);
}

/** How far the exporter's clock is from ours; exporters stamp whole seconds, so less than one says nothing. */
function clockOf(skewMs: number | null): string {
  if (skewMs === null) return '-';
  return Math.abs(skewMs) < 1500 ? 'ok' : `${skewMs > 0 ? '-' : '+'}${formatSpan(skewMs)}`;
}

/** Exit code: 1 when no flow of any exporter has been decoded, or is in the store. */
export async function exportersCommand(
  loaded: LoadedConfig,
  flags: { readonly json?: boolean; readonly wide?: boolean },
  streams: ReportStreams,
): Promise<number> {
  return withModel(loaded, async (model, client) => {
    const [status, stored] = await Promise.all([client?.status(), model.exporters()]);
    const collection = status?.collection;
    const lines = exporterLines(collection, stored);
    if (flags.json) writeJson(streams, lines);
    else {
      const nowMs = collection === undefined ? Date.now() : Date.parse(collection.at);
      streams.stdout.write(
        lines.length === 0
          ? 'No exporter has sent anything.\n'
          : exportersTable(lines, nowMs, flags.wide ? undefined : NARROW),
      );
      if (status !== undefined && collection !== undefined)
        for (const text of collectionTroubles(collection, nowMs - Date.parse(status.started_at)))
          streams.stdout.write(`! ${printable(text)}\n`);
      streams.stderr.write(
        collection === undefined
          ? `From the store: no running instance answers, so there are no rates. Times are in ${zoneName(Date.now())}.\n`
          : `Rates are means over the last ${collection.rate_seconds} s; counts are since ${shortTime(status?.started_at ?? '')} ${zoneName(Date.now())}.\n`,
      );
    }
    return lines.some(({ flows }) => flows > 0) ? 0 : 1;
  });
}

/**
 * What each router sent in the last hour, by minute: rates for the page, and losses that are of now and not of last month.
 *
 * Counters are sampled once a minute. What is kept is bounded: of the first so many exporters, sixty minutes.
 */

import type { Collector } from '../collect/collector.ts';
import { unreadFlows, unreadReasons } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';
import type { LiveExporter, Traffic } from '../http/page/sources.ts';
import { exporterKey, keepSamples, roundRate } from './kept-samples.ts';

export type WatchedCollector = Pick<Collector, 'exporters' | 'refusedExporters'> & {
  readonly counters: Pick<Collector['counters'], 'datagrams' | 'flows'> & {
    readonly listeners: readonly { readonly kernelDrops: number }[];
  };
};

export interface TrafficHistory extends Traffic {
  start(): void;
  stop(): void;
  /** Notes the counters as they are now. */
  sample(): void;
}

const SAMPLE_MS = 60_000;
const MINUTES = 60;
const MAX_EXPORTERS = 2000;

interface Count {
  readonly flows: number;
  readonly datagrams: number;
  readonly lost: number;
}

interface Sample {
  readonly atMs: number;
  readonly kernelDrops: number;
  readonly exporters: ReadonlyMap<string, Count>;
}

const NOTHING: Count = { flows: 0, datagrams: 0, lost: 0 };

/** `monotonicMs`: a clock that is never set. */
export function createTrafficHistory(collector: WatchedCollector, monotonicMs: () => number): TrafficHistory {
  const drops = (): number =>
    collector.counters.listeners.reduce((sum, { kernelDrops }) => sum + kernelDrops, 0);

  const kept = keepSamples(take(), take, { everyMs: SAMPLE_MS, most: MINUTES + 1 });

  function take(): Sample {
    const exporters = new Map<string, Count>();
    for (const state of collector.exporters()) {
      if (exporters.size >= MAX_EXPORTERS) break;
      exporters.set(exporterKey(state), countOf(state));
    }
    return { atMs: monotonicMs(), kernelDrops: drops(), exporters };
  }

  function live(state: ExporterState): LiveExporter {
    const samples = kept.all();
    const key = exporterKey(state);
    const now = countOf(state);
    const of = (one: Sample) => one.exporters.get(key) ?? NOTHING;
    const [first] = samples;
    const since = of(first);
    const newest = samples.at(-1) ?? first;
    // Right after a sample there is too little to go by.
    const base = monotonicMs() - newest.atMs < SAMPLE_MS / 4 ? (samples.at(-2) ?? newest) : newest;
    const seconds = Math.max(1, (monotonicMs() - base.atMs) / 1000);
    const minutes = samples.slice(1).map((one, i) => {
      const before = samples[i];
      return roundRate((of(one).flows - of(before).flows) / Math.max(1, (one.atMs - before.atMs) / 1000));
    });
    return {
      exporter: formatAddress(state.address),
      domain: state.domain,
      version: state.version,
      datagrams: state.datagrams,
      flows: state.flows,
      lost: state.sequenceLost,
      unknownGaps: state.sequenceUnknown,
      reordered: state.sequenceReordered,
      resets: state.sequenceResets,
      counting: state.counting,
      sampling: [...state.samplingRates].sort((a, b) => a - b),
      templates: state.templates,
      clockSkewMs: state.clockSkewMs,
      lastSeenMs: state.lastSeenMs,
      unread: unreadFlows(state),
      unreadReasons: unreadReasons(state),
      rates: [...Array<null>(MINUTES - minutes.length).fill(null), ...minutes],
      flowsPerS: roundRate((now.flows - of(base).flows) / seconds),
      datagramsPerS: roundRate((now.datagrams - of(base).datagrams) / seconds),
      lostLastHour: now.lost - since.lost,
      unitsLastHour:
        state.version === 'v9' || state.version === 'sflow'
          ? now.datagrams - since.datagrams
          : now.flows - since.flows,
    };
  }

  return {
    start: kept.start,
    stop: kept.stop,
    sample: kept.note,
    exporters: () => [...collector.exporters()].map(live),
    totals: () => ({ datagrams: collector.counters.datagrams, flows: collector.counters.flows }),
    kernelDropsLastHour: () => drops() - kept.all()[0].kernelDrops,
    refused: () =>
      collector.refusedExporters().map(({ address, datagrams }) => ({ exporter: address, datagrams })),
  };
}

const countOf = ({ flows, datagrams, sequenceLost: lost }: ExporterState): Count => ({
  flows,
  datagrams,
  lost,
});

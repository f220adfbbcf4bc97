/**
 * What the collector receives now, with rates over the last minute: the `collection` of `/api/v1/status`.
 *
 * Counters are sampled every ten seconds; a rate is the difference to the oldest sample that is a minute old at most. What is
 * kept is bounded by the decoder's table of exporters.
 */

import type { Collection, LiveExporter } from '../api/collection.ts';
import type { Collector } from '../collect/collector.ts';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';
import { exporterKey, keepSamples, roundRate } from './kept-samples.ts';

export interface CollectionView {
  /** Takes a sample every ten seconds from now on. */
  start(): void;
  stop(): void;
  /** Takes a sample now. */
  note(): void;
  current(): Collection;
}

interface Sample {
  readonly atMs: number;
  readonly datagrams: number;
  readonly flows: number;
  /** Datagrams and flows of each exporter. */
  readonly exporters: ReadonlyMap<string, readonly [datagrams: number, flows: number]>;
}

const SAMPLE_MS = 10_000;
/** With one sample each ten seconds, a minute. */
const SAMPLES = 6;
const MAX_EXPORTERS = 1000;
const MAX_REFUSED = 10;

export type ViewedCollector = Pick<Collector, 'exporters' | 'refusedExporters'> & {
  readonly counters: Pick<
    Collector['counters'],
    'canaries' | 'datagrams' | 'flows' | 'mailFlows' | 'listeners' | 'recordsDropped'
  >;
};

export interface CollectionClocks {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A clock that is never set. */
  readonly monotonicMs: () => number;
}

export function createCollectionView(
  collector: ViewedCollector,
  silentAfterMs: number,
  { now, monotonicMs }: CollectionClocks,
): CollectionView {
  const { counters } = collector;
  const kept = keepSamples<Sample>(
    { atMs: monotonicMs(), datagrams: 0, flows: 0, exporters: new Map() },
    sample,
    { everyMs: SAMPLE_MS, most: SAMPLES },
  );

  function sample(): Sample {
    return {
      atMs: monotonicMs(),
      datagrams: counters.datagrams,
      flows: counters.flows,
      exporters: new Map(
        [...collector.exporters()].map((state) => [
          exporterKey(state),
          [state.datagrams, state.flows] as const,
        ]),
      ),
    };
  }

  return {
    note: kept.note,
    start: kept.start,
    stop: kept.stop,
    current() {
      const [since] = kept.all();
      const elapsedSeconds = Math.max(0.001, (monotonicMs() - since.atMs) / 1000);
      const perSecond = (after: number, before: number) => roundRate((after - before) / elapsedSeconds);
      const exporters = [...collector.exporters()].map((state) => {
        const [datagrams, flows] = since.exporters.get(exporterKey(state)) ?? [0, 0];
        return liveExporter(state, perSecond(state.datagrams, datagrams), perSecond(state.flows, flows));
      });
      const dropped = Object.entries(counters.recordsDropped).filter(([, count]) => count > 0);
      return {
        at: new Date(now()).toISOString(),
        silent_after_ms: silentAfterMs,
        rate_seconds: Math.round(elapsedSeconds),
        datagrams_per_second: perSecond(counters.datagrams, since.datagrams),
        flows_per_second: perSecond(counters.flows, since.flows),
        listeners: counters.listeners.map(({ name, datagrams, kernelDrops }) => ({
          name,
          datagrams,
          kernel_drops: kernelDrops,
        })),
        canaries: counters.canaries,
        not_decoded: Object.fromEntries(dropped),
        mail_flows: counters.mailFlows,
        refused: [...collector.refusedExporters()]
          .sort((a, b) => b.datagrams - a.datagrams)
          .slice(0, MAX_REFUSED)
          .map(({ address, datagrams }) => ({ exporter: address, datagrams })),
        exporters: exporters
          .sort((a, b) => b.flows_per_second - a.flows_per_second || b.flows - a.flows)
          .slice(0, MAX_EXPORTERS),
        exporters_known: exporters.length,
      };
    },
  };
}

function liveExporter(
  state: ExporterState,
  datagramsPerSecond: number,
  flowsPerSecond: number,
): LiveExporter {
  const { not_ip: _carriesNoMail, ...unread } = state.unread ?? { not_ip: 0 };
  return {
    exporter: formatAddress(state.address),
    domain: state.domain,
    version: state.version,
    agent: state.agent === null ? null : formatAddress(state.agent),
    datagrams: state.datagrams,
    flows: state.flows,
    datagrams_per_second: datagramsPerSecond,
    flows_per_second: flowsPerSecond,
    lost: state.sequenceLost,
    counting: state.counting,
    sampling_rates: [...state.samplingRates].sort((a, b) => a - b),
    templates: state.version === 'v9' || state.version === 'ipfix' ? state.templates : null,
    last_seen: new Date(state.lastSeenMs).toISOString(),
    clock_skew_ms: state.clockSkewMs === null ? null : Math.round(state.clockSkewMs),
    unread: Object.fromEntries(Object.entries(unread).filter(([, count]) => count > 0)),
  };
}

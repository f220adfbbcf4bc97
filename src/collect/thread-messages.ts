/** What the main thread and a receiver thread say to each other, and how a state is made ready for the way. */

import type { Config } from '../config/schema.ts';
import type { ExporterState, SequenceMark } from '../decode/types.ts';
import type { Collector } from './collector.ts';
import type { CollectorCounters } from './collector-counters.ts';
import type { RefusedExporter } from './exporter-access.ts';
import type { ListenTarget } from './listen-targets.ts';

/** `workerData` of a receiver thread. */
export interface ThreadInput {
  readonly config: Config;
  readonly targets: readonly ListenTarget[];
  readonly mailPartitions: number;
  /** One number: what to add to the monotonic clock to get the time in use. The main thread keeps it right. */
  readonly clock: Float64Array;
  /** What was kept of exporters that this thread gets: see CollectorMemory. */
  readonly templates: unknown;
  readonly sequences: readonly SequenceMark[];
}

/** All that is read of a collector. */
export interface CollectorState {
  readonly counters: CollectorCounters;
  readonly exporters: readonly ExporterState[];
  readonly refused: readonly RefusedExporter[];
  /** Seconds that datagrams waited in the socket, of each batch since the state before. */
  readonly waits: readonly number[];
}

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'start_failed'; readonly error: unknown }
  | { readonly kind: 'state'; readonly state: CollectorState }
  /** `bytes` is moved, not copied, and comes back with the answer; the value is its first `length` bytes. */
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly stream: 'flows' | 'mail';
      readonly bytes: ArrayBuffer;
      readonly length: number;
      readonly rows: number;
      readonly partition: number | undefined;
    }
  | { readonly kind: 'templates'; readonly snapshot: unknown }
  | { readonly kind: 'sequences'; readonly marks: readonly SequenceMark[] }
  /** A line of the log, as JSON with the level as a number. */
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'stopped' };

export type ToThread =
  | {
      readonly kind: 'answer';
      readonly id: number;
      /** Null when the stream failed; then `failure` says why, and the memory does not come back. */
      readonly accepted: number | null;
      readonly failure: string;
      readonly bytes: ArrayBuffer | null;
    }
  | { readonly kind: 'reload'; readonly networks: Config['networks'] }
  | { readonly kind: 'stop' };

/** Milliseconds of a clock that is the same in all threads and is never set. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** A copy of plain data: of what counts by getters too, which structured cloning leaves out. */
export function stateOf(collector: Collector, waits: readonly number[]): CollectorState {
  const { counters } = collector;
  return {
    counters: {
      datagrams: counters.datagrams,
      bytes: counters.bytes,
      flows: counters.flows,
      decoder: counters.decoder,
      recordsDropped: counters.recordsDropped,
      mailFlows: counters.mailFlows,
      published: counters.published,
      dropped: counters.dropped,
      pending: counters.pending,
      canaries: counters.canaries,
      listeners: counters.listeners,
    },
    exporters: [...collector.exporters()].map(plainExporter),
    refused: collector.refusedExporters(),
    waits,
  };
}

function plainExporter(state: ExporterState): ExporterState {
  return {
    address: state.address,
    domain: state.domain,
    version: state.version,
    agent: state.agent,
    exportProcesses: state.exportProcesses,
    counting: state.counting,
    datagrams: state.datagrams,
    flows: state.flows,
    sequenceLost: state.sequenceLost,
    sequenceReordered: state.sequenceReordered,
    sequenceResets: state.sequenceResets,
    sequenceUnknown: state.sequenceUnknown,
    sequenceLostBefore: state.sequenceLostBefore,
    lastSeenMs: state.lastSeenMs,
    clockSkewMs: state.clockSkewMs,
    samplingRates: state.samplingRates,
    templates: state.templates,
    ...(state.unread !== undefined && { unread: { ...state.unread } }),
    ...(state.outMeaning !== undefined && { outMeaning: state.outMeaning }),
    ...(state.absurdCounters !== undefined && { absurdCounters: state.absurdCounters }),
    templatesRedefined: state.templatesRedefined,
  };
}

/** The counters of all threads as those of one collector: sums, listeners by their name. */
export function sumOfCounters(parts: readonly CollectorCounters[]): CollectorCounters {
  const listeners = new Map<string, CollectorCounters['listeners'][number]>();
  for (const listener of parts.flatMap((part) => part.listeners)) {
    const before = listeners.get(listener.name);
    const { name } = listener;
    listeners.set(name, before === undefined ? listener : { ...sum([before, listener]), name });
  }
  return { ...sum(parts.map((part) => ({ ...part, listeners: [] }))), listeners: [...listeners.values()] };
}

/** Of objects of one shape: numbers are added, objects in them summed in turn. What is neither is that of the first. */
function sum<Counts extends object>(parts: readonly Counts[]): Counts {
  const entries = Object.entries(parts[0]).map(([name, first]: [string, unknown]) => {
    const values = parts.map((part): unknown => part[name as keyof Counts]);
    if (typeof first === 'number') return [name, values.reduce((a: number, b) => a + Number(b), 0)];
    if (typeof first === 'object' && first !== null && !Array.isArray(first))
      return [name, sum(values as object[])];
    return [name, first];
  });
  return Object.fromEntries(entries) as Counts;
}

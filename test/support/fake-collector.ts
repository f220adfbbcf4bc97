/** A collector that shows the given exporters and received nothing, and exporters to show. */

import type { Collector } from '../../src/collect/collector.ts';
import type { ExporterState } from '../../src/decode/types.ts';
import { parseAddress } from '../../src/flow/address.ts';

/** An exporter of v9 that sent one datagram with one flow, but for what is given. */
export function exporterState(address: string, given: Partial<ExporterState> = {}): ExporterState {
  return {
    address: parseAddress(address) ?? new Uint8Array(16),
    domain: 0,
    version: 'v9',
    datagrams: 1,
    flows: 1,
    sequenceLost: 0,
    sequenceReordered: 0,
    sequenceResets: 0,
    sequenceUnknown: 0,
    agent: null,
    exportProcesses: 1,
    counting: 'datagrams',
    sequenceLostBefore: 0,
    lastSeenMs: 0,
    clockSkewMs: null,
    samplingRates: new Set(),
    templates: 1,
    templatesRedefined: 0,
    ...given,
  };
}

export function createFakeCollector(states: readonly ExporterState[]): Pick<Collector, 'exporters'> & {
  readonly counters: Pick<Collector['counters'], 'listeners' | 'datagrams'> & {
    readonly decoder: {
      readonly exportersEvicted: number;
      readonly dropped: { readonly exporter_limit: number };
    };
  };
} {
  return {
    counters: {
      listeners: [],
      decoder: { exportersEvicted: 0, dropped: { exporter_limit: 0 } },
      datagrams: 0,
    },
    exporters: () => states.values(),
  };
}

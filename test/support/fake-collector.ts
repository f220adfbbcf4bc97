/** A collector that shows the given exporters and received nothing. */

import type { Collector } from '../../src/collect/collector.ts';
import type { ExporterState } from '../../src/decode/types.ts';

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

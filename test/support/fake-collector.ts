/** A collector that shows the given exporters and received nothing. */

import type { Collector } from '../../src/collect/collector.ts';
import type { ExporterState } from '../../src/decode/types.ts';

export function createFakeCollector(states: readonly ExporterState[]): Pick<Collector, 'exporters'> & {
  readonly counters: Pick<Collector['counters'], 'listeners' | 'datagrams'>;
} {
  return { counters: { listeners: [], datagrams: 0 }, exporters: () => states.values() };
}

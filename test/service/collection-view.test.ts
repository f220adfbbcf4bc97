/** Rates and counts of what a collector receives, over the last minute. */

import { describe, expect, it } from 'vitest';
import type { ExporterState } from '../../src/decode/types.ts';
import { createCollectionView, type ViewedCollector } from '../../src/service/collection-view.ts';
import { exporterState } from '../support/fake-collector.ts';

function viewed(states: ExporterState[]) {
  const counters = {
    datagrams: 0,
    flows: 0,
    mailFlows: 0,
    canaries: 0,
    listeners: [{ name: '0.0.0.0:2055', datagrams: 0, bytes: 0, kernelDrops: 3, errors: 0, cut: 0 }],
    recordsDropped: { truncated: 0, no_template: 2 },
  };
  const collector: ViewedCollector = {
    counters,
    exporters: () => states.values(),
    refusedExporters: () => [
      { address: '198.51.100.1', datagrams: 1 },
      { address: '198.51.100.2', datagrams: 9 },
    ],
  };
  let ms = 0;
  const view = createCollectionView(collector, 600_000, {
    now: Date.now,
    monotonicMs: () => ms,
  });
  const pass = (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      ms += 1000;
      if (ms % 10_000 === 0) view.note();
    }
  };
  return { view, counters, pass };
}

describe('the view of a collector', () => {
  it('has rates over the last minute, not since the start', () => {
    const state = exporterState('192.0.2.1', { flows: 0, datagrams: 0 });
    const { view, counters, pass } = viewed([state]);
    // Ten minutes of 30 flows a second, then two of nothing.
    for (let second = 0; second < 600; second++) {
      counters.flows += 30;
      counters.datagrams += 1;
      state.flows += 30;
      state.datagrams += 1;
      pass(1);
    }
    const busy = view.current();
    expect(busy.rate_seconds).toBeLessThanOrEqual(60);
    expect(busy.flows_per_second).toBeCloseTo(30, 0);
    expect(busy.exporters[0]).toMatchObject({
      exporter: '192.0.2.1',
      flows: 18_000,
      datagrams_per_second: 1,
    });
    pass(120);
    expect(view.current()).toMatchObject({ flows_per_second: 0, exporters: [{ flows_per_second: 0 }] });
  });

  it('leaves reasons without any out, and shows the busiest and the most refused first', () => {
    const { view, pass } = viewed([
      exporterState('192.0.2.1', { flows: 5 }),
      exporterState('192.0.2.2', {
        flows: 500,
        version: 'v5',
        templates: 0,
        samplingRates: new Set([1000, 1]),
      }),
    ]);
    pass(10);
    const { not_decoded, refused, exporters, listeners } = view.current();
    expect(not_decoded).toEqual({ no_template: 2 });
    expect(listeners).toEqual([{ name: '0.0.0.0:2055', datagrams: 0, kernel_drops: 3 }]);
    expect(refused.map(({ exporter }) => exporter)).toEqual(['198.51.100.2', '198.51.100.1']);
    expect(exporters.map(({ exporter }) => exporter)).toEqual(['192.0.2.2', '192.0.2.1']);
    expect(exporters[0]).toMatchObject({ templates: null, sampling_rates: [1, 1000] });
  });
});

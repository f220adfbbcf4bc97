/** Rates and losses of the last hour, from counters that only grow. */

import { describe, expect, it } from 'vitest';
import type { ExporterState } from '../../src/decode/types.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { createTrafficHistory } from '../../src/service/traffic-history.ts';

const MINUTE_MS = 60_000;

function watched() {
  const state = {
    address: parseAddress('192.0.2.1')!,
    domain: 0,
    version: 'v9',
    agent: null,
    counting: 'datagrams',
    datagrams: 100,
    flows: 3000,
    sequenceLost: 50,
    sequenceReordered: 0,
    sequenceResets: 0,
    sequenceUnknown: 0,
    lastSeenMs: 5,
    clockSkewMs: null,
    samplingRates: new Set([1000, 10]),
    templates: 2,
  } as unknown as ExporterState;
  const listener = { kernelDrops: 7 };
  let atMs = 0;
  const history = createTrafficHistory(
    {
      exporters: () => [state].values() as IterableIterator<ExporterState>,
      refusedExporters: () => [],
      counters: { datagrams: 100, flows: 3000, listeners: [listener] },
    },
    () => atMs,
  );
  return {
    history,
    state,
    listener,
    minutes(count: number, flows: number) {
      for (let i = 0; i < count; i++) {
        atMs += MINUTE_MS;
        state.flows += flows;
        state.datagrams += flows / 30;
        history.sample();
      }
    },
  };
}

describe('what a router sent in the last hour', () => {
  it('is null before the start, a rate by minute after it, and no more than an hour', () => {
    const { history, minutes } = watched();
    expect(history.exporters()[0].rates).toEqual(Array(60).fill(null));
    minutes(2, 600);
    const [line] = history.exporters();
    expect(line.rates.slice(-3)).toEqual([null, 10, 10]);
    expect(line.flowsPerS).toBe(10);
    minutes(100, 1200);
    expect(history.exporters()[0].rates).toEqual(Array(60).fill(20));
  });

  it('has lost what was lost in this hour, and not before', () => {
    const { history, minutes, state, listener } = watched();
    expect([history.exporters()[0].lostLastHour, history.kernelDropsLastHour()]).toEqual([0, 0]);
    state.sequenceLost += 30;
    listener.kernelDrops += 3;
    minutes(1, 600);
    expect(history.exporters()[0]).toMatchObject({
      lostLastHour: 30,
      unitsLastHour: 20,
      sampling: [10, 1000],
    });
    expect(history.kernelDropsLastHour()).toBe(3);
    minutes(61, 600);
    expect([history.exporters()[0].lostLastHour, history.kernelDropsLastHour()]).toEqual([0, 0]);
  });
});

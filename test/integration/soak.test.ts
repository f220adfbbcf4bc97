/** What decides whether the soak run fails, on figures that are known. */

import { describe, expect, it } from 'vitest';
import { grows, growthOf, type Sample } from './soak/growth.ts';

const samples = (heap: (minute: number) => number): Sample[] =>
  Array.from({ length: 40 }, (_, i) => ({
    minutes: i / 8,
    heap: heap(i / 8),
    buffers: 0,
    descriptors: 50 + (i % 5),
    timers: 30,
    listeners: 100 + ((i * 7) % 30),
    threads: 12,
  }));

const grown = (all: Sample[]) => growthOf(all).filter(grows);

describe('growth over a run', () => {
  it('is that of the second half, whatever the first learned, and whatever comes and goes', () => {
    expect(grown(samples((minute) => Math.min(2, minute) * 10_000))).toEqual([]);
  });

  it('of a leak of 3 MB a minute is found in five minutes', () => {
    expect(grown(samples((minute) => 30_000 + 3100 * minute)).map(({ name }) => name)).toEqual(['heap']);
  });
});

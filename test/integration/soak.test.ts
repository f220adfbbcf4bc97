/** What decides whether the soak run fails, on figures that are known. */

import { describe, expect, it } from 'vitest';
import { grows, growthOf, type Sample } from './soak/growth.ts';

const STEADY: Omit<Sample, 'minutes'> = {
  heap: 40_000,
  buffers: 0,
  resident: 200_000,
  descriptors: 50,
  handles: 40,
  timers: 30,
  listeners: 100,
  promises: 2000,
  functions: 20_000,
  threads: 12,
  children: 2,
};

const PER_MINUTE = 8;

function samples(minutes: number, more: (minute: number, i: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: minutes * PER_MINUTE }, (_, i) => ({
    ...STEADY,
    minutes: i / PER_MINUTE,
    ...more(i / PER_MINUTE, i),
  }));
}

const grown = (all: Sample[]) =>
  growthOf(all)
    .filter(grows)
    .map(({ name }) => name);

describe('growth over a run', () => {
  it('is that of the second half, whatever the first learned, and whatever comes and goes', () => {
    const all = samples(5, (minute, i) => ({
      heap: 40_000 + Math.min(2, minute) * 10_000,
      descriptors: 50 + (i % 5),
      listeners: 100 + ((i * 7) % 30),
    }));
    expect(grown(all)).toEqual([]);
  });

  it('of a leak of 3 MB a minute is found in five minutes', () => {
    expect(grown(samples(5, (minute) => ({ heap: 30_000 + 3100 * minute })))).toEqual(['heap']);
  });

  it('is not that of a short step, such as code that is compiled late', () => {
    expect(grown(samples(3, (minute) => ({ heap: minute < 2.2 ? 40_000 : 42_000 })))).toEqual([]);
  });

  it.each([
    ['heap', 250],
    ['descriptors', 1],
    ['timers', 1],
    ['listeners', 20],
    ['promises', 30],
    ['threads', 0.1],
    ['children', 0.1],
  ] as const)('of %s by %d a minute is found in an hour', (name, slope) => {
    expect(grown(samples(60, (minute) => ({ [name]: STEADY[name] + slope * minute })))).toEqual([name]);
  });

  it('is free below what a bounded store may hold', () => {
    expect(grown(samples(60, (minute) => ({ buffers: 1000 * minute })))).toEqual([]);
    expect(grown(samples(60, (minute) => ({ buffers: 40_000 + 1000 * minute })))).toEqual(['buffers']);
  });
});

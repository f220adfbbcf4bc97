/**
 * Chance with a known beginning: everything random in the generated traffic is drawn from one of these.
 *
 * Each part of the generator has its own stream, named by a label, so that a change to one part does not move the
 * numbers of all others. Nothing here may read Math.random or the clock.
 */

import { randomNumbers } from '../../support/random.ts';

export interface Chance {
  /** From 0 up to, but not including, 1. */
  next(): number;
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** True with the probability `p`. */
  happens(p: number): boolean;
  /** Exponentially distributed with this mean: the time between events that know nothing of each other. */
  after(mean: number): number;
  /** Sampling: how many packets pass until and with the next one that is taken, at one in `rate`. */
  gap(rate: number): number;
}

export function createChance(seed: number, label: string): Chance {
  const next = randomNumbers(seedOf(seed, label));
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    next,
    below,
    between: (low, high) => low + below(high - low + 1),
    happens: (p) => next() < p,
    after: (mean) => -mean * Math.log(1 - next()),
    gap: (rate) => (rate <= 1 ? 1 : 1 + Math.floor(Math.log(1 - next()) / Math.log1p(-1 / rate))),
  };
}

/** FNV-1a over the label, begun with the seed. */
function seedOf(seed: number, label: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

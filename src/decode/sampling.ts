/**
 * What one observation domain said about its sampling.
 *
 * Rates are one packet in N; 0 is unknown and stays unknown: a rate is never guessed. Sampler and selector ids come
 * from the network, so their number is bounded, the oldest going first.
 */

import type { SamplerRates } from './reader-context.ts';
import { IE } from './template-field.ts';

const MAX_SAMPLERS = 256;
const MAX_RATE = 0xffffffff;

export class SamplingTable implements SamplerRates {
  defaultRate = 0;
  readonly samplers = new Map<number, number>();
  readonly selectors = new Map<number, number>();

  /** Takes over what another table knows and this one does not. */
  adopt(other: SamplingTable): void {
    if (this.defaultRate === 0) this.defaultRate = other.defaultRate;
    for (const [id, rate] of other.samplers) if (!this.samplers.has(id)) remember(this.samplers, id, rate);
    for (const [id, rate] of other.selectors) if (!this.selectors.has(id)) remember(this.selectors, id, rate);
  }

  samplerRate(id: number): number {
    return this.samplers.get(id) ?? 0;
  }

  selectorRate(id: number): number {
    return this.selectors.get(id) ?? 0;
  }

  /**
   * Takes over what an options record tells, if it tells a rate at all; returns that rate or 0. `get` gives the number
   * in the record's element, undefined where it has none. Without a sampler or selector id the rate is the domain's.
   */
  learn(get: (id: number) => number | undefined): number {
    const rate = rateOf(get);
    if (rate === 0) return 0;
    const sampler = get(IE.samplerId);
    const selector = get(IE.selectorId);
    if (sampler !== undefined) remember(this.samplers, sampler, rate);
    if (selector !== undefined) remember(this.selectors, selector, rate);
    if (sampler === undefined && selector === undefined) this.defaultRate = rate;
    return rate;
  }
}

/** Puts an entry in, at the cost of the oldest when there are too many. */
export function remember(table: Map<number, number>, id: number, rate: number): void {
  table.delete(id);
  table.set(id, rate);
  if (table.size <= MAX_SAMPLERS) return;
  for (const oldest of table.keys()) {
    table.delete(oldest);
    return;
  }
}

/** Elements that make an options template worth reading for its rates. */
export const SAMPLING_ELEMENTS: readonly number[] = [
  IE.samplingInterval,
  IE.samplerRandomInterval,
  IE.samplingPacketInterval,
  IE.samplingTimeInterval,
  IE.samplingPopulation,
  IE.samplingProbability,
];

/**
 * One packet in N by whichever of these a record has: v9's intervals (34, 50); count-based and time-based systematic
 * sampling, interval selected and space not (RFC 5477 section 8.2); n out of N; a probability. An interval without a
 * space is the N itself, which is what exporters mean that send it so.
 */
function rateOf(get: (id: number) => number | undefined): number {
  const direct = get(IE.samplingInterval) || get(IE.samplerRandomInterval);
  if (direct) return clamp(direct);
  for (const [interval, space] of [
    [get(IE.samplingPacketInterval), get(IE.samplingPacketSpace)],
    [get(IE.samplingTimeInterval), get(IE.samplingTimeSpace)],
  ]) {
    if (interval) return clamp(space === undefined ? interval : (interval + space) / interval);
  }
  const population = get(IE.samplingPopulation);
  if (population) return clamp(population / (get(IE.samplingSize) || 1));
  const probability = get(IE.samplingProbability);
  return probability && probability > 0 ? clamp(1 / probability) : 0;
}

function clamp(rate: number): number {
  return Number.isFinite(rate) && rate >= 0.5 ? Math.min(MAX_RATE, Math.round(rate)) : 0;
}

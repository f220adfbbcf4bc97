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

/** Chassis have this many interfaces; beyond it the oldest go. */
const MAX_INTERFACES = 4096;
/** The egress side of an interface stands beside its ingress side, which has the number itself. */
const EGRESS_SIDE = 4294967296;
const EGRESS = 1;

/**
 * What an options record is about, by its scope fields (RFC 3954 section 6.1, RFC 7011 section 3.4.2.1); undefined is
 * what is not in its scope. Without any of these, and for the whole system, it is about all flows of the process.
 */
export interface OptionsScope {
  /** An interface; `ingress` or `egress` where the record means one side of it only. */
  readonly interface?: { readonly id: number; readonly side: 'ingress' | 'egress' | 'both' };
  /** Flows of one template. */
  readonly template?: number;
  /** A line card, a cache or another part of the exporter, of which flows do not say that they are its. */
  readonly part?: string;
}

/** Rates that something had, where they changed, and how often one came back. */
interface RateChanges {
  readonly rates: Set<number>;
  returns: number;
}

/** So often a rate comes back only when two exporters behind one address tell theirs in turn. */
const RETURNS_OF_TWO = 2;
const MAX_CHANGES = 256;
const MAX_CHANGED_RATES = 16;

export class SamplingTable implements SamplerRates {
  defaultRate = 0;
  readonly samplers = new Map<number, number>();
  readonly selectors = new Map<number, number>();
  /** By interface, the egress side at 2^32 more. */
  readonly interfaces = new Map<number, number>();
  readonly templates = new Map<number, number>();
  readonly parts = new Map<string, number>();
  /** Whether a record told the rate of the whole. */
  #isWholeKnown = false;
  readonly #changes = new Map<string, RateChanges>();

  clear(): void {
    this.defaultRate = 0;
    this.#isWholeKnown = false;
    this.#changes.clear();
    for (const table of [this.samplers, this.selectors, this.interfaces, this.templates, this.parts])
      table.clear();
  }

  /** Takes over what another table knows and this one does not. */
  adopt(other: SamplingTable): void {
    if (this.defaultRate === 0) this.defaultRate = other.defaultRate;
    for (const table of ['samplers', 'selectors', 'interfaces', 'templates'] as const)
      for (const [id, rate] of other[table]) if (!this[table].has(id)) remember(this[table], id, rate);
  }

  samplerRate(id: number): number {
    return this.samplers.get(id) ?? 0;
  }

  selectorRate(id: number): number {
    return this.selectors.get(id) ?? 0;
  }

  get hasInterfaces(): boolean {
    return this.interfaces.size > 0;
  }

  /**
   * The rate at the interface where the flow was sampled: that of its ingress, but of its egress for a flow that says
   * so (IE 61), or whose ingress is not sampled by itself. 0 where neither has a rate of its own.
   */
  interfaceRate(ingress: number, egress: number, direction: number): number {
    const { interfaces } = this;
    const entering = interfaces.get(ingress) ?? 0;
    const leaving = interfaces.get(egress + EGRESS_SIDE) ?? 0;
    return direction === EGRESS ? leaving || entering : entering || leaving;
  }

  /** The rate of flows of a template that nothing else tells the rate of. */
  templateRate(id: number): number {
    return this.templates.get(id) ?? this.defaultRate;
  }

  /**
   * Takes over what an options record tells, if it tells a rate at all; returns that rate or 0. `get` gives the number
   * in the record's element, undefined where it has none. A record about the whole tells the rate of all flows that
   * have no other; parts of an exporter do so only while they are all alike.
   */
  learn(get: (id: number) => number | undefined, scope: OptionsScope = {}): number {
    const rate = rateOf(get);
    if (rate === 0) return 0;
    const sampler = get(IE.samplerId);
    const selector = get(IE.selectorId);
    if (sampler !== undefined) this.#take('samplers', sampler, rate);
    if (selector !== undefined) this.#take('selectors', selector, rate);
    if (scope.interface !== undefined) {
      const { id, side } = scope.interface;
      if (side !== 'egress') this.#take('interfaces', id, rate, MAX_INTERFACES);
      if (side !== 'ingress') this.#take('interfaces', id + EGRESS_SIDE, rate, MAX_INTERFACES);
    } else if (scope.template !== undefined) this.#take('templates', scope.template, rate);
    else if (sampler === undefined && selector === undefined) this.#learnWhole(rate, scope.part);
    return rate;
  }

  #take(
    table: 'samplers' | 'selectors' | 'interfaces' | 'templates',
    id: number,
    rate: number,
    most?: number,
  ) {
    const own = this[table];
    remember(own, id, this.#agreed(`${table} ${id}`, own.get(id) ?? 0, rate), most);
  }

  /**
   * The rate to go by when something that had the rate `known` is said to have another. Two exporters behind one address
   * and port tell theirs in turn, and nobody knows whose a flow is: then the larger holds, which proves less.
   */
  #agreed(what: string, known: number, rate: number): number {
    if (known === 0 || known === rate) return rate;
    const changes = this.#changes.get(what) ?? { rates: new Set([known]), returns: 0 };
    if (changes.rates.has(rate)) changes.returns++;
    if (changes.rates.size < MAX_CHANGED_RATES) changes.rates.add(rate);
    if (this.#changes.size < MAX_CHANGES) this.#changes.set(what, changes);
    return changes.returns >= RETURNS_OF_TWO ? Math.max(rate, ...changes.rates) : rate;
  }

  #learnWhole(rate: number, part: string | undefined): void {
    if (part === undefined) {
      this.#isWholeKnown = true;
      this.defaultRate = this.#agreed('whole', this.defaultRate, rate);
      return;
    }
    remember(this.parts, part, rate);
    if (this.#isWholeKnown) return;
    const alike = [...this.parts.values()].every((other) => other === rate);
    this.defaultRate = alike ? rate : 0;
  }
}

/** Puts an entry in, at the cost of the oldest when there are too many. */
export function remember<Id>(table: Map<Id, number>, id: Id, rate: number, most = MAX_SAMPLERS): void {
  table.delete(id);
  table.set(id, rate);
  if (table.size <= most) return;
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

/**
 * Exporters that number the datagrams of all their observation domains in one sequence.
 *
 * By the specifications each domain has its own. Where one number runs through all of them, each domain for itself seems
 * to lose what the others sent. So both accounts are kept once an exporter has a second domain, and where the domain
 * changes the numbers show which of the two foretells them.
 */

import {
  ExporterSequence,
  type SequenceCounts,
  type SequencedVersion,
  type SequenceUnits,
} from './sequence.ts';

/** By so many numbers, where the domain changes, one account must be ahead of the other. */
const AHEAD = 4;

export interface CountedDomain extends SequenceCounts {
  readonly domain: number;
}

export class OverallSequence implements SequenceCounts {
  sequenceLost = 0;
  sequenceReordered = 0;
  sequenceResets = 0;
  sequenceUnknown = 0;
  readonly #sequence: ExporterSequence;
  /** What each domain had counted by itself before it was known whether it counts for itself. */
  readonly #before = new Map<CountedDomain, SequenceCounts>();
  #lead: CountedDomain | null = null;
  #newest: CountedDomain | null = null;
  #score = 0;

  constructor(version: SequencedVersion, domains: Iterable<CountedDomain>) {
    this.#sequence = new ExporterSequence(version);
    for (const domain of domains) this.#before.set(domain, countsOf(domain));
  }

  /** True once it is known that the domains share one sequence. */
  get isShared(): boolean {
    return this.#score >= AHEAD;
  }

  /** True once it is known that each domain counts for itself: this account is not needed any more. */
  get isRefuted(): boolean {
    return this.#score <= -AHEAD;
  }

  /**
   * Takes account of a datagram of `domain`; `foretold` says whether the domain's own account foretold its number. Puts
   * the counts of the whole on the first domain and takes them off the others, once they are known to be one.
   */
  observe(
    domain: CountedDomain,
    foretold: boolean,
    sequence: number,
    units: SequenceUnits,
    exportMs: number,
    uptimeMs: number,
    nowMs: number,
  ): void {
    const isForetold = this.#sequence.observe(sequence, units, exportMs, uptimeMs, nowMs, this);
    const wasShared = this.isShared;
    if (this.#newest !== domain && this.#newest !== null && isForetold !== foretold && !wasShared)
      this.#score += isForetold ? 1 : -1;
    this.#newest = domain;
    this.#lead ??= domain;
    if (!this.#before.has(domain)) this.#before.set(domain, countsOf(null));
    if (!this.isShared) return;
    if (wasShared) this.#restore(domain);
    else for (const counted of this.#before.keys()) this.#restore(counted);
    const lead = this.#lead;
    this.#restore(lead);
    lead.sequenceLost += this.sequenceLost;
    lead.sequenceReordered += this.sequenceReordered;
    lead.sequenceResets += this.sequenceResets;
    lead.sequenceUnknown += this.sequenceUnknown;
  }

  #restore(domain: CountedDomain): void {
    Object.assign(domain, this.#before.get(domain));
  }

  forget(domain: CountedDomain): void {
    this.#before.delete(domain);
    if (this.#lead === domain) this.#lead = null;
    if (this.#newest === domain) this.#newest = null;
  }
}

function countsOf(counts: SequenceCounts | null): SequenceCounts {
  return {
    sequenceLost: counts?.sequenceLost ?? 0,
    sequenceReordered: counts?.sequenceReordered ?? 0,
    sequenceResets: counts?.sequenceResets ?? 0,
    sequenceUnknown: counts?.sequenceUnknown ?? 0,
  };
}

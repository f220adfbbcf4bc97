/**
 * Sequence accounting of one exporter and domain: what is lost, late, doubled, or begun anew.
 *
 * Pure arithmetic on numbers of 32 bits that wrap. What counts as one unit is the version's affair: flows for v5 and
 * v7, data records for IPFIX (RFC 7011 section 3.1), datagrams for v9 (RFC 3954 section 5.1) and sFlow. It must never
 * report loss that a reorder or a restart explains, and never hide loss behind one.
 */

/** What a datagram holds. Null where data without a template makes it impossible to know. */
export interface SequenceUnits {
  readonly flows: number | null;
  readonly options: number;
}

/** Gaps that late datagrams may still fill. */
const MAX_HOLES = 64;
/** How far back, in units, a datagram may come and still be late rather than the first of a new sequence. */
const LATE_UNITS = 1 << 16;
/** A jump ahead of more than this is a new sequence, not a loss: an hour at 300 000 units a second. */
const MAX_LOSS = 1 << 30;
/** So many datagrams in a row that all seem late but follow each other are a new sequence. */
const LATE_RUN = 8;
/** The exporter's clock having moved on by more than this, an earlier number is a new sequence, not a late one. */
const LATE_EXPORT_MS = 2_000;
/** Uptime having gone back by more than this is a restart, unless it was about to roll over (after 49.7 days). */
const UPTIME_BACK_MS = 60_000;
const UPTIME_ROLL_OVER_MS = 0xffffffff - 600_000;

export interface SequenceCounts {
  sequenceLost: number;
  sequenceReordered: number;
  sequenceResets: number;
}

/** The account by one way of counting. */
export class SequenceAccount implements SequenceCounts {
  sequenceLost = 0;
  sequenceReordered = 0;
  sequenceResets = 0;
  #next: number | null = null;
  #exportMs = 0;
  #uptimeMs: number | null = null;
  #lateNext = 0;
  #lateRun = 0;
  /** Begin and length of the gaps seen, oldest first. */
  #holes: { begin: number; units: number }[] = [];

  /**
   * Takes account of a datagram with number `sequence` that holds `units` units, or null when their number cannot be
   * known (data whose template is missing): the next datagram is then believed as it comes. `uptimeMs` is null where
   * the version has none. Returns true when the number is the one that was expected.
   */
  observe(sequence: number, units: number | null, exportMs: number, uptimeMs: number | null): boolean {
    const restarted = this.#wentBack(uptimeMs);
    const expected = this.#next !== null;
    const gap = this.#next === null ? 0 : (sequence - this.#next) | 0;
    if (gap === 0) {
      this.#advance(sequence, units, exportMs, uptimeMs);
      return expected;
    }
    if (restarted || gap >= MAX_LOSS || gap < -LATE_UNITS) {
      this.#reset(sequence, units, exportMs, uptimeMs);
    } else if (gap > 0) {
      this.sequenceLost += gap;
      this.#holes.push({ begin: sequence - gap, units: gap });
      if (this.#holes.length > MAX_HOLES) this.#holes.shift();
      this.#advance(sequence, units, exportMs, uptimeMs);
    } else this.#late(sequence, units, exportMs, uptimeMs);
    return false;
  }

  #wentBack(uptimeMs: number | null): boolean {
    const before = this.#uptimeMs;
    if (uptimeMs === null || before === null || before > UPTIME_ROLL_OVER_MS) return false;
    return uptimeMs + UPTIME_BACK_MS < before;
  }

  #advance(sequence: number, units: number | null, exportMs: number, uptimeMs: number | null): void {
    this.#next = units === null ? null : (sequence + units) >>> 0;
    this.#exportMs = exportMs;
    this.#uptimeMs = uptimeMs;
    this.#lateRun = 0;
  }

  #reset(sequence: number, units: number | null, exportMs: number, uptimeMs: number | null): void {
    this.sequenceResets++;
    this.#holes = [];
    this.#advance(sequence, units, exportMs, uptimeMs);
  }

  #late(sequence: number, units: number | null, exportMs: number, uptimeMs: number | null): void {
    this.#lateRun = this.#lateRun > 0 && sequence === this.#lateNext ? this.#lateRun + 1 : 1;
    this.#lateNext = (sequence + (units ?? 0)) >>> 0;
    const filled = this.#fill(sequence, units ?? 0);
    this.sequenceLost -= filled;
    if (filled > 0) this.#lateRun = 0;
    if (exportMs > this.#exportMs + LATE_EXPORT_MS || this.#lateRun >= LATE_RUN) {
      this.#reset(sequence, units, exportMs, uptimeMs);
    } else this.sequenceReordered++;
  }

  /** Closes what a late datagram covers of the holes, and returns how many units of them that were. */
  #fill(sequence: number, units: number): number {
    for (let i = 0; i < this.#holes.length; i++) {
      const hole = this.#holes[i];
      const before = (sequence - hole.begin) | 0;
      if (before < 0 || before >= hole.units) continue;
      const filled = Math.min(units, hole.units - before);
      const behind = hole.units - before - filled;
      const parts = [
        { begin: hole.begin, units: before },
        { begin: (sequence + filled) | 0, units: behind },
      ].filter((part) => part.units > 0);
      this.#holes.splice(i, 1, ...parts);
      return filled;
    }
    return 0;
  }
}

/** A way of counting: the number that the datagram begins with, and the units that it adds. */
type Counting = (
  sequence: number,
  units: SequenceUnits,
) => { readonly sequence: number; readonly units: number | null };

const datagrams: Counting = (sequence) => ({ sequence, units: 1 });
const flowsBefore: Counting = (sequence, { flows }) => ({ sequence, units: flows });
const recordsBefore: Counting = (sequence, { flows, options }) => ({
  sequence,
  units: flows === null ? null : flows + options,
});
const flowsWithThese: Counting = (sequence, { flows }) => ({
  sequence: flows === null ? sequence : (sequence - flows) >>> 0,
  units: flows,
});

/**
 * Ways of counting by version, that of the specification first. The others are met in the field: softflowd numbers an
 * IPFIX message with the flows up to and including its own, and some v9 exporters count flows.
 */
const COUNTINGS = {
  v5: [flowsBefore],
  v7: [flowsBefore],
  v9: [datagrams, flowsBefore, flowsWithThese],
  ipfix: [recordsBefore, flowsBefore, flowsWithThese, datagrams],
  sflow: [datagrams],
} as const;

export type SequencedVersion = keyof typeof COUNTINGS;

/**
 * The account of one exporter and domain. Every way of counting of the version is followed; the counts are those of
 * the way that foretold most numbers, of equals the specification's.
 */
export class ExporterSequence {
  readonly #ways: { readonly counting: Counting; readonly account: SequenceAccount; foretold: number }[];

  constructor(version: SequencedVersion) {
    this.#ways = COUNTINGS[version].map((counting) => ({
      counting,
      account: new SequenceAccount(),
      foretold: 0,
    }));
  }

  /** As `SequenceAccount.observe`; the counts by the best way so far go to `counts`. */
  observe(
    sequence: number,
    units: SequenceUnits,
    exportMs: number,
    uptimeMs: number | null,
    counts: SequenceCounts,
  ): void {
    let best = this.#ways[0];
    for (const way of this.#ways) {
      const counted = way.counting(sequence, units);
      if (way.account.observe(counted.sequence, counted.units, exportMs, uptimeMs)) way.foretold++;
      if (way.foretold > best.foretold) best = way;
    }
    counts.sequenceLost = best.account.sequenceLost;
    counts.sequenceReordered = best.account.sequenceReordered;
    counts.sequenceResets = best.account.sequenceResets;
  }
}

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

/** Where an account stands: what it expects next (null when it cannot know), and the exporter's clocks of then. */
export interface SequencePosition {
  readonly next: number | null;
  readonly exportMs: number;
  readonly uptimeMs: number | null;
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

  get position(): SequencePosition {
    return { next: this.#next, exportMs: this.#exportMs, uptimeMs: this.#uptimeMs };
  }

  /** Goes on where an account of an earlier run stood: what came in between is then a gap like any other. */
  resume({ next, exportMs, uptimeMs }: SequencePosition): void {
    this.#next = next;
    this.#exportMs = exportMs;
    this.#uptimeMs = uptimeMs;
  }

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

export const COUNTING_NAMES = ['datagrams', 'flows', 'flows_with_own', 'records'] as const;
type CountingName = (typeof COUNTING_NAMES)[number];

/** A way of counting: what a unit is, and whether the number of a datagram already counts its own. */
interface Counting {
  readonly name: CountingName;
  readonly unit: 'datagrams' | 'flows' | 'records';
  readonly withOwn: boolean;
}

const datagrams: Counting = { name: 'datagrams', unit: 'datagrams', withOwn: false };
const flowsBefore: Counting = { name: 'flows', unit: 'flows', withOwn: false };
const flowsWithOwn: Counting = { name: 'flows_with_own', unit: 'flows', withOwn: true };
const recordsBefore: Counting = { name: 'records', unit: 'records', withOwn: false };

/**
 * Ways of counting by version, that of the specification first. The others are met in the field: softflowd numbers an
 * IPFIX message with the flows up to and including its own, and some v9 exporters count flows.
 */
const COUNTINGS = {
  v5: [flowsBefore],
  v7: [flowsBefore],
  v9: [datagrams, flowsBefore, flowsWithOwn],
  ipfix: [recordsBefore, flowsBefore, flowsWithOwn, datagrams],
  sflow: [datagrams],
} as const;

export type SequencedVersion = keyof typeof COUNTINGS;

/** Where an exporter's account stands by each way of counting that is followed, the best first. */
export type SequenceMarks = readonly (SequencePosition & { readonly counting: CountingName })[];

/** After so many datagrams the ways that foretold less than half of what the best did are followed no further. */
const TRIAL_DATAGRAMS = 64;

interface Way {
  readonly counting: Counting;
  readonly account: SequenceAccount;
  /** What had been counted when this account began. */
  readonly before: SequenceCounts;
  foretold: number;
}

/**
 * The account of one exporter and domain. Every way of counting of the version is followed at first, and the counts are
 * those of the way that foretold most numbers so far, of equals the specification's; after a trial, those of the way that
 * won it. While less than half of the numbers are foretold, the ways that were given up are tried again beside it: either
 * much is lost or late, which changes nothing, or the exporter counts in another way than it did (a new firmware), which
 * is believed once it foretells half of them.
 */
export class ExporterSequence {
  readonly #version: SequencedVersion;
  /** First the one whose counts are told, once a trial has shown which. */
  #ways: Way[];
  #tried = false;
  #seen = 0;

  constructor(version: SequencedVersion) {
    this.#version = version;
    this.#ways = waysOf(version);
  }

  /** As `SequenceAccount.observe`; the counts by the best way so far go to `counts`. */
  observe(
    sequence: number,
    units: SequenceUnits,
    exportMs: number,
    uptimeMs: number | null,
    counts: SequenceCounts,
  ): void {
    for (const way of this.#ways) {
      const { unit, withOwn } = way.counting;
      const own = unit === 'datagrams' ? 1 : unit === 'flows' ? units.flows : recordsOf(units);
      const first = withOwn && own !== null ? (sequence - own) >>> 0 : sequence;
      if (way.account.observe(first, own, exportMs, uptimeMs)) way.foretold++;
    }
    const { account, before } = this.#told();
    counts.sequenceLost = before.sequenceLost + account.sequenceLost;
    counts.sequenceReordered = before.sequenceReordered + account.sequenceReordered;
    counts.sequenceResets = before.sequenceResets + account.sequenceResets;
    if (++this.#seen === TRIAL_DATAGRAMS) this.#judge(counts);
  }

  marks(): SequenceMarks {
    const told = this.#told();
    const ways = [told, ...this.#ways.filter((way) => way !== told)];
    return ways.map(({ counting, account }) => ({ counting: counting.name, ...account.position }));
  }

  /** Goes on at the marks of an earlier run; those that this version does not know are passed over. */
  resume(marks: SequenceMarks): void {
    const ways = marks.flatMap(({ counting, ...position }) => {
      const way = waysOf(this.#version).find((candidate) => candidate.counting.name === counting);
      way?.account.resume(position);
      return way ?? [];
    });
    if (ways.length === 0) return;
    ways[0].foretold = 1;
    this.#ways = ways;
  }

  #told(): Way {
    return this.#tried ? this.#ways[0] : this.#best();
  }

  /** The way that has foretold most, of equals the first. */
  #best(): Way {
    return this.#ways.reduce((best, way) => (way.foretold > best.foretold ? way : best));
  }

  #judge(counts: SequenceCounts): void {
    this.#seen = 0;
    const best = this.#best();
    const sure = best.foretold >= TRIAL_DATAGRAMS / 2;
    const told = sure ? best : this.#told();
    const others = this.#ways.filter((way) => way !== told);
    if (!sure && this.#ways.length < COUNTINGS[this.#version].length) {
      const followed = this.#ways.map(({ counting }) => counting);
      const givenUp = waysOf(this.#version, counts).filter(({ counting }) => !followed.includes(counting));
      this.#ways = [told, ...others, ...givenUp];
    } else this.#ways = [told, ...others.filter(({ foretold }) => foretold >= best.foretold / 2)];
    for (const way of this.#ways) way.foretold = 0;
    told.foretold = 1;
    this.#tried = true;
  }
}

const NOTHING: SequenceCounts = { sequenceLost: 0, sequenceReordered: 0, sequenceResets: 0 };

function waysOf(version: SequencedVersion, { ...before }: SequenceCounts = NOTHING): Way[] {
  return COUNTINGS[version].map((counting) => ({
    counting,
    account: new SequenceAccount(),
    before,
    foretold: 0,
  }));
}

function recordsOf({ flows, options }: SequenceUnits): number | null {
  return flows === null ? null : flows + options;
}

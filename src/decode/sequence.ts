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
  readonly templates: number;
}

/** Gaps that late datagrams may still fill, and for how long: a network that reorders does so within seconds. */
const MAX_HOLES = 64;
const HOLE_MS = 10_000;
/** How far back, in units, a datagram may come and still be late rather than the first of a new sequence. */
const LATE_UNITS = 1 << 16;
/** So many datagrams in a row that all seem late but follow each other are a new sequence. */
const LATE_RUN = 8;
/** The exporter's clock having moved on by more than this, an earlier number is a new sequence, not a late one. */
const LATE_EXPORT_MS = 2_000;
/** Uptime having gone back by more than this is a restart, unless it was about to roll over (after 49.7 days). */
const UPTIME_BACK_MS = 60_000;
/** By how much the time at which an exporter booted may seem to differ between two of its datagrams. */
export const BOOT_TOLERANCE_MS = 60_000;
const UPTIME_ROLL_OVER_MS = 0xffffffff - 600_000;
/** A number below this, where a higher one was due, is that of an exporter that began anew. */
export const BEGINNING = 1 << 16;
/**
 * The loss that is believed: what the exporter sends in the time at four times its fastest second so far, and a little
 * more. Within its first ten seconds, when its rate is not known yet, whatever comes in a moment from a fast one.
 */
const PLAUSIBLE_FACTOR = 4;
const PLAUSIBLE_UNITS = 128;
const PLAUSIBLE_UNITS_AT_FIRST = 1 << 16;
const RATE_KNOWN_AFTER_MS = 10_000;
/** Where an earlier version of rogue-smtp kept no rate: 300,000 units a second, more than one exporter was seen to send. */
const UNKNOWN_RATE = 300_000;

/**
 * True when only a restart explains an uptime: it is behind that of before, and not for rolling over, while the exporter
 * booted (export time less uptime) at another time than was known; else the datagram is an old one. All in ms.
 */
export function hasRestarted(
  uptimeBeforeMs: number,
  uptimeMs: number,
  bootBeforeMs: number,
  bootMs: number,
): boolean {
  return (
    uptimeBeforeMs <= UPTIME_ROLL_OVER_MS &&
    uptimeMs + UPTIME_BACK_MS < uptimeBeforeMs &&
    Math.abs(bootMs - bootBeforeMs) > BOOT_TOLERANCE_MS
  );
}

/** The uptime of a datagram whose version has none. A number, so that the fields which hold it allocate nothing. */
export const NO_UPTIME = -1;

export interface SequenceCounts {
  sequenceLost: number;
  sequenceReordered: number;
  sequenceResets: number;
  /** Gaps whose size cannot be true: an unknown number of units was lost in them, or none. */
  sequenceUnknown: number;
}

/** Where an account stands: what it expects next (null when it cannot know), and the exporter's clocks of then. */
export interface SequencePosition {
  readonly next: number | null;
  readonly exportMs: number;
  readonly uptimeMs: number | null;
  /** When we received the datagram, and the most units that came in a second; absent in files of earlier versions. */
  readonly receivedMs?: number | undefined;
  readonly perSecond?: number | undefined;
}

/** How well a number fits an account: not at all, within reach of loss or reorder, or exactly. */
export const FIT = { none: 0, near: 1, exact: 2 } as const;
export type Fit = (typeof FIT)[keyof typeof FIT];

interface Hole {
  readonly begin: number;
  readonly units: number;
  readonly seenMs: number;
}

/** The account by one way of counting. */
export class SequenceAccount implements SequenceCounts {
  sequenceLost = 0;
  sequenceReordered = 0;
  sequenceResets = 0;
  sequenceUnknown = 0;
  /** The number that is due; -1 when what the datagram before held is not known. */
  #next = -1;
  #last = 0;
  #exportMs = 0;
  #uptimeMs = NO_UPTIME;
  #receivedMs = -1;
  #lateNext = 0;
  #lateRun = 0;
  /** Begin and length of the gaps seen, oldest first. */
  #holes: Hole[] = [];
  #sinceMs = -1;
  #secondMs = 0;
  #secondUnits = 0;
  #perSecond = 0;

  get position(): SequencePosition {
    return {
      next: this.#next < 0 ? null : this.#next,
      exportMs: this.#exportMs,
      uptimeMs: this.#uptimeMs < 0 ? null : this.#uptimeMs,
      receivedMs: Math.max(0, this.#receivedMs),
      perSecond: Math.max(this.#perSecond, this.#secondUnits),
    };
  }

  /** Goes on where an account of an earlier run stood: what came in between is then a gap like any other. */
  resume({ next, exportMs, uptimeMs, receivedMs, perSecond }: SequencePosition, lastSeenMs: number): void {
    this.#next = next ?? -1;
    this.#last = next ?? 0;
    this.#exportMs = exportMs;
    this.#uptimeMs = uptimeMs ?? NO_UPTIME;
    this.#receivedMs = receivedMs === undefined || receivedMs === 0 ? lastSeenMs : receivedMs;
    this.#perSecond = perSecond ?? UNKNOWN_RATE;
  }

  /** True for the number that is due, of an exporter that did not restart. The usual case, and the quickest answer. */
  isNext(sequence: number, exportMs: number, uptimeMs: number): boolean {
    if (sequence !== this.#next) return false;
    return uptimeMs >= this.#uptimeMs || !this.#wentBack(exportMs, uptimeMs);
  }

  /** As `observe` of a datagram whose number is known to be the next. */
  goOn(sequence: number, units: number, exportMs: number, uptimeMs: number, nowMs: number): void {
    this.#advance(sequence, units, exportMs, uptimeMs, nowMs);
  }

  /**
   * Takes over where `lead` stands, which alone took account of the datagrams since both foretold the same one. `own` is
   * what each of them held, if this account's numbers count a datagram's own units, else null.
   */
  follow(lead: SequenceAccount, own: number | null): void {
    this.#next = own === null ? lead.#next : lead.#last;
    this.#last = (lead.#last - (own ?? 0)) >>> 0;
    this.#exportMs = lead.#exportMs;
    this.#uptimeMs = lead.#uptimeMs;
    this.#receivedMs = lead.#receivedMs;
    this.#lateRun = 0;
    this.#secondMs = lead.#secondMs;
    this.#secondUnits = lead.#secondUnits;
    this.#perSecond = Math.max(this.#perSecond, lead.#perSecond);
  }

  /** How a datagram with number `sequence` would fit, before it is known what it holds. */
  fit(sequence: number, exportMs: number, uptimeMs: number, nowMs: number): Fit {
    if (this.#receivedMs < 0) return FIT.near;
    if (this.#wentBack(exportMs, uptimeMs)) return FIT.none;
    const gap = (sequence - this.#due) | 0;
    if (gap === 0 && this.#next >= 0) return FIT.exact;
    // Where what the datagram before held is not known, its own number stands for it.
    if (gap >= 0) return gap <= this.#plausible(nowMs) ? FIT.near : FIT.none;
    if (!this.#isLate(gap, exportMs) || sequence === 0) return FIT.none;
    // Late datagrams that go on and on are no late ones.
    return this.#lateRun >= LATE_RUN - 1 && sequence === this.#lateNext ? FIT.none : FIT.near;
  }

  /** True when it is not known which number is due, because nobody knows what the datagram before held. */
  get isOpen(): boolean {
    return this.#next < 0;
  }

  /** By how many units a number is ahead of what is due, or behind it when negative; 0 when that is not known. */
  distance(sequence: number): number {
    return this.#receivedMs < 0 ? 0 : (sequence - this.#due) | 0;
  }

  /**
   * Takes account of a datagram with number `sequence` that holds `units` units, or null when their number cannot be
   * known (data whose template is missing): the next datagram is then believed as it comes. `uptimeMs` is NO_UPTIME where
   * the version has none; `nowMs` is our own clock. Returns true when the number is the one that was expected.
   */
  observe(
    sequence: number,
    units: number | null,
    exportMs: number,
    uptimeMs: number,
    nowMs: number,
  ): boolean {
    if (this.#receivedMs < 0) {
      this.#advance(sequence, units, exportMs, uptimeMs, nowMs);
      return false;
    }
    if (this.isNext(sequence, exportMs, uptimeMs)) {
      this.#advance(sequence, units, exportMs, uptimeMs, nowMs);
      return true;
    }
    const restarted = this.#wentBack(exportMs, uptimeMs);
    const gap = (sequence - this.#due) | 0;
    if (restarted) this.#reset(sequence, units, exportMs, uptimeMs, nowMs);
    else if (gap >= 0 && gap <= this.#plausible(nowMs)) {
      // Where what the datagram before held is not known, nor is what is missing.
      if (this.#next >= 0) this.#lose(sequence - gap, gap, nowMs);
      this.#advance(sequence, units, exportMs, uptimeMs, nowMs);
    } else if (gap < 0 && -gap <= LATE_UNITS) this.#late(sequence, units, exportMs, uptimeMs, nowMs);
    else {
      if (sequence >= BEGINNING) this.sequenceUnknown++;
      this.#reset(sequence, units, exportMs, uptimeMs, nowMs);
    }
    return false;
  }

  /** The number that is due, or that of the datagram before where what it held is not known. */
  get #due(): number {
    return this.#next < 0 ? this.#last : this.#next;
  }

  #wentBack(exportMs: number, uptimeMs: number): boolean {
    const before = this.#uptimeMs;
    if (uptimeMs < 0 || before < 0) return false;
    return hasRestarted(before, uptimeMs, this.#exportMs - before, exportMs - uptimeMs);
  }

  /** The largest loss that can be true of what came since the last datagram. */
  #plausible(nowMs: number): number {
    const seconds = Math.max(0, nowMs - this.#receivedMs) / 1000 + 1;
    const units = PLAUSIBLE_FACTOR * Math.max(this.#perSecond, this.#secondUnits) * seconds;
    const isKnown = this.#sinceMs >= 0 && nowMs - this.#sinceMs >= RATE_KNOWN_AFTER_MS;
    return Math.min(0x7fffffff, units + (isKnown ? PLAUSIBLE_UNITS : PLAUSIBLE_UNITS_AT_FIRST));
  }

  #isLate(gap: number, exportMs: number): boolean {
    return -gap <= LATE_UNITS && exportMs <= this.#exportMs + LATE_EXPORT_MS;
  }

  #advance(sequence: number, units: number | null, exportMs: number, uptimeMs: number, nowMs: number): void {
    this.#next = units === null ? -1 : (sequence + units) >>> 0;
    this.#last = sequence;
    this.#exportMs = exportMs;
    this.#uptimeMs = uptimeMs;
    this.#receivedMs = nowMs;
    this.#lateRun = 0;
    if (this.#sinceMs < 0) this.#sinceMs = nowMs;
    if (nowMs - this.#secondMs >= 1000 || nowMs < this.#secondMs) {
      if (this.#secondUnits > this.#perSecond) this.#perSecond = this.#secondUnits;
      this.#secondMs = nowMs;
      this.#secondUnits = 0;
    }
    this.#secondUnits += units ?? 0;
  }

  #lose(begin: number, units: number, nowMs: number): void {
    this.sequenceLost += units;
    this.#holes.push({ begin, units, seenMs: nowMs });
    if (this.#holes.length > MAX_HOLES) this.#holes.shift();
  }

  #reset(sequence: number, units: number | null, exportMs: number, uptimeMs: number, nowMs: number): void {
    this.sequenceResets++;
    this.#holes = [];
    this.#advance(sequence, units, exportMs, uptimeMs, nowMs);
  }

  #late(sequence: number, units: number | null, exportMs: number, uptimeMs: number, nowMs: number): void {
    this.#lateRun = this.#lateRun > 0 && sequence === this.#lateNext ? this.#lateRun + 1 : 1;
    this.#lateNext = (sequence + (units ?? 0)) >>> 0;
    const moved = exportMs > this.#exportMs + LATE_EXPORT_MS;
    if (moved) this.#abandon(sequence, nowMs);
    const filled = moved ? 0 : this.#fill(sequence, units ?? 0, nowMs);
    this.sequenceLost -= filled;
    if (filled > 0) this.#lateRun = 0;
    if (moved || this.#lateRun >= LATE_RUN) this.#reset(sequence, units, exportMs, uptimeMs, nowMs);
    else this.sequenceReordered++;
  }

  /**
   * The sequence goes on within the newest gap: the number that made the gap was a stray, and what lies ahead of the
   * sequence was never sent.
   */
  #abandon(sequence: number, nowMs: number): void {
    const hole = this.#holes.at(-1);
    if (hole === undefined || nowMs - hole.seenMs > HOLE_MS) return;
    const before = (sequence - hole.begin) | 0;
    if (before >= 0 && before < hole.units) this.sequenceLost -= hole.units - before;
  }

  /** Closes what a late datagram covers of the holes, and returns how many units of them that were. */
  #fill(sequence: number, units: number, nowMs: number): number {
    for (let i = 0; i < this.#holes.length; i++) {
      const hole = this.#holes[i];
      const before = (sequence - hole.begin) | 0;
      if (before < 0 || before >= hole.units || nowMs - hole.seenMs > HOLE_MS) continue;
      const filled = Math.min(units, hole.units - before);
      const behind = hole.units - before - filled;
      const { seenMs } = hole;
      const parts = [
        { begin: hole.begin, units: before, seenMs },
        { begin: (sequence + filled) | 0, units: behind, seenMs },
      ].filter((part) => part.units > 0);
      this.#holes.splice(i, 1, ...parts);
      return filled;
    }
    return 0;
  }
}

export const COUNTING_NAMES = [
  'datagrams',
  'flows',
  'flows_with_own',
  'records',
  'records_and_templates',
  'nothing',
] as const;
export type CountingName = (typeof COUNTING_NAMES)[number];

/** A way of counting: what a unit is, and whether the number of a datagram already counts its own. */
interface Counting {
  readonly name: CountingName;
  readonly withOwn: boolean;
  /** What `unitsOf` makes of a datagram that holds flow records only: so many units for it, and for each record. */
  readonly perDatagram: 0 | 1;
  readonly perFlow: 0 | 1;
  /** By so many numbers foretold it must be more than ahead: rare ways need more than one number that fits by chance. */
  readonly lead: 0 | 1;
  unitsOf(units: SequenceUnits): number | null;
}

const flowsOf = ({ flows }: SequenceUnits) => flows;
const perDatagram = { withOwn: false, perDatagram: 1, perFlow: 0 } as const;
const perFlow = { withOwn: false, perDatagram: 0, perFlow: 1 } as const;
const datagrams: Counting = { name: 'datagrams', ...perDatagram, lead: 0, unitsOf: () => 1 };
const flowsBefore: Counting = { name: 'flows', ...perFlow, lead: 0, unitsOf: flowsOf };
const flowsWithOwn: Counting = {
  name: 'flows_with_own',
  ...perFlow,
  withOwn: true,
  lead: 0,
  unitsOf: flowsOf,
};
const recordsBefore: Counting = { name: 'records', ...perFlow, lead: 0, unitsOf: recordsOf };
const recordsAndTemplates: Counting = {
  name: 'records_and_templates',
  ...perFlow,
  lead: 1,
  unitsOf: (units) => {
    const records = recordsOf(units);
    return records === null ? null : records + units.templates;
  },
};
/** The number is always the same: nothing can be known of losses. */
const nothing: Counting = {
  name: 'nothing',
  withOwn: false,
  perDatagram: 0,
  perFlow: 0,
  lead: 1,
  unitsOf: () => 0,
};

/**
 * Ways of counting by version, that of the specification first. The others are met in the field: softflowd numbers an
 * IPFIX message with the flows up to and including its own, some v9 exporters count flows or what the header calls
 * records, some IPFIX exporters count template records too, and some never count.
 */
const COUNTINGS = {
  v5: [flowsBefore, flowsWithOwn, datagrams, nothing],
  v7: [flowsBefore, flowsWithOwn, datagrams, nothing],
  v9: [datagrams, flowsBefore, flowsWithOwn, recordsBefore, recordsAndTemplates, nothing],
  ipfix: [recordsBefore, flowsBefore, flowsWithOwn, datagrams, recordsAndTemplates, nothing],
  sflow: [datagrams, nothing],
} as const;

export type SequencedVersion = keyof typeof COUNTINGS;

/** Where an exporter's account stands by each way of counting that is followed, the best first. */
export type SequenceMarks = readonly (SequencePosition & { readonly counting: CountingName })[];

/** After so many datagrams the ways that foretold less than half of what the best did are followed no further. */
const TRIAL_DATAGRAMS = 64;
/** So many foretold numbers show that the sequence is understood. */
const PROVEN_DATAGRAMS = 3;
/**
 * One number in so many has to be foretold, or the gaps between them are no losses: the exporter numbers its datagrams by
 * something else (octets, milliseconds), or sends only every other one to us. Random losses of 87 % leave one in eight.
 */
const FORETOLD_OF = 8;
/** So few are no trial yet. */
const FEW_DATAGRAMS = 4;

interface Way {
  readonly counting: Counting;
  readonly account: SequenceAccount;
  /** What had been counted when this account began. */
  readonly before: SequenceCounts;
  foretold: number;
  /** The losses and late datagrams of the account when the trial began. */
  lostAtStart: number;
  lateAtStart: number;
  /** Of its losses, those that were not believed, and in how many trials. */
  doubted: number;
  doubtedTrials: number;
}

/** Any number of flow records, and whatever else; any number of flow records; else just so many. */
const ANYTHING = -2;
const ANY_FLOWS = -1;

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
  /** Whether most numbers of the trial before were foretold, and whether what seemed lost in it was believed. */
  #sure = false;
  #wasCredible = true;
  /**
   * While all ways foretell the numbers alike, only the account whose counts are told is kept: this one. The others are
   * brought up to where it stands when a datagram comes that could tell them apart. Null at other times.
   */
  #lead: SequenceAccount | null = null;
  /** What a datagram must hold that the ways agree about: one of the constants above, or a number of flow records. */
  #alike = ANYTHING;
  /** The units that the lead counts for a datagram, and for each of its flow records. */
  #perDatagram = 0;
  #perFlow = 0;
  /** How many datagrams the other accounts are behind. */
  #behind = 0;

  constructor(version: SequencedVersion) {
    this.#version = version;
    this.#ways = waysOf(version);
  }

  /** How the exporter counts, as far as is known by now. */
  get counting(): CountingName {
    return this.#told().counting.name;
  }

  /** True when its numbers can be foretold, so that one that does not fit says something. */
  get isProven(): boolean {
    this.#settle();
    const { foretold } = this.#told();
    return this.#sure || (foretold >= PROVEN_DATAGRAMS && 2 * foretold >= this.#seen);
  }

  /** As `SequenceAccount.isNext`, while all ways of counting that are followed agree; else false. The usual case. */
  isNext(sequence: number, exportMs: number, uptimeMs: number): boolean {
    const lead = this.#lead;
    return lead?.isNext(sequence, exportMs, uptimeMs) === true;
  }

  /**
   * Takes account of a datagram whose number `isNext`, if what it holds leaves the ways of counting alike, and returns
   * true; no count changes then. Else false, and `observe` has to do it. `flows` is -1 where it is not known, `others` how
   * many records of other kinds there are.
   */
  goOn(
    sequence: number,
    flows: number,
    others: number,
    exportMs: number,
    uptimeMs: number,
    nowMs: number,
  ): boolean {
    const lead = this.#lead;
    if (lead === null) return false;
    const alike = this.#alike;
    if (alike !== ANYTHING && (others !== 0 || flows < 0 || (alike !== ANY_FLOWS && flows !== alike)))
      return false;
    this.#behind++;
    lead.goOn(sequence, this.#perDatagram + this.#perFlow * flows, exportMs, uptimeMs, nowMs);
    return true;
  }

  /** As `SequenceAccount.fit`, by the way of counting that is known, or by that which it fits best. */
  fit(sequence: number, exportMs: number, uptimeMs: number, nowMs: number): Fit {
    this.#settle();
    if (this.isProven) return fitOf(this.#told(), sequence, exportMs, uptimeMs, nowMs);
    let best: Fit = FIT.none;
    for (const way of this.#ways) {
      const fit = fitOf(way, sequence, exportMs, uptimeMs, nowMs);
      if (fit > best) best = fit;
    }
    return best;
  }

  /** As `SequenceAccount.isOpen`, by the best way so far. */
  get isOpen(): boolean {
    this.#settle();
    return this.#told().account.isOpen;
  }

  /** As `SequenceAccount.distance`, by the best way so far. */
  distance(sequence: number): number {
    return this.#told().account.distance(sequence);
  }

  /**
   * As `SequenceAccount.observe`; the counts by the best way so far go to `counts`. True when that way, of those followed
   * until now, foretold the number.
   */
  observe(
    sequence: number,
    units: SequenceUnits,
    exportMs: number,
    uptimeMs: number,
    nowMs: number,
    counts: SequenceCounts,
  ): boolean {
    this.#settle();
    const told = this.#told();
    const foretoldBefore = told.foretold;
    let isAlike = true;
    for (let i = 0; i < this.#ways.length; i++) {
      const way = this.#ways[i];
      const { counting, account } = way;
      const own = counting.unitsOf(units);
      const first = counting.withOwn && own !== null ? (sequence - own) >>> 0 : sequence;
      if (account.observe(first, own, exportMs, uptimeMs, nowMs)) way.foretold++;
      else isAlike = false;
    }
    const isForetold = told.foretold > foretoldBefore;
    this.#seen++;
    this.#tell(counts);
    if (this.#seen >= TRIAL_DATAGRAMS) this.#judge(counts);
    else if (isAlike && this.#tried) this.#beginLead(units);
    return isForetold;
  }

  #tell(counts: SequenceCounts): void {
    const way = this.#told();
    const { account, before } = way;
    const claimed = this.#isCredible(way) ? 0 : Math.max(0, account.sequenceLost - way.lostAtStart);
    counts.sequenceLost = before.sequenceLost + account.sequenceLost - way.doubted - claimed;
    counts.sequenceReordered = before.sequenceReordered + account.sequenceReordered;
    counts.sequenceResets = before.sequenceResets + account.sequenceResets;
    counts.sequenceUnknown =
      before.sequenceUnknown + account.sequenceUnknown + way.doubtedTrials + (claimed > 0 ? 1 : 0);
  }

  /** Whether what seems lost by this way of counting in the trial under way may be. */
  #isCredible({ foretold, account, lateAtStart }: Way): boolean {
    if (this.#seen < FEW_DATAGRAMS && this.#wasCredible) return true;
    // What comes late shows as much: by another way of counting it would be ahead like all others.
    const late = account.sequenceReordered - lateAtStart;
    return FORETOLD_OF * (foretold + late) >= this.#seen;
  }

  /** All ways that are followed foretold a datagram with these units. */
  #beginLead(units: SequenceUnits): void {
    const [{ counting, account }, ...others] = this.#ways;
    if (counting.withOwn) return;
    const { perDatagram, perFlow } = counting;
    const isAlone = others.length === 0;
    if (isAlone && perFlow === 0) this.#alike = ANYTHING;
    else if (units.flows === null || units.options + units.templates > 0) return;
    // Other kinds of units are as many as these only in a datagram of one record.
    else if (others.some((way) => way.counting.perFlow !== perFlow)) {
      if (units.flows !== 1) return;
      this.#alike = 1;
    } else if (others.some((way) => way.counting.withOwn)) this.#alike = units.flows;
    else this.#alike = ANY_FLOWS;
    this.#lead = account;
    this.#perDatagram = perDatagram;
    this.#perFlow = perFlow;
  }

  /** Ends the time of the lead: all accounts stand where it does. */
  #settle(): void {
    const lead = this.#lead;
    if (lead === null) return;
    this.#lead = null;
    if (this.#behind === 0) return;
    this.#seen += this.#behind;
    for (const way of this.#ways) {
      way.foretold += this.#behind;
      if (way.account !== lead) way.account.follow(lead, way.counting.withOwn ? this.#alike : null);
    }
    this.#behind = 0;
  }

  marks(): SequenceMarks {
    this.#settle();
    const told = this.#told();
    const ways = [told, ...this.#ways.filter((way) => way !== told)];
    return ways.map(({ counting, account }) => ({ counting: counting.name, ...account.position }));
  }

  /** Goes on at the marks of an earlier run; those that this version does not know are passed over. */
  resume(marks: SequenceMarks, lastSeenMs: number): void {
    const ways = marks.flatMap(({ counting, ...position }) => {
      const way = waysOf(this.#version).find((candidate) => candidate.counting.name === counting);
      way?.account.resume(position, lastSeenMs);
      return way ?? [];
    });
    if (ways.length === 0) return;
    this.#lead = null;
    this.#behind = 0;
    ways[0].foretold = 1;
    this.#ways = ways;
    this.#sure = true;
  }

  #told(): Way {
    return this.#tried ? this.#ways[0] : this.#best();
  }

  /** The way that has foretold most, of equals the first. */
  #best(): Way {
    let best = this.#ways[0];
    for (const way of this.#ways) if (way.foretold > best.foretold + way.counting.lead) best = way;
    return best;
  }

  #judge(counts: SequenceCounts): void {
    const wasCredible = this.#isCredible(this.#told());
    for (const way of this.#ways) {
      const claimed = way.account.sequenceLost - way.lostAtStart;
      if (claimed > 0 && !this.#isCredible(way)) {
        way.doubted += claimed;
        way.doubtedTrials++;
      }
      way.lostAtStart = way.account.sequenceLost;
      way.lateAtStart = way.account.sequenceReordered;
    }
    this.#seen = 0;
    this.#wasCredible = wasCredible;
    const best = this.#best();
    const sure = best.foretold >= TRIAL_DATAGRAMS / 2;
    this.#sure = sure;
    const told = sure ? best : this.#told();
    const others = this.#ways.filter((way) => way !== told);
    if (!sure && this.#ways.length < COUNTINGS[this.#version].length) {
      const followed = this.#ways.map(({ counting }) => counting);
      const givenUp = waysOf(this.#version, counts).filter(({ counting }) => !followed.includes(counting));
      this.#ways = [told, ...others, ...givenUp];
    } else this.#ways = [told, ...others.filter(({ foretold }) => foretold >= best.foretold / 2)];
    for (const way of this.#ways) way.foretold = 0;
    if (sure) told.foretold = 1;
    this.#tried = true;
  }
}

function fitOf(
  { counting, account, foretold }: Way,
  sequence: number,
  exportMs: number,
  uptimeMs: number,
  nowMs: number,
): Fit {
  const fit = account.fit(sequence, exportMs, uptimeMs, nowMs);
  if (fit !== FIT.exact) return fit;
  // Whether a number that counts its own records fits exactly is not known before they are read.
  // A way that is rare and foretold nothing yet fits many numbers by chance.
  return counting.withOwn || foretold < counting.lead ? FIT.near : fit;
}

const NOTHING: SequenceCounts = {
  sequenceLost: 0,
  sequenceReordered: 0,
  sequenceResets: 0,
  sequenceUnknown: 0,
};

function waysOf(version: SequencedVersion, { ...before }: SequenceCounts = NOTHING): Way[] {
  return COUNTINGS[version].map((counting) => ({
    counting,
    account: new SequenceAccount(),
    before,
    foretold: 0,
    lostAtStart: 0,
    lateAtStart: 0,
    doubted: 0,
    doubtedTrials: 0,
  }));
}

function recordsOf({ flows, options }: SequenceUnits): number | null {
  return flows === null ? null : flows + options;
}

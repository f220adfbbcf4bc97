/**
 * The exporting processes behind one exporter address and observation domain, told apart by what their datagrams say.
 *
 * Templates, samplers and sequence numbers belong to a process, not to an address: an exporter that restarted is
 * another process, and so are two probes on one host, or two exporters behind one relay. Each datagram goes to the
 * process whose numbers it continues; one that continues none begins a process of its own, which knows no template and no
 * sampler yet, so that what an earlier process said never decides. A datagram that was forged, or came very late,
 * therefore changes nothing for the others. Bounded: the process longest not heard makes room.
 */

import { SamplingTable } from './sampling.ts';
import {
  BEGINNING,
  BOOT_TOLERANCE_MS,
  ExporterSequence,
  FIT,
  type Fit,
  hasRestarted,
  NO_UPTIME,
  type SequenceCounts,
  type SequencedVersion,
} from './sequence.ts';
import type { Template } from './template.ts';

/** More of them behind one address and domain are somebody's invention. */
const MAX_PROCESSES = 64;
/** Ports of one process that are remembered: some exporters send from several, or from a new one each time. */
const MAX_PORTS = 4;
/** So many numbers that go on somewhere, or nowhere, are no chance. */
const EVIDENCE = 3;
/** So many ports that each go on from the one before are one exporter that changes its port, not as many exporters. */
const PORTS_EVIDENCE = 8;
/** Of an exporter whose numbers were hardly seen yet, one that fits nothing may be another's: its data waits. */
const FEW_DATAGRAMS = 4;
/** After so few units a sequence that begins anew soon comes by the number that was due before. */
const FEW_UNITS = 256;
/** A gap in the numbers, in units, that is rather one than a restart. */
const MAX_GAP = 1 << 24;
/** For how many datagrams an exporter whose numbers make no sense is not asked for sense again: at first, and at most. */
const LENIENT_DATAGRAMS = 64;
const MAX_LENIENT_DATAGRAMS = 4096;
/**
 * By how much the start of an exporter, its clock less its uptime, may seem to differ between two datagrams: clocks of whole
 * seconds, and queues on the way.
 */
const SAME_BOOT_MS = 5000;
/** A process that was heard once has no pace yet; what follows it has to go on for so many datagrams. */
const EVIDENCE_OF_SILENCE = 8;
/** A number that began something and was not continued for so long was a stray. */
const STRAY_MS = 60_000;

/** The head of a datagram as far as it tells who sent it. Times in ms; `uptimeMs` is NO_UPTIME where there is none. */
export interface DatagramHead {
  readonly exporterPort: number;
  readonly sequence: number;
  readonly exportMs: number;
  readonly uptimeMs: number;
  readonly receivedAtMs: number;
}

/** What a process was taken for when its first datagram came; null for one that continues another's work openly. */
interface Beginning {
  /** The process of the same port that this one took the place of: a restart, unless that one is heard again. */
  readonly replaces: ExportProcess | null;
  /** Whether uptime or number are those of a beginning; else nobody knows what happened. */
  readonly isRestart: boolean;
  /** The process of another port whose numbers this one could go on from: a port that changed. */
  readonly follows: ExportProcess | null;
  /** Whether its number may come behind a gap in the other's, so that both are one. */
  readonly isBehindGap: boolean;
}

export class ExportProcess implements SequenceCounts {
  sequenceLost = 0;
  sequenceReordered = 0;
  sequenceResets = 0;
  sequenceUnknown = 0;
  /** Templates by id. */
  readonly byId = new Map<number, Template>();
  readonly sampling = new SamplingTable();
  /** Null for v1, which has no sequence number. */
  readonly sequence: ExporterSequence | null;
  /** When the exporter started (IE 160 in options data), 0 when it never told. IPFIX uptimes count from there. */
  initMs = 0;
  /** The source port of the newest datagram; 0 stands for whatever comes (a process of an earlier run). */
  port: number;
  /** Other ports that it sent from, the newest first. */
  readonly #formerPorts: number[] = [];
  beginning: Beginning | null = null;
  datagrams = 0;
  lastSeenMs = 0;
  /** Export time and uptime of the newest datagram. */
  lastExportMs = 0;
  lastUptimeMs = NO_UPTIME;
  /** Numbers that would have continued another process exactly, and numbers that continued this one. */
  crossings = 0;
  continued = 0;
  /** So many numbers more that fit nothing are taken for its own, and how many at a time. */
  leniency = 0;
  lenientDatagrams = LENIENT_DATAGRAMS;
  /** False once it is known that its uptime does not go on as clocks do. */
  isUptimeClock = true;
  firstSeenMs = 0;
  /** Whether it sent since its position was taken last. */
  isTouched = false;
  /** The value of `datagrams` at the newest datagram whose number was not the one that was due. */
  lastMisfit = 0;
  /** A datagram of it held records. */
  hasSent = false;
  /** It began with 0 again, in another process: no number goes on from here. */
  isOver = false;
  /** Its number stays 0 whatever it sends. */
  neverCounts = false;

  constructor(version: SequencedVersion | null, port: number) {
    this.sequence = version === null ? null : new ExporterSequence(version);
    this.port = port;
  }

  fit(head: DatagramHead): Fit {
    if (this.sequence === null) return FIT.exact;
    if (this.isOver) return FIT.none;
    if (this.#isOfBefore ? this.hasRestarted(head) : this.isOfOtherBoot(head)) return FIT.none;
    return this.sequence.fit(head.sequence, head.exportMs, head.uptimeMs, head.receivedAtMs);
  }

  /** Known from an earlier run of ours only. */
  get #isOfBefore(): boolean {
    return this.datagrams === 0;
  }

  /**
   * The uptime in the head is behind that of before. Where we were away, it must have gone on for at least half of that
   * time: else the exporter restarted meanwhile.
   */
  hasRestarted({ exportMs, uptimeMs, receivedAtMs }: DatagramHead): boolean {
    const { lastUptimeMs, lastExportMs } = this;
    if (lastUptimeMs < 0 || uptimeMs < 0) return false;
    const awayMs = this.#isOfBefore ? Math.max(0, receivedAtMs - this.lastSeenMs) / 2 : 0;
    return hasRestarted(lastUptimeMs + awayMs, uptimeMs, lastExportMs - lastUptimeMs, exportMs - uptimeMs);
  }

  /**
   * Whether the uptime in the head is that of another system: it started at another time, both by the exporter's clock and
   * by ours, so that it was neither set nor did the datagram wait on the way. An uptime that does not change tells nothing.
   */
  isOfOtherBoot({ exportMs, uptimeMs, receivedAtMs }: DatagramHead): boolean {
    const { lastUptimeMs } = this;
    if (uptimeMs < 0 || lastUptimeMs < 0 || uptimeMs === lastUptimeMs || !this.isUptimeClock) return false;
    // As numbers of 32 bits, because uptimes roll over.
    const before = uptimeMs - lastUptimeMs;
    return (
      Math.abs((exportMs - this.lastExportMs - before) | 0) > SAME_BOOT_MS &&
      Math.abs((receivedAtMs - this.lastSeenMs - before) | 0) > SAME_BOOT_MS
    );
  }

  /** The usual answer of `isOfOtherBoot`, from one comparison. */
  isOfSameBoot(exportMs: number, uptimeMs: number): boolean {
    const moved = exportMs - this.lastExportMs - (uptimeMs - this.lastUptimeMs);
    return uptimeMs < 0 || (moved <= SAME_BOOT_MS && moved >= -SAME_BOOT_MS);
  }

  /**
   * Whether an IPFIX exporter begins with number 0 again although it has sent records. The specification knows no other
   * reason for that than a restart; an exporter that never counts is found out by the next 0.
   */
  beginsAgain({ sequence, exportMs, uptimeMs }: DatagramHead): boolean {
    if (sequence !== 0 || uptimeMs >= 0 || !this.hasSent || this.neverCounts) return false;
    const account = this.sequence;
    // The same second: the network delivered a datagram twice.
    if (account === null || exportMs <= this.lastExportMs) return false;
    return !(account.counting === 'nothing' && account.isProven);
  }

  /** Whether the head, of a clock that is as late as this one's, has a number that no late datagram of this one has. */
  isElsewhere({ sequence, exportMs, receivedAtMs }: DatagramHead): boolean {
    const skewMs = exportMs - this.lastExportMs - (receivedAtMs - this.lastSeenMs);
    const distance = this.sequence?.distance(sequence) ?? 0;
    return Math.abs(distance) > BEGINNING && Math.abs(skewMs) < BOOT_TOLERANCE_MS;
  }

  /** Whether its numbers have only just begun. */
  get isAtBeginning(): boolean {
    const due = -(this.sequence?.distance(0) ?? 0);
    return due >= 0 && due <= FEW_UNITS;
  }

  /** Whether it has been silent for longer than it used to be between two datagrams. */
  isSilent(nowMs: number, continued: number): boolean {
    if (this.datagrams < 2) return continued >= EVIDENCE_OF_SILENCE;
    const paceMs = (this.lastSeenMs - this.firstSeenMs) / (this.datagrams - 1);
    return nowMs - this.lastSeenMs >= 2 * paceMs;
  }

  sendsFrom(port: number): boolean {
    return this.port === 0 || this.port === port || this.#formerPorts.includes(port);
  }

  note(head: DatagramHead): void {
    if (this.datagrams++ === 0) this.firstSeenMs = head.receivedAtMs;
    this.lastSeenMs = head.receivedAtMs;
    this.lastExportMs = head.exportMs;
    this.lastUptimeMs = head.uptimeMs;
    if (this.port !== head.exporterPort) this.#changePort(head.exporterPort);
  }

  /** It may send from this port too. */
  addPort(port: number): void {
    if (!this.sendsFrom(port)) this.#formerPorts.unshift(port);
  }

  #changePort(port: number): void {
    const former = this.#formerPorts;
    const at = former.indexOf(port);
    if (at >= 0) former.splice(at, 1);
    if (this.port !== 0) former.unshift(this.port);
    if (former.length >= MAX_PORTS) former.pop();
    this.port = port;
  }

  /**
   * Whether a head that fits nothing shows a gap in what we saw rather than a restart: its number does not begin anew, and
   * the exporter has been up as long as it should or, without uptime, its number is ahead by less than a restart would make
   * likely. Uptime alone does not tell: some exporters take it from the system, which a restart of their own leaves as it is.
   */
  isStillUp(head: DatagramHead, isRestart: boolean): boolean {
    if (isRestart) return false;
    if (head.uptimeMs >= 0 && this.lastUptimeMs >= 0) return !this.isOfOtherBoot(head);
    const ahead = this.sequence?.distance(head.sequence) ?? 0;
    return ahead > 0 && ahead <= MAX_GAP;
  }
}

/** What becomes of the templates and the waiting data of a process, and whether there is room for one more. */
export interface ProcessKeeper {
  mayBegin(): boolean;
  /** It is not followed any more: its templates and what waits for it go. */
  ended(process: ExportProcess): void;
  /** `to` begins with the templates and samplers that `from` has. */
  copied(from: ExportProcess, to: ExportProcess): void;
  /** It is another than that whose templates were copied to it: those that it did not send itself go. */
  separated(process: ExportProcess): void;
  /** Both are one: `from` gives its templates and what waits for it to `into`, whose own templates stay. */
  joined(from: ExportProcess, into: ExportProcess): void;
}

export class ExportProcesses {
  readonly #version: SequencedVersion | null;
  readonly #keeper: ProcessKeeper;
  readonly #all: ExportProcess[] = [];
  /** Of processes that are gone. */
  readonly #gone: SequenceCounts = {
    sequenceLost: 0,
    sequenceReordered: 0,
    sequenceResets: 0,
    sequenceUnknown: 0,
  };
  /** Numbers that continued a process exactly from a port that it had not sent from. */
  #newPorts = 0;
  current: ExportProcess;

  constructor(version: SequencedVersion | null, keeper: ProcessKeeper) {
    this.#version = version;
    this.#keeper = keeper;
    this.current = new ExportProcess(version, 0);
    this.#all.push(this.current);
  }

  get all(): readonly ExportProcess[] {
    return this.#all;
  }

  /** The process of a port, for what an earlier run kept of it; port 0 is that of an exporter with one process only. */
  ofPort(port: number): ExportProcess {
    const known = this.#all.find((process) => process.port === port);
    if (known !== undefined) return known;
    const [first] = this.#all;
    if (first.datagrams > 0 || first.port !== 0) return this.#begin(port);
    first.port = port;
    return first;
  }

  /** Sums over all processes, those that are gone included. */
  sumInto(counts: SequenceCounts): void {
    counts.sequenceLost = this.#gone.sequenceLost;
    counts.sequenceReordered = this.#gone.sequenceReordered;
    counts.sequenceResets = this.#gone.sequenceResets;
    counts.sequenceUnknown = this.#gone.sequenceUnknown;
    for (let i = 0; i < this.#all.length; i++) addCounts(counts, this.#all[i]);
  }

  /**
   * Takes note of a datagram that is the next of the process which sent the last one, and returns true: the usual case, in
   * a few comparisons. Else false, and `select` has to find out.
   */
  isNext(head: DatagramHead): boolean {
    const { current } = this;
    const { sequence } = current;
    if (current.port !== head.exporterPort || sequence === null || current.beginning !== null) return false;
    if (!sequence.isNext(head.sequence, head.exportMs, head.uptimeMs)) return false;
    if (!current.isOfSameBoot(head.exportMs, head.uptimeMs)) return false;
    current.note(head);
    return true;
  }

  /** The process that sent the datagram; it is `current` then, and has taken note of the head. */
  select(head: DatagramHead): ExportProcess {
    const { current } = this;
    const isOwnPort = current.port === head.exporterPort;
    const begun = isOwnPort && current.beginsAgain(head) ? this.#beginAgain(current, head) : null;
    const isNext = begun === null && isOwnPort && this.#goesOn(current, head);
    const selected = begun ?? (isNext ? current : this.#search(head));
    if (isNext) this.#resume(current, true, head);
    this.current = selected;
    selected.note(head);
    return selected;
  }

  /**
   * Number 0 again. Null where numbers tell the two apart later. Soon after a beginning they do not: whatever the new
   * process sends would continue the old one too, so that the old one is over at once.
   */
  #beginAgain(process: ExportProcess, head: DatagramHead): ExportProcess | null {
    const before = process.beginning?.replaces;
    if (before?.isOver === true && this.#all.includes(before)) {
      // And once more: it does not count.
      before.isOver = false;
      before.neverCounts = true;
      this.#join(process, before);
      return before;
    }
    if (!process.isAtBeginning) return null;
    const begun = this.#begin(head.exporterPort);
    begun.beginning = { replaces: process, isRestart: true, follows: null, isBehindGap: false };
    process.isOver = true;
    return begun;
  }

  /** The number continues the process, and could not continue another one better. */
  #goesOn(process: ExportProcess, head: DatagramHead): boolean {
    const { sequence } = process;
    if (sequence === null) return true;
    const fit = process.fit(head);
    return fit === FIT.exact || (fit === FIT.near && this.#all.length === 1);
  }

  #search(head: DatagramHead): ExportProcess {
    const own = this.#best(head, (process) => process.sendsFrom(head.exporterPort));
    const fit = own?.fit(head) ?? FIT.none;
    if (own !== null && fit === FIT.exact) {
      own.crossings = 0;
      return this.#resume(own, true, head);
    }
    const other = this.#best(head, (process) => process !== own && !process.isOfOtherBoot(head));
    const otherFit = other?.fit(head) ?? FIT.none;
    if (own === null) return this.#fromNewPort(head, other, otherFit);
    if (other !== null && otherFit === FIT.exact && follow(other, own)) {
      // Two ports in turn, so far.
      other.addPort(head.exporterPort);
      return this.#resume(other, true, head);
    }
    const crosses = other !== null && otherFit === FIT.exact && other.sequence?.isProven === true;
    if (fit === FIT.near) {
      if (!crosses || ++own.crossings < EVIDENCE) return this.#resume(own, false, head);
      // One sequence over several ports.
      this.#newPorts = PORTS_EVIDENCE;
      this.#join(own, other);
      return other;
    }
    return crosses ? this.#resume(other, true, head) : this.#jump(head, own);
  }

  /** A process that had begun in the place of this one, or from its numbers, did not. */
  #resume(process: ExportProcess, isExact: boolean, head: DatagramHead): ExportProcess {
    for (const other of this.#all) {
      const { beginning } = other;
      if (beginning === null || (beginning.replaces !== process && beginning.follows !== process)) continue;
      other.beginning = null;
      this.#keeper.separated(other);
    }
    if (process.beginning === null) return process;
    // While data waits for its template nobody knows how many records it is, and no number is the one that is due.
    const { isRestart, isBehindGap } = process.beginning;
    const goesOn = isExact || ((isRestart || isBehindGap) && process.sequence?.isOpen === true);
    if (goesOn) this.#confirm(process, head);
    return process;
  }

  #fromNewPort(head: DatagramHead, other: ExportProcess | null, fit: Fit): ExportProcess {
    if (other !== null && fit === FIT.exact) {
      if (this.#newPorts >= PORTS_EVIDENCE) return this.#resume(other, true, head);
      this.#newPorts++;
    }
    if (other !== null && fit === FIT.near && this.#newPorts >= PORTS_EVIDENCE)
      return this.#resume(other, false, head);
    const begun = this.#begin(head.exporterPort);
    begun.beginning = {
      replaces: null,
      isRestart: false,
      follows: fit === FIT.none ? null : other,
      isBehindGap: fit === FIT.near,
    };
    // A port for each datagram: what began with the last ones is all one.
    if (this.#newPorts >= PORTS_EVIDENCE) this.#joinFollowed(begun);
    return begun;
  }

  /** The number goes on from nothing that came from this port. */
  #jump(head: DatagramHead, own: ExportProcess): ExportProcess {
    const { exporterPort, receivedAtMs } = head;
    const restarted = own.hasRestarted(head) || own.isOfOtherBoot(head);
    const isProven = own.sequence?.isProven === true;
    // What knows no template reads nothing by another's.
    if (!isProven && !restarted && own.byId.size === 0 && own.beginning === null) return own;
    if (own.leniency > 0) {
      own.leniency--;
      return own;
    }
    const strays = this.#all.filter(
      ({ beginning, datagrams, lastSeenMs }) =>
        beginning !== null && datagrams === 1 && receivedAtMs - lastSeenMs < STRAY_MS,
    );
    const known = this.#all.filter((process) => !strays.includes(process) && process.sendsFrom(exporterPort));
    const oldest = known.reduce<ExportProcess | null>(
      (best, process) => (best === null || process.datagrams > best.datagrams ? process : best),
      null,
    );
    // Nothing that began was continued: the numbers of this exporter cannot be understood after all.
    if (strays.length >= EVIDENCE && oldest !== null) {
      if (oldest.isOfOtherBoot(head)) oldest.isUptimeClock = false;
      for (const stray of strays) this.#join(stray, oldest);
      oldest.leniency = oldest.lenientDatagrams;
      oldest.lenientDatagrams = Math.min(2 * oldest.lenientDatagrams, MAX_LENIENT_DATAGRAMS);
      return oldest;
    }
    const begun = this.#begin(exporterPort);
    const isRestart = restarted || (isProven && head.sequence < BEGINNING) || own.beginsAgain(head);
    const isStillUp = own.isStillUp(head, isRestart);
    // A number ahead may be that of another exporter: its data waits until this one has been silent.
    const isKnown = isProven
      ? own.datagrams > 0
      : own.hasSent && own.datagrams < FEW_DATAGRAMS && own.isElsewhere(head);
    begun.beginning = {
      replaces: oldest ?? own,
      isRestart,
      follows: null,
      isBehindGap: isKnown && isStillUp,
    };
    // An exporter whose numbers were never understood is taken for one, until the number before is continued too.
    if (!isKnown && (isProven ? isStillUp : !isRestart)) this.#keeper.copied(own, begun);
    return begun;
  }

  /** Its numbers were continued: once there is no doubt, what it took the place of goes. */
  #confirm(process: ExportProcess, { receivedAtMs }: DatagramHead): void {
    const { beginning } = process;
    if (beginning === null || ++process.continued < EVIDENCE) return;
    const { replaces, follows, isRestart, isBehindGap } = beginning;
    const former = follows ?? (isBehindGap ? replaces : null);
    if (former?.isSilent(receivedAtMs, process.continued) === false) return;
    process.beginning = null;
    if (replaces !== null && this.#all.includes(replaces)) {
      this.#gone.sequenceResets++;
      if (!isRestart) this.#gone.sequenceUnknown++;
      if (isBehindGap) {
        addCounts(this.#gone, replaces);
        this.#join(replaces, process);
      } else this.#end(replaces);
    }
    if (follows !== null && this.#all.includes(follows)) {
      // Some were lost while the port changed, but how many is not known.
      if (isBehindGap) this.#gone.sequenceUnknown++;
      addCounts(this.#gone, follows);
      this.#join(follows, process);
    }
  }

  /** All that `process` follows, and what that follows, is one with it. */
  #joinFollowed(process: ExportProcess): void {
    for (;;) {
      const followed: ExportProcess | null = process.beginning?.follows ?? null;
      process.beginning = followed?.beginning ?? null;
      if (followed === null || !this.#all.includes(followed)) return;
      addCounts(this.#gone, followed);
      this.#join(followed, process);
    }
  }

  #begin(port: number): ExportProcess {
    const begun = new ExportProcess(this.#version, port);
    if (this.#all.length >= MAX_PROCESSES || !this.#keeper.mayBegin()) {
      const quietest = this.#all.reduce((best, process) => (isQuieter(process, best) ? process : best));
      this.#end(quietest);
    }
    this.#all.push(begun);
    return begun;
  }

  #join(from: ExportProcess, into: ExportProcess): void {
    this.#keeper.joined(from, into);
    this.#remove(from);
  }

  #end(process: ExportProcess): void {
    this.#keeper.ended(process);
    addCounts(this.#gone, process);
    this.#remove(process);
  }

  #remove(process: ExportProcess): void {
    const at = this.#all.indexOf(process);
    if (at >= 0) this.#all.splice(at, 1);
  }

  #best(head: DatagramHead, suits: (process: ExportProcess) => boolean): ExportProcess | null {
    let best: ExportProcess | null = null;
    let bestFit = -1;
    for (const process of this.#all) {
      if (!suits(process)) continue;
      const fit = process.fit(head);
      const isBetter = fit > bestFit || (fit === bestFit && best !== null && isRather(process, best, head));
      if (!isBetter) continue;
      best = process;
      bestFit = fit;
    }
    return best;
  }
}

/** Whether one of the two began from the numbers of the other, and it is not known yet whether they are one. */
function follow(a: ExportProcess, b: ExportProcess): boolean {
  return a.beginning?.follows === b || b.beginning?.follows === a;
}

/**
 * Of an exporter and its restart the one whose number is nearer, because old numbers may seem late; else what was heard
 * more often, else what was heard last.
 */
function isRather(a: ExportProcess, b: ExportProcess, { sequence }: DatagramHead): boolean {
  if (a.beginning?.replaces === b || b.beginning?.replaces === a) {
    const [ofA, ofB] = [a, b].map((process) => Math.abs(process.sequence?.distance(sequence) ?? 0));
    if (ofA !== ofB) return ofA < ofB;
  }
  return a.datagrams === b.datagrams ? a.lastSeenMs > b.lastSeenMs : a.datagrams > b.datagrams;
}

/** What was heard once only goes before what was heard more often, and then what was silent longest. */
function isQuieter(a: ExportProcess, b: ExportProcess): boolean {
  const once = Number(a.datagrams <= 1) - Number(b.datagrams <= 1);
  return once === 0 ? a.lastSeenMs < b.lastSeenMs : once > 0;
}

function addCounts(sum: SequenceCounts, counts: SequenceCounts): void {
  sum.sequenceLost += counts.sequenceLost;
  sum.sequenceReordered += counts.sequenceReordered;
  sum.sequenceResets += counts.sequenceResets;
  sum.sequenceUnknown += counts.sequenceUnknown;
}

/**
 * The case file of one incident: everything counted about a host while its incident is open.
 *
 * The few operations that keep it bounded: ports, exporters, sampling rates, and the window that tells `bulk`. It holds
 * no rules of its own about when something opens, closes or is reported; that is the detector.
 */

import type { DetectionConfig } from '../config/schema.ts';
import type { CaseFile, SeenInterface } from './case-file-record.ts';
import {
  BLOCK,
  CASE_END,
  CASE_WORDS,
  INTERFACES,
  OFFSET,
  PORTS,
  SAMPLING,
  SOLID_WINDOW,
  SOLID_WINDOW_COUNT,
  SOLID_WINDOW_OLDEST,
  WINDOW,
  WINDOW_COUNT,
  WINDOW_OLDEST,
} from './case-layout.ts';

export const BULK = 4;
/** Destinations are told apart exactly up to this many. */
const MAX_DESTINATIONS = 256;
/** A threshold over the bound raises it, up to here: 100 bytes a destination. */
const MAX_DESTINATIONS_CONFIGURED = 4096;
const MAX_INTERFACES = 16;
const MAX_SAMPLING_RATES = 8;

/** Makes the file that of a new incident, of which nothing is known yet. */
export function beginCase(
  file: CaseFile,
  given: {
    readonly id: string;
    readonly recurrence: number;
    readonly openedMs: number;
    readonly firstMs: number;
    readonly verdict: string;
  },
): void {
  endCase(file);
  const { id, recurrence, openedMs, firstMs, verdict } = given;
  file.id = id;
  file.recurrence = recurrence;
  file.openedMs = openedMs;
  file.firstMs = firstMs;
  file.lastMs = firstMs;
  file.changedMs = openedMs;
  file.closedMs = null;
  file.verdict = verdict;
  file.alertedMs = openedMs;
}

/** Gives back all that the file holds outside its record, and leaves it empty. */
export function endCase(file: CaseFile): void {
  const { lists, destinations, blocks, hosts } = file.tables;
  for (const field of [PORTS, SAMPLING, INTERFACES]) lists.empty(file.readWord(field));
  for (const field of [WINDOW, SOLID_WINDOW])
    for (let ring = file.readWord(field); ring !== 0; ) ring = lists.dropOldest(ring);
  destinations.empty(file.slot);
  blocks.release(file.readWord(BLOCK));
  file.members = null;
  const word = hosts.word(file.slot);
  hosts.words32(file.slot).fill(0, word + CASE_WORDS, word + CASE_END);
  const wide = hosts.wide(file.slot);
  hosts.words64(file.slot).fill(0, wide, wide + OFFSET);
}

export function destinationLimit(config: DetectionConfig): number {
  const { bulk, scanning } = config;
  const needed = Math.max(bulk.destinations, bulk.envelope_destinations, scanning.destinations);
  return Math.max(MAX_DESTINATIONS, Math.min(needed, MAX_DESTINATIONS_CONFIGURED));
}

/**
 * Notes a session that may have carried a message in the ring of the newest `bulk.sessions`; with `solid` in that of sessions whose client half was
 * seen.
 */
export function noteSession(file: CaseFile, solid: boolean, config: DetectionConfig, atMs: number): void {
  const { sessions, window } = config.bulk;
  noteTime(file, solid ? SOLID_WINDOW : WINDOW, sessions, atMs - window, atMs);
}

/**
 * Notes a time in a ring of the newest `most`; `field`: its newest cell, behind that the number of cells and the oldest one. What
 * lies before `sinceMs` is dropped: it can never count again. A full ring takes one load from memory, of its oldest cell.
 */
export function noteTime(file: CaseFile, field: number, most: number, sinceMs: number, atMs: number): void {
  const { lists } = file.tables;
  let newest = file.readWord(field);
  let count = file.readWord(field + 1);
  let oldest = file.readWord(field + 2);
  while (count > 0 && (count > most || lists.timeOf(oldest) < sinceMs)) {
    const next = lists.cellAfter(oldest);
    newest = lists.dropOldest(newest);
    oldest = newest === 0 ? 0 : next;
    count--;
  }
  if (count === most) {
    newest = oldest;
    oldest = lists.cellAfter(oldest);
    lists.setTime(newest, atMs);
  } else {
    newest = lists.push(newest, atMs);
    if (count === 0) oldest = newest;
    count++;
  }
  file.writeWord(field, newest);
  file.writeWord(field + 1, count);
  file.writeWord(field + 2, oldest);
}

/** True when the last `bulk.sessions` sessions, or sessions to `bulk.destinations` destinations, lie in the window. */
export function isBulk(file: CaseFile, config: DetectionConfig, solid: boolean, nowMs: number): boolean {
  const { bulk } = config;
  const { lists, destinations } = file.tables;
  const since = nowMs - bulk.window;
  const oldest = file.readWord(solid ? SOLID_WINDOW_OLDEST : WINDOW_OLDEST);
  const count = file.readWord(solid ? SOLID_WINDOW_COUNT : WINDOW_COUNT);
  if (count >= bulk.sessions && lists.timeOf(oldest) >= since) return true;
  if (count < Math.min(bulk.destinations, bulk.sessions)) return false;
  return destinations.countSince(file.slot, solid, since) >= bulk.destinations;
}

/**
 * True when sessions that told addresses went to so many destinations within the window. Counted only when there may be so many: the
 * count of last time and the destinations that came since are the bound.
 */
export function isBulkByEnvelopes(file: CaseFile, { bulk }: DetectionConfig, nowMs: number): boolean {
  if (file.askedBound < bulk.envelope_destinations) return false;
  file.askedBound = file.tables.destinations.countAskedSince(file.slot, nowMs - bulk.window);
  return file.askedBound >= bulk.envelope_destinations;
}

/** True when sessions and attempts that carried nothing went to so many destinations within the window. */
export function isScanning(file: CaseFile, { bulk, scanning }: DetectionConfig, nowMs: number): boolean {
  if (file.probedBound < scanning.destinations) return false;
  file.probedBound = file.tables.destinations.countProbedSince(file.slot, nowMs - bulk.window);
  return file.probedBound >= scanning.destinations;
}

/** `bulk` by mail: sessions on submission ports alone say nothing of messages. */
export const isMailBulk = (file: CaseFile): boolean => file.grade >= BULK && !file.bulkByFan;

/** Notes what other files or messages say of where a host was seen, and on which ports. */
export function noteSources(
  file: CaseFile,
  ports: readonly number[],
  interfaces: readonly SeenInterface[],
  sampling: readonly number[],
): void {
  const { vantagePoints } = file.tables;
  for (const port of ports) notePort(file, port);
  for (const { address, domain, interface: index } of interfaces)
    noteInterface(file, vantagePoints.observerNamed(address, domain), index);
  for (const rate of sampling) noteSampling(file, rate);
}

export function notePort(file: CaseFile, port: number): void {
  const { lists } = file.tables;
  const head = file.readWord(PORTS);
  if (!lists.has(head, port, 0)) file.writeWord(PORTS, lists.add(head, port, 0, true));
}

export function noteSampling(file: CaseFile, rate: number): void {
  const { lists } = file.tables;
  const head = file.readWord(SAMPLING);
  if (lists.has(head, rate, 0) || lists.length(head) >= MAX_SAMPLING_RATES) return;
  file.writeWord(SAMPLING, lists.add(head, rate, 0, true));
}

/** Notes where the host was seen: the number of an observer (see vantage-points.ts), and an interface of it. */
export function noteInterface(file: CaseFile, observer: number, index: number): void {
  const { lists } = file.tables;
  const head = file.readWord(INTERFACES);
  if (lists.has(head, observer, index) || lists.length(head) >= MAX_INTERFACES) return;
  file.writeWord(INTERFACES, lists.add(head, observer, index, false));
}

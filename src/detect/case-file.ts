/**
 * The case file of one incident: everything counted about a host while its incident is open.
 *
 * Plain data with the few operations that keep it bounded: destinations, exporters, sampling rates, and the window that
 * tells `bulk`. It holds no rules of its own about when something opens, closes or is reported; that is the detector.
 */

import type { DetectionConfig } from '../config/schema.ts';
import type { BlockState } from './block.ts';
import type { BlockEffect } from './block-effect.ts';
import { noSamples, type SampledDialogue } from './sampled-dialogue.ts';

export const BULK = 4;
/** Destinations are told apart exactly up to this many. */
const MAX_DESTINATIONS = 256;
/** A threshold over the bound raises it, up to here: 100 bytes a destination. */
const MAX_DESTINATIONS_CONFIGURED = 4096;
const MAX_INTERFACES = 16;
const MAX_SAMPLING_RATES = 8;

export interface Destination {
  /** Sessions with evidence of a connection. */
  sessions: number;
  packets: number;
  bytes: number;
  /** Newest session, and newest one whose client half was seen; for the window only. */
  connectedMs: number;
  solidMs: number;
}

interface SeenInterface {
  readonly address: string;
  readonly domain: number;
  readonly interface: number;
  /** Vantage point, -1 when restored. */
  vantage: number;
}

export interface CaseFile {
  readonly id: string;
  readonly recurrence: number;
  readonly openedMs: number;
  firstMs: number;
  lastMs: number;
  changedMs: number;
  closedMs: number | null;
  /** Grows by one with each event that the case file took in. */
  revision: number;
  grade: number;
  sessions: number;
  attempts: number;
  halfSessions: number;
  deniedSessions: number;
  packets: number;
  bytes: number;
  flagsUnknown: boolean;
  sampled: boolean;
  /** The test over sampled sessions, since the last block ended; and whether it ever accepted. */
  dialogue: SampledDialogue;
  dialogueProven: boolean;
  backscatter: boolean;
  /** Sessions with internal servers among `sessions`. */
  internalSessions: number;
  repliesSeen: boolean;
  /** What the policy says of the host, in words. */
  verdict: string;
  destinations: Map<string, Destination>;
  destinationsExact: boolean;
  ports: number[];
  interfaces: SeenInterface[];
  sampling: number[];
  /** Evidence for a block, since the last one ended: see BlockInput. */
  solidGrade: number;
  records: number;
  firstDatagram: number;
  datagrams: number;
  block: CaseBlock;
  /** Alerts of kind `updated` so far, and when the newest alert of any kind was raised. */
  updates: number;
  alertedMs: number;
  /** Times of the newest sessions, as rings: all, and those whose client half was seen. */
  window: SessionWindow;
  solidWindow: SessionWindow;
}

interface CaseBlock {
  state: BlockState;
  reason: string;
  sinceMs: number | null;
  untilMs: number | null;
  /** Who approved it by hand; '' for nobody. */
  approvedBy: string;
  /** Only while it is published. */
  effect: BlockEffect | null;
}

export interface SessionWindow {
  readonly times: number[];
  next: number;
}

export function emptyCaseFile(
  id: string,
  recurrence: number,
  openedMs: number,
  firstMs: number,
  verdict: string,
): CaseFile {
  return {
    id,
    recurrence,
    openedMs,
    firstMs,
    lastMs: firstMs,
    changedMs: openedMs,
    closedMs: null,
    revision: 0,
    grade: 0,
    sessions: 0,
    attempts: 0,
    halfSessions: 0,
    deniedSessions: 0,
    packets: 0,
    bytes: 0,
    flagsUnknown: false,
    sampled: false,
    dialogue: noSamples(),
    dialogueProven: false,
    backscatter: false,
    internalSessions: 0,
    repliesSeen: false,
    verdict,
    destinations: new Map(),
    destinationsExact: true,
    ports: [],
    interfaces: [],
    sampling: [],
    solidGrade: 0,
    records: 0,
    firstDatagram: 0,
    datagrams: 0,
    block: { state: 'none', reason: '', sinceMs: null, untilMs: null, approvedBy: '', effect: null },
    updates: 0,
    alertedMs: openedMs,
    window: { times: [], next: 0 },
    solidWindow: { times: [], next: 0 },
  };
}

/** Destinations over all hosts, bounded too: many hosts with many destinations each would fill the memory. */
export interface DestinationBudget {
  used: number;
  readonly limit: number;
}

/**
 * The entry of a destination by its addressKey, made when there is room. A full table gives up one that was only attempted for one that
 * was reached, so that a scan cannot hide whom the host really talks to. Undefined when there is no room.
 */
export function destinationOf(
  file: CaseFile,
  limit: number,
  budget: DestinationBudget,
  key: string,
  reached: boolean,
): Destination | undefined {
  const known = file.destinations.get(key);
  if (known !== undefined) return known;
  if (file.destinations.size >= limit || budget.used >= budget.limit) {
    file.destinationsExact = false;
    if (!reached) return undefined;
    const spare = attemptedOnly(file.destinations);
    if (spare === undefined) return undefined;
    file.destinations.delete(spare);
    budget.used--;
  }
  budget.used++;
  const made: Destination = {
    sessions: 0,
    packets: 0,
    bytes: 0,
    connectedMs: 0,
    solidMs: 0,
  };
  file.destinations.set(key, made);
  return made;
}

function attemptedOnly(destinations: ReadonlyMap<string, Destination>): string | undefined {
  for (const [key, destination] of destinations) if (destination.sessions === 0) return key;
  return undefined;
}

export function destinationLimit(config: DetectionConfig): number {
  return Math.max(MAX_DESTINATIONS, Math.min(config.bulk.destinations, MAX_DESTINATIONS_CONFIGURED));
}

/** Notes a session in the ring of the newest `capacity`. */
export function noteSession(window: SessionWindow, capacity: number, atMs: number): void {
  if (window.times.length < capacity) {
    window.times.push(atMs);
  } else {
    window.times[window.next] = atMs;
    window.next = (window.next + 1) % capacity;
  }
}

/** True when the last `bulk.sessions` sessions, or sessions to `bulk.destinations` destinations, lie in the window. */
export function isBulk(file: CaseFile, config: DetectionConfig, solid: boolean, nowMs: number): boolean {
  const { bulk } = config;
  const since = nowMs - bulk.window;
  const { times, next } = solid ? file.solidWindow : file.window;
  // `next` is the oldest place of a full ring.
  if (times.length >= bulk.sessions && times[next] >= since) return true;
  if (times.length < Math.min(bulk.destinations, bulk.sessions)) return false;
  let count = 0;
  for (const destination of file.destinations.values()) {
    if ((solid ? destination.solidMs : destination.connectedMs) >= since) count++;
  }
  return count >= bulk.destinations;
}

export function notePort(file: CaseFile, port: number): void {
  if (file.ports.includes(port)) return;
  file.ports.push(port);
  file.ports.sort((a, b) => a - b);
}

export function noteSampling(file: CaseFile, rate: number): void {
  if (file.sampling.includes(rate) || file.sampling.length >= MAX_SAMPLING_RATES) return;
  file.sampling.push(rate);
  file.sampling.sort((a, b) => a - b);
}

/** Notes where the host was seen; a restored entry is recognised by its text. */
export function noteInterface(
  file: CaseFile,
  vantage: number,
  index: number,
  describe: (vantage: number) => { readonly address: string; readonly domain: number },
): void {
  for (const seen of file.interfaces) {
    if (seen.vantage === vantage && seen.interface === index) return;
  }
  const { address, domain } = describe(vantage);
  for (const seen of file.interfaces) {
    if (seen.interface === index && seen.domain === domain && seen.address === address) {
      seen.vantage = vantage;
      return;
    }
  }
  if (file.interfaces.length < MAX_INTERFACES) {
    file.interfaces.push({ address, domain, interface: index, vantage });
  }
}

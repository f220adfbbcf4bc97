/**
 * The destinations of all hosts: with whom each talks, and how much.
 *
 * One table, found by host and address; those of a host that were reached are a list, those only attempted another.
 * Bounded per host and over all hosts: a full table gives up the oldest that was only attempted for one that was
 * reached, so that a scan cannot hide whom the host really talks to.
 */

import { formatAddress } from '../flow/address.ts';
import {
  DESTINATION_COUNT,
  DESTINATIONS_CUT,
  REACHED_FIRST,
  REACHED_LAST,
  UNREACHED_FIRST,
  UNREACHED_LAST,
} from './case-layout.ts';
import { noSizes, packSizes, type RepeatedSizes, SIZE_WORDS, unpackSizes } from './header-length.ts';
import { finish, mix, randomSeed, readWord, writeWord } from './murmur.ts';
import { RecordStore } from './record-store.ts';
import { SlotIndex } from './slot-index.ts';

// Doubles.
const SESSIONS = 0;
const PACKETS = 1;
const BYTES = 2;
const MESSAGE_MS = 3;
const SOLID_MS = 4;
// Words: the key is the address and the host's slot.
const KEY = 10;
const HOST = 14;
const NEXT = 15;
const BEFORE = 16;
const HASH = 17;
/** Whole seconds since 1970. */
const ASKED_S = 18;
const PROBED_S = 19;
/** See header-length.ts. */
const SIZES = 20;
const WORDS = 24;

export interface Destination {
  readonly address: Uint8Array;
  /** Sessions with evidence of a connection. */
  readonly sessions: number;
  readonly packets: number;
  readonly bytes: number;
}

/** One as a restart needs it: its address as text, sessions, packets, bytes; then the words of RepeatedSizes where any is known. */
export type DestinationRow = [string, number, number, number, ...number[]];

export class Destinations {
  private readonly store = new RecordStore(WORDS);
  private readonly index = new SlotIndex();
  private readonly hosts: RecordStore;
  /** May change with the configuration. */
  perHost: number;
  private readonly limit: number;
  private readonly seed = randomSeed();
  private readonly wanted = new Uint32Array(5);
  private readonly sizes = noSizes();
  private readonly bytes = new Uint8Array(16);

  /** `hosts`: the records that hold the heads of the lists. `perHost`, `limit`: most entries of a host, and of all. */
  constructor(hosts: RecordStore, perHost: number, limit: number) {
    this.hosts = hosts;
    this.perHost = perHost;
    this.limit = limit;
  }

  get size(): number {
    return this.store.size;
  }

  count(host: number): number {
    return this.hosts.get(host, DESTINATION_COUNT);
  }

  private hashOf(host: number, bytes: Uint8Array, at: number): number {
    const { wanted } = this;
    let hash = this.seed;
    for (let i = 0; i < 4; i++) {
      wanted[i] = readWord(bytes, at + 4 * i);
      hash = mix(hash, wanted[i]);
    }
    wanted[4] = host;
    return finish(mix(hash, host));
  }

  /** The entry with the key in `wanted`, -1 for none. */
  private slotOf(hash: number): number {
    const { store, index, wanted } = this;
    for (let place = index.probe(hash, hash); place >= 0; place = index.probe(hash, place + 1)) {
      const slot = index.slotAt(place);
      const words = store.words32(slot);
      const at = store.word(slot) + KEY;
      if (
        words[at] === wanted[0] &&
        words[at + 1] === wanted[1] &&
        words[at + 2] === wanted[2] &&
        words[at + 3] === wanted[3] &&
        words[at + 4] === wanted[4]
      )
        return slot;
    }
    return -1;
  }

  find(host: number, bytes: Uint8Array, at: number): number {
    return this.slotOf(this.hashOf(host, bytes, at));
  }

  /** The entry of a destination, made when there is room, else -1. `reached`: the host has a connection to it. */
  findOrMake(host: number, bytes: Uint8Array, at: number, reached: boolean): number {
    const hash = this.hashOf(host, bytes, at);
    const known = this.slotOf(hash);
    if (known >= 0) return known;
    return this.makeRoom(host, reached) ? this.make(host, hash, 0) : -1;
  }

  /**
   * The same, and adds to the figures of the entry. One that is made goes to the list in which it belongs by its sessions: to
   * make it as one that was not reached and to move it loads the ends of both lists.
   */
  note(
    host: number,
    bytes: Uint8Array,
    at: number,
    reached: boolean,
    sessions: number,
    packets: number,
    octets: number,
  ): number {
    const hash = this.hashOf(host, bytes, at);
    let slot = this.slotOf(hash);
    if (slot >= 0) {
      this.add(slot, sessions, packets, octets);
      return slot;
    }
    if (!this.makeRoom(host, reached)) return -1;
    slot = this.make(host, hash, Math.max(0, sessions));
    this.add(slot, 0, packets, octets);
    return slot;
  }

  /** False when the bounds leave no room for one more. */
  private makeRoom(host: number, reached: boolean): boolean {
    if (this.count(host) < this.perHost && this.store.size < this.limit) return true;
    this.hosts.set(host, DESTINATIONS_CUT, 1);
    return reached && this.giveUpUnreached(host);
  }

  /** Adds an entry as it was, whatever the bounds: a restart must not forget. */
  restore(
    host: number,
    { address, sessions, packets, bytes }: Destination,
    sizes: readonly number[] = [],
  ): void {
    const hash = this.hashOf(host, address, 0);
    const known = this.slotOf(hash);
    const slot = known >= 0 ? known : this.make(host, hash, 0);
    this.addSessions(slot, sessions - this.wide(slot, SESSIONS));
    this.setWide(slot, PACKETS, packets);
    this.setWide(slot, BYTES, bytes);
    for (let i = 0; i < SIZE_WORDS && i < sizes.length; i++) this.store.set(slot, SIZES + i, sizes[i]);
  }

  private make(host: number, hash: number, sessions: number): number {
    const { store, hosts, wanted } = this;
    const slot = store.allocate();
    const words = store.words32(slot);
    const at = store.word(slot);
    for (let i = 0; i < 5; i++) words[at + KEY + i] = wanted[i];
    words[at + HASH] = hash;
    this.setWide(slot, SESSIONS, sessions);
    this.index.add(hash, slot);
    hosts.set(host, DESTINATION_COUNT, this.count(host) + 1);
    this.link(host, slot, sessions !== 0);
    return slot;
  }

  /** Forgets the oldest destination that was never reached; false when there is none. */
  private giveUpUnreached(host: number): boolean {
    const entry = this.hosts.get(host, UNREACHED_FIRST);
    if (entry === 0) return false;
    this.remove(host, entry - 1);
    return true;
  }

  /** Forgets the destinations of a host that nothing was noted of (`noteAsked`, `noteProbed`) since then. */
  forgetQuiet(host: number, sinceMs: number): void {
    const since = Math.floor(sinceMs / 1000);
    for (let slot = this.first(host); slot >= 0; ) {
      const next = this.next(host, slot);
      if (this.store.get(slot, ASKED_S) < since && this.store.get(slot, PROBED_S) < since)
        this.remove(host, slot);
      slot = next;
    }
  }

  private remove(host: number, slot: number): void {
    this.hosts.set(host, DESTINATION_COUNT, this.count(host) - 1);
    this.unlink(host, slot, this.wide(slot, SESSIONS) !== 0);
    this.release(slot);
  }

  /** Puts an entry at the end of one of the host's lists. */
  private link(host: number, slot: number, reached: boolean): void {
    const { store, hosts } = this;
    const lastField = reached ? REACHED_LAST : UNREACHED_LAST;
    const last = hosts.get(host, lastField);
    store.set(slot, BEFORE, last);
    store.set(slot, NEXT, 0);
    if (last === 0) hosts.set(host, reached ? REACHED_FIRST : UNREACHED_FIRST, slot + 1);
    else store.set(last - 1, NEXT, slot + 1);
    hosts.set(host, lastField, slot + 1);
  }

  private unlink(host: number, slot: number, reached: boolean): void {
    const { store, hosts } = this;
    const before = store.get(slot, BEFORE);
    const next = store.get(slot, NEXT);
    if (before === 0) hosts.set(host, reached ? REACHED_FIRST : UNREACHED_FIRST, next);
    else store.set(before - 1, NEXT, next);
    if (next === 0) hosts.set(host, reached ? REACHED_LAST : UNREACHED_LAST, before);
    else store.set(next - 1, BEFORE, before);
  }

  private release(slot: number): void {
    this.index.remove(this.store.get(slot, HASH), slot);
    this.store.release(slot);
  }

  private wide(slot: number, field: number): number {
    return this.store.words64(slot)[this.store.wide(slot) + field];
  }

  private setWide(slot: number, field: number, value: number): void {
    this.store.words64(slot)[this.store.wide(slot) + field] = value;
  }

  /** Adds to the figures of an entry; they stay natural numbers. */
  add(slot: number, sessions: number, packets: number, bytes: number): void {
    if (sessions !== 0) this.addSessions(slot, sessions);
    const wides = this.store.words64(slot);
    const at = this.store.wide(slot);
    wides[at + PACKETS] = natural(wides[at + PACKETS] + packets);
    wides[at + BYTES] = natural(wides[at + BYTES] + bytes);
  }

  private addSessions(slot: number, step: number): void {
    const before = this.wide(slot, SESSIONS);
    const after = Math.max(0, before + step);
    this.setWide(slot, SESSIONS, after);
    if ((before === 0) === (after === 0)) return;
    const host = this.store.get(slot, HOST);
    this.unlink(host, slot, before !== 0);
    this.link(host, slot, after !== 0);
  }

  /** Notes when the newest session may have carried a message; `solid`: of those whose client half was seen. */
  noteMessage(slot: number, solid: boolean, atMs: number): void {
    this.setWide(slot, solid ? SOLID_MS : MESSAGE_MS, atMs);
  }

  /**
   * Notes when the newest session was large enough to tell an address. True when none was since `sinceMs`: the destination is
   * one more.
   */
  noteAsked(slot: number, atMs: number, sinceMs: number): boolean {
    return this.noteSeconds(slot, ASKED_S, atMs, sinceMs);
  }

  /** The same of sessions that carried nothing. */
  noteProbed(slot: number, atMs: number, sinceMs: number): boolean {
    return this.noteSeconds(slot, PROBED_S, atMs, sinceMs);
  }

  /** The newest session carried something. */
  clearProbed(slot: number): void {
    this.store.set(slot, PROBED_S, 0);
  }

  private noteSeconds(slot: number, field: number, atMs: number, sinceMs: number): boolean {
    const before = this.store.get(slot, field);
    this.store.set(slot, field, Math.floor(atMs / 1000));
    return before < Math.floor(sinceMs / 1000);
  }

  /** What the sizes of the sessions with it tell, in one object for all; `keepSizes` puts a changed one back. */
  sizesOf(slot: number): RepeatedSizes {
    unpackSizes(this.sizes, this.store.words32(slot), this.store.word(slot) + SIZES);
    return this.sizes;
  }

  keepSizes(slot: number): void {
    packSizes(this.sizes, this.store.words32(slot), this.store.word(slot) + SIZES);
  }

  /** Destinations of the host whose time noted by `noteMessage` is not before `sinceMs`. */
  countSince(host: number, solid: boolean, sinceMs: number): number {
    let count = 0;
    for (let slot = this.first(host); slot >= 0; slot = this.next(host, slot)) {
      if (this.wide(slot, solid ? SOLID_MS : MESSAGE_MS) >= sinceMs) count++;
    }
    return count;
  }

  /** The same of `noteAsked`, or of `noteProbed`; a session counts to the end of its second. */
  countAskedSince(host: number, sinceMs: number): number {
    return this.countSecondsSince(host, ASKED_S, sinceMs);
  }

  countProbedSince(host: number, sinceMs: number): number {
    return this.countSecondsSince(host, PROBED_S, sinceMs);
  }

  private countSecondsSince(host: number, field: number, sinceMs: number): number {
    const since = Math.floor(sinceMs / 1000);
    let count = 0;
    for (let slot = this.first(host); slot >= 0; slot = this.next(host, slot)) {
      const seconds = this.store.get(slot, field);
      if (seconds !== 0 && seconds >= since) count++;
    }
    return count;
  }

  /** All of a host, those that were reached first. */
  of(host: number): Destination[] {
    const all: Destination[] = [];
    for (let slot = this.first(host); slot >= 0; slot = this.next(host, slot)) {
      const address = new Uint8Array(16);
      for (let i = 0; i < 4; i++) writeWord(address, 4 * i, this.store.get(slot, KEY + i));
      all.push({
        address,
        sessions: this.wide(slot, SESSIONS),
        packets: this.wide(slot, PACKETS),
        bytes: this.wide(slot, BYTES),
      });
    }
    return all;
  }

  /** The same as rows for a message, without an object for each: a busy host has hundreds, and is told again and again. */
  rows(host: number): DestinationRow[] {
    const rows = new Array<DestinationRow>(this.count(host));
    let made = 0;
    for (let slot = this.first(host); slot >= 0; slot = this.next(host, slot)) {
      const row = this.row(slot);
      const words = this.store.words32(slot);
      const at = this.store.word(slot) + SIZES;
      const [a, b, c, d] = [words[at], words[at + 1], words[at + 2], words[at + 3]];
      rows[made++] = (a | b | c | d) === 0 ? row : [row[0], row[1], row[2], row[3], a, b, c, d];
    }
    return rows;
  }

  /**
   * The first `most` by sessions, then by bytes, then by address, each without its sizes. Most destinations end at the first
   * comparison: with the sessions of the last one that is in so far.
   */
  top(host: number, most: number): DestinationRow[] {
    const top: number[] = [];
    let least = -1;
    for (let slot = this.first(host); slot >= 0; slot = this.next(host, slot)) {
      const sessions = this.store.words64(slot)[this.store.wide(slot) + SESSIONS];
      if (sessions < least) continue;
      let at = top.length;
      while (at > 0 && this.isBefore(slot, top[at - 1])) at--;
      if (at >= most) continue;
      if (top.length < most) top.push(slot);
      top.copyWithin(at + 1, at, top.length - 1);
      top[at] = slot;
      if (top.length === most) least = this.wide(top[most - 1], SESSIONS);
    }
    return top.map((slot) => this.row(slot));
  }

  private row(slot: number): DestinationRow {
    const { bytes } = this;
    for (let i = 0; i < 4; i++) writeWord(bytes, 4 * i, this.store.get(slot, KEY + i));
    const wides = this.store.words64(slot);
    const at = this.store.wide(slot);
    return [formatAddress(bytes), wides[at + SESSIONS], wides[at + PACKETS], wides[at + BYTES]];
  }

  private isBefore(a: number, b: number): boolean {
    const { store } = this;
    const [ofA, ofB] = [store.words64(a), store.words64(b)];
    const [wideA, wideB] = [store.wide(a), store.wide(b)];
    if (ofA[wideA + SESSIONS] !== ofB[wideB + SESSIONS]) return ofA[wideA + SESSIONS] > ofB[wideB + SESSIONS];
    if (ofA[wideA + BYTES] !== ofB[wideB + BYTES]) return ofA[wideA + BYTES] > ofB[wideB + BYTES];
    for (let i = KEY; i < KEY + 4; i++) {
      const [wordA, wordB] = [store.get(a, i), store.get(b, i)];
      if (wordA !== wordB) return wordA < wordB;
    }
    return false;
  }

  private first(host: number): number {
    const reached = this.hosts.get(host, REACHED_FIRST);
    return (reached === 0 ? this.hosts.get(host, UNREACHED_FIRST) : reached) - 1;
  }

  private next(host: number, slot: number): number {
    const next = this.store.get(slot, NEXT);
    const isLastReached = next === 0 && this.wide(slot, SESSIONS) !== 0;
    return (isLastReached ? this.hosts.get(host, UNREACHED_FIRST) : next) - 1;
  }

  empty(host: number): void {
    const { hosts } = this;
    for (let slot = this.first(host); slot >= 0; ) {
      const next = this.next(host, slot);
      this.release(slot);
      slot = next;
    }
    for (const field of [DESTINATION_COUNT, REACHED_FIRST, REACHED_LAST, UNREACHED_FIRST, UNREACHED_LAST])
      hosts.set(host, field, 0);
  }
}

/** Within what a message can hold exactly. */
export const natural = (value: number): number => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, value));

/**
 * The hosts that have or had an incident, each with the newest case file, in records of a fixed size.
 *
 * Bounded: in a full table a host has to leave that the exporter with the most hosts reported, the one that was longest
 * quiet; and of an IPv6 /64 that has its share the newest one of its own. So invented hosts push out each other. What
 * that means for the incident is up to the caller. A host is found by the words of its site and address; texts are made only when something is told of it.
 */

import { formatAddress, isIPv4 } from '../flow/address.ts';
import { endCase } from './case-file.ts';
import { CaseFile } from './case-file-record.ts';
import {
  CLOCK_MS,
  DEADLINE_MS,
  DIRTY_AFTER,
  DIRTY_BEFORE,
  DIRTY_SINCE_MS,
  HASH,
  HOST_KEY,
  NEWER,
  OFFSET,
  OLDER,
  PARTITION,
  PREFIX_AFTER,
  PREFIX_BEFORE,
  REPORTER,
  REPORTER_NEWER,
  REPORTER_OLDER,
  RESTORED_CLOCK_MS,
  RESTORED_OFFSET,
  RESTORED_PARTITION,
  SITE,
} from './case-layout.ts';
import type { CaseTables } from './case-tables.ts';
import type { HostName, Watermark } from './incidents.ts';
import { groupName } from './members.ts';
import { finish, mix, randomSeed, readWord, writeWord } from './murmur.ts';
import { Shares } from './shares.ts';
import { SlotIndex } from './slot-index.ts';
import { SlotList } from './slot-list.ts';

/** One IPv6 /64 gets this part of the table, or so many hosts where that is more: a subnet has rarely more in use. */
const PREFIX_SHARE = 16;
const LEAST_OF_PREFIX = 1024;
/** A power of two: 1 MB. */
const PREFIX_COUNTS = 1 << 18;

/** A view of one host at a time, as CaseFile is of its file. */
export class Host implements HostName {
  slot = -1;
  readonly file: CaseFile;
  private readonly siteNames: readonly string[];
  private readonly addressBytes = new Uint8Array(16);
  private words: Uint32Array = new Uint32Array(0);
  private wides: Float64Array = new Float64Array(0);
  private word = 0;
  private wide = 0;

  constructor(tables: CaseTables, siteNames: readonly string[]) {
    this.file = new CaseFile(tables);
    this.siteNames = siteNames;
  }

  select(slot: number): this {
    const store = this.file.tables.hosts;
    this.slot = slot;
    this.words = store.words32(slot);
    this.wides = store.words64(slot);
    this.word = store.word(slot);
    this.wide = store.wide(slot);
    this.file.select(slot);
    return this;
  }

  /** The 16 address bytes, until another host is in view. */
  get bytes(): Uint8Array {
    for (let i = 0; i < 4; i++) writeWord(this.addressBytes, 4 * i, this.words[this.word + HOST_KEY + i]);
    return this.addressBytes;
  }
  /** An address, or the prefix that a group of addresses shares. */
  get address(): string {
    return this.file.members === null ? formatAddress(this.bytes) : groupName(this.bytes);
  }
  get site(): string {
    return this.siteNames[this.words[this.word + SITE]];
  }
  /** Index of its site in the names of sites. */
  get siteNumber(): number {
    return this.words[this.word + SITE];
  }
  /** Key for maps that hold few hosts. */
  get key(): string {
    return hostKey(this.words[this.word + SITE], this.bytes, 0);
  }

  /** The exporter that reported it first, as a number of vantage-points.ts. */
  get reporter(): number {
    return this.words[this.word + REPORTER];
  }
  /** The newest record that is in the file. */
  get partition(): number {
    return this.words[this.word + PARTITION];
  }
  set partition(value: number) {
    this.words[this.word + PARTITION] = value;
  }
  get offset(): number {
    return this.wides[this.wide + OFFSET];
  }
  set offset(value: number) {
    this.wides[this.wide + OFFSET] = value;
  }
  get clockMs(): number {
    return this.wides[this.wide + CLOCK_MS];
  }
  set clockMs(value: number) {
    this.wides[this.wide + CLOCK_MS] = value;
  }
  /** What was restored: records up to here are in the file already. Null for a host that was not. */
  get restored(): Watermark | null {
    const partition = this.words[this.word + RESTORED_PARTITION] - 1;
    if (partition < 0) return null;
    const offset = this.wides[this.wide + RESTORED_OFFSET];
    return { partition, offset, clockMs: this.wides[this.wide + RESTORED_CLOCK_MS] };
  }
  set restored(value: Watermark | null) {
    this.words[this.word + RESTORED_PARTITION] = value === null ? 0 : value.partition + 1;
    this.wides[this.wide + RESTORED_OFFSET] = value?.offset ?? 0;
    this.wides[this.wide + RESTORED_CLOCK_MS] = value?.clockMs ?? 0;
  }
  /** The earliest deadline that is queued. */
  get deadlineMs(): number {
    return this.wides[this.wide + DEADLINE_MS];
  }
  set deadlineMs(value: number) {
    this.wides[this.wide + DEADLINE_MS] = value;
  }
  /** When the first change was that is not published; 0 when all is. */
  get dirtySinceMs(): number {
    return this.wides[this.wide + DIRTY_SINCE_MS];
  }
  set dirtySinceMs(value: number) {
    this.wides[this.wide + DIRTY_SINCE_MS] = value;
  }
}

/** Why a host has to leave: its /64 has its share, its exporter has the most of a full table, or nothing but that it is full. */
export type LeavingFor = 'prefix_share' | 'exporter_share' | 'full';

/** What `find`, `at` and `add` return is one view: it shows another host after the next of these calls. */
export interface HostTable {
  readonly size: number;
  /** Hosts whose file differs from the last published incident, longest first. */
  readonly dirty: SlotList;
  /**
   * The host that has to leave before this one is added, in a view of its own. Null while there is room for `most`.
   * `reporter`: the exporter that reports the new one.
   */
  leaving(bytes: Uint8Array, at: number, most: number, reporter: number): Host | null;
  /** Why the one that `leaving` named last has to. */
  readonly leavingFor: LeavingFor;
  find(site: number, bytes: Uint8Array, at: number): Host | undefined;
  at(slot: number): Host;
  /** Adds a host that is not in the table, with an empty file. */
  add(site: number, bytes: Uint8Array, at: number, watermark: Watermark, reporter: number): Host;
  /** The host was just active. */
  touch(slot: number): void;
  remove(host: Host): void;
  /** Slots of all hosts, longest quiet first. The one that was given last may be removed meanwhile. */
  slots(): IterableIterator<number>;
}

/** Text key of a host: the index of its site and its address. */
export function hostKey(site: number, bytes: Uint8Array, at: number): string {
  return `${site} ${formatAddress(bytes, at)}`;
}

export function createHostTable(tables: CaseTables, siteNames: readonly string[]): HostTable {
  const store = tables.hosts;
  const index = new SlotIndex();
  const order = new SlotList(store, OLDER, NEWER);
  const dirty = new SlotList(store, DIRTY_BEFORE, DIRTY_AFTER);
  const view = new Host(tables, siteNames);
  const leaving = new Host(tables, siteNames);
  const reporters = new Shares(store, REPORTER, REPORTER_OLDER, REPORTER_NEWER);
  let leavingFor: LeavingFor = 'full';
  const seed = randomSeed();
  /** Hosts of each IPv6 /64, by a hash of the prefix: two prefixes may share a count. */
  const perPrefix = new Uint32Array(PREFIX_COUNTS);
  /** The newest of them, as slot plus one; each knows the one before it. */
  const newestOfPrefix = new Uint32Array(PREFIX_COUNTS);

  function prefixOf(bytes: Uint8Array, at: number): number {
    return finish(mix(mix(seed, readWord(bytes, at)), readWord(bytes, at + 4))) & (PREFIX_COUNTS - 1);
  }

  function joinPrefix(prefix: number, slot: number): void {
    const before = newestOfPrefix[prefix];
    store.set(slot, PREFIX_BEFORE, before);
    if (before !== 0) store.set(before - 1, PREFIX_AFTER, slot + 1);
    newestOfPrefix[prefix] = slot + 1;
    perPrefix[prefix]++;
  }

  function leavePrefix(prefix: number, slot: number): void {
    const before = store.get(slot, PREFIX_BEFORE);
    const after = store.get(slot, PREFIX_AFTER);
    if (before !== 0) store.set(before - 1, PREFIX_AFTER, after);
    if (after === 0) newestOfPrefix[prefix] = before;
    else store.set(after - 1, PREFIX_BEFORE, before);
    perPrefix[prefix]--;
  }

  /** The newest host of the same /64, -1 for none: others may have the same hash. */
  function newestLike(bytes: Uint8Array, at: number): number {
    let slot = newestOfPrefix[prefixOf(bytes, at)] - 1;
    while (slot >= 0 && !isOfPrefix(slot, bytes, at)) slot = store.get(slot, PREFIX_BEFORE) - 1;
    return slot;
  }

  function isOfPrefix(slot: number, bytes: Uint8Array, at: number): boolean {
    const words = store.words32(slot);
    const word = store.word(slot);
    return (
      (words[word + HOST_KEY] | 0) === readWord(bytes, at) &&
      (words[word + HOST_KEY + 1] | 0) === readWord(bytes, at + 4)
    );
  }

  function hashOf(site: number, bytes: Uint8Array, at: number): number {
    let hash = mix(seed, site);
    for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(bytes, at + i));
    return finish(hash);
  }

  function isHost(slot: number, site: number, bytes: Uint8Array, at: number): boolean {
    const words = store.words32(slot);
    const word = store.word(slot);
    for (let i = 0; i < 4; i++)
      if ((words[word + HOST_KEY + i] | 0) !== readWord(bytes, at + 4 * i)) return false;
    return words[word + SITE] === site;
  }

  return {
    get size() {
      return index.size;
    },
    dirty,
    get leavingFor() {
      return leavingFor;
    },
    leaving(bytes, at, most, reporter) {
      if (index.size === 0) return null;
      const share = Math.max(LEAST_OF_PREFIX, Math.floor(most / PREFIX_SHARE));
      if (!isIPv4(bytes, at) && perPrefix[prefixOf(bytes, at)] >= share) {
        const slot = newestLike(bytes, at);
        leavingFor = 'prefix_share';
        if (slot >= 0) return leaving.select(slot);
      }
      if (index.size < most) return null;
      leavingFor = reporters.owners > 1 ? 'exporter_share' : 'full';
      return leaving.select(reporters.oldestOf(reporters.largest(reporter)));
    },
    find(site, bytes, at) {
      const hash = hashOf(site, bytes, at);
      for (let place = index.probe(hash, hash); place >= 0; place = index.probe(hash, place + 1)) {
        const slot = index.slotAt(place);
        if (isHost(slot, site, bytes, at)) return view.select(slot);
      }
      return undefined;
    },
    at: (slot) => view.select(slot),
    add(site, bytes, at, { partition, offset, clockMs }, reporter) {
      const slot = store.allocate();
      const hash = hashOf(site, bytes, at);
      for (let i = 0; i < 4; i++) store.set(slot, HOST_KEY + i, readWord(bytes, at + 4 * i));
      store.set(slot, SITE, site);
      store.set(slot, HASH, hash);
      index.add(hash, slot);
      order.append(slot);
      reporters.append(reporter, slot);
      if (!isIPv4(bytes, at)) joinPrefix(prefixOf(bytes, at), slot);
      view.select(slot);
      view.partition = partition;
      view.offset = offset;
      view.clockMs = clockMs;
      view.deadlineMs = Number.POSITIVE_INFINITY;
      return view;
    },
    touch(slot) {
      order.touch(slot);
      reporters.touch(slot);
    },
    remove(host) {
      const { slot } = host;
      endCase(host.file);
      if (!isIPv4(host.bytes, 0)) leavePrefix(prefixOf(host.bytes, 0), slot);
      if (host.dirtySinceMs !== 0) dirty.remove(slot);
      index.remove(store.get(slot, HASH), slot);
      order.remove(slot);
      reporters.remove(slot);
      store.release(slot);
    },
    *slots() {
      for (let slot = order.oldest(); slot >= 0; ) {
        const next = order.next(slot);
        yield slot;
        slot = next;
      }
    },
  };
}

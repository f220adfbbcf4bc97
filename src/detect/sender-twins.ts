/**
 * Finds sessions of undeclared addresses that are those of a declared sender, seen on the other side of a NAT.
 *
 * NAT changes address and perhaps port of the client; the server, the number of packets and the octets stay. The two are seen
 * at two places, else they are two hosts that happen to do the same. Two small
 * tables of the newest sessions, each a hash with the time: what is overwritten is forgotten, which costs at most a match.
 * Every record of a declared sender comes by here, so the tables are small enough for the cache of a core.
 */

import { type FlowColumns, readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { carriesPayload } from './evidence.ts';
import { finish, mix, readWord, writeWord } from './murmur.ts';
import type { Sighting } from './screen.ts';

/** A power of two: 16,384 sessions of each kind, less than a megabyte for both. */
const PLACES = 1 << 14;
/** Two exporters tell of one session within their active timeouts, which are a minute or two. */
const APART_MS = 120_000;
/** Where the port tells nothing, the two begin at the same time, as far as clocks agree. */
const BEGIN_APART_MS = 3000;

interface Twin {
  /** A hash of the session that both addresses had. */
  readonly key: number;
  readonly samePort: boolean;
}

/**
 * What is kept of a session beside its key. Times are milliseconds modulo 2^32, and only differences of them are used. Of a
 * declared sender the words before ADDRESS are kept only.
 */
const PORT = 0;
const SEEN_AT = 1;
const RECEIVED = 2;
const BEGAN = 3;
const ADDRESS = 4;

/** The newest session of each place. Keys are apart from the rest: most looks end at the key. */
class NewestSessions {
  readonly keys = new Int32Array(PLACES);
  readonly rest: Int32Array;
  private readonly words: number;
  private readonly places: PlaceHash;
  /** Receive time of the newest of all. */
  private newestMs = Number.NEGATIVE_INFINITY;

  /** `words`: how many are kept of a session beside its key. */
  constructor(words: number, places: PlaceHash) {
    this.rest = new Int32Array(PLACES * words);
    this.words = words;
    this.places = places;
  }

  /** Where the rest of what has this key begins. */
  place(key: number): number {
    return (key & (PLACES - 1)) * this.words;
  }

  keep(key: number, s: Sighting, columns: FlowColumns): void {
    const { rest } = this;
    const at = this.place(key);
    this.keys[key & (PLACES - 1)] = key;
    rest[at + PORT] = s.clientPort;
    rest[at + SEEN_AT] = this.places.of(s, columns);
    rest[at + RECEIVED] = s.receivedMs;
    rest[at + BEGAN] = beganMs(s, columns);
    if (s.receivedMs > this.newestMs) this.newestMs = s.receivedMs;
  }

  forget(key: number): void {
    this.keys[key & (PLACES - 1)] = 0;
  }

  /** Whether the kept session with this key is that of the sighting, and null where it is not. */
  match(key: number, s: Sighting, columns: FlowColumns): Twin | null {
    // Where no session of this kind was seen lately, as it is in most networks, there is nothing to look for.
    if (s.receivedMs - this.newestMs > APART_MS) return null;
    const { rest } = this;
    if (this.keys[key & (PLACES - 1)] !== key) return null;
    const at = this.place(key);
    if (apart(s.receivedMs, rest[at + RECEIVED]) > APART_MS) return null;
    if (rest[at + SEEN_AT] === this.places.of(s, columns)) return null;
    const samePort = rest[at + PORT] === s.clientPort;
    return samePort || apart(beganMs(s, columns), rest[at + BEGAN]) <= BEGIN_APART_MS
      ? { key, samePort }
      : null;
  }
}

/** Of a time and a stored one. */
const apart = (ms: number, stored: number): number => Math.abs((ms - stored) | 0);

/** Hashes of exporter, domain and interface. Records of one place come in a row, so the newest hash is kept. */
class PlaceHash {
  private readonly exporter = new Int32Array(4);
  private domain = -1;
  private interface = -1;
  private hash = 0;

  of({ row }: Sighting, { exporter, domain, in_if }: FlowColumns): number {
    const kept = this.exporter;
    const at = 16 * row;
    const a = readWord(exporter, at);
    const b = readWord(exporter, at + 4);
    const c = readWord(exporter, at + 8);
    const d = readWord(exporter, at + 12);
    if (
      this.domain === domain[row] &&
      this.interface === in_if[row] &&
      kept[3] === d &&
      kept[2] === c &&
      kept[1] === b &&
      kept[0] === a
    )
      return this.hash;
    this.domain = domain[row];
    this.interface = in_if[row];
    kept[0] = a;
    kept[1] = b;
    kept[2] = c;
    kept[3] = d;
    let hash = mix(this.domain, this.interface);
    for (const word of kept) hash = mix(hash, word);
    this.hash = finish(hash) | 0;
    return this.hash;
  }
}

const beganMs = ({ row, receivedMs }: Sighting, columns: FlowColumns): number =>
  (columns.present[row] & PRESENT.START) === 0 ? receivedMs : readWide(columns.start, row);

export interface SenderTwins {
  /** A record of a declared sender: the undeclared address that had the same session before, or null. */
  noteSender(s: Sighting, columns: FlowColumns): (Twin & { readonly address: Uint8Array }) | null;
  /** A record of an undeclared host: the session of a declared sender that is the same, or null. */
  noteOther(s: Sighting, columns: FlowColumns): Twin | null;
}

export function createSenderTwins(): SenderTwins {
  const places = new PlaceHash();
  const senders = new NewestSessions(ADDRESS, places);
  const others = new NewestSessions(ADDRESS + 4, places);

  /** 0 for a record that may be like any other: nothing but headers. */
  function keyOf(s: Sighting, columns: FlowColumns): number {
    const packets = readWide(columns.packets, s.row);
    const bytes = readWide(columns.bytes, s.row);
    if (!carriesPayload(packets, bytes)) return 0;
    let hash = s.site;
    for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(s.server, s.serverAt + i));
    return finish(mix(mix(hash, packets), bytes)) | 0;
  }

  return {
    noteSender(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      senders.keep(key, s, columns);
      const twin = others.match(key, s, columns);
      if (twin === null) return null;
      // Once: the next session of the same counts needs a record of its own.
      others.forget(key);
      const at = others.place(key) + ADDRESS;
      const address = new Uint8Array(16);
      for (let i = 0; i < 4; i++) writeWord(address, 4 * i, others.rest[at + i]);
      return { ...twin, address };
    },
    noteOther(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      const twin = senders.match(key, s, columns);
      if (twin !== null) return twin;
      others.keep(key, s, columns);
      const at = others.place(key) + ADDRESS;
      for (let i = 0; i < 4; i++) others.rest[at + i] = readWord(s.client, s.clientAt + 4 * i);
      return null;
    },
  };
}

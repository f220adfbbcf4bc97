/**
 * Finds sessions of undeclared addresses that are those of a declared sender, seen on the other side of a NAT.
 *
 * NAT changes address and perhaps port of the client; the server, the number of packets and the octets stay. The two are seen
 * at two places, else they are two hosts that happen to do the same. Two small
 * tables of the newest sessions, each a hash with the time: what is overwritten is forgotten, which costs at most a match.
 */

import { type FlowColumns, readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { carriesPayload } from './evidence.ts';
import { finish, mix, readWord, writeWord } from './murmur.ts';
import type { Sighting } from './screen.ts';

/** A power of two: 16,384 sessions of each kind, a megabyte each. */
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
 * The newest session of each place: a record of these words, so that a look touches one line of the cache. Times are
 * milliseconds modulo 2^32, and only differences of them are used.
 */
const KEY = 0;
const PORT = 1;
const SEEN_AT = 2;
const RECEIVED = 3;
const BEGAN = 4;
const ADDRESS = 5;
const WORDS = 16;

const newest = (): Int32Array => new Int32Array(PLACES * WORDS);
const wordOf = (key: number): number => (key & (PLACES - 1)) * WORDS;

function keep(table: Int32Array, key: number, s: Sighting, columns: FlowColumns): void {
  const at = wordOf(key);
  table[at + KEY] = key;
  table[at + PORT] = s.clientPort;
  table[at + SEEN_AT] = placeOf(s, columns);
  table[at + RECEIVED] = s.receivedMs;
  table[at + BEGAN] = beganMs(s, columns);
  for (let i = 0; i < 4; i++) table[at + ADDRESS + i] = readWord(s.client, s.clientAt + 4 * i);
}

/** Whether the session of the table is that of the sighting, and null where it is not. */
function match(table: Int32Array, key: number, s: Sighting, columns: FlowColumns): Twin | null {
  const at = wordOf(key);
  if (table[at + KEY] !== key || apart(s.receivedMs, table[at + RECEIVED]) > APART_MS) return null;
  if (table[at + SEEN_AT] === placeOf(s, columns)) return null;
  const samePort = table[at + PORT] === s.clientPort;
  return samePort || apart(beganMs(s, columns), table[at + BEGAN]) <= BEGIN_APART_MS
    ? { key, samePort }
    : null;
}

/** Of a time and a stored one. */
const apart = (ms: number, stored: number): number => Math.abs((ms - stored) | 0);

/** Exporter, domain and interface. */
function placeOf(s: Sighting, columns: FlowColumns): number {
  let hash = mix(columns.domain[s.row], columns.in_if[s.row]);
  for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(columns.exporter, 16 * s.row + i));
  return finish(hash) | 0;
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
  const senders = newest();
  const others = newest();

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
      keep(senders, key, s, columns);
      const twin = match(others, key, s, columns);
      if (twin === null) return null;
      const at = wordOf(key);
      // Once: the next session of the same counts needs a record of its own.
      others[at + KEY] = 0;
      const address = new Uint8Array(16);
      for (let i = 0; i < 4; i++) writeWord(address, 4 * i, others[at + ADDRESS + i]);
      return { ...twin, address };
    },
    noteOther(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      const twin = match(senders, key, s, columns);
      if (twin === null) keep(others, key, s, columns);
      return twin;
    },
  };
}

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
import { finish, mix, readWord } from './murmur.ts';
import type { Sighting } from './screen.ts';

/** A power of two: 16,384 sessions of each kind, 500 kB together. */
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

/** The newest session of each key. */
interface Newest {
  readonly keys: Uint32Array;
  readonly ports: Uint16Array;
  readonly places: Uint32Array;
  readonly receivedMs: Float64Array;
  readonly beganMs: Float64Array;
}

const newest = (): Newest => ({
  keys: new Uint32Array(PLACES),
  ports: new Uint16Array(PLACES),
  places: new Uint32Array(PLACES),
  receivedMs: new Float64Array(PLACES),
  beganMs: new Float64Array(PLACES),
});

function keep(table: Newest, key: number, s: Sighting, columns: FlowColumns): void {
  const at = key & (PLACES - 1);
  table.keys[at] = key;
  table.ports[at] = s.clientPort;
  table.places[at] = placeOf(s, columns);
  table.receivedMs[at] = s.receivedMs;
  table.beganMs[at] = beganMs(s, columns);
}

/** Whether the session of the table is that of the sighting, and null where it is not. */
function match(table: Newest, key: number, s: Sighting, columns: FlowColumns): Twin | null {
  const at = key & (PLACES - 1);
  if (table.keys[at] !== key || Math.abs(s.receivedMs - table.receivedMs[at]) > APART_MS) return null;
  if (table.places[at] === placeOf(s, columns)) return null;
  const samePort = table.ports[at] === s.clientPort;
  const apartMs = Math.abs(beganMs(s, columns) - table.beganMs[at]);
  return samePort || apartMs <= BEGIN_APART_MS ? { key, samePort } : null;
}

/** Exporter, domain and interface. */
function placeOf(s: Sighting, columns: FlowColumns): number {
  let hash = mix(columns.domain[s.row], columns.in_if[s.row]);
  for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(columns.exporter, 16 * s.row + i));
  return finish(hash) >>> 0;
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
  const otherAddresses = new Uint8Array(16 * PLACES);

  /** 0 for a record that may be like any other: nothing but headers. */
  function keyOf(s: Sighting, columns: FlowColumns): number {
    const packets = readWide(columns.packets, s.row);
    const bytes = readWide(columns.bytes, s.row);
    if (!carriesPayload(packets, bytes)) return 0;
    let hash = s.site;
    for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(s.server, s.serverAt + i));
    return finish(mix(mix(hash, packets), bytes)) >>> 0;
  }

  return {
    noteSender(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      const at = key & (PLACES - 1);
      keep(senders, key, s, columns);
      const twin = match(others, key, s, columns);
      if (twin === null) return null;
      // Once: the next session of the same counts needs a record of its own.
      others.keys[at] = 0;
      return { ...twin, address: otherAddresses.slice(16 * at, 16 * at + 16) };
    },
    noteOther(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      const twin = match(senders, key, s, columns);
      if (twin !== null) return twin;
      keep(others, key, s, columns);
      otherAddresses.set(s.client.subarray(s.clientAt, s.clientAt + 16), 16 * (key & (PLACES - 1)));
      return null;
    },
  };
}

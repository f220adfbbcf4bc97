/**
 * Finds sessions of undeclared addresses that are those of a declared sender, seen on the other side of a NAT.
 *
 * NAT changes address and perhaps port of the client; the server, the number of packets and the octets stay. Two small
 * tables of the newest sessions, each a hash with the time: what is overwritten is forgotten, which costs at most a match.
 */

import { type FlowColumns, readWide } from '../flow/batch.ts';
import { carriesPayload } from './evidence.ts';
import { finish, mix, readWord } from './murmur.ts';
import type { Sighting } from './screen.ts';

/** A power of two: 16,384 sessions of each kind, 500 kB together. */
const PLACES = 1 << 14;
/** Two exporters tell of one session within their active timeouts, which are a minute or two. */
const APART_MS = 120_000;

export interface Twin {
  /** A hash of the session that both addresses had. */
  readonly key: number;
  readonly samePort: boolean;
}

export interface SenderTwins {
  /** A record of a declared sender: the undeclared address that had the same session before, or null. */
  noteSender(s: Sighting, columns: FlowColumns): (Twin & { readonly address: Uint8Array }) | null;
  /** A record of an undeclared host: the session of a declared sender that is the same, or null. */
  noteOther(s: Sighting, columns: FlowColumns): Twin | null;
}

export function createSenderTwins(): SenderTwins {
  const senderKeys = new Uint32Array(PLACES);
  const senderPorts = new Uint16Array(PLACES);
  const senderMs = new Float64Array(PLACES);
  const otherKeys = new Uint32Array(PLACES);
  const otherPorts = new Uint16Array(PLACES);
  const otherMs = new Float64Array(PLACES);
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
      const place = key & (PLACES - 1);
      senderKeys[place] = key;
      senderPorts[place] = s.clientPort;
      senderMs[place] = s.receivedMs;
      if (otherKeys[place] !== key || Math.abs(s.receivedMs - otherMs[place]) > APART_MS) return null;
      // Once: the next session of the same counts needs a record of its own.
      otherKeys[place] = 0;
      const address = otherAddresses.slice(16 * place, 16 * place + 16);
      return { key, samePort: otherPorts[place] === s.clientPort, address };
    },
    noteOther(s, columns) {
      const key = keyOf(s, columns);
      if (key === 0) return null;
      const place = key & (PLACES - 1);
      if (senderKeys[place] === key && Math.abs(s.receivedMs - senderMs[place]) <= APART_MS)
        return { key, samePort: senderPorts[place] === s.clientPort };
      otherKeys[place] = key;
      otherPorts[place] = s.clientPort;
      otherMs[place] = s.receivedMs;
      otherAddresses.set(s.client.subarray(s.clientAt, s.clientAt + 16), 16 * place);
      return null;
    },
  };
}

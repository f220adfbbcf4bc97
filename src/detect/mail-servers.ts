/**
 * Which internal hosts are probably mail servers that nobody declared: the memory behind the block state `held`.
 *
 * A mail server that is missing in `senders` looks like a bot from its outgoing mail alone. What marks it is that others
 * come to it with mail and get answers, or that it sends what a declared sender sends (its address behind NAT). Only facts
 * of records are kept, as hashes in a bounded table; reading the same records again changes nothing, which keeps a restart
 * exact. It must never lead to a block, only away from one.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import type { FlowColumns } from '../flow/batch.ts';
import { readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { carriesPayload } from './evidence.ts';
import type { HostGroups } from './host-groups.ts';
import { finish, mix, randomSeed, readWord, writeWord } from './murmur.ts';
import { leastPayload } from './payload.ts';
import { RecordStore } from './record-store.ts';
import type { Sighting } from './screen.ts';
import { createSenderTwins } from './sender-twins.ts';
import { isDenied } from './sessions.ts';
import { SlotIndex } from './slot-index.ts';
import { SlotList } from './slot-list.ts';
import { TCP } from './tcp-flags.ts';

/** Hosts that are remembered; the one that was longest without evidence leaves first. 100 bytes each. */
const MAX_HOSTS = 65_536;
/** As the inventory says it: one answered connection may be a misdirected scan, a few hosts that come by are not. */
const SOURCES_OF_A_SERVER = 2;
const SESSIONS_OF_A_SERVER = 3;
const CLIENTS_OF_A_RELAY = 3;
const HANDED_BY_SENDER = 2;
/** Sessions that are at the same time those of a declared sender, with the same counts and the same client port. */
const TWINS = 2;
/** The same where the ports differ: most of the host's sessions must be. */
const TWINS_WITHOUT_PORT = 3;
const TWIN_SHARE = 0.8;
/** A refusal is one packet; a greeting and its end are three at least. */
const ANSWERED_PACKETS = 3;
const CLIENT_PACKETS = 4;

/** Words of a record: the host, its place in index and order, then what is known. Each group of words is a small set of hashes. */
const KEY = 0;
const SITE = 4;
const HASH = 5;
const OLDER = 6;
const NEWER = 7;
const FLAGS = 8;
const SOURCES = 9;
const SESSIONS = 11;
const CLIENTS = 14;
const HANDED = 17;
const PORT_TWINS = 19;
const COUNT_TWINS = 21;
/** Records of the host that had a twin, and all of them since the first that had. */
const TWINNED = 24;
const COMPARED = 25;
const WORDS = 26;

/**
 * Bits of FLAGS: a message came from outside; translated records name the host as the address of a declared sender; most of its
 * sessions are those of a declared sender.
 */
const FLAG = { messageIn: 1, translated: 2, twin: 4 } as const;

/** What is known of one host, for a file. */
export interface KnownMailServer {
  readonly site: string;
  readonly host: string;
  /** The words of its record from FLAGS on. */
  readonly facts: readonly number[];
}

export interface MailServers {
  /** A record of a session to port 25 of an internal host. `fromSender`: a declared sender is the client. True when the host became one. */
  noteService(s: Sighting, fromSender: boolean, tlsPayloadBytes: number): boolean;
  /**
   * A record of a declared sender's own session. The address of a host that has become one by it, or null; in a place that
   * the next call uses again.
   */
  noteSender(s: Sighting, isInternal: (bytes: Uint8Array, at: number) => boolean): Uint8Array | null;
  /** A record of what nobody declared. True when the host became one. */
  noteOther(s: Sighting): boolean;
  /** Why the host probably is a mail server, a sentence part for people; null when nothing says so. */
  reasonFor(site: number, bytes: Uint8Array, at: number): string | null;
  /** Grows with everything that is learned. */
  readonly revision: number;
  known(siteNames: readonly string[]): KnownMailServer[];
  /** Takes over what an earlier process knew; what is not sound is left out. */
  restore(servers: readonly KnownMailServer[], siteNames: readonly string[]): void;
}

export function createMailServers(groups: HostGroups): MailServers {
  const store = new RecordStore(WORDS);
  const index = new SlotIndex();
  const order = new SlotList(store, OLDER, NEWER);
  const twins = createSenderTwins();
  const seed = randomSeed();
  const found = new Uint8Array(16);
  let revision = 0;

  function hashOf(site: number, bytes: Uint8Array, at: number): number {
    let hash = mix(seed, site);
    for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(bytes, at + i));
    return finish(hash);
  }

  function find(site: number, address: Uint8Array, from: number): number {
    if (index.size === 0) return -1;
    const { bytes, at } = groups.of(address, from);
    const hash = hashOf(site, bytes, at);
    for (let place = index.probe(hash, hash); place >= 0; place = index.probe(hash, place + 1)) {
      const slot = index.slotAt(place);
      const words = store.words32(slot);
      const word = store.word(slot);
      let same = words[word + SITE] === site;
      for (let i = 0; same && i < 4; i++) same = (words[word + KEY + i] | 0) === readWord(bytes, at + 4 * i);
      if (same) return slot;
    }
    return -1;
  }

  function findOrMake(site: number, address: Uint8Array, from: number): number {
    const known = find(site, address, from);
    if (known >= 0) {
      order.touch(known);
      return known;
    }
    if (index.size >= MAX_HOSTS) remove(order.oldest());
    const { bytes, at } = groups.of(address, from);
    const slot = store.allocate();
    const hash = hashOf(site, bytes, at);
    for (let i = 0; i < 4; i++) store.set(slot, KEY + i, readWord(bytes, at + 4 * i));
    store.set(slot, SITE, site);
    store.set(slot, HASH, hash);
    index.add(hash, slot);
    order.append(slot);
    return slot;
  }

  function remove(slot: number): void {
    index.remove(store.get(slot, HASH), slot);
    order.remove(slot);
    store.release(slot);
  }

  /** Puts a hash into a set of at most `most`. True when it was not there, and there was room. */
  function insert(slot: number, set: number, most: number, hash: number): boolean {
    const value = hash >>> 0 === 0 ? 1 : hash >>> 0;
    const words = store.words32(slot);
    const at = store.word(slot) + set;
    for (let i = 0; i < most; i++) {
      if (words[at + i] === value) return false;
      if (words[at + i] !== 0) continue;
      words[at + i] = value;
      revision++;
      return true;
    }
    return false;
  }

  function setFlag(slot: number, flag: number): void {
    const flags = store.get(slot, FLAGS);
    if ((flags & flag) !== 0) return;
    store.set(slot, FLAGS, flags | flag);
    revision++;
  }

  function size(slot: number, set: number, most: number): number {
    let count = 0;
    while (count < most && store.get(slot, set + count) !== 0) count++;
    return count;
  }

  function describe(slot: number): string | null {
    const flags = store.get(slot, FLAGS);
    if ((flags & FLAG.messageIn) !== 0) return 'takes mail from outside';
    if (size(slot, SOURCES, SOURCES_OF_A_SERVER) >= SOURCES_OF_A_SERVER)
      return `answers SMTP from at least ${SOURCES_OF_A_SERVER} hosts outside`;
    if (size(slot, SESSIONS, SESSIONS_OF_A_SERVER) >= SESSIONS_OF_A_SERVER)
      return `answered at least ${SESSIONS_OF_A_SERVER} SMTP sessions from outside`;
    if (size(slot, HANDED, HANDED_BY_SENDER) >= HANDED_BY_SENDER) return 'takes mail from a declared sender';
    if (size(slot, CLIENTS, CLIENTS_OF_A_RELAY) >= CLIENTS_OF_A_RELAY)
      return `takes mail from at least ${CLIENTS_OF_A_RELAY} internal hosts`;
    if ((flags & FLAG.translated) !== 0) return 'is the NAT address of a declared sender';
    if ((flags & FLAG.twin) !== 0)
      return 'has the sessions of a declared sender: it may be the address of that sender behind NAT';
    return null;
  }

  /** Takes in a fact. True when the host is probably a mail server since. */
  function learn(slot: number, change: () => void): boolean {
    const before = describe(slot) !== null;
    if (before) return false;
    change();
    return describe(slot) !== null;
  }

  function noteTwin(slot: number, hash: number, samePort: boolean): boolean {
    return learn(slot, () => {
      if (samePort) insert(slot, PORT_TWINS, TWINS, hash);
      insert(slot, COUNT_TWINS, TWINS_WITHOUT_PORT, hash);
      store.set(slot, TWINNED, store.get(slot, TWINNED) + 1);
      const isTwin =
        size(slot, PORT_TWINS, TWINS) >= TWINS ||
        (size(slot, COUNT_TWINS, TWINS_WITHOUT_PORT) >= TWINS_WITHOUT_PORT &&
          store.get(slot, TWINNED) >= TWIN_SHARE * store.get(slot, COMPARED));
      if (isTwin) setFlag(slot, FLAG.twin);
    });
  }

  return {
    noteService(s, fromSender, tlsPayloadBytes) {
      const { columns, row } = s;
      if (columns === null || s.port !== 25) return false;
      const message = s.forward && sendsMessage(columns, row, tlsPayloadBytes);
      if (!message && !isAnswered(s, columns)) return false;
      const known = find(s.site, s.server, s.serverAt);
      // Most records are of servers that are known already.
      if (known >= 0 && describe(known) !== null) {
        order.touch(known);
        return false;
      }
      const client = hashOfClient(s);
      const slot = findOrMake(s.site, s.server, s.serverAt);
      return learn(slot, () => {
        if (fromSender) {
          insert(slot, HANDED, HANDED_BY_SENDER, mix(client, s.clientPort));
          if (message) insert(slot, HANDED, HANDED_BY_SENDER, mix(client, 0x10000 + s.clientPort));
        } else if (s.internal) {
          insert(slot, CLIENTS, CLIENTS_OF_A_RELAY, client);
        } else {
          if (message) setFlag(slot, FLAG.messageIn);
          insert(slot, SOURCES, SOURCES_OF_A_SERVER, client);
          insert(slot, SESSIONS, SESSIONS_OF_A_SERVER, mix(client, s.clientPort));
        }
      });
    },
    noteSender(s, isInternal) {
      const { columns, row } = s;
      if (columns === null || !s.forward || s.port !== 25) return null;
      if ((columns.present[row] & PRESENT.POST_NAT_SRC_ADDR) !== 0) {
        const at = 16 * row;
        const translated = columns.post_nat_src_addr;
        if (!equal(translated, at, s.client, s.clientAt) && isInternal(translated, at)) {
          const slot = findOrMake(s.site, translated, at);
          if (learn(slot, () => setFlag(slot, FLAG.translated))) return addressOf(slot);
        }
      }
      const other = twins.noteSender(s, columns);
      if (other === null) return null;
      const slot = findOrMake(s.site, other.address, 0);
      // Later ones were counted when they came.
      if (store.get(slot, COMPARED) === 0) store.set(slot, COMPARED, 1);
      return noteTwin(slot, other.key, other.samePort) ? addressOf(slot) : null;
    },
    noteOther(s) {
      const { columns } = s;
      if (columns === null || !s.forward || s.port !== 25) return false;
      const known = find(s.site, s.client, s.clientAt);
      if (known >= 0) {
        if (describe(known) !== null) return false;
        if (size(known, COUNT_TWINS, 1) > 0) store.set(known, COMPARED, store.get(known, COMPARED) + 1);
      }
      const twin = twins.noteOther(s, columns);
      if (twin === null) return false;
      const slot = findOrMake(s.site, s.client, s.clientAt);
      if (known < 0) store.set(slot, COMPARED, 1);
      return noteTwin(slot, twin.key, twin.samePort);
    },
    reasonFor(site, bytes, at) {
      const slot = find(site, bytes, at);
      return slot < 0 ? null : describe(slot);
    },
    get revision() {
      return revision;
    },
    known(siteNames) {
      const servers: KnownMailServer[] = [];
      for (let slot = order.oldest(); slot >= 0; slot = order.next(slot)) {
        const facts = Array.from({ length: COMPARED + 1 - FLAGS }, (_, i) => store.get(slot, FLAGS + i));
        servers.push({
          site: siteNames[store.get(slot, SITE)],
          host: formatAddress(addressOf(slot)),
          facts,
        });
      }
      return servers;
    },
    restore(servers, siteNames) {
      for (const { site, host, facts } of servers) {
        const address = parseAddress(host);
        const number = siteNames.indexOf(site);
        if (address === null || number < 0 || facts.length !== COMPARED + 1 - FLAGS) continue;
        if (index.size >= MAX_HOSTS || find(number, address, 0) >= 0) continue;
        const slot = findOrMake(number, address, 0);
        for (const [i, fact] of facts.entries()) store.set(slot, FLAGS + i, fact);
      }
    },
  };

  function addressOf(slot: number): Uint8Array {
    for (let i = 0; i < 4; i++) writeWord(found, 4 * i, store.get(slot, KEY + i));
    return found;
  }
}

/** The same in every process: hashes of clients are kept in a file. */
function hashOfClient({ client, clientAt }: Sighting): number {
  let hash = 0;
  for (let i = 0; i < 16; i += 4) hash = mix(hash, readWord(client, clientAt + i));
  return finish(hash);
}

/** The client's half carries more than a check of the server takes, over TLS too. */
function sendsMessage(columns: FlowColumns, row: number, tlsPayloadBytes: number): boolean {
  if (isDenied(columns, row)) return false;
  const packets = readWide(columns.packets, row);
  const payload = leastPayload(packets, readWide(columns.bytes, row), true, false);
  return packets >= CLIENT_PACKETS && payload > tlsPayloadBytes;
}

/** The record shows that the server took the connection and spoke. */
function isAnswered({ forward, row }: Sighting, columns: FlowColumns): boolean {
  if (isDenied(columns, row)) return false;
  const packets = readWide(columns.packets, row);
  if ((columns.present[row] & PRESENT.TCP_FLAGS) === 0 || columns.tcp_flags[row] === 0)
    return packets >= CLIENT_PACKETS && carriesPayload(packets, readWide(columns.bytes, row));
  const flags = columns.tcp_flags[row];
  if ((flags & TCP.ACK) === 0) return false;
  if ((flags & TCP.PSH) !== 0) return true;
  return (flags & TCP.RST) === 0 && packets >= (forward ? CLIENT_PACKETS : ANSWERED_PACKETS);
}

function equal(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let i = 0; i < 16; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}

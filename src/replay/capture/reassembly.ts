/**
 * Puts IP fragments together (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * Bounded in datagrams, in bytes and in capture time: what does not become whole is let go and told to the caller in
 * fragments. A datagram with fragments that overlap is discarded altogether (RFC 5722); an exact repetition is not an
 * overlap.
 */

import type { IpPacket } from '../../decode/packet/ip-packet.ts';

/** Datagrams that may be incomplete at once. */
const MAX_DATAGRAMS = 256;
const MAX_BYTES = 8 * 1024 * 1024;
/** An IP payload cannot be longer. */
const MAX_DATAGRAM_BYTES = 65_535;
/** 65535 bytes in fragments of 8 would be 8192; exporters send a few. */
const MAX_FRAGMENTS = 1024;
/** RFC 8200 section 4.5 gives a datagram 60 seconds. */
const MAX_AGE_MS = 60_000;

interface Fragment {
  readonly offset: number;
  readonly bytes: Buffer;
}

interface Incomplete {
  readonly fragments: Fragment[];
  readonly sinceMs: number;
  bytes: number;
  /** Length of the whole, known since the last fragment came; -1 before. */
  length: number;
  /** Fragments taken, repetitions included. */
  seen: number;
}

export interface Reassembler {
  /**
   * Takes a fragment whose payload is whole. Returns the payload of the datagram when it became whole with it, else
   * null. The addresses at `packet.addresses` belong to the key.
   */
  add(
    bytes: Buffer,
    packet: IpPacket,
    timeMs: number,
  ): { readonly payload: Buffer; readonly fragments: number } | null;
  /** Lets everything that is incomplete go. */
  clear(): void;
}

/** `onLost` is told how many fragments were let go. */
export function createReassembler(onLost: (fragments: number) => void): Reassembler {
  /** In the order of their first fragments, oldest first. */
  const incomplete = new Map<string, Incomplete>();
  let bytesHeld = 0;

  function release(key: string, entry: Incomplete): void {
    incomplete.delete(key);
    bytesHeld -= entry.bytes;
  }

  function lose(key: string, entry: Incomplete): void {
    release(key, entry);
    onLost(entry.seen);
  }

  function letGo(timeMs: number): void {
    for (const [key, entry] of incomplete) {
      const bound = incomplete.size > MAX_DATAGRAMS || bytesHeld > MAX_BYTES;
      // Capture times may go back; then age says nothing and the bounds do.
      if (!bound && timeMs - entry.sinceMs <= MAX_AGE_MS) return;
      lose(key, entry);
    }
  }

  return {
    add(bytes, packet, timeMs) {
      const addressBytes = packet.version === 4 ? 8 : 32;
      const addresses = bytes.toString('latin1', packet.addresses, packet.addresses + addressBytes);
      const key = `${packet.version}/${packet.fragmentId}/${addresses}`;
      let entry = incomplete.get(key);
      if (entry !== undefined && timeMs - entry.sinceMs > MAX_AGE_MS) {
        lose(key, entry);
        entry = undefined;
      }
      if (entry === undefined) {
        entry = { fragments: [], sinceMs: timeMs, bytes: 0, length: -1, seen: 0 };
        incomplete.set(key, entry);
      }
      entry.seen++;
      const offset = packet.fragmentOffset;
      const length = packet.end - packet.start;
      const verdict = place(entry, offset, length, packet.moreFragments);
      if (verdict === 'bad') {
        lose(key, entry);
        return null;
      }
      if (verdict === 'new') {
        // A copy, so that a fragment that waits does not keep a chunk of the file alive.
        entry.fragments.push({ offset, bytes: Buffer.from(bytes.subarray(packet.start, packet.end)) });
        entry.bytes += length;
        bytesHeld += length;
      }
      if (entry.bytes === entry.length) {
        release(key, entry);
        entry.fragments.sort((a, b) => a.offset - b.offset);
        const payload = Buffer.concat(entry.fragments.map((fragment) => fragment.bytes));
        return { payload, fragments: entry.seen };
      }
      letGo(timeMs);
      return null;
    },
    clear() {
      for (const [key, entry] of incomplete) lose(key, entry);
    },
  };
}

/** Whether a fragment fits to those that are there, and notes the length of the whole when it is the last one. */
function place(entry: Incomplete, offset: number, length: number, more: boolean): 'new' | 'repeated' | 'bad' {
  const end = offset + length;
  if (length === 0 || end > MAX_DATAGRAM_BYTES || entry.fragments.length >= MAX_FRAGMENTS) return 'bad';
  if (more && length % 8 !== 0) return 'bad';
  if (entry.length >= 0 && (end > entry.length || (!more && end !== entry.length))) return 'bad';
  for (const fragment of entry.fragments) {
    const fragmentEnd = fragment.offset + fragment.bytes.length;
    if (fragment.offset === offset && fragmentEnd === end) return 'repeated';
    if (offset < fragmentEnd && fragment.offset < end) return 'bad';
    if (!more && fragmentEnd > end) return 'bad';
  }
  if (!more) entry.length = end;
  return 'new';
}

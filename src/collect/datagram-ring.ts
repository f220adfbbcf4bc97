/**
 * Memory that one call receives many datagrams into: `recvmmsg` fills slots of it, which the next call overwrites.
 *
 * For each slot there is room for a datagram, for its source address and for the message header that tells the kernel
 * where both lie. A datagram is shown as a view of its slot and never of more, so that nobody reads what an earlier or a
 * longer one left behind it. The kernel writes into this memory only within `receive`.
 */

import { SourceNames } from './source-names.ts';
import { SO_TIMESTAMPNS, SOCKADDR_BYTES, SOL_SOCKET, sockaddrPort, type UdpCalls } from './udp-socket.ts';

/** struct mmsghdr on machines of 64 bits: a struct msghdr of 56 bytes, then the length received. */
const HEADER_BYTES = 64;
const NAME_AT = 0;
const NAME_LENGTH_AT = 8;
const IOVEC_AT = 16;
const IOVEC_COUNT_AT = 24;
const CONTROL_AT = 32;
const CONTROL_LENGTH_AT = 40;
const FLAGS_AT = 48;
const LENGTH_AT = 56;
/** struct iovec: where, and how many bytes. */
const IOVEC_BYTES = 16;
const MSG_TRUNC = 0x20;
/** struct cmsghdr (length, level, type), then the two numbers of a time. */
const STAMP_BYTES = 32;
const STAMP_LEVEL_AT = 8;
const STAMP_TYPE_AT = 12;
const STAMP_SECONDS_AT = 16;
const STAMP_NANOSECONDS_AT = 24;

/** Longer than any UDP datagram but an IPv6 jumbogram (RFC 2675). */
const MAX_DATAGRAM_BYTES = 65_536;
/** Slots lie apart by this much more than they hold, so that their first bytes do not compete for the same cache lines. */
const SLOT_GAP = 17 * 64;

export class DatagramRing {
  readonly slots: number;
  readonly #calls: UdpCalls;
  readonly #slotBytes: number;
  readonly #stride: number;
  readonly #memory: Buffer;
  readonly #names: Buffer;
  readonly #headers: Buffer;
  /** The headers as words of 32 bits. */
  readonly #words: Int32Array;
  /** Referenced only by address. */
  readonly #vectors: Buffer;
  /** When the datagram in the first slot, which is the oldest, arrived. */
  readonly #stamp: Buffer;
  readonly #sources: SourceNames;
  /** The last view of each slot: most datagrams of an exporter have one length. */
  readonly #views: Buffer[];

  constructor(calls: UdpCalls, slots: number, slotBytes = MAX_DATAGRAM_BYTES) {
    this.slots = slots;
    this.#calls = calls;
    this.#slotBytes = slotBytes;
    this.#stride = slotBytes + SLOT_GAP;
    // The system gives the memory page by page, when it is written to: slots of short datagrams stay small.
    this.#memory = Buffer.allocUnsafeSlow(slots * this.#stride);
    this.#names = ownBuffer(slots * SOCKADDR_BYTES);
    this.#headers = ownBuffer(slots * HEADER_BYTES);
    this.#words = new Int32Array(this.#headers.buffer);
    this.#vectors = ownBuffer(slots * IOVEC_BYTES);
    this.#stamp = ownBuffer(STAMP_BYTES);
    this.#sources = new SourceNames(this.#names);
    this.#views = Array.from({ length: slots }, (_, slot) => this.#view(slot, 0));
    this.#writeHeaders();
  }

  #writeHeaders(): void {
    const memory = this.#calls.address(this.#memory);
    const names = this.#calls.address(this.#names);
    const vectors = this.#calls.address(this.#vectors);
    for (let slot = 0; slot < this.slots; slot++) {
      const vector = slot * IOVEC_BYTES;
      this.#vectors.writeBigUInt64LE(memory + BigInt(slot * this.#stride), vector);
      this.#vectors.writeBigUInt64LE(BigInt(this.#slotBytes), vector + 8);
      const header = slot * HEADER_BYTES;
      this.#headers.writeBigUInt64LE(names + BigInt(slot * SOCKADDR_BYTES), header + NAME_AT);
      this.#headers.writeBigUInt64LE(vectors + BigInt(vector), header + IOVEC_AT);
      this.#headers.writeBigUInt64LE(1n, header + IOVEC_COUNT_AT);
    }
    this.#headers.writeBigUInt64LE(this.#calls.address(this.#stamp), CONTROL_AT);
  }

  #view(slot: number, length: number): Buffer {
    const at = slot * this.#stride;
    return this.#memory.subarray(at, at + length);
  }

  /**
   * Takes what waits in a socket, up to all slots, and never waits itself. Returns how many slots were filled, in the order
   * of arrival; negative is the number of an error, -EAGAIN when nothing waits.
   */
  receive(descriptor: number): number {
    const words = this.#words;
    // The kernel leaves here how much of each it has written.
    words[CONTROL_LENGTH_AT / 4] = STAMP_BYTES;
    for (let at = NAME_LENGTH_AT / 4; at < words.length; at += HEADER_BYTES / 4) words[at] = SOCKADDR_BYTES;
    return this.#calls.receive(descriptor, this.#headers, this.slots);
  }

  /** The datagram in a slot: a view that holds until the next `receive`. Whoever keeps something of it copies it. */
  bytes(slot: number): Buffer {
    const length = this.length(slot);
    const last = this.#views[slot];
    if (last.length === length) return last;
    const view = this.#view(slot, length);
    this.#views[slot] = view;
    return view;
  }

  /** Bytes of the datagram in a slot, as far as it fits. */
  length(slot: number): number {
    const length = this.#words[(slot * HEADER_BYTES + LENGTH_AT) / 4];
    return Math.min(length, this.#slotBytes);
  }

  /** Whether the datagram was longer than its slot, and its end is lost. */
  isCut(slot: number): boolean {
    return (this.#words[(slot * HEADER_BYTES + FLAGS_AT) / 4] & MSG_TRUNC) !== 0;
  }

  /** When the kernel took the datagram in the first slot, in ms since 1970; null where it does not tell. */
  oldestArrivalMs(): number | null {
    const stamp = this.#stamp;
    if (this.#words[CONTROL_LENGTH_AT / 4] < STAMP_BYTES) return null;
    if (
      stamp.readInt32LE(STAMP_LEVEL_AT) !== SOL_SOCKET ||
      stamp.readInt32LE(STAMP_TYPE_AT) !== SO_TIMESTAMPNS
    )
      return null;
    const seconds = stamp.readUInt32LE(STAMP_SECONDS_AT) + 2 ** 32 * stamp.readInt32LE(STAMP_SECONDS_AT + 4);
    return 1000 * seconds + stamp.readUInt32LE(STAMP_NANOSECONDS_AT) / 1e6;
  }

  /** Text of the address that the datagram came from. */
  source(slot: number): string {
    return this.#sources.of(slot);
  }

  sourcePort(slot: number): number {
    return sockaddrPort(this.#names, slot * SOCKADDR_BYTES);
  }
}

/** Zeroed, and memory of its own from its first byte on, so that words in it are aligned. */
function ownBuffer(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

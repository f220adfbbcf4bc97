/**
 * Text of the addresses that datagrams come from, made once and then looked up by the bytes of the socket address.
 *
 * Source addresses are cheap to forge, so the table has a fixed size: addresses that share a place replace each other,
 * which costs time and nothing else.
 */

import { SOCKADDR_BYTES, sockaddrHost } from './udp-socket.ts';

const PLACES = 4096;
/** Of a socket address in words of 32 bits: family and port, address of IPv4 or flow, four of IPv6, scope. */
const WORDS = SOCKADDR_BYTES / 4;
const FAMILY = 0xffff;
const AF_INET = 2;

export class SourceNames {
  readonly #names: Buffer;
  readonly #words: Int32Array;
  readonly #texts: string[] = new Array(PLACES).fill('');
  /** The words of each text's address: four and the scope for IPv6; for IPv4 one, and zeros. */
  readonly #keys = new Int32Array(PLACES * 5);

  /** `names` holds socket addresses, one every SOCKADDR_BYTES, and is looked at when a text is asked for. */
  constructor(names: Buffer) {
    this.#names = names;
    this.#words = new Int32Array(names.buffer, names.byteOffset, names.length / 4);
  }

  /** Text of the address in a slot, as `sockaddrHost` makes it. */
  of(slot: number): string {
    const words = this.#words;
    const at = slot * WORDS;
    const isIPv4 = (words[at] & FAMILY) === AF_INET;
    const a = isIPv4 ? words[at + 1] : words[at + 2];
    const b = isIPv4 ? 0 : words[at + 3];
    const c = isIPv4 ? 0 : words[at + 4];
    const d = isIPv4 ? 0 : words[at + 5];
    const scope = isIPv4 ? 0 : words[at + 6];
    // An odd factor spreads what differs in few bits, as neighbours do, over the upper bits, which then choose the place.
    const mixed = Math.imul(
      a ^ Math.imul(b, 31) ^ Math.imul(c, 127) ^ Math.imul(d, 8191) ^ scope,
      0x9e3779b1,
    );
    const place = (mixed ^ (mixed >>> 15)) & (PLACES - 1);
    const keys = this.#keys;
    const key = place * 5;
    if (
      keys[key] === a &&
      keys[key + 1] === b &&
      keys[key + 2] === c &&
      keys[key + 3] === d &&
      keys[key + 4] === scope &&
      this.#texts[place] !== ''
    )
      return this.#texts[place];
    const text = sockaddrHost(this.#names, slot * SOCKADDR_BYTES);
    keys[key] = a;
    keys[key + 1] = b;
    keys[key + 2] = c;
    keys[key + 3] = d;
    keys[key + 4] = scope;
    this.#texts[place] = text;
    return text;
  }
}

/**
 * MurmurHash3 (x86, 32 bit) in pieces, for keys that are words of records and never become text.
 *
 * `recordHash` and the ids that are made from it stand in stored messages: never change these functions. Tables start
 * from a random seed, so that hosts cannot choose addresses and ports that all meet in one place.
 */

/** Four address bytes as one word, the first as the highest. */
export function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** One round. */
export function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Spreads every bit over the whole word. */
export function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The reverse of readWord. */
export function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

/** Where a table begins its hashes. */
export const randomSeed = (): number => Math.floor(Math.random() * 4294967296);

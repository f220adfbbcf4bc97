/**
 * Chance that can be had again: a small generator (xorshift32) whose seed is printed with every finding.
 *
 * fast-check shrinks and explains, which is what unit tests want; a run of half an hour wants millions of inputs that
 * build on each other, so the fuzzers draw from this instead.
 */

export interface Random {
  /** A whole number from 0 to `limit` - 1; 0 when `limit` is 0. */
  below(limit: number): number;
  /** True once in `n` times on average. */
  oneIn(n: number): boolean;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Buffer;
}

export function createRandom(seed: number): Random {
  // Neighbouring seeds must not give neighbouring streams, and xorshift must not begin with 0.
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let i = 0; i < 8; i++) next();
  const below = (limit: number) => (limit <= 0 ? 0 : next() % limit);
  return {
    below,
    oneIn: (n) => below(n) === 0,
    pick(from) {
      const chosen = from[below(from.length)];
      if (chosen === undefined) throw new RangeError('nothing to pick from');
      return chosen;
    },
    bytes(length) {
      const out = Buffer.alloc(length);
      for (let i = 0; i < length; i++) out[i] = next() >>> 8;
      return out;
    },
  };
}

/** Random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Whole numbers from 0 that are below what is asked for each time. */
export type RandomBelow = (limit: number) => number;

export function randomBelow(seed: number): RandomBelow {
  const next = randomNumbers(seed);
  return (limit) => Math.floor(next() * limit);
}

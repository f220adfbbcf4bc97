/**
 * How often an address may present a wrong token: a burst, then one every few seconds.
 *
 * While an address has none left, tokens that it presents are refused, whatever they are; but those that were right from this address
 * before go on, as sessions do, so that nobody locks out others behind the same proxy. Memory is bounded: the oldest addresses are
 * forgotten first.
 */

const BURST = 10;
const REFILL_MS = 6000;
const MAX_ADDRESSES = 4096;

export interface Failures {
  /** Seconds to wait; 0 when the address may try. */
  waitOf(address: string): number;
  note(address: string): void;
  /** A token, by its name, was right. */
  noteRight(address: string, name: string): void;
  wasRight(address: string, name: string): boolean;
}

export function createFailures(now: () => number): Failures {
  /** When the address has all its attempts again. In the order of the newest failure. */
  const fullAt = new Map<string, number>();
  /** Names of tokens that were right, by address. There are as many as the configuration has. */
  const right = new Map<string, Set<string>>();
  return {
    noteRight(address, name) {
      const names = right.get(address);
      if (names !== undefined) names.add(name);
      else {
        if (right.size >= MAX_ADDRESSES) for (const oldest of right.keys()) if (right.delete(oldest)) break;
        right.set(address, new Set([name]));
      }
    },
    wasRight: (address, name) => right.get(address)?.has(name) ?? false,
    waitOf(address) {
      const aheadMs = (fullAt.get(address) ?? 0) - now();
      return Math.max(0, Math.ceil((aheadMs - (BURST - 1) * REFILL_MS) / 1000));
    },
    note(address) {
      const atMs = Math.max(fullAt.get(address) ?? 0, now()) + REFILL_MS;
      fullAt.delete(address);
      if (fullAt.size >= MAX_ADDRESSES) for (const oldest of fullAt.keys()) if (fullAt.delete(oldest)) break;
      fullAt.set(address, atMs);
    },
  };
}

/**
 * How often an address may present a wrong token: a burst, then one every few seconds.
 *
 * While an address has none left, every token that it presents is refused unseen; sessions that it has go on. Memory is bounded:
 * the address whose failures are oldest is forgotten first.
 */

const BURST = 10;
const REFILL_MS = 6000;
const MAX_ADDRESSES = 4096;

export interface Failures {
  /** Seconds to wait; 0 when the address may try. */
  waitOf(address: string): number;
  note(address: string): void;
}

export function createFailures(now: () => number): Failures {
  /** When the address has all its attempts again. In the order of the newest failure. */
  const fullAt = new Map<string, number>();
  return {
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

/**
 * When each host's block begins and ends, for the cap and the rate limit.
 *
 * Counts by times, not by states, so that a decision that is computed again after a restart sees the blocks of others
 * as they stood then.
 */

const RATE_WINDOW_MS = 3_600_000;

export interface BlockLedger<Host> {
  set(host: Host, sinceMs: number, untilMs: number): void;
  delete(host: Host): void;
  /** Blocks of other hosts in force at a time, and those that began within the hour before it. */
  count(host: Host, atMs: number): { readonly active: number; readonly recent: number };
}

export function createBlockLedger<Host>(): BlockLedger<Host> {
  const times = new Map<Host, { readonly sinceMs: number; readonly untilMs: number }>();
  return {
    set: (host, sinceMs, untilMs) => {
      times.set(host, { sinceMs, untilMs });
    },
    delete: (host) => {
      times.delete(host);
    },
    count(host, atMs) {
      let active = 0;
      let recent = 0;
      for (const [other, { sinceMs, untilMs }] of times) {
        const rateAffected = sinceMs > atMs - RATE_WINDOW_MS;
        if (untilMs <= atMs && !rateAffected) times.delete(other);
        if (other === host || sinceMs > atMs) continue;
        if (atMs < untilMs) active++;
        if (rateAffected) recent++;
      }
      return { active, recent };
    },
  };
}

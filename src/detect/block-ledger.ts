/**
 * When each host's block begins and ends, for the cap and the rate limit, and which hosts the rate limit holds back.
 *
 * Counts by times, not by states, so that a decision that is computed again after a restart sees the blocks of others
 * as they stood then.
 */

import type { BlockCounts } from './block.ts';

const RATE_WINDOW_MS = 3_600_000;
/** Who is held back and was not seen for so long does not keep others waiting. */
const HELD_ACTIVE_MS = 600_000;

export interface BlockLedger<Host> {
  /** `exporter`: the address of the one that reported the host first. */
  set(host: Host, sinceMs: number, untilMs: number, exporter: string): void;
  delete(host: Host): void;
  /** The host is held back for the rate of new blocks, and was seen now. `strength`: of its evidence. */
  hold(host: Host, strength: number, atMs: number): void;
  /** It is not held back for that any more. */
  letGo(host: Host): void;
  /** What other hosts than this one have at a time; `othersReport` is for the caller to say. */
  count(host: Host, atMs: number, exporter: string, strength: number): Omit<BlockCounts, 'othersReport'>;
}

export function createBlockLedger<Host>(): BlockLedger<Host> {
  const times = new Map<
    Host,
    { readonly sinceMs: number; readonly untilMs: number; readonly exporter: string }
  >();
  const held = new Map<Host, { readonly strength: number; readonly atMs: number }>();

  function strongerThan(host: Host, strength: number, atMs: number): number {
    let stronger = 0;
    for (const [other, one] of held) {
      if (one.atMs < atMs - HELD_ACTIVE_MS) held.delete(other);
      else if (other !== host && one.strength > strength) stronger++;
    }
    return stronger;
  }

  return {
    set: (host, sinceMs, untilMs, exporter) => {
      times.set(host, { sinceMs, untilMs, exporter });
      held.delete(host);
    },
    delete: (host) => {
      times.delete(host);
      held.delete(host);
    },
    hold: (host, strength, atMs) => {
      held.set(host, { strength, atMs });
    },
    letGo: (host) => {
      held.delete(host);
    },
    count(host, atMs, exporter, strength) {
      let active = 0;
      let recent = 0;
      let ofExporter = 0;
      for (const [other, { sinceMs, untilMs, exporter: reporter }] of times) {
        const rateAffected = sinceMs > atMs - RATE_WINDOW_MS;
        if (untilMs <= atMs && !rateAffected) times.delete(other);
        if (other === host || sinceMs > atMs) continue;
        if (atMs < untilMs) active++;
        if (!rateAffected) continue;
        recent++;
        if (reporter === exporter) ofExporter++;
      }
      return { active, recent, ofExporter, stronger: strongerThan(host, strength, atMs) };
    },
  };
}

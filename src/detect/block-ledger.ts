/**
 * When each host's block begins and ends, for the cap and the rate limit, and which hosts the rate limit holds back.
 *
 * Counts by times, not by states, so that a decision that is computed again after a restart sees the blocks of others
 * as they stood then. Bounded: of the hosts that one exporter has waiting, as many are ranked as there can be room for.
 */

import type { BlockCounts } from './block.ts';

const RATE_WINDOW_MS = 3_600_000;
/** Who is held back and was not seen for so long does not keep others waiting. */
const HELD_ACTIVE_MS = 600_000;

/** Exporters are numbers of vantage-points.ts. */
export interface BlockLedger<Host> {
  /** `exporter`: the one that reported the host first. */
  set(host: Host, sinceMs: number, untilMs: number, exporter: number): void;
  delete(host: Host): void;
  /** The host is held back for the rate of new blocks, and was seen now. `strength`: of its evidence; `room`: the rate. */
  hold(host: Host, exporter: number, strength: number, atMs: number, room: number): void;
  /** It is not held back for that any more. */
  letGo(host: Host): void;
  /** What other hosts than this one have at a time; `othersReport` is for the caller to say. */
  count(
    host: Host,
    atMs: number,
    exporter: number,
    strength: number,
    isNewcomer: (exporter: number) => boolean,
  ): Omit<BlockCounts, 'othersReport'>;
}

interface Held {
  readonly exporter: number;
  readonly strength: number;
  readonly atMs: number;
}

export function createBlockLedger<Host>(): BlockLedger<Host> {
  const times = new Map<
    Host,
    { readonly sinceMs: number; readonly untilMs: number; readonly exporter: number }
  >();
  const held = new Map<Host, Held>();
  const heldOf = new Map<number, Set<Host>>();

  function letGo(host: Host): void {
    const one = held.get(host);
    if (one === undefined) return;
    held.delete(host);
    const others = heldOf.get(one.exporter);
    others?.delete(host);
    if (others?.size === 0) heldOf.delete(one.exporter);
  }

  function strongerThan(host: Host, exporter: number, strength: number, atMs: number): number {
    let stronger = 0;
    for (const other of heldOf.get(exporter) ?? []) {
      const one = held.get(other);
      if (one === undefined || other === host) continue;
      if (one.atMs < atMs - HELD_ACTIVE_MS) letGo(other);
      else if (one.strength > strength) stronger++;
    }
    return stronger;
  }

  /** The one with the least evidence among those that an exporter has waiting. */
  function weakestOf(hosts: Iterable<Host>): Host | null {
    let weakest: Host | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const host of hosts) {
      const { strength } = held.get(host) ?? { strength: 0 };
      if (strength >= least) continue;
      least = strength;
      weakest = host;
    }
    return weakest;
  }

  return {
    set: (host, sinceMs, untilMs, exporter) => {
      times.set(host, { sinceMs, untilMs, exporter });
      letGo(host);
    },
    delete: (host) => {
      times.delete(host);
      letGo(host);
    },
    hold: (host, exporter, strength, atMs, room) => {
      letGo(host);
      const others = heldOf.get(exporter);
      if (others === undefined) heldOf.set(exporter, new Set([host]));
      else others.add(host);
      held.set(host, { exporter, strength, atMs });
      if (others === undefined || others.size <= room) return;
      const weakest = weakestOf(others);
      if (weakest !== null) letGo(weakest);
    },
    letGo,
    count(host, atMs, exporter, strength, isNewcomer) {
      let active = 0;
      let recent = 0;
      let ofExporter = 0;
      let ofNewcomers = 0;
      const fromNewcomer = isNewcomer(exporter);
      for (const [other, { sinceMs, untilMs, exporter: reporter }] of times) {
        const rateAffected = sinceMs > atMs - RATE_WINDOW_MS;
        if (untilMs <= atMs && !rateAffected) times.delete(other);
        if (other === host || sinceMs > atMs) continue;
        if (atMs < untilMs) active++;
        if (!rateAffected) continue;
        recent++;
        if (reporter === exporter) ofExporter++;
        if (fromNewcomer && isNewcomer(reporter)) ofNewcomers++;
      }
      return {
        active,
        recent,
        ofExporter,
        ofNewcomers: fromNewcomer ? ofNewcomers : null,
        stronger: strongerThan(host, exporter, strength, atMs),
      };
    },
  };
}

/** What the collector of this process lost, in the three ways that an operator is told of. */

import type { Losses } from '../api/read-model.ts';
import type { CollectorCounters } from '../collect/collector-counters.ts';

export const NOTHING_LOST: Losses = { kernel_drops: 0, not_decoded: 0, not_kept: 0 };

export function lossesOf(counters: CollectorCounters): Losses {
  const { not_archived: _meant, ...flows } = counters.dropped.flows;
  return {
    kernel_drops: sum(counters.listeners.map(({ kernelDrops }) => kernelDrops)),
    not_decoded: sum(Object.values(counters.recordsDropped)),
    not_kept: sum(Object.values(flows)) + sum(Object.values(counters.dropped.mail)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

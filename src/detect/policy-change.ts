/**
 * What a change of the policy means for an incident that was opened under the one before.
 *
 * Pure: it judges a host and what is known of it by the policy of now, and says whether the incident still has a reason
 * to be. It must never close on a guess: a host that the policy lets send to some destinations only keeps its incident
 * while one of those it was seen with is not among them.
 */

import type { Destination } from './destinations.ts';
import type { Policy } from './policy.ts';

export interface NewJudgement {
  /** The policy of now has nothing against what the host did. */
  readonly closes: boolean;
  /** What the policy of now says of the host, a sentence part for people. */
  readonly verdict: string;
}

/** Stands for a destination that no rule can name: only a sender that may send anywhere may send there. */
const NOWHERE = new Uint8Array(16);

/** `destinations`: those that the incident knows; none when every attempt was denied. */
export function judgeAnew(
  policy: Policy,
  host: Uint8Array,
  destinations: Iterable<Destination>,
  nowMs: number,
  site: number,
): NewJudgement {
  if (!policy.isInternal(host, 0))
    return { closes: true, verdict: 'is no internal host (networks.internal)' };
  let judged = policy.verdict(host, 0, NOWHERE, 0, nowMs, site);
  if (judged.kind === 'authorised') return { closes: true, verdict: judged.reason };
  let allowed = 0;
  for (const { address } of destinations) {
    const verdict = policy.verdict(host, 0, address, 0, nowMs, site);
    if (verdict.kind !== 'authorised') return { closes: false, verdict: verdict.reason };
    allowed++;
    judged = verdict;
  }
  return { closes: allowed > 0, verdict: judged.reason };
}

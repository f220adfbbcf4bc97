/**
 * Decisions that no detector has acted on yet, as `acl list`, `offenders` and `incident` show them: of a host that was released
 * while no service ran the incident still says "published".
 *
 * Pure. What was decided holds in the lists at once all the same, but for an approval.
 */

import { HELD_BACK, isStanding } from '../detect/block.ts';
import type { Incident } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import type { DecisionInForce, PendingDecision } from './desk.ts';
import type { BlockedHost } from './hand-blocks.ts';
import type { StandingDecisions } from './standing-decisions.ts';

/** Begins the reason of a block that a person rejected. */
export const REJECTED = 'rejected by ';

type Known = Incident | BlockedHost;

/** The decision about a host that waits for a detector, with the time when it was made; null when none does. */
export function pendingOf(
  standing: Pick<StandingDecisions, 'inForce'>,
  known: Known,
): PendingDecision | null {
  const decision = standing.inForce(known);
  if (decision === null || !isPending(decision, known)) return null;
  const { action, by, reason, decided_at } = decision;
  return { action, by, reason, decided_at };
}

/** The decision about a host that is in force, whether a detector has acted on it or not; null for none. */
export function inForceOf(
  standing: Pick<StandingDecisions, 'inForce'>,
  incident: Incident,
): DecisionInForce | null {
  const decision = standing.inForce(incident);
  if (decision === null) return null;
  const { action, by, reason, decided_at, until } = decision;
  return { action, by, reason, decided_at, until };
}

/**
 * A detector that had taken the decision would have changed the block. A block that does not stand may have become what it is
 * after that: a released host turns out to be a mail server, a rejected one is put on the never-block list.
 */
function isPending({ action, decided_at }: Decision, known: Known): boolean {
  const { state, approved_by, reason } = known.block;
  if (action === 'block') return false;
  if (isStanding(state)) return action !== 'approve' || approved_by === undefined;
  if (!('updated_at' in known) || known.updated_at > decided_at) return false;
  if (state === 'held') return true;
  const isRejected = state === 'refused' && reason.startsWith(REJECTED);
  if (action === 'reject') return state !== 'none' && state !== 'expired' && !isRejected;
  return action === 'approve' && (isRejected || (state === 'refused' && reason.startsWith(HELD_BACK)));
}

/**
 * What a host does after a person said no to its block: released it, or rejected the block.
 *
 * The person may have been wrong, or the host may get worse. It is reported again when it goes on, and then each time that it has
 * done ten times as much, so that a decision is looked at again and nobody is flooded.
 */

export interface AfterNo {
  /** Sessions of the incident when the decision came into force. */
  readonly sessions: number;
  /** Steps that were reported. */
  step: number;
}

/** One session may have been under way when the person decided. */
const SESSIONS_OF_GOING_ON = 2;
/** With fewer sessions before the decision the later steps are counted as if there had been so many. */
const LEAST_BEFORE = 10;
const TIMES_WORSE = 10;

/** The reason is that of a decision by which a host is not blocked. Asked of each new block: no regular expression. */
export const isNo = (reason: string): boolean =>
  reason.startsWith('released by ') || reason.startsWith('rejected by ');

/** Sessions since the decision from which on a step is reached: 1 when the host goes on, then each time it is ten times worse. */
function sessionsOfStep(before: number, step: number): number {
  return step === 1 ? SESSIONS_OF_GOING_ON : Math.max(before, LEAST_BEFORE) * TIMES_WORSE ** (step - 1);
}

/** Takes account of the sessions of now. True when a further step is reached. */
export function reachesStep(after: AfterNo, sessions: number): boolean {
  const since = sessions - after.sessions;
  const { step } = after;
  while (since >= sessionsOfStep(after.sessions, after.step + 1)) after.step++;
  return after.step > step;
}

/** In words for people; null before the host went on. */
export function describeAfterNo(
  { sessions: before, step }: AfterNo,
  sessions: number,
  decision: string,
): string | null {
  if (step === 0) return null;
  const worse = step === 1 ? 'goes on' : 'goes on, and is worse than before';
  return `${worse}: ${sessions - before} sessions since it was ${decision}`;
}

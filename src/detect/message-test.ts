/**
 * What several sessions of a host prove where one cannot: the step from `likely` messages to proven ones.
 *
 * Over TLS a session that is a little larger than a check may be one whose hello was sent twice: on a path that loses 3 % of
 * the packets about every thirtieth check is. Mail is so large every time. So each such session adds 8, and each TLS session
 * that is as large as a check, or may be one with a post-quantum hello, takes 1 away; the sum lies between -16 and 14, and at 14 messages are proven. Two
 * such sessions of a new host suffice, with two checks or refused mails between them. A host that has done nothing
 * but checks for long needs four. On a path on which every thirtieth check is too large, a host that begins with two large ones
 * among four is accepted wrongly, 1 in 200; after 16 checks four large ones must follow each other closely. Plain
 * greetings and scans say nothing here, so that a bot hides nothing behind them.
 *
 * It must never lower what single sessions prove by themselves.
 */

import { MESSAGE } from './message-weight.ts';

const LIKELY = 8;
const CHECK = -1;
const FLOOR = -16;
const ACCEPT = 14;

/** The bounds of a score, for validation and for the memory layout. */
export const MIN_MESSAGE_SCORE = FLOOR;
export const MAX_MESSAGE_SCORE = ACCEPT;

/** The state of the test for one host; integers, so that it survives a restart exactly. */
export interface MessageTest {
  score: number;
  /** Sessions that may well have carried a message: likely or more. */
  likely: number;
  /** Sessions of which the records do not tell. */
  unclear: number;
}

export function noMessages(): MessageTest {
  return { score: 0, likely: 0, unclear: 0 };
}

export function provesMessages(test: MessageTest): boolean {
  return test.score >= ACCEPT;
}

/** Takes the step of one session, from what it weighed to what it weighs now. A step once taken is not taken back. */
export function noteMessage(test: MessageTest, before: number, now: number): void {
  if (before === now) return;
  const wasLikely = before >= MESSAGE.likely;
  const isLikely = now >= MESSAGE.likely;
  test.likely = Math.max(0, test.likely + (isLikely ? 1 : 0) - (wasLikely ? 1 : 0));
  test.unclear = Math.max(
    0,
    test.unclear + (now === MESSAGE.unclear ? 1 : 0) - (before === MESSAGE.unclear ? 1 : 0),
  );
  if (wasLikely || provesMessages(test)) return;
  // The half that came first may have looked like a check.
  if (isLikely) test.score = Math.min(ACCEPT, test.score + LIKELY - (mayBeCheck(before) ? CHECK : 0));
  else if (mayBeCheck(now) && !mayBeCheck(before)) test.score = Math.max(FLOOR, test.score + CHECK);
}

const mayBeCheck = (weight: number): boolean => weight >= MESSAGE.tlsGreeting && weight <= MESSAGE.unclear;

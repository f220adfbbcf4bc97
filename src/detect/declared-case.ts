/**
 * How a whole incident stands to what is declared of its host (`expected`): session by session, and anew under another policy.
 *
 * An incident is `expected` while nothing in it goes beyond the declaration. Once something did, it stays an ordinary one until
 * it closes, or until the policy changes. All that is needed is in the case file, so that a restart changes nothing.
 */

import { BULK, isMailBulk } from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import type { Destination } from './destinations.ts';
import { SESSION_GRADE } from './evidence.ts';
import { DOES, type Expectation, NOTHING_EXPECTED } from './expected.ts';
import type { Host } from './host-table.ts';
import { MESSAGE } from './message-weight.ts';
import type { Policy } from './policy.ts';

/** Takes in the first session of an incident, once it is counted. */
export function beginExpected(file: CaseFile, expectation: Expectation): void {
  if (expectation.kind === 'none') return;
  file.expected = expectation.kind !== 'deviates';
  file.verdict = expectation.text;
  noteExpected(file, expectation, file.verdict);
}

/** Takes in a further one. `verdict`: what the policy says of a session for which nothing is declared. */
export function noteExpected(file: CaseFile, expectation: Expectation, verdict: string): void {
  if (!file.expected) return;
  if (expectation.kind === 'none') file.verdict = verdict;
  else if (expectation.kind === 'deviates') file.verdict = expectation.text;
  else if (provesMore(file, expectation)) file.verdict = expectation.proven;
  else return;
  file.expected = false;
}

/** All sessions together: bulk where messages are declared, messages where none are. */
const provesMore = (file: CaseFile, { declared }: Expectation): boolean =>
  declared === DOES.send ? isMailBulk(file) : file.solidGrade >= SESSION_GRADE.conversed;

/**
 * What is declared of an incident under a policy that has just come into force, by the destinations that it knows. What its
 * sessions were beyond their grade is not known any more: without a message they are taken for checks.
 */
export function expectAnew(
  policy: Policy,
  host: Pick<Host, 'bytes' | 'siteNumber'>,
  file: CaseFile,
  destinations: Iterable<Destination>,
  nowMs: number,
): Expectation {
  const message = showsMessage(file) ? MESSAGE.certain : MESSAGE.greeting;
  let judged = NOTHING_EXPECTED;
  for (const { address } of destinations) {
    judged = policy.expect(host.bytes, 0, address, 0, message, nowMs, host.siteNumber);
    if (judged.kind !== 'within') return judged;
  }
  return judged;
}

const showsMessage = (file: CaseFile): boolean =>
  file.grade === SESSION_GRADE.conversed || (file.grade === BULK && !isBulkWithoutMessage(file));

const isBulkWithoutMessage = ({
  bulkEnvelopes,
  bulkByFan,
  messageSeen,
  messagesProven,
  dialogueProven,
}: CaseFile): boolean => (bulkEnvelopes || bulkByFan) && !messageSeen && !messagesProven && !dialogueProven;

/** Makes the incident expected, or an ordinary one. True when that is news. */
export function applyExpected(file: CaseFile, expectation: Expectation): boolean {
  const before = file.expected;
  const isSendInBulk = expectation.declared === DOES.send && isMailBulk(file);
  file.expected = expectation.kind === 'within' && !isSendInBulk;
  if (expectation.kind !== 'none') file.verdict = isSendInBulk ? expectation.proven : expectation.text;
  return file.expected !== before;
}

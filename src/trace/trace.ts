/** Who was it: from a complaint to the inside hosts that it can mean, by the flows that are stored. */

import type { OffenderRow } from '../store/queries.ts';
import { storeTime } from '../store/rows.ts';
import type { BytesQuery } from '../store/stored-flows.ts';
import { answerOf, type KnownIncident, type TraceAnswer } from './candidates.ts';
import type { Complaint } from './complaint.ts';
import { type Inside, searchHosts, whatWasSearched } from './search.ts';

export interface TraceSources {
  /** Runs a read-only statement. */
  readonly query: BytesQuery;
  readonly offenders: readonly OffenderRow[];
  readonly inside: Inside;
  readonly onlyMail: boolean;
}

/** Incidents this long after the complaint, and those that had ended this long before it, are told beside a host. */
const NEAR_MS = 86_400_000;

/** Throws RogueSmtpError `store` or `unavailable` where the store cannot be asked. */
export async function trace(complaint: Complaint, sources: TraceSources): Promise<TraceAnswer> {
  const { query, inside, onlyMail } = sources;
  const matches = await searchHosts(query, complaint, inside);
  const searched = await whatWasSearched(query, complaint);
  const incidents: KnownIncident[] = sources.offenders.filter(
    ({ first_seen, last_seen }) =>
      storeTime(first_seen) <= complaint.atMs + NEAR_MS && storeTime(last_seen) >= complaint.atMs - NEAR_MS,
  );
  return answerOf(complaint, { matches, searched, incidents, onlyMail });
}

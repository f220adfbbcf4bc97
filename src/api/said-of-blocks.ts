/**
 * What the lists say of a block, put into what the store says of its host: the store may not have the newest state yet, and knows
 * of no decision. So `offenders`, `incident` and `acl list` say the same.
 *
 * Pure: what the lists say is given.
 */

import { hostStreamKey } from '../messages/decision.ts';
import type { BlockRow, DecisionInForce } from '../publish/desk.ts';
import type { OffenderRow as StoredOffender } from '../store/queries.ts';
import type { IncidentReport, OffenderRow } from './read-model.ts';

/** `blocks`: the rows of `acl list`. */
export function offendersAsListed(
  rows: readonly StoredOffender[],
  blocks: readonly BlockRow[],
): readonly OffenderRow[] {
  const byHost = new Map(blocks.map((row) => [hostStreamKey(row), row]));
  return rows.map((row): OffenderRow => {
    const said = byHost.get(hostStreamKey(row));
    if (said === undefined || said.incident_id !== row.incident_id)
      return { ...row, listed: false, pending: null };
    const { block, listed, pending } = said;
    return {
      ...row,
      block_state: block.state,
      block_reason: block.reason,
      block_until: block.until,
      listed,
      pending,
    };
  });
}

/** `decision`: what is in force about the host of the incident. */
export function incidentAsListed(
  report: IncidentReport,
  blocks: readonly BlockRow[],
  decision: DecisionInForce | null,
): IncidentReport {
  const { incident } = report;
  const key = hostStreamKey(incident);
  const said = blocks.find((row) => row.incident_id === incident.incident_id && hostStreamKey(row) === key);
  if (said === undefined) return decision === null ? report : { ...report, decision };
  const { block, listed_at, time_to_block_ms, pending } = said;
  return {
    ...report,
    incident: { ...incident, block },
    ...(listed_at !== null && { listed: { at: listed_at, time_to_block_ms } }),
    ...(decision !== null && { decision }),
    ...(pending !== null && { pending }),
  };
}

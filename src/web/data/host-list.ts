/**
 * The hosts as the page shows them: what the service answered, and what alerts have said since.
 *
 * An alert must be on the page at once; the answers learn of it some moments later. So the newest alert of an incident stands in
 * front of the answered row until the answer has caught up. Pure.
 */

import type { Alert, HostRow } from './answers.ts';

type Standing = HostRow['standing'];

function standingOf(alert: Alert): Standing {
  if (alert.kind === 'closed') return 'closed';
  const { state, effect } = alert.block;
  if (state === 'published') return effect?.state === 'not_effective' ? 'passing' : 'blocked';
  return state === 'proposed' || state === 'held' ? 'waiting' : 'watching';
}

/** What an alert says about its incident, as the row it will become; null for an alert about no incident. */
export function rowOfAlert(alert: Alert, before: HostRow | undefined): HostRow | null {
  if (alert.grade === null || alert.host === '' || alert.kind === 'finding') return null;
  return {
    host: alert.host,
    site: alert.site,
    incident_id: alert.incident_id,
    state: alert.kind === 'closed' ? 'closed' : 'open',
    standing: standingOf(alert),
    grade: alert.grade,
    flags: alert.flags,
    first_seen: alert.first_seen,
    last_seen: alert.last_seen,
    sessions: alert.sessions,
    attempts: alert.attempts,
    destinations: alert.destinations.count,
    destinations_exact: alert.destinations.exact,
    packets: alert.packets,
    bytes: alert.bytes,
    ports: alert.ports,
    recurrence: before?.recurrence ?? 0,
    reason: alert.reasons[0] ?? '',
    block: alert.block,
    listed_at: before?.listed_at ?? null,
    held_since: before?.held_since ?? null,
    spark: before?.spark ?? [],
    identity: before?.identity ?? null,
  };
}

const total = (row: HostRow): number => row.sessions + row.attempts;

/** The answer knows all that the alert said. */
const caughtUp = (answered: HostRow, told: HostRow): boolean =>
  answered.last_seen > told.last_seen ||
  (answered.last_seen === told.last_seen &&
    total(answered) >= total(told) &&
    answered.block.state === told.block.state &&
    answered.state === told.state);

/** The rows to show, worst first, and the alerts that the answer has not caught up with. */
export function mergeHosts(
  answered: readonly HostRow[],
  told: ReadonlyMap<string, HostRow>,
): { readonly rows: readonly HostRow[]; readonly ahead: ReadonlyMap<string, HostRow> } {
  if (told.size === 0) return { rows: answered, ahead: told };
  const ahead = new Map(told);
  const known = new Set<string>();
  const rows = answered.map((row) => {
    known.add(row.incident_id);
    const newer = ahead.get(row.incident_id);
    if (newer === undefined) return row;
    if (!caughtUp(row, newer)) return { ...newer, spark: row.spark, recurrence: row.recurrence };
    ahead.delete(row.incident_id);
    return row;
  });
  for (const [id, row] of ahead) if (!known.has(id)) rows.push(row);
  return { rows: rows.sort(worstFirst), ahead };
}

const GRADES = ['attempted', 'connected', 'conversed', 'bulk'];
const rank = (row: HostRow): number => (row.state === 'open' ? 10 : 0) + GRADES.indexOf(row.grade);

const worstFirst = (a: HostRow, b: HostRow): number =>
  rank(b) - rank(a) ||
  (a.last_seen < b.last_seen ? 1 : a.last_seen > b.last_seen ? -1 : 0) ||
  (a.host < b.host ? -1 : 1);

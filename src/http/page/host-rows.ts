/**
 * Hosts with an incident as rows of the page: how sure it is, since when, and whether it is stopped.
 *
 * Incidents are those of the stream, so that a row is right while the store is away; only sparks come from the store.
 */

import { isSelected, orderOf, type Selection } from '../../api/selection.ts';
import { parseAddress } from '../../flow/address.ts';
import type { Incident } from '../../messages/alert.ts';
import { hostStreamKey } from '../../messages/decision.ts';
import type { BlockRow } from '../../publish/desk.ts';
import type { OffenderRow } from '../../store/queries.ts';
import type { HostRow } from '../api/schemas.ts';

export type Sparks = ReadonlyMap<string, readonly (number | null)[]>;

export function hostRows(incidents: readonly Incident[], blocks: readonly BlockRow[]): HostRow[] {
  const byKey = new Map(blocks.map((row) => [hostStreamKey(row), row]));
  return incidents.map((incident) => hostRow(incident, byKey.get(hostStreamKey(incident))));
}

export function hostRow(incident: Incident, block: BlockRow | undefined): HostRow {
  const { destinations } = incident;
  return {
    host: incident.host,
    site: incident.site,
    incident_id: incident.incident_id,
    state: incident.state,
    standing: standingOf(incident, block),
    grade: incident.grade,
    flags: incident.flags,
    first_seen: incident.first_seen,
    last_seen: incident.last_seen,
    sessions: incident.sessions,
    attempts: incident.attempts,
    destinations: destinations.count,
    destinations_exact: destinations.exact,
    packets: incident.packets,
    bytes: incident.bytes,
    ports: incident.ports,
    recurrence: incident.recurrence,
    // The first say whose host it is and count; what the evidence proves comes after them.
    reason: incident.reasons[2] ?? incident.reasons.at(-1) ?? '',
    block: block?.block ?? incident.block,
    listed_at: block?.listed_at ?? null,
    held_since: block?.held_since ?? null,
    spark: [],
    identity: null,
  };
}

function standingOf(incident: Incident, block: BlockRow | undefined): HostRow['standing'] {
  const { state, effect } = block?.block ?? incident.block;
  const isBlocked = block === undefined ? state === 'published' : block.listed || state === 'published';
  if (isBlocked) return effect?.state === 'not_effective' ? 'passing' : 'blocked';
  if (incident.state === 'closed') return 'closed';
  const waits = block === undefined ? state === 'proposed' || state === 'held' : block.waiting;
  return waits ? 'waiting' : 'watching';
}

/** As the order and the filters of the command line want it. */
const asOffender = (row: HostRow): OffenderRow => ({
  ...row,
  block_state: row.block.state,
  block_reason: row.block.reason,
  block_until: row.block.until,
});

export type HostSort = Parameters<typeof orderOf>[0];

export interface HostPage {
  readonly rows: readonly HostRow[];
  readonly total: number;
  /** The key of the last row; null at the end. */
  readonly last: readonly (string | number)[] | null;
}

/** `after`: the key of the last row before. A row that moved up meanwhile is not shown twice. */
export function pageOf(
  all: readonly HostRow[],
  wanted: Selection,
  sort: HostSort,
  limit: number,
  after?: readonly (string | number)[],
): HostPage {
  const order = orderOf(sort);
  const chosen = all
    .map((row) => ({ row, key: asOffender(row) }))
    .filter(({ row, key }) => isSelected(key, [row.state, row.block.state, row.standing], wanted))
    .sort((a, b) => order(a.key, b.key));
  const mark = after === undefined ? null : offenderOfKey(after);
  const from = mark === null ? 0 : chosen.findIndex(({ key }) => order(key, mark) > 0);
  const page = from < 0 ? [] : chosen.slice(from, from + limit);
  const isEnd = from < 0 || from + limit >= chosen.length;
  const last = page.at(-1);
  return {
    rows: page.map(({ row }) => row),
    total: chosen.length,
    last: isEnd || last === undefined ? null : keyOf(last.row),
  };
}

/** All that any order looks at. */
const keyOf = (row: HostRow): readonly (string | number)[] => [
  row.state,
  row.grade,
  row.sessions,
  row.bytes,
  row.last_seen,
  row.first_seen,
  row.host,
  row.site,
];

function offenderOfKey(key: readonly (string | number)[]): OffenderRow {
  const [state, grade, sessions, bytes, last_seen, first_seen, host, site] = key;
  return {
    state: state === 'open' ? 'open' : 'closed',
    grade: String(grade),
    sessions: Number(sessions),
    bytes: Number(bytes),
    last_seen: String(last_seen),
    first_seen: String(first_seen),
    host: String(host),
    site: String(site),
    flags: [],
    attempts: 0,
    destinations: 0,
    packets: 0,
    block_state: '',
    block_reason: '',
    block_until: null,
    recurrence: 0,
    incident_id: '',
  };
}

/** Hosts that a spark can be asked for: addresses, not networks. */
export const sparkable = (rows: readonly HostRow[]): readonly string[] => [
  ...new Set(rows.map(({ host }) => host).filter((host) => parseAddress(host) !== null)),
];

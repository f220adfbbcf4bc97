/** Which offenders and alerts a person asks for, and in which order: the same for the command line and the page. */

import { parseAddress } from '../flow/address.ts';
import { type Prefix, parsePrefix, prefixContains } from '../flow/prefix.ts';
import { type Alert, GRADES, type Grade } from '../messages/alert.ts';
import type { OffenderRow } from '../store/queries.ts';

export interface Selection {
  /** At least this grade. */
  readonly grade?: Grade;
  readonly site?: string;
  /** Of the incident, or of its block. */
  readonly state?: string;
  readonly host?: Prefix;
  /** Active at or after, and at or before: by receipt or by the packets' own times. Milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
}

type Evidence = Pick<OffenderRow, 'host' | 'site' | 'grade' | 'first_seen' | 'last_seen'> & {
  readonly first_packet?: string | null | undefined;
  readonly last_packet?: string | null | undefined;
};

const RANKS: ReadonlyMap<string, number> = new Map(GRADES.map((grade, rank) => [grade, rank]));
const rankOf = (grade: string | null) => RANKS.get(grade ?? '') ?? -1;

/** `states`: all that the host may be called by, such as the state of its incident and of its block. */
export function isSelected(row: Evidence, states: readonly string[], wanted: Selection): boolean {
  const { grade, site, state, host, since, until } = wanted;
  if (grade !== undefined && rankOf(row.grade) < rankOf(grade)) return false;
  if (site !== undefined && row.site !== site) return false;
  if (state !== undefined && !states.includes(state)) return false;
  if (host !== undefined && !lies(row.host, host)) return false;
  const times = [row.first_seen, row.last_seen, row.first_packet, row.last_packet].flatMap((text) =>
    text === undefined || text === null || text === '' ? [] : [Date.parse(text)],
  );
  return (
    (since === undefined || times.some((ms) => ms >= since)) &&
    (until === undefined || times.some((ms) => ms <= until))
  );
}

/** An incident may be about a prefix itself. */
function lies(host: string, prefix: Prefix): boolean {
  const parsed = parsePrefix(host);
  return parsed.ok && parsed.prefix.length >= prefix.length && prefixContains(prefix, parsed.prefix.bytes);
}

export const SORTS = ['grade', 'last', 'first', 'sessions', 'sent', 'host'] as const;
export type Sort = (typeof SORTS)[number];

export function selectOffenders(
  rows: readonly OffenderRow[],
  wanted: Selection,
  sort: Sort = 'grade',
): readonly OffenderRow[] {
  return rows.filter((row) => isSelected(row, [row.state, row.block_state], wanted)).sort(ORDERS[sort]);
}

export function selectAlerts(alerts: readonly Alert[], wanted: Selection): readonly Alert[] {
  return alerts.filter((alert) => isSelectedAlert(alert, wanted));
}

function isSelectedAlert(alert: Alert, wanted: Selection): boolean {
  // An alert is of its own time, whatever the incident went through before.
  const own = {
    ...alert,
    grade: alert.grade ?? '',
    first_seen: alert.emitted_at,
    last_seen: alert.emitted_at,
  };
  return isSelected(
    { ...own, first_packet: null, last_packet: alert.last_packet ?? null },
    [alert.kind, alert.block.state],
    wanted,
  );
}

/** The worst first: open before closed, by grade, then by what came of it. */
export function worstAlertsFirst(a: Alert, b: Alert): number {
  return (
    rankOf(b.grade) - rankOf(a.grade) || b.sessions - a.sessions || compareText(a.emitted_at, b.emitted_at)
  );
}

const worst = (a: OffenderRow, b: OffenderRow) =>
  Number(b.state === 'open') - Number(a.state === 'open') ||
  rankOf(b.grade) - rankOf(a.grade) ||
  Number(b.sessions) - Number(a.sessions) ||
  compareText(b.last_seen, a.last_seen) ||
  compareHosts(a, b);

export const orderOf = (sort: Sort): ((a: OffenderRow, b: OffenderRow) => number) => ORDERS[sort];

const ORDERS: Readonly<Record<Sort, (a: OffenderRow, b: OffenderRow) => number>> = {
  grade: worst,
  last: (a, b) => compareText(b.last_seen, a.last_seen) || worst(a, b),
  first: (a, b) => compareText(a.first_seen, b.first_seen) || worst(a, b),
  sessions: (a, b) => Number(b.sessions) - Number(a.sessions) || worst(a, b),
  sent: (a, b) => Number(b.bytes) - Number(a.bytes) || worst(a, b),
  host: (a, b) => compareHosts(a, b),
};

/** Numerically where both are addresses. */
function compareHosts(a: OffenderRow, b: OffenderRow): number {
  const [one, other] = [keyOf(a.host), keyOf(b.host)];
  return compareText(one, other) || compareText(a.site, b.site);
}

function keyOf(host: string): string {
  const bytes = parseAddress(host.split('/')[0]);
  return bytes === null ? host : Buffer.from(bytes).toString('hex');
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

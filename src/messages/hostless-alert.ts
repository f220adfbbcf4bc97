/**
 * An alert that is about no host: a gap in what was seen, or a list that does not get to its router.
 *
 * Its id follows from what it says alone, so that telling it twice is telling it once. Pure.
 */

import { createHash } from 'node:crypto';
import type { Alert } from './alert.ts';

const HOSTLESS_KINDS = ['coverage', 'delivery', 'finding'] as const satisfies readonly Alert['kind'][];
/** Kinds of alerts that no detector makes. */
export type HostlessKind = (typeof HOSTLESS_KINDS)[number];

export function isHostless(kind: Alert['kind']): kind is HostlessKind {
  return HOSTLESS_KINDS.some((each) => each === kind);
}

export interface HostlessAlert extends Pick<Alert, 'reasons' | 'policy_version'> {
  readonly kind: HostlessKind;
  /** What makes it another alert than the one before. */
  readonly identity: readonly unknown[];
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly exporters?: Alert['exporters'];
}

export function hostlessAlert(alert: HostlessAlert): Alert {
  const { kind, identity, sinceMs, nowMs, exporters, reasons, policy_version } = alert;
  return {
    schema: 'rogue-smtp.alert',
    schema_version: 1,
    alert_id: createHash('sha256')
      .update(JSON.stringify([kind, ...identity]))
      .digest('hex')
      .slice(0, 24),
    kind,
    incident_id: '',
    host: '',
    site: '',
    grade: null,
    flags: [],
    first_seen: iso(sinceMs),
    last_seen: iso(nowMs),
    sessions: 0,
    attempts: 0,
    destinations: { count: 0, exact: true, top: [] },
    packets: 0,
    bytes: 0,
    ports: [],
    exporters: exporters ?? [],
    sampling: [],
    reasons,
    missing: [],
    policy_version,
    block: { state: 'none', reason: '', since: null, until: null },
    emitted_at: iso(nowMs),
  };
}

const iso = (ms: number) => new Date(ms).toISOString();

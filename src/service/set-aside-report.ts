/**
 * Tells rows that the store set aside or dropped as an alert of kind `coverage`: they are lost to every list that is made
 * from the store until somebody puts them back.
 *
 * One alert a minute at most, with the sum since the one before, so that a flood of damaged messages is no flood of alerts.
 */

import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import type { StoreWriter } from '../store/writer.ts';

export interface SetAsideReportOptions {
  readonly counters: Pick<StoreWriter['counters'], 'rowsDeadLettered' | 'rowsDropped'>;
  readonly now: () => number;
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
}

export interface SetAsideReport {
  start(): void;
  /** Tells what is left to tell. */
  stop(): void;
}

const LOOK_MS = 1000;
const PAUSE_MS = 60_000;

export function createSetAsideReport({
  counters,
  now,
  tell,
  policyVersion,
}: SetAsideReportOptions): SetAsideReport {
  let told = { rowsDeadLettered: 0, rowsDropped: 0 };
  let sinceMs = now();
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;

  function tellAll(): void {
    const kept = counters.rowsDeadLettered - told.rowsDeadLettered;
    const dropped = counters.rowsDropped - told.rowsDropped;
    if (kept + dropped === 0) return;
    const nowMs = now();
    const parts = [
      ...(kept === 0
        ? []
        : [`${kept} rows lie in dead-letters; rogue-smtp store replay-dead-letters puts back what can be`]),
      ...(dropped === 0 ? [] : [`${dropped} rows were dropped, since dead-letters is full`]),
    ];
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: ['rows_set_aside', nowMs, counters.rowsDeadLettered, counters.rowsDropped],
        sinceMs,
        nowMs,
        reasons: [`the store could not read damaged rows: ${parts.join('; ')}`],
        policy_version: policyVersion(),
      }),
      coverage: { cause: 'rows_set_aside', exporters: 0, lost: kept + dropped },
    });
    told = { rowsDeadLettered: counters.rowsDeadLettered, rowsDropped: counters.rowsDropped };
    sinceMs = nowMs;
    toldAtMs = performance.now();
  }

  return {
    start() {
      timer = setInterval(() => {
        if (performance.now() - toldAtMs >= PAUSE_MS) tellAll();
      }, LOOK_MS).unref();
    },
    stop() {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      tellAll();
    },
  };
}

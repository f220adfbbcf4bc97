/**
 * Keeps the collector's account of its exporters in the store, so that a gap is seen as a gap after a restart, too.
 *
 * To be called about once a minute and at the end of a run. Counters only grow within a run, and the table keeps the
 * largest, so that a call that is repeated or late changes nothing.
 */

import { noUnread, UNREAD_REASONS, unreadFlows, unreadReasons } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';
import { FLOW_VERSION } from '../flow/columns.ts';
import type { Engine } from './store.ts';

export interface RecordExportersOptions {
  /** When the process began to count, milliseconds since the epoch: tells one run from the next. */
  readonly runStartedAtMs: number;
  readonly nowMs: number;
}

export async function recordExporters(
  engine: Engine,
  states: Iterable<ExporterState>,
  { runStartedAtMs, nowMs }: RecordExportersOptions,
): Promise<void> {
  const storedAt = Math.floor(nowMs / 1000);
  const rows: string[] = [];
  for (const state of joined(states)) {
    rows.push(
      JSON.stringify({
        exporter: `${formatAddress(state.address)}`,
        domain: state.domain,
        version: FLOW_VERSION[state.version],
        run: isoTime(runStartedAtMs),
        first_seen: isoTime(state.lastSeenMs),
        last_seen: isoTime(state.lastSeenMs),
        sampling_rates: [...state.samplingRates],
        datagrams: state.datagrams,
        flows: state.flows,
        sequence_lost: state.sequenceLost,
        sequence_reordered: state.sequenceReordered,
        sequence_resets: state.sequenceResets,
        sequence_unknown: state.sequenceUnknown,
        counting: state.counting,
        unread: unreadFlows(state),
        unread_reasons: unreadReasons(state),
        out_counters: state.outMeaning ?? null,
        clock_skew_ms: state.clockSkewMs === null ? null : Math.round(state.clockSkewMs),
        stored_at: storedAt,
      }),
    );
  }
  await engine.insertJson('exporters', rows, { token: `exporters-${runStartedAtMs}-${nowMs}` });
}

/** Agents behind one relay have its address, and their rows would have one key: they are one row. */
function joined(states: Iterable<ExporterState>): Iterable<ExporterState> {
  const byKey = new Map<string, ExporterState>();
  for (const state of states) {
    const key = `${formatAddress(state.address)} ${state.domain} ${state.version}`;
    const other = byKey.get(key);
    byKey.set(key, other === undefined ? state : sumOf(other, state));
  }
  return byKey.values();
}

function sumOf(a: ExporterState, b: ExporterState): ExporterState {
  return {
    ...b,
    address: a.address,
    domain: a.domain,
    version: a.version,
    agent: null,
    exportProcesses: a.exportProcesses + b.exportProcesses,
    counting: a.counting,
    datagrams: a.datagrams + b.datagrams,
    flows: a.flows + b.flows,
    sequenceLost: a.sequenceLost + b.sequenceLost,
    sequenceReordered: a.sequenceReordered + b.sequenceReordered,
    sequenceResets: a.sequenceResets + b.sequenceResets,
    sequenceUnknown: a.sequenceUnknown + b.sequenceUnknown,
    templatesRedefined: a.templatesRedefined + b.templatesRedefined,
    unread: sumOfUnread(a, b),
    lastSeenMs: Math.max(a.lastSeenMs, b.lastSeenMs),
    samplingRates: new Set([...a.samplingRates, ...b.samplingRates]),
  };
}

function sumOfUnread(a: ExporterState, b: ExporterState): NonNullable<ExporterState['unread']> {
  const sum = noUnread();
  for (const reason of UNREAD_REASONS) sum[reason] = (a.unread?.[reason] ?? 0) + (b.unread?.[reason] ?? 0);
  return sum;
}

/** As the engine reads it without settings: no `T`, no zone. */
function isoTime(ms: number): string {
  return new Date(Math.max(0, ms)).toISOString().slice(0, 23).replace('T', ' ');
}

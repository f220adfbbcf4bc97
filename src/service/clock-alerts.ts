/** Alerts of clocks that were set, or are wrong: what was found, and what is done about it. */

import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

export function machineClockAlert(ms: number, nowMs: number, policy_version: string): Alert {
  const way = ms > 0 ? 'forward' : 'back';
  return clockAlert(
    `the clock of this machine was set ${way} by ${Math.round(Math.abs(ms) / 1000)} s: blocks and incidents go on as if it had not been, and times follow it slowly`,
    ms,
    nowMs,
    policy_version,
  );
}

export function collectorClockAlert(
  producer: string,
  ms: number,
  nowMs: number,
  policy_version: string,
): Alert {
  const way = ms > 0 ? 'ahead' : 'behind';
  return clockAlert(
    `the clock of a collector (spool ${producer}) is ${Math.round(Math.abs(ms) / 1000)} s ${way}: its receive times are put right for blocks and incidents, and stay wrong in the archive; set its clock`,
    ms,
    nowMs,
    policy_version,
  );
}

function clockAlert(reason: string, ms: number, nowMs: number, policy_version: string): Alert {
  return {
    ...hostlessAlert({
      kind: 'coverage',
      identity: ['clock_stepped', nowMs, ms, reason],
      sinceMs: nowMs,
      nowMs,
      reasons: [reason],
      policy_version,
    }),
    coverage: { cause: 'clock_stepped', exporters: 0, lost: 0 },
  };
}

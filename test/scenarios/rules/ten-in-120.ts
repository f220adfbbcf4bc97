/**
 * 10 mail flows in 120 s from a host that is not on the list to servers outside, as intrusion detection rules count
 * (threshold by source). Such a rule wants to see MAIL FROM; in flow records the nearest is one that is no bare SYN.
 */

import type { Policy } from '../../../src/detect/policy.ts';
import { isListed, isOutbound, type Rule, source } from './rule.ts';

const COUNT = 10;
const WINDOW_MS = 120_000;
const ACK = 16;

export function tenIn120Rule(policy: Policy): Rule {
  const alerts = new Map<string, number>();
  /** The times of the newest flows of each host. */
  const newest = new Map<string, number[]>();
  return {
    name: '10 flows in 120 s',
    alerts,
    observe(columns, row, nowMs) {
      if (!isOutbound(policy, columns, row) || isListed(policy, columns, row, nowMs)) return;
      if (policy.isInternal(columns.dst_addr, 16 * row) || (columns.tcp_flags[row] & ACK) === 0) return;
      const host = source(columns, row);
      let times = newest.get(host);
      if (times === undefined) {
        times = [];
        newest.set(host, times);
      }
      times.push(nowMs);
      if (times.length > COUNT) times.shift();
      if (times.length === COUNT && nowMs - times[0] <= WINDOW_MS && !alerts.has(host))
        alerts.set(host, nowMs);
    },
    advance() {},
  };
}

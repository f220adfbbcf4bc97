/**
 * Fan-out: more than 5 different servers on port 25 within a window of 300 s, sources on the list left out. The form in
 * which flow analysers offer a spam rule (top talkers by number of mail servers per interval).
 */

import type { Policy } from '../../../src/detect/policy.ts';
import { destination, isListed, isOutbound, type Rule, source } from './rule.ts';

const MAX_SERVERS = 5;
const WINDOW_MS = 300_000;

export function fanOutRule(policy: Policy): Rule {
  const alerts = new Map<string, number>();
  const servers = new Map<string, Set<string>>();
  let windowEndMs = 0;
  return {
    name: 'over 5 servers in 300 s',
    alerts,
    observe(columns, row, nowMs) {
      if (!isOutbound(policy, columns, row) || isListed(policy, columns, row, nowMs)) return;
      const host = source(columns, row);
      let reached = servers.get(host);
      if (reached === undefined) {
        reached = new Set();
        servers.set(host, reached);
      }
      reached.add(destination(columns, row));
      if (reached.size > MAX_SERVERS && !alerts.has(host)) alerts.set(host, nowMs);
    },
    advance(nowMs) {
      if (nowMs < windowEndMs) return;
      windowEndMs = nowMs + WINDOW_MS;
      servers.clear();
    },
  };
}

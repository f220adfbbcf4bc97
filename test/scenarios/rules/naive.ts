/** The naive rule: destination port 25, and the source is internal and not on the list of mail servers. */

import type { Policy } from '../../../src/detect/policy.ts';
import { isListed, isOutbound, type Rule, source } from './rule.ts';

export function naiveRule(policy: Policy): Rule {
  const alerts = new Map<string, number>();
  return {
    name: 'port 25, not on the list',
    alerts,
    observe(columns, row, nowMs) {
      if (!isOutbound(policy, columns, row) || isListed(policy, columns, row, nowMs)) return;
      const host = source(columns, row);
      if (!alerts.has(host)) alerts.set(host, nowMs);
    },
    advance() {},
  };
}

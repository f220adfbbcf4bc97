/**
 * The logistic fan-out score, after the public description of NEMEA's smtp_spam_detector: every 300 s each source gets
 * a score over its flows of the interval, and is told of when 1 / (1 + e^(-score / 2)) is over 0.9. The score is ln of
 * the flows sent when none came in, plus or minus 1 for more than 10 different servers, plus or minus 1 for more than
 * 1.2 flows in for each sent. It has no list; what it takes from SMTP headers is not in flow records.
 */

import type { Policy } from '../../../src/detect/policy.ts';
import { destination, isOutbound, type Rule, SMTP, source } from './rule.ts';

const INTERVAL_MS = 300_000;
const MAX_SERVERS = 10;
const MAX_RATIO = 1.2;
const CONFIDENCE = 0.9;

interface Entity {
  incoming: number;
  outgoing: number;
  readonly servers: Set<string>;
}

export function logisticRule(policy: Policy): Rule {
  const alerts = new Map<string, number>();
  const entities = new Map<string, Entity>();
  let nextMs = 0;

  function entity(host: string): Entity {
    let known = entities.get(host);
    if (known === undefined) {
      known = { incoming: 0, outgoing: 0, servers: new Set() };
      entities.set(host, known);
    }
    return known;
  }

  return {
    name: 'logistic fan-out score',
    alerts,
    observe(columns, row) {
      if (isOutbound(policy, columns, row)) {
        const sender = entity(source(columns, row));
        sender.outgoing++;
        sender.servers.add(destination(columns, row));
      }
      if (columns.dst_port[row] === SMTP && policy.isInternal(columns.dst_addr, 16 * row))
        entity(destination(columns, row)).incoming++;
    },
    advance(nowMs) {
      if (nowMs < nextMs) return;
      nextMs = nowMs + INTERVAL_MS;
      for (const [host, { incoming, outgoing, servers }] of entities) {
        if (outgoing === 0) continue;
        let score = incoming === 0 ? Math.log(outgoing) : 0;
        score += servers.size > MAX_SERVERS ? 1 : -1;
        score += incoming / outgoing > MAX_RATIO ? 1 : -1;
        if (1 / (1 + Math.exp(-score / 2)) > CONFIDENCE && !alerts.has(host)) alerts.set(host, nowMs);
      }
      entities.clear();
    },
  };
}

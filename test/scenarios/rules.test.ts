/** The rules of others do what their descriptions say, so that the comparison is fair. */

import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { compilePolicy, type Policy } from '../../src/detect/policy.ts';
import { readWide } from '../../src/flow/batch.ts';
import { MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, SECOND } from '../support/flows.ts';
import { fanOutRule } from './rules/fan-out.ts';
import { logisticRule } from './rules/logistic.ts';
import { naiveRule } from './rules/naive.ts';
import type { Rule } from './rules/rule.ts';
import { tenIn120Rule } from './rules/ten-in-120.ts';

function told(create: (policy: Policy) => Rule, flows: readonly Flow[]): string[] {
  const rule = create(compilePolicy(configSchema.parse(STRICT)));
  const { columns, length } = batchOf(flows);
  let nowMs = 0;
  for (let row = 0; row < length; row++) {
    nowMs = readWide(columns.received_at, row);
    rule.advance(nowMs);
    rule.observe(columns, row, nowMs);
  }
  rule.advance(nowMs + 3_600_000);
  return [...rule.alerts.keys()];
}

const toServers = (count: number, gap: number, from = ROGUE): Flow[] =>
  Array.from({ length: count }, (_, i): Flow => ({ from, to: `198.51.100.${i + 1}`, at: i * gap }));
const toOne = (count: number, gap: number): Flow[] =>
  Array.from(
    { length: count },
    (_, i): Flow => ({ from: ROGUE, to: OUTSIDE, fromPort: 40_000 + i, at: i * gap }),
  );

describe('the rules of others', () => {
  it('naive: one record of an unlisted host is enough, even a lone SYN', () => {
    const syn: Flow = { from: ROGUE, to: OUTSIDE, flags: 'S', packets: 1, bytes: 60 };
    expect(told(naiveRule, [syn, { from: MAIL_SERVER, to: OUTSIDE }])).toEqual([ROGUE]);
  });

  it('fan-out: the sixth server within the window', () => {
    expect(told(fanOutRule, toServers(5, SECOND))).toEqual([]);
    expect(told(fanOutRule, toServers(6, SECOND))).toEqual([ROGUE]);
    expect(told(fanOutRule, toServers(6, 90 * SECOND))).toEqual([]);
    expect(told(fanOutRule, toServers(6, SECOND, MAIL_SERVER))).toEqual([]);
  });

  it('10 in 120 s: the tenth flow, to whomever', () => {
    expect(told(tenIn120Rule, toOne(9, SECOND))).toEqual([]);
    expect(told(tenIn120Rule, toOne(10, SECOND))).toEqual([ROGUE]);
    expect(told(tenIn120Rule, toOne(10, 20 * SECOND))).toEqual([]);
  });

  it('logistic: over 0.9 from 82 flows to over 10 servers that nobody answers with mail, list or not', () => {
    expect(told(logisticRule, toServers(81, SECOND))).toEqual([]);
    expect(told(logisticRule, toServers(82, SECOND))).toEqual([ROGUE]);
    expect(told(logisticRule, toServers(82, SECOND, MAIL_SERVER))).toEqual([MAIL_SERVER]);
    expect(told(logisticRule, [{ from: OUTSIDE, to: ROGUE }, ...toServers(82, SECOND)])).toEqual([]);
  });
});

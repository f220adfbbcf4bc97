/** What a network ACL with a permit of all at rule 100 does after our entries: ascending numbers, sources on the way in. */

import { type Flow, readAddress } from './flow.ts';
import { familyOf, inPrefix, type Judge } from './rules.ts';

const FIRST_OF_OTHERS = 100;

export function readAwsNacl(text: string): Judge {
  const { entries, unused, about, ...rest } = JSON.parse(text);
  if (Object.keys(rest).length > 0 || !Array.isArray(about)) throw new Error('not the document');
  const numbers = new Set<number>();
  for (const { RuleNumber, Egress } of [...entries, ...unused]) {
    if (
      !Number.isInteger(RuleNumber) ||
      RuleNumber < 1 ||
      RuleNumber >= FIRST_OF_OTHERS ||
      numbers.has(RuleNumber)
    )
      throw new Error(`not a number of ours: ${RuleNumber}`);
    if (Egress !== false) throw new Error('on the way out an entry compares the destination');
    numbers.add(RuleNumber);
  }
  const rules = entries.map((entry: Record<string, unknown>) => {
    const {
      NetworkAclId,
      Egress,
      RuleNumber,
      Protocol,
      RuleAction,
      PortRange,
      CidrBlock,
      Ipv6CidrBlock,
      ...more
    } = entry as Record<string, string> & { PortRange: { From: number; To: number } };
    if (Object.keys(more).length > 0 || typeof NetworkAclId !== 'string') throw new Error('not an entry');
    if (RuleAction !== 'deny' || Protocol !== '6') throw new Error(`${RuleAction} of protocol ${Protocol}`);
    if ((CidrBlock === undefined) === (Ipv6CidrBlock === undefined)) throw new Error('not one prefix');
    return {
      family: CidrBlock === undefined ? 6 : 4,
      source: CidrBlock === undefined ? inPrefix(Ipv6CidrBlock, 6) : inPrefix(CidrBlock, 4),
      from: PortRange.From,
      to: PortRange.To,
    };
  });
  return (flow: Flow) =>
    flow.protocol === 'tcp' &&
    rules.some(
      (rule: { family: 4 | 6; source: ReturnType<typeof inPrefix>; from: number; to: number }) =>
        rule.family === familyOf(flow) &&
        rule.source(readAddress(flow.source)) &&
        flow.port >= rule.from &&
        flow.port <= rule.to,
    )
      ? 'deny'
      : 'permit';
}

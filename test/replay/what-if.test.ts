import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { FlowBatch } from '../../src/flow/batch.ts';
import { whatIf } from '../../src/replay/what-if.ts';
import { MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, replyTo, SECOND } from '../support/flows.ts';

const PRINTER = '10.0.0.9';

async function* stored(flows: readonly Flow[]): AsyncGenerator<FlowBatch> {
  for (const flow of flows) yield batchOf([flow]);
}

const mail = (from: string, at: number): Flow[] => {
  const flow: Flow = { from, to: OUTSIDE, at, sequence: at };
  return [flow, replyTo(flow, { sequence: at + 1 })];
};
const FLOWS = [...mail(ROGUE, SECOND), ...mail(PRINTER, 2 * SECOND)];
const compare = (before: ConfigInput, after: ConfigInput, flows = FLOWS) =>
  whatIf(stored(flows), configSchema.parse(before), configSchema.parse(after));
const allowing: ConfigInput = {
  ...STRICT,
  senders: [
    { name: 'mail', hosts: [MAIL_SERVER] },
    { name: 'printer', hosts: [PRINTER] },
  ],
};

describe('a changed policy over stored flows', () => {
  it('shows the incident and the deny line that would go, and the permits that would come', async () => {
    const result = await compare(STRICT, allowing);
    expect(result).toMatchObject({ flows: 4, incidents: { before: 2, after: 1 } });
    expect(result.policy.before).not.toBe(result.policy.after);
    expect(result.changed).toMatchObject([
      { host: PRINTER, before: { grade: 'conversed', block: 'published' }, after: null },
    ]);
    const of = (kind: string) => result.acl.find((list) => list.kind === kind && list.family === '4');
    expect(of('offenders')).toMatchObject({ added: [], removed: [`deny tcp host ${PRINTER} any eq 25`] });
    expect(of('policy')).toMatchObject({
      removed: [],
      added: [`permit tcp host ${PRINTER} any eq 25`, `permit tcp any host ${PRINTER} eq 25`],
    });
  });

  it('shows what stricter thresholds or another mode would block', async () => {
    const observing: ConfigInput = { ...STRICT, block: { mode: 'observe' } };
    const result = await compare(observing, STRICT);
    expect(result.changed.map(({ host, after }) => [host, after?.block])).toEqual([
      [ROGUE, 'published'],
      [PRINTER, 'published'],
    ]);
    expect(result.acl.find(({ kind, family }) => kind === 'offenders' && family === '4')?.added).toHaveLength(
      2,
    );
  });

  it('says why there would be no list, instead of an empty one', async () => {
    const result = await compare(STRICT, { ...STRICT, senders: [] });
    const policy = result.acl.find(({ kind, family }) => kind === 'policy' && family === '4');
    expect(policy?.refused).toMatchObject({ before: null, after: expect.stringContaining('no sender') });
  });

  it('finds nothing between a policy and itself, nor without flows', async () => {
    expect((await compare(STRICT, STRICT)).changed).toEqual([]);
    expect(await compare(STRICT, allowing, [])).toMatchObject({ flows: 0, from: null, changed: [] });
  });
});

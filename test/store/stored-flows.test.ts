import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendRow } from '../../src/flow/batch.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { storedFlows } from '../../src/store/stored-flows.ts';
import { batchOf, type Flow, HOUR, T0 } from '../support/flows.ts';
import { chdbInstalled, openTestStore, type TestStore, withoutChdb } from './fixture.ts';

const FLOWS: readonly Flow[] = Array.from({ length: 7 }, (_, i) => ({
  from: i % 2 === 0 ? '10.0.0.66' : '2001:db8:1::66',
  to: i % 2 === 0 ? '198.51.100.7' : '2001:db8:ffff::25',
  at: Math.floor(i / 3) * HOUR + i,
  sequence: 4_294_967_280 + i,
  record: i,
  packets: 2 ** 33 + i,
  vrf: 7,
  toPort: i === 6 ? 587 : 25,
}));

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'stored flows' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
    const others = batchOf([{ from: '10.0.0.1', to: '10.0.0.2', toPort: 443 }]);
    for (const batch of [batchOf(FLOWS), others])
      await store.engine.insertNative(
        'flows',
        { bytes: [encodeNative(batch)] },
        { token: `t${batch.length}` },
      );
  }, 120_000);
  afterAll(() => store.close());

  const read = async (ports: number[], pageRows: number, untilMs?: number) => {
    const query = (sql: string, format: string) =>
      store.engine.queryBytes(sql, format, { readonly: true, timeoutMs: 30_000 });
    const batches = [];
    for await (const batch of storedFlows(query, { ports, untilMs }, pageRows)) batches.push(batch);
    return batches;
  };

  it('come back byte for byte, in their order, page by page', async () => {
    const batches = await read([25, 587], 2);
    expect(batches.map(({ length }) => length)).toEqual([2, 1, 2, 1, 1]);
    const wanted = FLOWS.map((flow) => encodeNative(batchOf([flow])));
    const one = batches.flatMap((batch) =>
      Array.from({ length: batch.length }, (_, row) => [batch, row] as const),
    );
    expect(one).toHaveLength(wanted.length);
    for (const [i, [batch, row]] of one.entries()) {
      const single = batchOf([{ from: '::', to: '::' }]);
      single.length = 0;
      appendRow(single, batch, row);
      expect(Buffer.from(encodeNative(single)).equals(Buffer.from(wanted[i])), `flow ${i}`).toBe(true);
    }
  });

  it('are only those of the ports and the time that were asked for', async () => {
    const rows = async (...given: Parameters<typeof read>) =>
      (await read(...given)).reduce((sum, { length }) => sum + length, 0);
    expect(await rows([25], 100)).toBe(6);
    expect(await rows([25], 100, T0 + HOUR)).toBe(3);
    expect(await rows([443], 100)).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMailDivider } from '../../src/collect/mail-partitions.ts';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { hostPartition } from '../../src/flow/host-partition.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { parsePrefix } from '../../src/flow/prefix.ts';
import { batchOf, type Flow } from '../support/flows.ts';

const prefixOf = (text: string) => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
};
const INTERNAL = ['10.0.0.0/8', '2001:db8:1::/48'].map(prefixOf);

/** Ports of the rows by partition, and where each row's host must be. */
function divided(
  flows: readonly Flow[],
  partitions: number,
): Map<number, { from: string; to: string; port: number }[]> {
  const parts = new Map<number, { from: string; to: string; port: number }[]>();
  createMailDivider(
    INTERNAL,
    partitions,
    64,
  )(batchOf(flows), (part, partition) => {
    expect(part.length).toBeGreaterThan(0);
    parts.set(partition, rowsOf(part));
  });
  return parts;
}

function rowsOf({ columns, length }: FlowBatch) {
  return Array.from({ length }, (_, row) => ({
    from: formatAddress(columns.src_addr, 16 * row),
    to: formatAddress(columns.dst_addr, 16 * row),
    port: columns.src_port[row],
  }));
}

const home = (host: string, partitions: number) =>
  hostPartition(parseAddress(host) ?? new Uint8Array(16), 0, partitions);

describe('dividing mail by the internal host', () => {
  it('sends both directions of a session the same way: to the partition of the internal end', () => {
    const parts = divided(
      [
        { from: '10.0.0.5', to: '198.51.100.25' },
        { from: '198.51.100.25', to: '10.0.0.5', fromPort: 25, toPort: 40000 },
        { from: '2001:db8:1::9', to: '2001:db8:ffff::25' },
      ],
      16,
    );
    expect(parts.get(home('10.0.0.5', 16))).toHaveLength(2);
    expect(parts.get(home('2001:db8:1::9', 16))).toHaveLength(1);
  });

  it('keeps the directions together also where both ends are internal, or neither is', () => {
    for (const [a, b] of [
      ['10.0.0.5', '10.9.0.1'],
      ['198.51.100.1', '203.0.113.9'],
    ]) {
      expect(
        divided(
          [
            { from: a, to: b },
            { from: b, to: a },
          ],
          64,
        ).size,
      ).toBe(1);
    }
  });

  it('gives every row, whole, once, and in order within its part', () => {
    const host = fc.integer({ min: 1, max: 40 }).map((n) => `10.0.0.${n}`);
    const flows = fc.array(fc.record({ from: host, to: fc.constant('198.51.100.7') }), {
      minLength: 1,
      maxLength: 64,
    });
    fc.assert(
      fc.property(flows, fc.integer({ min: 2, max: 9 }), (hosts, partitions) => {
        const batch = batchOf(hosts.map((flow, i) => ({ ...flow, fromPort: i + 1, record: i })));
        const seen: number[] = [];
        createMailDivider(
          INTERNAL,
          partitions,
          64,
        )(batch, (part, partition) => {
          const ports = rowsOf(part).map(({ port }) => port);
          expect(ports).toEqual([...ports].sort((x, y) => x - y));
          for (const row of rowsOf(part)) expect(home(row.from, partitions)).toBe(partition);
          for (let row = 0; row < part.length; row++) {
            expect(encodeNative(only(part, row))).toEqual(encodeNative(only(batch, ports[row] - 1)));
          }
          seen.push(...ports);
        });
        expect(seen.sort((x, y) => x - y)).toEqual(hosts.map((_, i) => i + 1));
      }),
      { numRuns: 50 },
    );
  });

  it('passes the batch through where there is one partition, and nothing of an empty one', () => {
    const batch = batchOf([{ from: '10.0.0.5', to: '198.51.100.25' }]);
    const taken: FlowBatch[] = [];
    const divide = createMailDivider(INTERNAL, 1, 64);
    divide(batch, (part) => taken.push(part));
    divide(createFlowBatch(4), (part) => taken.push(part));
    expect(taken).toEqual([batch]);
  });
});

function only(batch: FlowBatch, row: number): FlowBatch {
  const one = createFlowBatch(1);
  for (const [name, column] of Object.entries(batch.columns)) {
    const width = column.length / batch.capacity;
    const target = Object.entries(one.columns).find(([other]) => other === name)?.[1];
    target?.set(column.subarray(row * width, (row + 1) * width));
  }
  one.length = 1;
  return one;
}

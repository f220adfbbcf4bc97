import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMailFilter, createMailKeeper } from '../../src/collect/mail-filter.ts';
import { clearFlowBatch, createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES } from '../../src/flow/columns.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { batchOf, type Flow } from '../support/flows.ts';

const from = '10.0.0.5';
const to = '198.51.100.25';

function portsOf(batch: FlowBatch): number[][] {
  return Array.from({ length: batch.length }, (_, row) => [
    batch.columns.src_port[row],
    batch.columns.dst_port[row],
  ]);
}

test('TCP rows with a mail port on either side are selected, with every column', () => {
  const batch = batchOf([
    { from, to, toPort: 80 },
    { from, to, toPort: 25, vrf: 7, sampling: 100, startAt: 1, endAt: 2, forwarding: 64 },
    { from: to, to: from, fromPort: 25, toPort: 40000 },
    { from, to, toPort: 587 },
  ]);
  const target = createFlowBatch(8);
  expect(createMailFilter([25, 465])(batch, target)).toBe(4);
  expect(portsOf(target)).toEqual([
    [40000, 25],
    [25, 40000],
  ]);
  const only = createFlowBatch(1);
  createMailFilter([25])(batch, only);
  for (const name of FLOW_COLUMN_NAMES) {
    const width = batch.columns[name].length / batch.capacity;
    expect([name, ...only.columns[name]]).toEqual([name, ...batch.columns[name].subarray(width, 2 * width)]);
  }
});

test('a port field of another protocol, or of a later fragment, is no port', () => {
  const batch = batchOf([
    { from, to, protocol: 1, toPort: 25 },
    { from, to, protocol: 17, toPort: 25 },
    { from, to, toPort: 25, fragmentOffset: 185 },
  ]);
  const target = createFlowBatch(8);
  createMailFilter([25])(batch, target);
  expect(target.length).toBe(0);
});

test('rows without ports are never selected, whatever is configured', () => {
  const target = createFlowBatch(8);
  createMailFilter([0, 25])(batchOf([{ from, to, fromPort: 0, toPort: 0 }]), target);
  expect(target.length).toBe(0);
});

test('a full target ends the scan at the row that did not fit, and the scan goes on there', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(25, 80, 465), { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      (ports, capacity) => {
        const flows: Flow[] = ports.map((toPort, i) => ({ from, to, toPort, sequence: i }));
        const batch = batchOf(flows);
        const select = createMailFilter([25, 465]);
        const sequences: number[] = [];
        const target = createFlowBatch(capacity);
        for (let row = 0; row < batch.length; ) {
          row = select(batch, target, row);
          sequences.push(...target.columns.sequence.subarray(0, target.length));
          target.length = 0;
        }
        expect(sequences).toEqual(ports.flatMap((port, i) => (port === 80 ? [] : [i])));
      },
    ),
  );
});

test('what is selected is appended behind what is there', () => {
  const batch = batchOf([{ from, to, toPort: 25, sequence: 9 }]);
  const target = createFlowBatch(2);
  const select = createMailFilter([25]);
  select(batch, target);
  select(batch, target);
  expect(target.length).toBe(2);
  expect(encodeNative(target).length).toBeGreaterThan(0);
  expect([...target.columns.sequence]).toEqual([9, 9]);
});

test('a batch that is kept to its mail holds what the filter selects, and nothing behind it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(25, 80, 465), { maxLength: 40 }), (ports) => {
      const batch = batchOf(ports.map((toPort, i) => ({ from, to, toPort, sequence: i, vrf: 7 })));
      const selected = createFlowBatch(40);
      createMailFilter([25, 465])(batch, selected);
      createMailKeeper([25, 465])(batch);
      expect(encodeNative(batch).equals(encodeNative(selected))).toBe(true);
      clearFlowBatch(batch);
      for (const name of FLOW_COLUMN_NAMES)
        expect(batch.columns[name].every((value) => value === 0)).toBe(true);
    }),
  );
});

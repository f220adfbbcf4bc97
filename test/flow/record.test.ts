import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFlowBatch, writeWide } from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES, FLOW_VERSION, PRESENT } from '../../src/flow/columns.ts';
import { RECORD_CSV_HEADER, recordCsv, recordOf } from '../../src/flow/record.ts';
import { batchOf, T0 } from '../support/flows.ts';

test('a full record has every field, under the names of the contract', () => {
  const batch = batchOf([
    {
      from: '10.0.0.5',
      to: '2001:db8::25',
      exporter: '192.0.2.1',
      version: FLOW_VERSION.ipfix,
      domain: 7,
      flags: 'SA',
      startAt: 0,
      endAt: 1500,
      direction: 1,
      forwarding: 64,
      vrf: 3,
      sampling: 100,
    },
  ]);
  expect(recordOf(batch, 0)).toEqual({
    received_at: new Date(T0).toISOString(),
    exporter: '192.0.2.1',
    domain: 7,
    version: 'ipfix',
    src_addr: '10.0.0.5',
    dst_addr: '2001:db8::25',
    src_port: 40000,
    dst_port: 25,
    protocol: 6,
    tcp_flags: 18,
    packets: 20,
    bytes: 6000,
    start: '2026-03-01T10:00:00.000Z',
    end: '2026-03-01T10:00:01.500Z',
    in_if: 1,
    out_if: 2,
    sampling_rate: 100,
    forwarding: 64,
    direction: 'egress',
    vrf: 3,
  });
});

test('a field that the record did not have is null', () => {
  const batch = createFlowBatch(1);
  batch.length = 1;
  batch.columns.version[0] = FLOW_VERSION.v9;
  expect(recordOf(batch, 0)).toMatchObject({
    src_addr: null,
    dst_addr: null,
    src_port: null,
    dst_port: null,
    protocol: null,
    tcp_flags: null,
    packets: null,
    bytes: null,
    start: null,
    end: null,
    forwarding: null,
    direction: null,
    vrf: null,
    sampling_rate: 0,
  });
});

test('translated addresses and the mark of the second half of a biflow are there only when they apply', () => {
  const batch = batchOf([{ from: '10.0.0.5', to: '192.0.2.25', reverse: true }]);
  expect(recordOf(batch, 0)).not.toHaveProperty('post_nat_src_addr');
  expect(recordOf(batch, 0).reverse).toBe(true);
  batch.columns.reverse[0] = 0;
  batch.columns.present[0] |=
    PRESENT.POST_NAT_SRC_ADDR |
    PRESENT.POST_NAT_DST_ADDR |
    PRESENT.POST_NAT_SRC_PORT |
    PRESENT.POST_NAT_DST_PORT;
  batch.columns.post_nat_src_addr.set([0xff, 0xff, 198, 51, 100, 4], 10);
  batch.columns.post_nat_src_port[0] = 1234;
  expect(recordOf(batch, 0)).toMatchObject({
    post_nat_src_addr: '198.51.100.4',
    post_nat_dst_addr: '::',
    post_nat_src_port: 1234,
    post_nat_dst_port: 0,
  });
  expect(recordOf(batch, 0)).not.toHaveProperty('reverse');
});

test('a time beyond the calendar is null, not an exception', () => {
  const batch = batchOf([{ from: '10.0.0.5', to: '192.0.2.25', startAt: 0 }]);
  batch.columns.start.fill(0xffffffff);
  writeWide(batch.columns.received_at, 0, 8.64e15 + 1);
  expect(recordOf(batch, 0)).toMatchObject({ start: null, received_at: null });
});

test('any row gives a record that is JSON', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(255)), (bytes) => {
      const batch = createFlowBatch(1);
      batch.length = 1;
      for (const name of FLOW_COLUMN_NAMES) {
        const column = batch.columns[name];
        const raw = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
        for (let i = 0; i < raw.length; i++) raw[i] = bytes.next().value ?? 0;
      }
      const record = recordOf(batch, 0);
      expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    }),
  );
});

test('a time is that of Date, to the millisecond and to the end of what it can hold', () => {
  const batch = createFlowBatch(1);
  batch.length = 1;
  const edges = fc.constantFrom(0, 999, 1000, T0 - 1, T0, 8.64e15 - 1, 8.64e15, 8.64e15 + 1, 2 ** 53);
  fc.assert(
    fc.property(fc.oneof(edges, fc.nat(2 ** 31), fc.maxSafeNat()), (ms) => {
      writeWide(batch.columns.received_at, 0, ms);
      expect(recordOf(batch, 0).received_at).toBe(ms <= 8.64e15 ? new Date(ms).toISOString() : null);
    }),
  );
});

test('a line of CSV has the fields of the JSON object, in its order, and nothing that would need quotes', () => {
  const names = RECORD_CSV_HEADER.split(',');
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(0xffff_ffff)), fc.nat(2 ** 18 - 1), (values, present) => {
      const batch = createFlowBatch(1);
      batch.length = 1;
      for (const name of FLOW_COLUMN_NAMES) {
        const column = batch.columns[name];
        for (let i = 0; i < column.length; i++) column[i] = Number(values.next().value);
      }
      batch.columns.present[0] = present;
      const cells = recordCsv(batch, 0).split(',');
      expect(cells.length).toBe(names.length);
      const record: Record<string, unknown> = { ...recordOf(batch, 0) };
      expect(Object.keys(record)).toEqual(names.filter((name) => name in record));
      for (const [i, name] of names.entries()) {
        const value = record[name] ?? '';
        expect(typeof value === 'number' ? Number(cells[i]) : cells[i], name).toBe(
          typeof value === 'number' ? value : String(value),
        );
        expect(cells[i]).toMatch(/^[\w.:+-]*$/);
      }
    }),
    { numRuns: 50 },
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendRow,
  clearFlowBatch,
  createFlowBatch,
  type FlowBatch,
  KIND_ELEMENTS,
  readWide,
  writeWide,
} from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS, FLOW_ROW_BYTES } from '../../src/flow/columns.ts';
import { decodeNative, encodeNative } from '../../src/flow/native.ts';
import { randomBelow } from '../support/random.ts';

function randomBatch(rows: number, seed: number): FlowBatch {
  const batch = createFlowBatch(rows);
  const random = randomBelow(seed);
  for (const name of FLOW_COLUMN_NAMES) {
    const column = batch.columns[name];
    for (let i = 0; i < column.length; i++) column[i] = random(2 ** 29);
  }
  batch.length = rows;
  return batch;
}

function expectSameRows(a: FlowBatch, b: FlowBatch): void {
  expect(a.length).toBe(b.length);
  for (const name of FLOW_COLUMN_NAMES) {
    const used = a.length * KIND_ELEMENTS[FLOW_COLUMNS[name]];
    expect(a.columns[name].subarray(0, used), name).toEqual(b.columns[name].subarray(0, used));
  }
}

function decodeOrFail(bytes: Uint8Array, offset = 0) {
  const decoded = decodeNative(bytes, offset);
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded;
}

describe('a Native block', () => {
  it('gives back what was written, and only the rows in use', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer(), fc.nat(), (rows, seed, unused) => {
        const batch = randomBatch(rows, seed);
        batch.length = Math.max(1, rows - (unused % rows));
        expectSameRows(decodeOrFail(encodeNative(batch)).batch, batch);
      }),
    );
  });

  it('may be followed by another', () => {
    const first = randomBatch(3, 1);
    const second = randomBatch(200, 2);
    const bytes = Buffer.concat([encodeNative(first), encodeNative(second)]);
    const one = decodeOrFail(bytes);
    const two = decodeOrFail(bytes, one.next);
    expectSameRows(one.batch, first);
    expectSameRows(two.batch, second);
    expect(two.next).toBe(bytes.length);
  });

  it('of no rows is no bytes', () => {
    expect(encodeNative(createFlowBatch(5))).toHaveLength(0);
  });

  it('that is cut anywhere is told as damage', () => {
    const bytes = encodeNative(randomBatch(2, 7));
    for (let length = 0; length < bytes.length; length++)
      expect(decodeNative(bytes.subarray(0, length)).ok).toBe(false);
  });

  it('of hostile bytes never throws and never allocates beyond what is there', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(typeof decodeNative(bytes).ok).toBe('boolean');
      }),
    );
    const claims = Buffer.from([1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0x61, 5, ...Buffer.from('UInt8')]);
    expect(decodeNative(claims)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('rows'),
    });
  });

  it('with mutated bytes never throws', () => {
    const good = encodeNative(randomBatch(4, 9));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bad = Buffer.from(good);
        bad[at] = value;
        expect(typeof decodeNative(bad).ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });

  it('with columns of a newer version is read without them, and without columns of an older one as zero', () => {
    const column = (name: string, type: string, values: number[]) => [
      name.length,
      ...Buffer.from(name),
      type.length,
      ...Buffer.from(type),
      ...values,
    ];
    const block = Buffer.from([
      3,
      2,
      ...column('colour', 'UInt16', [1, 2, 3, 4]),
      ...column('dst_port', 'UInt16', [25, 0, 0x4b, 2]),
      ...column('protocol', 'UInt8', [6, 17]),
    ]);
    const { batch } = decodeOrFail(block);
    expect([...batch.columns.dst_port]).toEqual([25, 587]);
    expect([...batch.columns.protocol]).toEqual([6, 17]);
    expect([...batch.columns.src_port]).toEqual([0, 0]);
  });

  it('takes the row size that the column table says', () => {
    expect(encodeNative(randomBatch(101, 3)).length - encodeNative(randomBatch(100, 3)).length).toBe(
      FLOW_ROW_BYTES,
    );
  });
});

describe('a flow batch', () => {
  it('is zero again after clearing', () => {
    const batch = randomBatch(10, 5);
    clearFlowBatch(batch);
    expect(batch.length).toBe(0);
    for (const name of FLOW_COLUMN_NAMES)
      expect(batch.columns[name].every((value) => value === 0)).toBe(true);
  });

  it('copies single rows whole', () => {
    const source = randomBatch(5, 11);
    const target = createFlowBatch(2);
    appendRow(target, source, 3);
    appendRow(target, source, 1);
    const expected = createFlowBatch(2);
    for (const [to, from] of [
      [0, 3],
      [1, 1],
    ]) {
      for (const name of FLOW_COLUMN_NAMES) {
        const width = KIND_ELEMENTS[FLOW_COLUMNS[name]];
        for (let i = 0; i < width; i++)
          expected.columns[name][to * width + i] = source.columns[name][from * width + i];
      }
    }
    expected.length = 2;
    expectSameRows(target, expected);
  });

  it('holds wide numbers exactly up to 2^53', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const column = new Uint32Array(4);
        writeWide(column, 1, value);
        expect(readWide(column, 1)).toBe(value);
        expect(readWide(column, 0)).toBe(0);
      }),
    );
  });
});

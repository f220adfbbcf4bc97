import { describe, expect, it } from 'vitest';
import { readWide } from '../../../src/flow/batch.ts';
import { decodeNative, encodeNative } from '../../../src/flow/native.ts';
import { divideBlocks, fromRecord, toRecord } from '../../../src/stream/kafka/messages.ts';
import { requestsOf, unanswered } from '../../../src/stream/kafka/producer.ts';
import { ProducerMarks } from '../../../src/stream/kafka/producer-marks.ts';
import type { StreamMessage } from '../../../src/stream/stream.ts';
import { batchOf, T0 } from '../../support/flows.ts';
import { message } from '../support.ts';

const flow = { from: '10.0.0.5', to: '198.51.100.25' };

/** Headers and keys as a broker gives them back. */
function received(record: ReturnType<typeof toRecord>) {
  const headers = Object.fromEntries(
    Object.entries(record.headers ?? {}).map(([name, value]) => [name, Buffer.from(String(value))]),
  );
  const key = record.key == null ? null : Buffer.from(record.key);
  return fromRecord({ key, value: Buffer.from(record.value ?? ''), offset: '42', headers });
}

const nowhere = () => 0;

describe('messages of Kafka', () => {
  it('come back as they went, with their place', () => {
    const origin = { producer: '0123456789ab', sequence: 7 };
    const sent = { ...message('{}', { key: '10.0.0.5', id: 'x' }), origin };
    expect(received(toRecord('alerts', sent, nowhere))).toEqual({ ...sent, offset: 42 });
    expect(received(toRecord('alerts', message('{}'), nowhere))).toEqual({ ...message('{}'), offset: 42 });
  });

  it('tell in headers what a stranger needs: version, rows, and when the flows were received', () => {
    const value = encodeNative(
      batchOf([
        { ...flow, at: 5 },
        { ...flow, at: 50 },
        { ...flow, at: 500 },
      ]),
    );
    const { headers } = toRecord('flows', { key: '', id: '', value, rows: 3, partition: 1 }, nowhere);
    expect(headers).toEqual({
      schema_version: '1',
      rows: '3',
      received_from: String(T0 + 5),
      received_until: String(T0 + 500),
      exporters: '192.0.2.1',
    });
    const many = batchOf(
      Array.from({ length: 20 }, (_, i) => ({ ...flow, at: i, exporter: `192.0.2.${i >> 1}` })),
    );
    const record = toRecord('flows', { ...message(''), value: encodeNative(many), rows: 20 }, nowhere);
    const named = Array.from({ length: 8 }, (_, i) => `192.0.2.${i}`);
    expect(record.headers).toMatchObject({ exporters: `${named.join(',')},...` });
  });

  it('say what they have in common with later versions: an own number of rows before, and another version', () => {
    const origin = { producer: '0123456789ab-c0ffee', sequence: 7, rowsBefore: 0 };
    const sent = { ...message('{}'), origin };
    expect(received(toRecord('alerts', sent, nowhere))).toEqual({ ...sent, offset: 42 });
    const later = { key: null, value: Buffer.from('x'), offset: '1', headers: { schema_version: '2' } };
    expect(fromRecord(later)).toMatchObject({ foreignVersion: '2' });
  });

  it.each([
    ['', undefined],
    ['1', undefined],
    ['1.7', undefined],
    ['2.0', '2.0'],
    ['10', '10'],
    ['1x', '1x'],
  ])(
    'of version "%s" are set aside when a reader of this one would misunderstand them',
    (version, foreign) => {
      const record = {
        key: null,
        value: Buffer.from('x'),
        offset: '1',
        headers: { schema_version: version },
      };
      expect(fromRecord(record)?.foreignVersion).toBe(foreign);
    },
  );

  it('of blocks are divided by rows until nothing is left to divide, with all rows in their order', () => {
    const batch = batchOf([1, 2, 3, 4, 5].map((at) => ({ ...flow, at })));
    const two = Buffer.concat([encodeNative(batch), encodeNative(batch)]);
    const whole = { ...message('', { rows: 10 }), value: two, partition: 1 };
    const origin = { producer: 'p', sequence: 7, rowsBefore: 100 };
    const divide = (one: StreamMessage): StreamMessage[] => divideBlocks(one)?.flatMap(divide) ?? [one];
    const parts = divide({ ...whole, origin });
    const times = parts.flatMap(({ value }) => {
      const block = decodeNative(value);
      return block.ok ? [readWide(block.batch.columns.received_at, 0) - T0] : [];
    });
    expect(times).toEqual([1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    expect(parts.map((part) => part.origin)).toEqual(
      times.map((_, i) => ({ ...origin, rowsBefore: 100 + i })),
    );
    let marks = new ProducerMarks(true).with([
      { rows: 100, origin: { ...origin, sequence: 6, rowsBefore: 0 } },
    ]);
    for (const part of parts) {
      expect([marks.isRepeated(part.origin), marks.missingBefore(part.origin)]).toEqual([false, 0]);
      marks = marks.with([part]);
    }
    for (const part of parts) expect(marks.isRepeated(part.origin)).toBe(true);
    // Without a number of rows each part goes under a name of its own.
    const names = divide({ ...whole, origin: { producer: 'p', sequence: 7 } }).map((p) => p.origin?.producer);
    expect(new Set(names).size).toBe(10);
    expect(divideBlocks(message('no block', { rows: 2 }))).toBeNull();
  });

  it('without headers are taken as one row; tombstones are nothing', () => {
    const bare = { key: null, value: Buffer.from('x'), offset: '1', headers: {} };
    expect(fromRecord(bare)).toMatchObject({ key: '', id: '', rows: 1 });
    expect(fromRecord({ ...bare, headers: { rows: 'many', producer: 'p' } })).toMatchObject({ rows: 1 });
    expect(fromRecord({ ...bare, value: null })).toBeNull();
  });
});

describe('requests to a broker', () => {
  const record = (bytes: number, partition: number) => ({ value: Buffer.alloc(bytes), partition });
  const sizes = (records: ReturnType<typeof record>[]) =>
    [...requestsOf(records)].map((request) => request.map(({ value }) => value?.length));

  it('hold at most a record batch for each partition, in order, however large the publication', () => {
    const half = 600_000;
    expect(sizes([record(half, 0), record(half, 1), record(half, 2)])).toEqual([[half, half, half]]);
    expect(sizes([record(half, 0), record(half, 0), record(half, 0)])).toEqual([[half], [half], [half]]);
    expect(sizes([])).toEqual([]);
  });

  it('hold a record that is too large for the others by itself', () => {
    expect(sizes([record(10, 0), record(5_000_000, 0), record(10, 0)])).toEqual([[10], [5_000_000], [10]]);
  });

  it('are not taken for answered where a partition is missing among the answers', () => {
    const records = [record(1, 0), record(2, 1), record(3, 0)];
    expect(unanswered(records, [{ partition: 1 }])).toEqual([records[0], records[2]]);
    expect(unanswered(records, [{ partition: 1 }, { partition: 0 }])).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { encodeNative } from '../../../src/flow/native.ts';
import { fromRecord, toRecord } from '../../../src/stream/kafka/messages.ts';
import { requestsOf, unanswered } from '../../../src/stream/kafka/producer.ts';
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

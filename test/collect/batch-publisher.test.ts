import { expect, test } from 'vitest';
import { createBatchPublisher } from '../../src/collect/batch-publisher.ts';
import { batchBytes } from '../../src/flow/batch.ts';
import { createFakeStream } from '../support/fake-stream.ts';
import { batchOf } from '../support/flows.ts';

const batch = batchOf(
  Array.from({ length: 10 }, (_, i) => ({ from: '10.0.0.1', to: '192.0.2.1', sequence: i })),
);

function publisher(maxInFlightBytes = 1e6) {
  const stream = createFakeStream();
  const failures: string[] = [];
  const created = createBatchPublisher({
    stream,
    name: 'flows',
    maxInFlightBytes,
    maxRows: 10,
    onFailure: (message) => failures.push(message),
  });
  return { stream, failures, ...created };
}

test('rows are published once, as one block a batch, without key and id', async () => {
  const { stream, send, settled, counters } = publisher();
  send(batch);
  send(batch);
  expect(counters.inFlight).toBe(20);
  await settled();
  expect(counters).toMatchObject({ published: 20, inFlight: 0 });
  expect(stream.rows('flows')).toBe(20);
  expect(stream.messages.map(({ message }) => [message.key, message.id, message.rows])).toEqual([
    ['', '', 10],
    ['', '', 10],
  ]);
});

test('a stream that does not answer is not waited for: what is over the bound is dropped and counted', async () => {
  const { stream, send, settled, counters } = publisher(3.5 * batchBytes(batch));
  stream.answer = 'hold';
  for (let i = 0; i < 8; i++) send(batch);
  expect(counters.inFlight).toBe(20);
  expect(counters.dropped.stream_backlog).toBe(60);
  stream.release();
  await settled();
  expect(counters).toMatchObject({ published: 20, inFlight: 0 });
  send(batch);
  await settled();
  expect(counters.published).toBe(30);
});

test('a batch larger than the bound goes when nothing else is in flight', async () => {
  const { send, settled, counters } = publisher(1);
  send(batch);
  send(batch);
  await settled();
  expect(counters).toMatchObject({ published: 10, dropped: { stream_backlog: 10 } });
});

test('rows that the stream refuses or fails on are counted apart', async () => {
  const { stream, failures, send, settled, counters } = publisher();
  stream.answer = 'refuse';
  send(batch);
  await settled();
  stream.answer = 'fail';
  send(batch);
  await settled();
  expect(counters.dropped).toEqual({ stream_backlog: 0, stream_refused: 10, stream_failed: 10 });
  expect(failures).toEqual(['the disk is gone']);
});

test('an empty batch is not sent', async () => {
  const { stream, send, settled } = publisher();
  send(batchOf([]));
  await settled();
  expect(stream.messages).toEqual([]);
});

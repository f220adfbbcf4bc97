import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import { createSpooledStream } from '../../src/stream/spooled-stream.ts';
import type { StreamMessage, StreamName } from '../../src/stream/stream.ts';
import { createFakeStream } from '../support/fake-stream.ts';
import { eventually, keptLog, message, temporaryDirectory } from './support.ts';

/** Brokers that keep what they take, and fail as long as they are away. */
function brokers() {
  const counts = () => ({ flows: 0, mail: 0, alerts: 0, incidents: 0, decisions: 0 });
  const fake = createFakeStream();
  const remote = {
    ...fake,
    counters: { ...fake.counters, repeated: counts(), damaged: counts() },
    partitions: () => 4,
    away: false,
    published: [] as { stream: StreamName; message: StreamMessage }[],
    async publish(stream: StreamName, messages: readonly StreamMessage[]) {
      if (remote.away) throw new Error('no broker answers');
      // A copy: the memory is the publisher's again afterwards.
      for (const one of messages)
        remote.published.push({ stream, message: { ...one, value: Buffer.from(one.value) } });
      return { accepted: messages.length, dropped: 0 };
    },
  };
  return remote;
}

async function startSpooled(remote: ReturnType<typeof brokers>, directory: string, maxBytes = 1 << 30) {
  const log = keptLog();
  const stream = createSpooledStream({
    spool: createLocalStream({ directory, maxBytesPerStream: maxBytes, now: () => 0, log }),
    remote,
    directory,
    drainMs: 200,
    log,
  });
  await stream.start();
  onTestFinished(() => stream.stop());
  return stream;
}

const texts = (remote: ReturnType<typeof brokers>, stream: StreamName) =>
  remote.published
    .filter((one) => one.stream === stream)
    .map((one) => Buffer.from(one.message.value).toString());

describe('a spool before the brokers', () => {
  it('forwards flows and mail in order with what belongs to them, and everything else at once', async () => {
    const remote = brokers();
    const stream = await startSpooled(remote, await temporaryDirectory());
    await stream.publish('mail', [
      { ...message('a', { rows: 3 }), partition: 2 },
      { ...message('b'), partition: 0 },
    ]);
    await stream.publish('alerts', [message('alert', { key: 'host', id: 'x' })]);
    expect(texts(remote, 'alerts')).toEqual(['alert']);
    await eventually(() => stream.waiting() === 0);
    expect(texts(remote, 'mail')).toEqual(['a', 'b']);
    expect(remote.published.find((one) => one.stream === 'mail')?.message).toMatchObject({
      rows: 3,
      partition: 2,
    });
  });

  it('numbers messages within a name that stays, and places those without a partition by their number', async () => {
    const remote = brokers();
    const directory = await temporaryDirectory();
    for (const text of ['a', 'b']) {
      const stream = await startSpooled(remote, directory);
      await stream.publish('flows', [message(`${text}1`), message(`${text}2`)]);
      await eventually(() => stream.waiting() === 0);
      await stream.stop();
    }
    const producer = await readFile(join(directory, 'producer'), 'utf8');
    expect(producer).toMatch(/^[0-9a-f]{12}$/);
    expect(remote.published.map((one) => one.message.origin)).toEqual(
      [0, 1, 2, 3].map((sequence) => ({ producer, sequence })),
    );
    expect(remote.published.map((one) => one.message.partition)).toEqual([0, 1, 2, 3]);
  });

  it('takes messages while the brokers are away, and forwards them when they are back, also after a restart', async () => {
    const remote = brokers();
    const directory = await temporaryDirectory();
    remote.away = true;
    const first = await startSpooled(remote, directory);
    for (const text of ['a', 'b', 'c']) {
      expect(await first.publish('mail', [{ ...message(text), partition: 1 }])).toEqual({
        accepted: 1,
        dropped: 0,
      });
    }
    expect(first.waiting()).toBe(3);
    expect(first.counters.spoolBytes).toBeGreaterThan(0);
    await first.stop();
    remote.away = false;
    const second = await startSpooled(remote, directory);
    await eventually(() => second.waiting() === 0);
    expect(texts(remote, 'mail')).toEqual(['a', 'b', 'c']);
    expect(remote.published.map((one) => one.message.partition)).toEqual([1, 1, 1]);
    await eventually(() => second.counters.spoolBytes === 0);
  });

  it('cuts and counts what is over its bound, and keeps the oldest', async () => {
    const remote = brokers();
    remote.away = true;
    const stream = await startSpooled(remote, await temporaryDirectory(), 20_000);
    let dropped = 0;
    for (let i = 0; i < 50; i++) {
      dropped += (await stream.publish('flows', [message(`${i}`.padEnd(1000, '.'), { rows: 10 })])).dropped;
    }
    expect(dropped).toBeGreaterThan(0);
    expect(stream.counters.dropped.flows).toBe(dropped);
    expect(stream.counters.published.flows + dropped).toBe(500);
    remote.away = false;
    await eventually(() => stream.waiting() === 0);
    const kept = texts(remote, 'flows').map(Number.parseFloat);
    expect(kept).toEqual([...Array(50 - dropped / 10).keys()]);
  });

  it('rejects alerts while the brokers are away: whoever has them tries again', async () => {
    const remote = brokers();
    remote.away = true;
    const stream = await startSpooled(remote, await temporaryDirectory());
    await expect(stream.publish('alerts', [message('x')])).rejects.toThrow('no broker answers');
  });
});

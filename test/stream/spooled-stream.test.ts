import { cp, readFile } from 'node:fs/promises';
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

  it('numbers messages within a name that is new at each start, and places those without a partition by their number', async () => {
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
    const origins = remote.published.map((one) => one.message.origin);
    expect(origins).toEqual(
      [0, 1, 2, 3].map((sequence) => ({
        producer: expect.stringMatching(new RegExp(`^${producer}-[0-9a-f]{6}$`)),
        sequence,
        rowsBefore: 0,
      })),
    );
    expect(new Set(origins.map((origin) => origin?.producer)).size).toBe(2);
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

  it('sends what lay in the spool under the name of an earlier attempt, from a copy of the directory, too', async () => {
    const remote = brokers();
    const directory = await temporaryDirectory();
    const copy = join(directory, 'copy');
    remote.away = true;
    const first = await startSpooled(remote, join(directory, 'spool'));
    await first.publish('mail', [{ ...message('a'), partition: 1 }]);
    await first.stop();
    await cp(join(directory, 'spool'), copy, { recursive: true });
    remote.away = false;
    for (const [place, text] of [
      [join(directory, 'spool'), 'b'],
      [copy, 'c'],
    ] as const) {
      const stream = await startSpooled(remote, place);
      await stream.publish('mail', [{ ...message(text, { rows: 5 }), partition: 1 }]);
      await stream.publish('mail', [{ ...message(`${text}2`), partition: 1 }]);
      await eventually(() => stream.waiting() === 0);
      await stream.stop();
    }
    expect(texts(remote, 'mail')).toEqual(['a', 'b', 'b2', 'a', 'c', 'c2']);
    const [a, b, b2, again, c] = remote.published.map((one) => one.message.origin);
    // The same message under the same name and number; others never.
    expect(again).toEqual(a);
    expect([b?.sequence, c?.sequence]).toEqual([1, 1]);
    expect(b?.producer).not.toBe(c?.producer);
    expect([b?.rowsBefore, b2?.rowsBefore]).toEqual([0, 5]);
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

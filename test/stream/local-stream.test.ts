import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import {
  collector,
  eventually,
  keptLog,
  message,
  published,
  startStream,
  temporaryDirectory,
  textOf,
} from './support.ts';

const tick = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('publishing and consuming by message', () => {
  it('delivers what was published before and after the subscription, in order', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await published(stream, 'mail', ['a', 'b']);
    const { onDelivery, until, texts, messages } = collector();
    await stream.subscribe({ streams: ['mail'], group: 'detect', unit: 'message', onDelivery });
    await stream.publish('mail', [message('c', { key: '10.0.0.1', id: 'x', rows: 7 }), message('d')]);
    await until(() => messages.length === 4);
    expect(texts()).toEqual(['a', 'b', 'c', 'd']);
    expect(messages.map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
    expect(messages[2]).toMatchObject({ key: '10.0.0.1', id: 'x', rows: 7 });
    expect(stream.counters.published.mail).toBe(10);
  });

  it('coalesces messages that wait while a delivery is under way, and never delivers two at a time', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const seen = collector();
    let underWay = 0;
    let most = 0;
    await stream.subscribe({
      streams: ['mail'],
      group: 'detect',
      unit: 'message',
      async onDelivery(delivery) {
        most = Math.max(most, ++underWay);
        await tick();
        underWay--;
        await seen.onDelivery(delivery);
      },
    });
    for (let i = 0; i < 50; i++) await stream.publish('mail', [message(String(i))]);
    await seen.until(() => seen.messages.length === 50);
    expect(most).toBe(1);
    expect(seen.deliveries.length).toBeLessThan(20);
    for (const { firstOffset, lastOffset, rows, messages } of seen.deliveries) {
      expect(firstOffset).toBe(messages[0].offset);
      expect(lastOffset).toBe(messages.at(-1)?.offset);
      expect(rows).toBe(messages.length);
    }
  });

  it('does not see a change that the publisher makes to its buffer afterwards', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const { onDelivery, until, texts, messages } = collector();
    await stream.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    const value = Buffer.from('good');
    await stream.publish('mail', [{ key: '', id: '', rows: 1, value }]);
    value.fill('X');
    await until(() => messages.length === 1);
    expect(texts()).toEqual(['good']);
  });

  it('delivers the same again after a rejection, and nothing behind it meanwhile', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const attempts: string[][] = [];
    await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      async onDelivery({ messages }) {
        attempts.push(messages.map(textOf));
        if (attempts.length < 3) throw new Error('store away');
      },
    });
    await stream.publish('mail', [message('a')]);
    await eventually(() => attempts.length === 1);
    await stream.publish('mail', [message('b')]);
    await eventually(() => attempts.length === 4);
    expect(attempts).toEqual([['a'], ['a'], ['a'], ['b']]);
  });

  it('begins behind the committed offset after a restart, and never moves a position back', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    await published(first, 'mail', ['a', 'b', 'c', 'd']);
    const subscription = await first.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    expect(subscription.lag()).toBe(4);
    await subscription.commit('mail', 0, 2);
    await subscription.commit('mail', 0, 0);
    expect(subscription.lag()).toBe(1);
    await first.stop();

    const second = await startStream({ directory });
    const { onDelivery, until, texts, messages } = collector();
    await second.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    await until(() => messages.length > 0);
    expect(texts()).toEqual(['d']);
  });

  it('assigns the only partition before the first delivery, and delivers only once the subscription is there', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await published(stream, 'mail', ['a']);
    const order: string[] = [];
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onAssigned: async (partitions) => {
        await tick();
        order.push(`assigned ${partitions}`);
      },
      onDelivery: async () => {
        order.push('delivered');
      },
    });
    order.push('subscribed');
    await eventually(() => order.length === 3);
    await subscription.stop();
    expect(order).toEqual(['assigned 0', 'subscribed', 'delivered']);
  });

  it('waits for the delivery under way when it stops, and aborts its signal', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await published(stream, 'mail', ['a']);
    let begun = false;
    let done = false;
    let aborted = false;
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      async onDelivery(_, signal) {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        begun = true;
        await tick();
        done = true;
      },
    });
    await eventually(() => begun);
    await subscription.stop();
    expect({ done, aborted }).toEqual({ done: true, aborted: true });
  });

  it('stops at once while it pauses after a failure', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await published(stream, 'mail', ['a']);
    let attempts = 0;
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => {
        attempts++;
        throw new Error('no');
      },
    });
    await eventually(() => attempts === 1);
    await subscription.stop();
    expect(attempts).toBeLessThanOrEqual(2);
  });

  it('reads a backlog from disk in pieces instead of holding it', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const value = Buffer.alloc(1 << 20, 7);
    for (let i = 0; i < 40; i++) await stream.publish('mail', [{ key: '', id: '', rows: 1, value }]);
    const sizes: number[] = [];
    const seen = collector();
    await stream.subscribe({
      streams: ['mail'],
      group: 'late',
      unit: 'message',
      async onDelivery(delivery) {
        sizes.push(delivery.messages.reduce((sum, { value: { length } }) => sum + length, 0));
        await seen.onDelivery(delivery);
      },
    });
    await seen.until(() => seen.messages.length === 40);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8 << 20);
    expect(seen.messages.every((received) => value.equals(received.value))).toBe(true);
    expect(seen.messages.map(({ offset }) => offset)).toEqual([...Array(40).keys()]);
  });

  it('misses nothing when a consumer falls further behind than the memory reaches, and catches up', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const seen = collector();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await stream.subscribe({
      streams: ['mail'],
      group: 'slow',
      unit: 'message',
      async onDelivery(delivery) {
        await seen.onDelivery(delivery);
        await held;
      },
    });
    await published(stream, 'mail', ['first']);
    await seen.until(() => seen.messages.length === 1);
    const publish = (i: number) => stream.publish('mail', [message(`${i}`.padEnd(1 << 20, '.'))]);
    for (let i = 0; i < 30; i++) await publish(i);
    release();
    await seen.until(() => seen.messages.length > 10);
    for (let i = 30; i < 35; i++) await publish(i);
    await seen.until(() => seen.messages.length === 36);
    expect(seen.messages.map(({ offset }) => offset)).toEqual([...Array(36).keys()]);
    expect(seen.texts().slice(1).map(Number.parseFloat)).toEqual([...Array(35).keys()]);
  });

  it('refuses a second consumer of the same group and stream, but not after the first has stopped', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const request = {
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => undefined,
    } as const;
    const subscription = await stream.subscribe(request);
    await expect(stream.subscribe(request)).rejects.toMatchObject({ code: 'stream' });
    await subscription.stop();
    await stream.subscribe(request);
  });

  it('refuses a group whose name would leave its directory', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await expect(
      stream.subscribe({
        streams: ['mail'],
        group: '../x',
        unit: 'message',
        onDelivery: async () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('consuming by segment', () => {
  const quick = { flows: { sealAgeMs: 20 }, alerts: { sealAgeMs: 20 } };

  it('hands over a file with exactly the values back to back, and the rows in it', async () => {
    const stream = await startStream({ directory: await temporaryDirectory(), streams: quick });
    const files: string[] = [];
    const seen = collector();
    await stream.subscribe({
      streams: ['flows'],
      group: 'store',
      unit: 'segment',
      async onDelivery(delivery) {
        if (delivery.file !== undefined) files.push(await readFile(delivery.file, 'utf8'));
        await seen.onDelivery(delivery);
      },
    });
    await stream.publish('flows', [message('one', { rows: 10 }), message('two', { rows: 20 })]);
    await seen.until(() => seen.deliveries.length === 1);
    expect(files).toEqual(['onetwo']);
    expect(seen.deliveries[0]).toMatchObject({ firstOffset: 0, lastOffset: 1, rows: 30, messages: [] });
  });

  it('keeps JSON streams as one message a line', async () => {
    const stream = await startStream({ directory: await temporaryDirectory(), streams: quick });
    let text = '';
    await stream.subscribe({
      streams: ['alerts'],
      group: 'store',
      unit: 'segment',
      onDelivery: async ({ file }) => {
        text = await readFile(file ?? '', 'utf8');
      },
    });
    await stream.publish('alerts', [message('{"a":1}'), message('{"b":2}')]);
    await eventually(() => text !== '');
    expect(text).toBe('{"a":1}\n{"b":2}\n');
  });

  it('seals by rows, and gives a consumer that is behind full segments', async () => {
    const stream = await startStream({
      directory: await temporaryDirectory(),
      streams: { flows: { sealRows: 100, sealAgeMs: 20 } },
    });
    for (let i = 0; i < 30; i++) await stream.publish('flows', [message(`${i}`, { rows: 30 })]);
    const seen = collector();
    await stream.subscribe({
      streams: ['flows'],
      group: 'store',
      unit: 'segment',
      onDelivery: seen.onDelivery,
    });
    await seen.until(() => seen.deliveries.at(-1)?.lastOffset === 29);
    expect(seen.deliveries.slice(0, -1).map(({ rows }) => rows)).toEqual(Array(7).fill(120));
    expect(seen.deliveries.reduce((sum, { rows }) => sum + rows, 0)).toBe(900);
  });

  it('removes a segment when every group has committed it, not before', async () => {
    const directory = await temporaryDirectory();
    const stream = await startStream({ directory, streams: { mail: { sealAgeMs: 20 } } });
    const dataFiles = async () =>
      (await readdir(join(directory, 'mail'))).filter((name) => name.endsWith('.native'));
    const slow = await stream.subscribe({
      streams: ['mail'],
      group: 'detect',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    const quickOne = await stream.subscribe({
      streams: ['mail'],
      group: 'store',
      unit: 'segment',
      onDelivery: async ({ lastOffset }) => quickOne.commit('mail', 0, lastOffset),
    });
    await published(stream, 'mail', ['a', 'b']);
    await eventually(() => quickOne.lag() === 0);
    expect(await dataFiles()).toHaveLength(1);
    expect(stream.counters.spoolBytes).toBeGreaterThan(0);
    await slow.commit('mail', 0, 1);
    // Its index goes a moment after its data.
    await eventually(async () => (await readdir(join(directory, 'mail'))).length === 0);
    expect(stream.counters.spoolBytes).toBe(0);
  });

  it('gives the rest of a segment as messages to a group that stands in the middle of it', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    await published(first, 'mail', ['a', 'b', 'c']);
    const byMessage = await first.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    await byMessage.commit('mail', 0, 0);
    await first.stop();
    const second = await startStream({ directory });
    const seen = collector();
    await second.subscribe({ streams: ['mail'], group: 'g', unit: 'segment', onDelivery: seen.onDelivery });
    await seen.until(() => seen.messages.length === 2);
    expect(seen.texts()).toEqual(['b', 'c']);
    expect(seen.deliveries[0].file).toBeUndefined();
  });

  it('repeats the same segment when its consumer failed, also over a restart', async () => {
    const directory = await temporaryDirectory();
    const seen: string[] = [];
    for (let run = 0; run < 2; run++) {
      const stream = await startStream({ directory, streams: { flows: { sealAgeMs: 10 } } });
      if (run === 0) await published(stream, 'flows', ['a', 'b']);
      let tries = 0;
      await stream.subscribe({
        streams: ['flows'],
        group: 'store',
        unit: 'segment',
        onDelivery: async ({ firstOffset, lastOffset }) => {
          tries++;
          seen.push(`${firstOffset}-${lastOffset}`);
          throw new Error('engine away');
        },
      });
      await eventually(() => tries === 2);
      await stream.stop();
    }
    expect(new Set(seen)).toEqual(new Set(['0-1']));
  });
});

describe('the bound', () => {
  it('refuses the newest, counts rows, tells once, and takes messages again when there is room', async () => {
    const log = keptLog();
    const stream = await startStream({
      directory: await temporaryDirectory(),
      maxBytesPerStream: 100_000,
      log,
    });
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'slow',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    let accepted = 0;
    let dropped = 0;
    for (let i = 0; i < 150; i++) {
      const outcome = await stream.publish('mail', [message('x'.repeat(1000), { rows: 3 })]);
      accepted += outcome.accepted;
      dropped += outcome.dropped;
    }
    expect(dropped).toBeGreaterThan(0);
    expect(accepted + dropped).toBe(450);
    expect(stream.counters.published.mail).toBe(accepted);
    expect(stream.counters.dropped.mail).toBe(dropped);
    expect(stream.counters.spoolBytes).toBeLessThanOrEqual(100_000);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(log.lines.find(({ level }) => level === 'error')?.fields).toMatchObject({
      groupsBehind: ['slow'],
    });

    await subscription.commit('mail', 0, accepted / 3 - 1);
    await eventually(async () => (await stream.publish('mail', [message('y')])).dropped === 0);
  });

  it('keeps the streams apart: a full one does not stop another', async () => {
    const stream = await startStream({ directory: await temporaryDirectory(), maxBytesPerStream: 10_000 });
    for (let i = 0; i < 20; i++) await stream.publish('flows', [message('x'.repeat(1000))]);
    expect(stream.counters.dropped.flows).toBeGreaterThan(0);
    expect(await stream.publish('alerts', [message('{}')])).toEqual({ accepted: 1, dropped: 0 });
  });

  it('refuses what the disk cannot take in time instead of filling the memory', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    const value = Buffer.alloc(8 << 20);
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => stream.publish('flows', [{ key: '', id: '', rows: 1, value }])),
    );
    expect(outcomes.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(8);
    expect(stream.counters.dropped.flows).toBe(4);
  });
});

describe('repeated publications', () => {
  it('are accepted without being stored again, in one call, later, and after a restart', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    const alert = message('{"n":1}', { id: 'alert-1' });
    expect(await first.publish('alerts', [alert, alert])).toEqual({ accepted: 2, dropped: 0 });
    expect(await first.publish('alerts', [alert])).toEqual({ accepted: 1, dropped: 0 });
    await first.stop();
    const second = await startStream({ directory });
    await second.publish('alerts', [alert, message('{"n":2}', { id: 'alert-2' })]);
    const { onDelivery, until, texts, messages } = collector();
    await second.subscribe({ streams: ['alerts'], group: 'g', unit: 'message', onDelivery });
    await until(() => messages.length === 2);
    expect(texts()).toEqual(['{"n":1}', '{"n":2}']);
    expect(second.counters.repeated.alerts).toBe(1);
  });

  it('are recognised even when the message was committed and removed long ago', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory, streams: { alerts: { sealAgeMs: 10 } } });
    const subscription = await first.subscribe({
      streams: ['alerts'],
      group: 'store',
      unit: 'segment',
      onDelivery: async ({ lastOffset }) => subscription.commit('alerts', 0, lastOffset),
    });
    await first.publish('alerts', [message('{}', { id: 'alert-1' })]);
    await eventually(async () => (await readdir(join(directory, 'alerts'))).join() === 'ids');
    await first.stop();
    const second = await startStream({ directory });
    await second.publish('alerts', [message('{}', { id: 'alert-1' })]);
    expect(second.counters.repeated.alerts).toBe(1);
    expect(second.counters.published.alerts).toBe(0);
  });
});

describe('the compacted stream', () => {
  const latest = async (stream: Awaited<ReturnType<typeof startStream>>) => {
    const found: Record<string, string> = {};
    for await (const received of stream.latest('incidents', [0])) {
      expect(found).not.toHaveProperty(received.key);
      found[received.key] = textOf(received);
    }
    return found;
  };

  it('tells the newest message of every key, also after a restart and after everyone has committed', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    const subscription = await first.subscribe({
      streams: ['incidents'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    for (let i = 0; i < 30; i++) await first.publish('incidents', [message(`${i}`, { key: `host${i % 4}` })]);
    await subscription.commit('incidents', 0, 29);
    const expected = { host0: '28', host1: '29', host2: '26', host3: '27' };
    expect(await latest(first)).toEqual(expected);
    await first.stop();
    const second = await startStream({ directory });
    expect(await latest(second)).toEqual(expected);
  });

  it('rewrites what is mostly dead, so that the disk holds little more than what lives', async () => {
    const directory = await temporaryDirectory();
    const settings = { incidents: { sealMessages: 50 } };
    const first = await startStream({ directory, streams: settings });
    const text = (i: number) => `${i}`.padEnd(2000, '.');
    for (let i = 0; i < 5000; i += 10) {
      await first.publish(
        'incidents',
        Array.from({ length: 10 }, (_, j) => message(text(i + j), { key: `host${(i + j) % 7}` })),
      );
    }
    await first.stop();
    const second = await startStream({ directory, streams: settings });
    const names = await readdir(join(directory, 'incidents'));
    expect(names.length).toBeLessThan(80);
    const found = await latest(second);
    expect(Object.values(found)).toHaveLength(7);
    for (let i = 4993; i < 5000; i++) expect(found[`host${i % 7}`]).toBe(text(i));
  });

  it('merges the small segments that a waiting consumer causes', async () => {
    const directory = await temporaryDirectory();
    const stream = await startStream({ directory, streams: { incidents: { sealMessages: 1 } } });
    for (let i = 0; i < 100; i++) await stream.publish('incidents', [message(`${i}`, { key: `${i}` })]);
    await eventually(async () => (await readdir(join(directory, 'incidents'))).length < 40);
    expect(Object.keys(await latest(stream))).toHaveLength(100);
  });

  it('gives a group what it has not committed, but for messages that a newer one has replaced', async () => {
    const directory = await temporaryDirectory();
    const stream = await startStream({ directory, streams: { incidents: { sealMessages: 20 } } });
    const value = (i: number) => `${i}`.padEnd(20_000, '.');
    for (let i = 0; i < 200; i++) await stream.publish('incidents', [message(value(i), { key: `${i % 5}` })]);
    const seen = collector();
    await stream.subscribe({
      streams: ['incidents'],
      group: 'g',
      unit: 'message',
      onDelivery: seen.onDelivery,
    });
    await seen.until(() => seen.messages.at(-1)?.offset === 199);
    const offsets = seen.messages.map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(offsets.slice(-5)).toEqual([195, 196, 197, 198, 199]);
    expect(seen.messages.every((received) => textOf(received) === value(received.offset))).toBe(true);
  });
});

describe('a directory', () => {
  it('is refused while another stream has it, naming the process', async () => {
    const directory = await temporaryDirectory();
    await startStream({ directory });
    const other = createLocalStream({ directory, maxBytesPerStream: 1e9, now: () => 0, log: keptLog() });
    await expect(other.start()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  });

  it('that is a file is an error with a code', async () => {
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, '');
    const stream = createLocalStream({
      directory: file,
      maxBytesPerStream: 1e9,
      now: () => 0,
      log: keptLog(),
    });
    await expect(stream.start()).rejects.toMatchObject({ code: 'io' });
  });

  it('that is new begins at an offset that no earlier one used', async () => {
    const stream = await startStream({ directory: await temporaryDirectory(), now: () => 1_750_000_000_123 });
    await stream.publish('mail', [message('a')]);
    const { onDelivery, until, messages } = collector();
    await stream.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    await until(() => messages.length === 1);
    expect(messages[0].offset).toBe(1_750_000_000_123);
  });

  it('goes on counting where it was although all messages are committed and removed', async () => {
    const directory = await temporaryDirectory();
    for (let run = 0; run < 3; run++) {
      const stream = await startStream({ directory, now: () => 1000 });
      const seen = collector();
      const subscription = await stream.subscribe({
        streams: ['mail'],
        group: 'g',
        unit: 'message',
        onDelivery: seen.onDelivery,
      });
      await stream.publish('mail', [message('a')]);
      await seen.until(() => seen.messages.length === 1);
      expect(seen.messages[0].offset).toBe(1000 + run);
      await subscription.commit('mail', 0, 1000 + run);
      await stream.stop();
    }
  });

  it('takes nothing after the stop', async () => {
    const stream = await startStream({ directory: await temporaryDirectory() });
    await stream.stop();
    await expect(stream.publish('mail', [message('a')])).rejects.toMatchObject({ code: 'stream' });
  });

  it('has everything that was published in the moment of the stop', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    const publishing = Array.from({ length: 200 }, (_, i) => first.publish('mail', [message(`${i}`)]));
    await first.stop();
    expect((await Promise.all(publishing)).every(({ accepted }) => accepted === 1)).toBe(true);
    const second = await startStream({ directory });
    const { onDelivery, until, texts, messages } = collector();
    await second.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    await until(() => messages.length === 200);
    expect(texts()).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
  });
});

it('a subscription that waited thousands of times holds nothing of those waits', async () => {
  const script = fileURLToPath(new URL('./waits-of-a-subscription.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--import',
    'tsx',
    script,
    await temporaryDirectory(),
  ]);
  // Measured: 37 bytes a wait, of the index of segments; 397 with a race that a promise which outlives it keeps.
  expect(Number(stdout)).toBeLessThan(100);
});

it('a group learns where it begins to read: nowhere yet, until it has committed something, also over restarts', async () => {
  const directory = await temporaryDirectory();
  const places: unknown[] = [];
  for (const commit of [null, 1, null]) {
    const stream = createLocalStream({
      directory,
      maxBytesPerStream: 1 << 30,
      now: () => 5_000_000,
      log: keptLog(),
    });
    await stream.start();
    await published(stream, 'mail', ['a', 'b']);
    const { onDelivery, until, messages } = collector();
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'detect',
      unit: 'message',
      onDelivery,
      onAssigned: async (_, placeOf) => void places.push(placeOf('mail', 0), placeOf('mail', 1)),
    });
    await until(() => messages.length >= 2);
    if (commit !== null) await subscription.commit('mail', 0, messages[commit].offset);
    await stream.stop();
  }
  const { end: first } = places[0] as { end: number };
  expect(first).toBeGreaterThan(2);
  expect(places).toEqual([
    { from: null, end: first },
    null,
    { from: null, end: first + 2 },
    null,
    { from: first, end: first + 4 },
    null,
  ]);
});

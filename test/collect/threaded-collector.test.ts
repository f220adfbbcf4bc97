import { createSocket } from 'node:dgram';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Collector } from '../../src/collect/collector.ts';
import { socketOfSource } from '../../src/collect/source-steering.ts';
import { createThreadedCollector } from '../../src/collect/threaded-collector.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';
import { set, TUPLE, template, tuple, v5, v9 } from '../support/datagrams.ts';
import { createFakeStream, type FakeStream } from '../support/fake-stream.ts';

let directory = '';
let stream: FakeStream;
let lines: { level: number; msg: string; reason?: string }[] = [];
const running: Collector[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-threads-'));
  stream = createFakeStream();
  lines = [];
});
afterEach(async () => {
  stream.release();
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
  await rm(directory, { recursive: true, force: true });
});

function make(collector: ConfigInput['collector']): Collector {
  const config = configSchema.parse({
    data: directory,
    collector: { listen: ['127.0.0.1:0'], batch_age: '20ms', ...collector },
  });
  const made = createThreadedCollector(config, {
    // The memory of a value goes back to its thread: what is kept is a copy.
    stream: {
      partitions: stream.partitions,
      publish: (name, messages) =>
        stream.publish(
          name,
          messages.map((message) => ({ ...message, value: Buffer.from(message.value) })),
        ),
    },
    log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    now: Date.now,
    environment: {},
  });
  running.push(made);
  return made;
}

async function sendFrom(
  host: string,
  port: number,
  datagrams: readonly Buffer[],
  to = '127.0.0.1',
): Promise<void> {
  const sender = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => sender.bind({ address: host, port: 0 }, resolve));
  for (const datagram of datagrams)
    await new Promise<void>((resolve, reject) =>
      sender.send(datagram, port, to, (error) => (error ? reject(error) : resolve())),
    );
  sender.close();
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);

function expectWholeAccount({ counters }: Collector): void {
  expect(counters.published.flows + sum(counters.dropped.flows) + counters.pending.flows).toBe(
    counters.flows,
  );
  expect(counters.published.mail + sum(counters.dropped.mail) + counters.pending.mail).toBe(
    counters.mailFlows,
  );
}

const sources = Array.from({ length: 12 }, (_, i) => `127.0.${i % 3}.${i + 1}`);

describe('with several threads', () => {
  test.each([2, 4])('%i: what was received is published, and the rest counted', async (threads) => {
    const collector = make({ threads });
    const [{ port }] = await collector.start();
    const each = 40;
    for (const [i, host] of sources.entries())
      await sendFrom(
        host,
        port,
        Array.from({ length: each }, (_, n) =>
          n % 10 === 9
            ? Buffer.from('not an export')
            : v5([{ dstPort: 25 }, { dstPort: 443 + i }], { sequence: 2 * (n - Math.floor(n / 10)) }),
        ),
      );
    await collector.stop();
    const { counters } = collector;
    const kernel = counters.listeners.reduce((total, { kernelDrops }) => total + kernelDrops, 0);
    expect(kernel).toBe(0);
    expect(counters.datagrams).toBe(sources.length * each);
    expect(counters.flows).toBe(sources.length * 36 * 2);
    expect(counters.recordsDropped.not_an_export).toBe(sources.length * 4);
    expect(stream.rows('flows')).toBe(counters.flows);
    expect(stream.rows('mail')).toBe(counters.mailFlows);
    expectWholeAccount(collector);
    const exporters = [...collector.exporters()];
    expect(exporters.map(({ address }) => formatAddress(address)).sort()).toEqual([...sources].sort());
    for (const { datagrams, sequenceLost, sequenceReordered } of exporters)
      expect({ datagrams, sequenceLost, sequenceReordered }).toEqual({
        datagrams: 36,
        sequenceLost: 0,
        sequenceReordered: 0,
      });
    expect(counters.listeners).toHaveLength(1);
  });

  test('the kernel steers as we calculate, and templates come back to the thread of their exporter', async () => {
    const first = make({ threads: 4, listen: ['[::]:0'] });
    const [{ port }] = await first.start();
    const hosts = [...sources, '::1'];
    for (const host of hosts)
      await sendFrom(
        host,
        port,
        [v9([set(0, template(256, TUPLE))], { sequence: 1 })],
        host === '::1' ? '::1' : '127.0.0.1',
      );
    await first.stop();
    const kept = JSON.parse((await readFile(join(directory, 'templates.json'), 'utf8')).split('\n')[0]);
    expect(JSON.stringify(kept)).toContain('127.0.2.12');
    // Another number of threads: each template goes where its exporter goes now.
    const second = make({ threads: 2, listen: ['[::]:0'] });
    const [again] = await second.start();
    for (const host of hosts)
      await sendFrom(
        host,
        again.port,
        [v9([set(256, tuple('10.0.0.1', '192.0.2.1', 40000, 25))], { sequence: 2 })],
        host === '::1' ? '::1' : '127.0.0.1',
      );
    await second.stop();
    expect(second.counters.flows).toBe(hosts.length);
    expect(second.counters.recordsDropped.no_template).toBe(0);
    for (const { sequenceLost } of second.exporters()) expect(sequenceLost).toBe(0);
  });

  test('a stream that fails or refuses is counted', async () => {
    const collector = make({ threads: 2 });
    const [{ port }] = await collector.start();
    stream.answer = 'fail';
    for (const host of sources.slice(0, 4)) await sendFrom(host, port, [v5([{ dstPort: 443 }])]);
    await sleep(300);
    stream.answer = 'refuse';
    for (const host of sources.slice(4)) await sendFrom(host, port, [v5([{ dstPort: 443 }])]);
    await collector.stop();
    expect(collector.counters.dropped.flows).toMatchObject({ stream_failed: 4, stream_refused: 8 });
    expectWholeAccount(collector);
  });

  test('a port that another one has is not shared', async () => {
    const [{ port }] = await make({ threads: 2 }).start();
    await expect(make({ threads: 2, listen: [`127.0.0.1:${port}`] }).start()).rejects.toMatchObject({
      code: 'io',
    });
  });

  test('one thread receives where datagrams are received one by one, and the log says why', async () => {
    const collector = make({ threads: 2, receiver: 'node' });
    const [{ port }] = await collector.start();
    await sendFrom('127.0.0.1', port, [v5([{ dstPort: 25 }])]);
    for (let i = 0; i < 100 && collector.counters.datagrams === 0; i++) await sleep(10);
    await collector.stop();
    expect(collector.counters.flows).toBe(1);
    expect(lines.find(({ msg }) => msg.includes('collector.threads'))?.reason).toContain('one by one');
  });

  test('sources spread over the threads', () => {
    const count = [0, 0, 0, 0];
    for (let i = 0; i < 1000; i++) {
      const address = parseAddress(`10.${i % 7}.${i >> 3}.${i % 251}`);
      if (address !== null) count[socketOfSource(address, 4)]++;
    }
    expect(Math.min(...count)).toBeGreaterThan(150);
  });
});

test('threads and reuse_port exclude each other', () => {
  expect(configSchema.safeParse({ collector: { threads: 2, reuse_port: true } }).success).toBe(false);
});

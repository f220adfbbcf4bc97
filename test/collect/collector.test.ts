import { createSocket, type Socket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino, { type Logger } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Collector, type CollectorDependencies, createCollector } from '../../src/collect/collector.ts';
import { type Config, type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { readWide } from '../../src/flow/batch.ts';
import { decodeNative } from '../../src/flow/native.ts';
import { ipfix, set, TUPLE, template, tuple, type V5Flow, v5, v9 } from '../support/datagrams.ts';
import { createFakeStream, type FakeStream } from '../support/fake-stream.ts';

const NOW = 1_767_225_600_000;

let directory = '';
let stream: FakeStream;
let lines: { level: number; msg: string }[] = [];
let log: Logger;
let running: Collector[] = [];
let sender: Socket;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-collector-'));
  stream = createFakeStream();
  lines = [];
  log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  sender = createSocket('udp4');
});
afterEach(async () => {
  stream.release();
  await Promise.all(running.map((collector) => collector.stop()));
  running = [];
  sender.close();
  await rm(directory, { recursive: true, force: true });
});

function configOf(collector: ConfigInput['collector'] = {}, rest: ConfigInput = {}): Config {
  return configSchema.parse({
    data: directory,
    collector: { listen: ['127.0.0.1:0'], receive_buffer: '64KiB', batch_age: '20ms', ...collector },
    ...rest,
  });
}

async function start(config: Config, dependencies: Partial<CollectorDependencies> = {}) {
  const collector = createCollector(config, {
    stream,
    log,
    now: () => NOW,
    environment: {},
    ...dependencies,
  });
  running.push(collector);
  const [address] = await collector.start();
  return { collector, port: address.port };
}

async function send(port: number, ...datagrams: readonly Buffer[]): Promise<void> {
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) =>
      sender.send(datagram, port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    );
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await sleep(5);
  expect(condition()).toBe(true);
}

/** What must hold at any time. */
function expectWholeAccount({ counters }: Collector): void {
  const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);
  expect(counters.published.flows + sum(counters.dropped.flows) + counters.pending.flows).toBe(
    counters.flows,
  );
  expect(counters.published.mail + sum(counters.dropped.mail) + counters.pending.mail).toBe(
    counters.mailFlows,
  );
}

const web: V5Flow = { dstPort: 443 };
const mail: V5Flow = { dstPort: 25 };

describe('flows', () => {
  test('of datagrams become blocks on the flows stream, those of mail ports on the mail stream as well', async () => {
    const { collector, port } = await start(configOf());
    await send(
      port,
      v5([web, mail, web]),
      ipfix([set(2, template(256, TUPLE)), set(256, tuple())], { domain: 4 }),
    );
    await until(() => collector.counters.published.flows === 4);
    expect(collector.counters).toMatchObject({
      datagrams: 2,
      flows: 4,
      mailFlows: 2,
      published: { flows: 4, mail: 2 },
      decoder: { flows: { v5: 3, ipfix: 1 } },
    });
    expect([stream.rows('flows'), stream.rows('mail')]).toEqual([4, 2]);
    const block = decodeNative(stream.messages[0].message.value);
    if (!block.ok) throw new Error(block.reason);
    expect(readWide(block.batch.columns.received_at, 0)).toBe(NOW);
    expect([...collector.exporters()].map((exporter) => exporter.domain).sort()).toEqual([0, 4]);
    expectWholeAccount(collector);
  });

  test('mail goes out before the batch that it is part of', async () => {
    const { port } = await start(configOf());
    await send(port, v5([web, mail]));
    await until(() => stream.messages.length === 2);
    expect(stream.messages.map((entry) => entry.stream)).toEqual(['mail', 'flows']);
  });

  test('leave in batches of the configured size, however many a datagram holds', async () => {
    const { collector, port } = await start(configOf({ batch_rows: 4, batch_age: '50ms' }));
    await send(port, v5(Array.from({ length: 30 }, () => mail)));
    await until(() => collector.counters.published.flows === 30);
    const rows = (name: string) =>
      stream.messages.filter((e) => e.stream === name).map((e) => e.message.rows);
    expect(rows('flows')).toEqual([4, 4, 4, 4, 4, 4, 4, 2]);
    expect(rows('mail')).toEqual([4, 4, 4, 4, 4, 4, 4, 2]);
  });

  test('that are not on mail ports are counted as not archived where only mail is kept', async () => {
    const { collector, port } = await start(configOf({ archive: 'mail' }));
    await send(port, v5([web, mail, web]));
    await until(() => collector.counters.published.mail === 1);
    expect(stream.rows('flows')).toBe(0);
    expect(collector.counters.dropped.flows.not_archived).toBe(3);
    expectWholeAccount(collector);
  });

  test('of submission ports go to the detector only when that is configured', async () => {
    const detection = { submission: { alert: true } };
    const { collector, port } = await start(configOf({}, { detection }));
    await send(port, v5([web, { dstPort: 587 }, mail]));
    await until(() => collector.counters.published.flows === 3);
    expect(collector.counters.mailFlows).toBe(2);
  });
});

describe('a stream that is in trouble', () => {
  test('is not waited for, and every flow is published, dropped under a reason or pending at any time', async () => {
    const { collector, port } = await start(configOf({ batch_rows: 30 }));
    const datagram = v5(Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? mail : web)));
    for (const answer of ['hold', 'accept', 'refuse', 'fail', 'hold'] as const) {
      stream.answer = answer;
      const before = collector.counters.datagrams;
      for (let i = 0; i < 40; i++) await send(port, datagram);
      await until(() => collector.counters.datagrams === before + 40);
      expectWholeAccount(collector);
    }
    stream.release();
    await until(() => collector.counters.pending.flows === 0 && collector.counters.pending.mail === 0);
    expect(collector.counters.flows).toBe(5 * 40 * 30);
    expect(collector.counters.dropped.flows).toMatchObject({ stream_refused: 1200, stream_failed: 1200 });
    expect(collector.counters.published).toEqual({ flows: 3600, mail: 1200 });
    expectWholeAccount(collector);
  });

  test('makes a line in the log with what was lost', async () => {
    const { collector, port } = await start(configOf());
    stream.answer = 'fail';
    await send(port, v5([mail]));
    await until(() => collector.counters.dropped.flows.stream_failed === 1);
    await collector.stop();
    const line = lines.find((entry) => entry.msg.includes('did not take decoded flows'));
    expect(line).toMatchObject({
      flows: { stream_failed: 1 },
      mail: { stream_failed: 1 },
      failure: 'the disk is gone',
    });
  });
});

describe('input that is not wanted', () => {
  test('of exporters that are not listed is refused, counted and listed', async () => {
    const { collector, port } = await start(configOf({ exporters: ['192.0.2.0/24'] }));
    await send(port, v5([mail]), v5([mail]));
    await until(() => collector.counters.datagrams === 2);
    expect(collector.counters.flows).toBe(0);
    expect(collector.counters.recordsDropped).toMatchObject({ exporter_not_allowed: 2 });
    expect(collector.refusedExporters()).toEqual([{ address: '127.0.0.1', datagrams: 2 }]);
    await collector.stop();
    expect(lines.some((line) => line.msg.includes('not in collector.exporters'))).toBe(true);
  });

  test('over the limit of an exporter is counted and not decoded', async () => {
    const { collector, port } = await start(configOf({ limits: { datagrams_per_second: 2 } }));
    await send(port, ...Array.from({ length: 5 }, () => v5([mail])));
    await until(() => collector.counters.datagrams === 5);
    expect(collector.counters).toMatchObject({ flows: 2, recordsDropped: { rate_limited: 3 } });
    await collector.stop();
    expect(lines.some((line) => line.msg.includes('datagrams_per_second'))).toBe(true);
  });

  test('that is no export is counted and changes nothing', async () => {
    const { collector, port } = await start(configOf());
    await send(port, Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(1400, 0xff), v5([mail]));
    await until(() => collector.counters.published.flows === 1);
    expect(collector.counters.recordsDropped).toMatchObject({ not_an_export: 3 });
  });

  test('that the decoder fails on does not stop the collector nor leave anything in later flows', async () => {
    const { collector, port } = await start(configOf(), {
      createDecoder(options, sink) {
        const decoder = createDecoder(options, sink);
        return {
          ...decoder,
          counters: decoder.counters,
          exporters: () => decoder.exporters(),
          expire: (nowMs) => decoder.expire(nowMs),
          snapshot: () => decoder.snapshot(),
          takeSequenceMarks: () => [],
          resumeSequences: () => undefined,
          restore: (snapshot, nowMs) => decoder.restore(snapshot, nowMs),
          decode(bytes, exporter, exporterPort, receivedAtMs) {
            if (bytes.toString() !== 'bug')
              return decoder.decode(bytes, exporter, exporterPort, receivedAtMs);
            sink.batch.columns.vrf[sink.batch.length] = 99;
            throw new Error('a defect');
          },
        };
      },
    });
    await send(port, v5([mail]), Buffer.from('bug'), v5([mail]));
    await until(() => collector.counters.published.flows === 2);
    expect(collector.counters.recordsDropped).toMatchObject({ decoder_failed: 1 });
    for (const { message } of stream.messages) {
      const block = decodeNative(message.value);
      if (!block.ok) throw new Error(block.reason);
      expect([...block.batch.columns.vrf]).toEqual(Array(block.batch.length).fill(0));
    }
    expect(lines.some((line) => line.msg.includes('decoder failed'))).toBe(true);
  });
});

describe('stopping', () => {
  test('publishes what was received just before, and is repeatable', async () => {
    const { collector, port } = await start(configOf({ batch_age: '1h' }));
    await send(port, ...Array.from({ length: 20 }, () => v5([mail, web])));
    await collector.stop();
    await collector.stop();
    expect(collector.counters.published).toEqual({ flows: 40, mail: 20 });
    expect(collector.counters.pending).toEqual({ flows: 0, mail: 0 });
  });

  test('counts data that still waits for its template', async () => {
    const { collector, port } = await start(configOf());
    await send(port, v9([set(300, tuple())]));
    await collector.stop();
    expect(collector.counters.recordsDropped).toMatchObject({ no_template: 1 });
  });

  test('before the start does nothing', async () => {
    const collector = createCollector(configOf(), { stream, log, now: () => NOW });
    await collector.stop();
  });
});

describe('templates', () => {
  test('are kept over a restart', async () => {
    const first = await start(configOf());
    await send(first.port, v9([set(0, template(300, TUPLE))]));
    await until(() => first.collector.counters.decoder.templates === 1);
    await first.collector.stop();
    const second = await start(configOf());
    await send(second.port, v9([set(300, tuple(), tuple())], { sequence: 1 }));
    await until(() => second.collector.counters.published.flows === 2);
  });

  test('that cannot be read are left aside with a warning, and written anew', async () => {
    await writeFile(join(directory, 'templates.json'), '{"torn');
    const { collector } = await start(configOf());
    expect(lines.some((line) => line.level === 40 && line.msg.includes('templates'))).toBe(true);
    await collector.stop();
    JSON.parse(await readFile(join(directory, 'templates.json'), 'utf8'));
  });

  test('that cannot be written are a warning, not a failure', async () => {
    const { collector } = await start({ ...configOf(), data: join(directory, 'gone') });
    await collector.stop();
    expect(lines.some((line) => line.level === 40 && line.msg.includes('templates'))).toBe(true);
  });
});

describe('with Kafka', () => {
  const kafka = { kafka: { brokers: ['127.0.0.1:1'] } };

  test('mail leaves at once, and flows wait for a fuller message', async () => {
    const { collector, port } = await start(configOf({ archive_age: '300ms' }, kafka));
    for (let i = 0; i < 3; i++) {
      await send(port, v5([mail, web]));
      await until(() => stream.rows('mail') === i + 1);
    }
    expect(stream.rows('flows')).toBe(0);
    expectWholeAccount(collector);
    await until(() => stream.rows('flows') === 6);
    expect(stream.messages.filter((entry) => entry.stream === 'flows')).toHaveLength(1);
    expect(stream.rows('mail')).toBe(3);
    expectWholeAccount(collector);
  });

  test('what waits is neither lost nor sent twice when the batch fills or the collector stops', async () => {
    const { collector, port } = await start(configOf({ archive_age: '1h', archive_rows: 16 }, kafka));
    for (let i = 0; i < 20; i++) {
      await send(port, v5([mail, web, web]));
      await until(() => stream.rows('mail') === i + 1);
    }
    await collector.stop();
    expect([stream.rows('flows'), stream.rows('mail')]).toEqual([60, 20]);
  });
});

describe('sequences over a restart', () => {
  const lostBy = ({ collector }: { collector: Collector }) =>
    [...collector.exporters()].map(({ sequenceLost, sequenceLostBefore }) => [
      sequenceLostBefore,
      sequenceLost,
    ]);
  const flow: V5Flow = { src: '10.0.0.1', dst: '198.51.100.1', srcPort: 1024, dstPort: 443 };
  const export5 = (sequence: number) => v5([flow, flow], { sequence });

  test('what came while nobody listened is counted as lost, and what was lost before is not forgotten', async () => {
    const first = await start(configOf());
    await send(first.port, export5(100), export5(106));
    await until(() => first.collector.counters.flows === 4);
    expect(lostBy(first)).toEqual([[0, 4]]);
    await first.collector.stop();
    const second = await start(configOf());
    await send(second.port, export5(120), export5(122));
    await until(() => second.collector.counters.flows === 4);
    expect(lostBy(second)).toEqual([[4, 12]]);
  });

  test('what was read and is not safe when the process dies counts as lost, what is safe does not', async () => {
    const config = configOf();
    const first = await start(config);
    await send(first.port, export5(100));
    await until(() => stream.messages.length > 0);
    const file = join(directory, 'sequences.ndjson');
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('"next":102'));
    stream.answer = 'hold';
    await send(first.port, export5(102));
    await until(() => first.collector.counters.flows === 4);
    await sleep(50);
    // As after a kill: the first is not asked to stop before the second has read the file.
    const second = await start(config);
    await send(second.port, export5(104));
    await until(() => second.collector.counters.flows === 2);
    expect(lostBy(second)).toEqual([[0, 2]]);
  });

  test('an exporter that was restarted meanwhile has lost nothing that we know of', async () => {
    const first = await start(configOf());
    await send(first.port, v5([flow], { sequence: 5_000_000, uptimeMs: 9_000_000 }));
    await until(() => first.collector.counters.flows === 1);
    await first.collector.stop();
    const second = await start(configOf());
    await send(second.port, v5([flow], { sequence: 0, uptimeMs: 1000 }));
    await until(() => second.collector.counters.flows === 1);
    expect(lostBy(second)).toEqual([[0, 0]]);
  });

  test('what is noted as safe is all of a batch, also of one that its last datagram would fill', async () => {
    const { collector, port } = await start(configOf({ batch_rows: 60, batch_age: '10s' }));
    const flows = Array.from({ length: 15 }, () => flow);
    for (let i = 0; i < 4; i++) await send(port, v5(flows, { sequence: 15 * i }));
    await until(() => collector.counters.flows === 60);
    const file = join(directory, 'sequences.ndjson');
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('"next":'));
    const sent = stream.messages.filter(({ stream: name }) => name === 'flows');
    const rows = sent.reduce((sum, { message }) => sum + message.rows, 0);
    expect(readFileSync(file, 'utf8')).toContain(`"next":${rows},`);
  });

  test('no datagram is divided between two batches', async () => {
    const { collector, port } = await start(configOf({ batch_rows: 64, batch_age: '10s' }));
    const datagram = (sequence: number) =>
      v5(
        Array.from({ length: 15 }, () => flow),
        { sequence },
      );
    for (let i = 0; i < 20; i++) await send(port, datagram(15 * i));
    await until(() => collector.counters.flows === 300);
    await until(() => stream.messages.length >= 4);
    for (const { message } of stream.messages) expect(message.rows % 15).toBe(0);
  });
});

describe('starting', () => {
  test('with an address that is taken fails and lets go of those that were opened', async () => {
    const first = await start(configOf());
    const free = createSocket('udp4');
    await new Promise<void>((resolve) => free.bind(0, '127.0.0.1', resolve));
    const freePort = free.address().port;
    await new Promise<void>((resolve) => free.close(() => resolve()));
    const config = configOf({ listen: [`127.0.0.1:${freePort}`, `127.0.0.1:${first.port}`] });
    await expect(createCollector(config, { stream, log, now: () => NOW }).start()).rejects.toMatchObject({
      code: 'io',
    });
    await start(configOf({ listen: [`127.0.0.1:${freePort}`] }));
  });

  test('with a receive buffer that the kernel does not give is warned about', async () => {
    await start(configOf({ receive_buffer: '1GiB' }));
    expect(lines.some((line) => line.level === 40 && line.msg.includes('receive buffer'))).toBe(true);
  });

  test('several listeners each have their account', async () => {
    const collector = createCollector(configOf({ listen: ['127.0.0.1:0', '127.0.0.1:0'] }), {
      stream,
      log,
      now: () => NOW,
    });
    running.push(collector);
    const [a, b] = await collector.start();
    await send(a.port, v5([mail]), v5([mail]));
    await send(b.port, v5([mail]));
    await until(() => collector.counters.datagrams === 3);
    expect(collector.counters.listeners.map((listener) => listener.datagrams)).toEqual([2, 1]);
  });
});

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { divideFor } from '../../src/cli/move-streams.ts';
import { configSchema } from '../../src/config/schema.ts';
import { hostPartition } from '../../src/flow/host-partition.ts';
import { decodeNative, encodeNative } from '../../src/flow/native.ts';
import { parsePrefix } from '../../src/flow/prefix.ts';
import { ProducerMarks } from '../../src/stream/kafka/producer-marks.ts';
import { lockDirectory } from '../../src/stream/local/directory-lock.ts';
import { type MoveOptions, moveStreams } from '../../src/stream/local/move.ts';
import { unreadIn } from '../../src/stream/local/unread.ts';
import type { ReceivedMessage, StreamMessage, StreamName } from '../../src/stream/stream.ts';
import { batchOf } from '../support/flows.ts';
import { keptLog, message, startStream, temporaryDirectory, textOf } from './support.ts';

const MESSAGES = 2500;
const PARTITIONS = 3;

/** Brokers that keep what they take; the process dies at the given publication, before they took it or before they said so. */
function brokers() {
  const taken: { stream: StreamName; message: StreamMessage }[] = [];
  const known: ReceivedMessage[] = [];
  let publications = 0;
  const to = {
    taken,
    known,
    diesAt: Number.POSITIVE_INFINITY,
    takes: true,
    partitions: () => PARTITIONS,
    async *latest() {
      yield* known;
    },
    async publish(stream: StreamName, messages: readonly StreamMessage[]) {
      const dies = ++publications === to.diesAt;
      if (!dies || to.takes)
        for (const one of messages)
          taken.push({ stream, message: { ...one, value: Buffer.from(one.value) } });
      if (dies) throw new Error('killed');
      return { accepted: messages.length, dropped: 0 };
    },
    /** What a group of consumers that take each number once is given. */
    readBy(group: string, stream: StreamName): string[] {
      const marks = new Map<number, ProducerMarks>();
      const texts: string[] = [];
      for (const { message } of taken.filter((one) => one.stream === stream)) {
        const partition = message.partition ?? 0;
        const before = marks.get(partition) ?? new ProducerMarks(true);
        if (message.readBy?.includes(group) || before.isRepeated(message.origin)) continue;
        marks.set(partition, before.with([message]));
        texts.push(textOf(message));
      }
      return texts.sort((a, b) => Number(a) - Number(b));
    },
  };
  return to;
}

const inOneOf: MoveOptions['partsOf'] = (_, { key, id, value, rows, offset }) => [
  { key, id, value, rows, partition: offset % PARTITIONS },
];

const numbers = (from: number) => Array.from({ length: MESSAGES - from }, (_, i) => String(from + i));

/** Flows that `store` has read up to 1100, mail that `detect` has read up to 700 and `store` up to 1900. */
async function leftBehind(): Promise<string> {
  const directory = join(await temporaryDirectory(), 'stream');
  const stream = await startStream({ directory, streams: { mail: { sealMessages: 300 } } });
  const all = numbers(0).map((text) => message(text));
  await stream.publish('flows', all);
  await stream.publish('mail', all);
  for (const [group, name, read] of [
    ['store', 'flows', 1100],
    ['detect', 'mail', 700],
    ['archive', 'mail', 1900],
  ] as const) {
    const subscription = await stream.subscribe({
      streams: [name],
      group,
      unit: 'message',
      onDelivery: async () => undefined,
    });
    await subscription.commit(name, 0, read - 1);
    await subscription.stop();
  }
  await stream.stop();
  return directory;
}

describe('moving what lies unread in the directory of a local stream', () => {
  it.each([1, 2, 3, 4].flatMap((at) => [true, false].map((takes) => ({ at, takes }))))(
    'gives each group what it had not read, once, also when killed at publication $at (taken: $takes)',
    async ({ at, takes }) => {
      const directory = await leftBehind();
      const to = brokers();
      Object.assign(to, { diesAt: at, takes });
      const options = { directory, to, partsOf: inOneOf, log: keptLog() };
      await expect(moveStreams(options)).rejects.toThrow('killed');
      const left = (await unreadIn(directory)).reduce((sum, { rows }) => sum + rows, 0);
      expect(left).toBeGreaterThan(0);
      const moved = await moveStreams(options);
      expect(moved.reduce((sum, { rows }) => sum + rows, 0)).toBe(left);
      expect(to.readBy('store', 'flows')).toEqual(numbers(1100));
      expect(to.readBy('detect', 'mail')).toEqual(numbers(700));
      expect(to.readBy('archive', 'mail')).toEqual(numbers(1900));
      expect(await unreadIn(directory)).toEqual([]);
      expect((await moveStreams(options)).every(({ rows }) => rows === 0)).toBe(true);
    },
  );

  it('moves the newest incident and decision of each host, unless the brokers have one', async () => {
    const directory = join(await temporaryDirectory(), 'stream');
    const stream = await startStream({ directory });
    for (const [key, text] of [
      ['a', 'old'],
      ['b', 'of b'],
      ['a', 'of a'],
    ])
      await stream.publish('incidents', [message(text, { key })]);
    await stream.stop();
    const to = brokers();
    to.known.push({ ...message('newer', { key: 'b' }), offset: 4 });
    await moveStreams({ directory, to, partsOf: inOneOf, log: keptLog() });
    expect(to.taken.map(({ message: one }) => textOf(one))).toEqual(['of a']);
  });

  it('does nothing where nothing is, and refuses a directory in use', async () => {
    const directory = await temporaryDirectory();
    const options = { directory, to: brokers(), partsOf: inOneOf, log: keptLog() };
    expect(await moveStreams({ ...options, directory: join(directory, 'none') })).toEqual([]);
    const lock = await lockDirectory(directory);
    await expect(moveStreams(options)).rejects.toThrow(/in use/);
    await lock.release();
    expect(await moveStreams(options)).toEqual([]);
  });

  it('reads the rest where a message is damaged, and says so', async () => {
    const directory = await leftBehind();
    const { readdir, readFile, writeFile } = await import('node:fs/promises');
    const name = (await readdir(join(directory, 'flows'))).find((one) => one.endsWith('.native')) ?? '';
    const file = join(directory, 'flows', name);
    const bytes = await readFile(file);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(file, bytes);
    const to = brokers();
    const moved = await moveStreams({ directory, to, partsOf: inOneOf, log: keptLog() });
    expect(moved.find(({ stream }) => stream === 'flows')).toMatchObject({
      rows: MESSAGES - 1100 - 1,
      damaged: 1,
    });
    expect(await unreadIn(directory)).toEqual([]);
  });
});

describe('the parts of a message that goes to brokers', () => {
  const config = configSchema.parse({ networks: { internal: ['192.0.2.0/24'] } });
  const partsOf = divideFor(config, { partitions: () => 8 });
  const partitionOf = (host: string) => {
    const parsed = parsePrefix(host);
    return parsed.ok ? hostPartition(parsed.prefix.bytes, 0, 8) : -1;
  };
  const received = (value: Uint8Array, rows: number): ReceivedMessage => ({
    key: '',
    id: '',
    value,
    rows,
    offset: 11,
    partition: 0,
  });

  it('has each row of mail in the partition of its host, and one part for each', () => {
    const hosts = Array.from({ length: 40 }, (_, i) => `192.0.2.${i + 1}`);
    const block = (some: readonly string[]) =>
      encodeNative(batchOf(some.map((from) => ({ from, to: '198.51.100.25', toPort: 25 }))));
    const value = Buffer.concat([block(hosts.slice(0, 30)), block(hosts.slice(30))]);
    const parts = partsOf('mail', received(value, 40));
    expect(new Set(parts.map(({ partition }) => partition)).size).toBe(parts.length);
    expect(parts.reduce((sum, { rows }) => sum + rows, 0)).toBe(40);
    for (const part of parts) {
      let rows = 0;
      for (let at = 0; at < part.value.length; ) {
        const decoded = decodeNative(part.value, at);
        if (!decoded.ok) throw new Error(decoded.reason);
        for (let row = 0; row < decoded.batch.length; row++) {
          expect(hostPartition(decoded.batch.columns.src_addr, 16 * row, 8)).toBe(part.partition);
          rows++;
        }
        at = decoded.next;
      }
      expect(rows).toBe(part.rows);
    }
  });

  it('has incidents and decisions where the detector of the host looks for them, and alerts where their key says', () => {
    const value = Buffer.from(JSON.stringify({ host: '192.0.2.7' }));
    for (const stream of ['incidents', 'decisions'] as const)
      expect(partsOf(stream, received(value, 1))).toEqual([
        expect.objectContaining({ partition: partitionOf('192.0.2.7') }),
      ]);
    expect(partsOf('alerts', received(value, 1))[0].partition).toBeUndefined();
    expect(partsOf('flows', received(value, 1))[0].partition).toBe(3);
    expect(partsOf('mail', received(Buffer.from('no block'), 1))).toEqual([
      expect.objectContaining({ partition: 0, rows: 1 }),
    ]);
    expect(partsOf('incidents', received(Buffer.from('{'), 1))[0].partition).toBe(0);
  });
});

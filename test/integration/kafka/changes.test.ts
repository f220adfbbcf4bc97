/**
 * What other people do to a cluster in use: topics made anew, logs cut back, positions set, records removed, limits lowered,
 * collectors copied. Each with its account: what was sent is read once or counted, and what is not known is said.
 */

import { randomBytes } from 'node:crypto';
import { cp, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import kafkajs, { type Admin } from 'kafkajs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { KafkaConfig } from '../../../src/config/schema.ts';
import { createFlowBatch } from '../../../src/flow/batch.ts';
import { decodeNative, encodeNative, nativeBytes } from '../../../src/flow/native.ts';
import { createKafkaClient } from '../../../src/stream/kafka/client.ts';
import { createKafkaStream, type KafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { topicName } from '../../../src/stream/kafka/topics.ts';
import { createLocalStream } from '../../../src/stream/local/local-stream.ts';
import { createSpooledStream } from '../../../src/stream/spooled-stream.ts';
import type { StreamName, SubscribeOptions, Subscription } from '../../../src/stream/stream.ts';
import { keptLog, message, temporaryDirectory, textOf } from '../../stream/support.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, oneBroker, startKafkaStream } from './support.ts';

const reason = await cannotHaveKafka();
const broker = oneBroker(reason);
const single = { topics: { flows: { partitions: 1 }, mail: { partitions: 1 } } };

const configured = () => kafkaConfig(broker.cluster, freshPrefix(), single);

async function asking(config: KafkaConfig): Promise<Admin> {
  const admin = createKafkaClient(config, keptLog()).admin();
  await admin.connect();
  onTestFinished(() => admin.disconnect());
  return admin;
}

/** A producer that numbers its messages and their rows as a collector does. */
function numbered(stream: KafkaStream, name: 'flows' | 'mail', producer = '0123456789ab-c0ffee') {
  let sequence = 0;
  let rowsBefore = 0;
  return async (texts: readonly string[], rows: number) => {
    const messages = texts.map((text) => {
      const origin = { producer, sequence: sequence++, rowsBefore };
      rowsBefore += rows;
      return { ...message(text, { rows }), partition: 0, origin };
    });
    await comesTrue(
      () =>
        stream.publish(name, messages).then(
          () => true,
          () => false,
        ),
      'a publication',
    );
  };
}

/** Reads and commits everything; `stopAt` leaves off before a message. */
async function reader(
  stream: KafkaStream,
  name: StreamName,
  more: Partial<SubscribeOptions> = {},
  stopAt: { text: string | null } = { text: null },
) {
  const texts: string[] = [];
  let rows = 0;
  let refused = 0;
  const subscription: Subscription = await stream.subscribe({
    streams: [name],
    group: 'store',
    unit: 'segment',
    async onDelivery(delivery) {
      for (const one of delivery.messages) {
        if (textOf(one) === stopAt.text) {
          refused++;
          throw new Error('not yet');
        }
        texts.push(textOf(one));
        rows += one.rows;
      }
      if (more.sharing !== 'alone') await subscription.commit(name, delivery.partition, delivery.lastOffset);
    },
    ...more,
  });
  await subscription.assigned;
  return {
    texts,
    subscription,
    get rows() {
      return rows;
    },
    get refused() {
      return refused;
    },
  };
}

async function recreate(stream: KafkaStream, admin: Admin, config: KafkaConfig, name: StreamName) {
  await admin.deleteTopics({ topics: [topicName(config, name)] });
  let made = false;
  await comesTrue(async () => {
    // It may still be known to one who is asked, and it may have been made by the attempt that failed.
    const report = await stream.checkTopics(true).catch(() => null);
    made ||= report === null || report.created.length > 0;
    return made && report !== null;
  }, 'the topic is made anew');
}

const said = (stream: KafkaStream) => (stream.gaps?.() ?? []).map(({ text }) => text).join('\n');
const sumLost = (stream: KafkaStream) => (stream.gaps?.() ?? []).reduce((sum, { lost }) => sum + lost, 0);

describe.skipIf(reason !== null)(`changes of a cluster${reason === null ? '' : ` (${reason})`}`, () => {
  it('a topic that is deleted and made anew is read from its beginning, and what was unread is counted', async () => {
    const config = configured();
    const stream = await startKafkaStream(config);
    const admin = await asking(config);
    const publish = numbered(stream, 'flows');
    const stopAt: { text: string | null } = { text: 'in hand' };
    const store = await reader(stream, 'flows', {}, stopAt);
    await publish(['a', 'b', 'c'], 10);
    await comesTrue(() => store.texts.length === 3, 'three messages');
    await publish(['in hand'], 100);
    await comesTrue(() => store.refused > 0, 'a message in hand');
    await publish(['unread'], 100);
    await recreate(stream, admin, config, 'flows');
    stopAt.text = null;
    await publish(['d', 'e', 'f', 'g', 'h'], 10);
    await comesTrue(
      () => store.texts.includes('h'),
      () => `all of the new topic: ${store.texts}`,
    );
    await comesTrue(() => sumLost(stream) > 0, 'the loss is told');
    const sent = 3 * 10 + 2 * 100 + 5 * 10;
    expect(store.rows + stream.counters.lostRows.flows).toBe(sent);
    expect(stream.counters.lostRows.flows % 100).toBe(0);
    expect(store.texts.filter((text) => text !== 'in hand')).toEqual([...'abcdefgh']);
    expect(sumLost(stream)).toBe(stream.counters.lostRows.flows);
    expect(said(stream)).toMatch(/was deleted and made anew/);
    expect(
      stream.lines.filter(({ level, message }) => level === 'warn' && /made anew/.test(message)),
    ).toHaveLength(1);
    // And the position that is committed is one of the new topic.
    await store.subscription.stop();
    const again = await reader(stream, 'flows');
    await publish(['i'], 10);
    await comesTrue(() => again.texts.length > 0, 'one more');
    expect(again.texts).toEqual(['i']);
  });

  it('is noticed by those who read alone, who are told before they get what is new', async () => {
    const config = configured();
    const stream = await startKafkaStream(config);
    const admin = await asking(config);
    const order: string[] = [];
    const alone = await reader(stream, 'decisions', {
      sharing: 'alone',
      unit: 'message',
      onMoved: async (name, partition) => void order.push(`${name} ${partition} moved`),
    });
    const publish = (text: string) =>
      stream.publish('decisions', [{ ...message(text, { key: text }), partition: 0 }]);
    for (const text of ['a', 'b', 'c']) await publish(text);
    await comesTrue(() => alone.texts.length === 3, 'three decisions');
    await recreate(stream, admin, config, 'decisions');
    await comesTrue(
      () =>
        publish('d').then(
          () => true,
          () => false,
        ),
      'a decision in the new topic',
    );
    await comesTrue(() => alone.texts.includes('d'), 'the decision');
    expect(alone.texts).toEqual(['a', 'b', 'c', 'd']);
    await comesTrue(() => /made anew/.test(said(stream)), 'it is told');
    expect(order.filter((line) => line === 'decisions 0 moved').length).toBeLessThanOrEqual(1);
  });

  it('what retention removed is counted in rows, over a restart, and the position is not written over', async () => {
    const config = configured();
    const first = await startKafkaStream(config);
    const admin = await asking(config);
    const publish = numbered(first, 'flows');
    await publish(['a'], 7);
    const before = await reader(first, 'flows');
    await comesTrue(() => before.texts.length === 1, 'the first');
    await before.subscription.stop();
    await publish(['gone1', 'gone2', 'gone3'], 50);
    await publish(['b'], 7);
    const topic = topicName(config, 'flows');
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] });
    const second = await startKafkaStream(config);
    const stopAt: { text: string | null } = { text: 'b' };
    const after = await reader(second, 'flows', {}, stopAt);
    await comesTrue(() => second.counters.damaged.flows === 3, 'three messages are gone');
    const [position] = await admin.fetchOffsets({
      groupId: `${config.topic_prefix}.store.flows`,
      topics: [topic],
    });
    expect(position?.partitions[0]?.offset).toBe('1');
    stopAt.text = null;
    await comesTrue(() => after.texts.includes('b'), 'what is behind the gap');
    expect(after.rows + second.counters.lostRows.flows).toBe(3 * 50 + 7);
    await comesTrue(() => sumLost(second) === 150, 'the loss is told');
    expect(said(second)).toMatch(/no longer held 3 message/);
  });

  it('positions that an admin tool has set are followed and told', async () => {
    const config = configured();
    const first = await startKafkaStream(config);
    const admin = await asking(config);
    await numbered(first, 'mail')(['a', 'b', 'c'], 1);
    const before = await reader(first, 'mail');
    await comesTrue(() => before.texts.length === 3, 'three messages');
    await before.subscription.stop();
    const topic = topicName(config, 'mail');
    const groupId = `${config.topic_prefix}.store.mail`;
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1' }] });
    const second = await startKafkaStream(config);
    const after = await reader(second, 'mail');
    await comesTrue(() => after.texts.length === 2, 'two messages again');
    expect(after.texts).toEqual(['b', 'c']);
    await comesTrue(() => /somebody else set/.test(said(second)), 'it is told');
  });

  it('a batch larger than the topic takes is divided, and every row arrives once', async () => {
    const config = configured();
    const stream = await startKafkaStream(config);
    const admin = await asking(config);
    const limit = { name: 'max.message.bytes', value: '100000' };
    const name = topicName(config, 'flows');
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configEntries: [limit] }],
    });
    const rows = 3000;
    const batch = createFlowBatch(rows);
    batch.length = rows;
    // Nothing that would compress.
    for (const column of Object.values(batch.columns))
      Buffer.from(column.buffer).set(randomBytes(column.byteLength));
    const value = encodeNative(batch);
    expect(value.length).toBe(nativeBytes(rows));
    const origin = { producer: '0123456789ab-c0ffee', sequence: 0, rowsBefore: 0 };
    const sent = [{ key: '', id: '', rows, value, partition: 0, origin }];
    await stream.publish('flows', sent);
    // As after an answer that was lost.
    await stream.publish('flows', sent);
    const pieces: Uint8Array[] = [];
    await stream.subscribe({
      streams: ['flows'],
      group: 'store',
      unit: 'segment',
      onDelivery: async ({ messages }) => void pieces.push(...messages.map(({ value }) => value)),
    });
    const count = () =>
      pieces.reduce((sum, piece) => {
        const block = decodeNative(piece);
        return sum + (block.ok ? block.batch.length : 0);
      }, 0);
    await comesTrue(() => count() >= rows && stream.counters.repeated.flows > 0, 'all rows');
    expect(count()).toBe(rows);
    expect(pieces.length).toBeGreaterThan(4);
    expect(stream.counters.lostRows.flows).toBe(0);
  });

  it('two copies of a collector lose nothing to each other', async () => {
    const config = configured();
    const directory = await temporaryDirectory();
    await startKafkaStream(config);
    const reading = await startKafkaStream(config);
    const store = await reader(reading, 'flows');
    async function collect(place: string, texts: readonly string[]): Promise<void> {
      const log = keptLog();
      const remote = createKafkaStream({ config, log });
      const stream = createSpooledStream({
        spool: createLocalStream({ directory: place, maxBytesPerStream: 1 << 30, now: Date.now, log }),
        remote,
        directory: place,
        drainMs: 10_000,
        log,
      });
      await stream.start();
      for (const text of texts) await stream.publish('flows', [message(text)]);
      await comesTrue(() => stream.waiting() === 0, 'all is sent');
      await stream.stop();
    }
    await collect(join(directory, 'one'), ['a', 'b']);
    await cp(join(directory, 'one'), join(directory, 'two'), { recursive: true });
    await collect(join(directory, 'one'), ['c', 'd']);
    await collect(join(directory, 'two'), ['e', 'f']);
    await comesTrue(
      () => store.texts.length === 6,
      () => `six messages: ${store.texts}`,
    );
    expect([...store.texts].sort()).toEqual([...'abcdef']);
    expect(reading.counters.repeated.flows).toBe(0);
  });

  it.skipIf(process.env.KAFKA_BROKERS !== undefined)(
    'a log that was cut back is read from the cut on, at offsets that were read before',
    async () => {
      const config = configured();
      const stream = await startKafkaStream(config);
      const publish = numbered(stream, 'flows');
      const stopAt: { text: string | null } = { text: null };
      const store = await reader(stream, 'flows', {}, stopAt);
      await publish(['a', 'b'], 10);
      await comesTrue(() => store.texts.length === 2, 'two messages');
      const folder = join(broker.cluster.directory, 'node-1', `${topicName(config, 'flows')}-0`);
      const log = (await readdir(folder)).find((file) => file.endsWith('.log')) ?? '';
      const { size } = await stat(join(folder, log));
      await publish(['cut but read'], 10);
      await comesTrue(() => store.texts.length === 3, 'three messages');
      stopAt.text = 'cut and unread';
      await publish(['cut and unread'], 100);
      await broker.cluster.kill(0);
      await truncate(join(folder, log), size);
      await broker.cluster.start(0);
      stopAt.text = null;
      await publish(['c', 'd', 'e'], 10);
      await comesTrue(
        () => store.texts.includes('e'),
        () => `what is new: ${store.texts}; ${said(stream)}`,
      );
      expect(store.texts.filter((text) => text !== 'cut and unread')).toEqual([
        'a',
        'b',
        'cut but read',
        'c',
        'd',
        'e',
      ]);
      expect(store.rows + stream.counters.lostRows.flows).toBe(2 * 10 + 10 + 100 + 3 * 10);
      await comesTrue(() => /was cut back/.test(said(stream)), 'it is told');
    },
    120_000,
  );
});

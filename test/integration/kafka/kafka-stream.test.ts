/** The stream over Kafka against a real broker: what it promises in stream.ts. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { moveStreamsCommand } from '../../../src/cli/move-streams.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { unreadStreams } from '../../../src/service/stream-memory.ts';
import type { KafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { moveStreams } from '../../../src/stream/local/move.ts';
import type { Subscription } from '../../../src/stream/stream.ts';
import {
  collector,
  keptLog,
  message,
  startStream,
  temporaryDirectory,
  textOf,
} from '../../stream/support.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, oneBroker, startKafkaStream } from './support.ts';

const reason = await cannotHaveKafka();
const broker = oneBroker(reason);

const small = { topics: { flows: { partitions: 2 }, mail: { partitions: 3 } } };

describe.skipIf(reason !== null)(`the stream over Kafka${reason === null ? '' : ` (${reason})`}`, () => {
  it('delivers what was published before and after the subscription, in order, with all that belongs to it', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    await stream.publish(
      'mail',
      ['a', 'b'].map((text) => message(text, { key: 'k' })),
    );
    const { onDelivery, messages } = collector();
    await stream.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    await comesTrue(() => messages.length === 2, 'two messages');
    await stream.publish('mail', [message('c', { key: 'k', id: 'x', rows: 7 }), message('d', { key: 'k' })]);
    await comesTrue(() => messages.length === 4, 'four messages');
    expect(messages.map(textOf)).toEqual(['a', 'b', 'c', 'd']);
    expect(messages[2]).toMatchObject({ key: 'k', id: 'x', rows: 7 });
    expect(stream.counters.published.mail).toBe(10);
  });

  it('puts a message into the partition it names', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    for (const partition of [2, 0, 1, 2]) {
      await stream.publish('mail', [{ ...message(`p${partition}`), partition }]);
    }
    const { onDelivery, deliveries, messages } = collector();
    await stream.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery });
    await comesTrue(() => messages.length === 4, 'all messages');
    for (const { partition, messages } of deliveries) {
      for (const received of messages) expect(textOf(received)).toBe(`p${partition}`);
    }
  });

  it('goes on behind the committed offset after a restart', async () => {
    const config = kafkaConfig(broker.cluster, freshPrefix(), small);
    const first = await startKafkaStream(config);
    await first.publish(
      'mail',
      ['a', 'b', 'c', 'd'].map((text) => ({ ...message(text), partition: 1 })),
    );
    const one = collector();
    const subscription = await first.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      onDelivery: one.onDelivery,
    });
    await comesTrue(() => one.messages.length === 4, 'all messages');
    await subscription.commit('mail', 1, one.messages[1].offset);
    expect(subscription.lag()).toBe(2);
    await subscription.commit('mail', 1, one.messages[0].offset);
    await first.stop();
    const second = await startKafkaStream(config);
    const two = collector();
    await second.subscribe({ streams: ['mail'], group: 'g', unit: 'message', onDelivery: two.onDelivery });
    await comesTrue(() => two.messages.length === 2, 'the rest');
    expect(two.texts()).toEqual(['c', 'd']);
  });

  it('delivers the same again after a rejection, and nothing behind it meanwhile', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    const attempts: string[][] = [];
    await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'segment',
      async onDelivery({ messages }) {
        attempts.push(messages.map(textOf));
        if (attempts.length < 3) throw new Error('store away');
      },
    });
    await stream.publish(
      'mail',
      ['a', 'b'].map((text) => ({ ...message(text), partition: 0 })),
    );
    await comesTrue(() => attempts.length === 4, 'four attempts');
    expect(attempts).toEqual([['a'], ['a'], ['a'], ['b']]);
  });

  it('assigns partitions before their first delivery, and again what could not be taken over', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    await stream.publish('mail', [{ ...message('a'), partition: 0 }]);
    const order: string[] = [];
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      async onAssigned(partitions) {
        order.push(`assigned ${[...partitions].sort()}`);
        if (order.length === 1) throw new Error('not yet');
      },
      onDelivery: async () => {
        order.push('delivered');
      },
    });
    await comesTrue(() => order.includes('delivered'), 'a delivery');
    await subscription.assigned;
    expect(order).toEqual(['assigned 0,1,2', 'assigned 0,1,2', 'delivered']);
    await comesTrue(
      () => [0, 1, 2].every((partition) => subscription.isUpToDate('mail', partition)),
      'up to date',
    );
    expect(subscription.isUpToDate('mail', 3)).toBe(false);
  });

  it('takes a message that was published twice once, also over a restart in between', async () => {
    const config = kafkaConfig(broker.cluster, freshPrefix(), small);
    const publish = (stream: KafkaStream, sequences: readonly number[]) =>
      stream.publish(
        'flows',
        sequences.map((sequence) => ({
          ...message(String(sequence)),
          partition: 0,
          origin: { producer: 'spool1', sequence },
        })),
      );
    const texts: string[] = [];
    async function consume(stream: KafkaStream, enough: number): Promise<void> {
      const subscription: Subscription = await stream.subscribe({
        streams: ['flows'],
        group: 'store',
        unit: 'segment',
        async onDelivery(delivery) {
          await subscription.commit('flows', delivery.partition, delivery.lastOffset);
          texts.push(...delivery.messages.map(textOf));
        },
      });
      await comesTrue(() => texts.length >= enough, `${enough} messages`);
    }
    const first = await startKafkaStream(config);
    await publish(first, [1, 2, 3]);
    await publish(first, [2, 3, 4]);
    await consume(first, 4);
    await comesTrue(() => first.counters.repeated.flows === 2, 'two repeated');
    await first.stop();
    const second = await startKafkaStream(config);
    await publish(second, [3, 4, 5]);
    await consume(second, 5);
    expect(texts).toEqual(['1', '2', '3', '4', '5']);
    expect(second.counters.repeated.flows).toBe(2);
  });

  it('gives one that reads alone every partition, from its assignment on, whoever else reads', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    await stream.publish('incidents', [{ ...message('old', { key: 'h' }), partition: 1 }]);
    const readers = [collector(), collector()];
    for (const { onDelivery } of readers) {
      const subscription = await stream.subscribe({
        streams: ['incidents'],
        group: 'serve',
        unit: 'message',
        sharing: 'alone',
        onDelivery,
      });
      await subscription.assigned;
    }
    for (const partition of [0, 1, 2])
      await stream.publish('incidents', [{ ...message(`new${partition}`, { key: 'h' }), partition }]);
    for (const { messages, texts } of readers) {
      await comesTrue(() => messages.length === 3, 'three messages');
      expect(texts().sort()).toEqual(['new0', 'new1', 'new2']);
    }
  });

  it('finds the newest message of every key in the partitions asked for', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    const publish = (key: string, text: string, partition: number) =>
      stream.publish('incidents', [{ ...message(text, { key }), partition }]);
    await publish('a', 'a1', 0);
    await publish('b', 'b1', 1);
    await publish('a', 'a2', 0);
    await publish('c', 'c1', 2);
    const texts: string[] = [];
    for await (const received of stream.latest('incidents', [0, 1])) texts.push(textOf(received));
    expect(texts.sort()).toEqual(['a2', 'b1']);
    for await (const received of stream.latest('incidents', [])) texts.push(textOf(received));
    expect(texts).toHaveLength(2);
  });

  it('divides the partitions between the consumers of a group, and tells each what comes and goes', async () => {
    const config = kafkaConfig(broker.cluster, freshPrefix(), small);
    const stream = await startKafkaStream(config);
    const held = [new Set<number>(), new Set<number>()];
    const seen = [collector(), collector()];
    const start = (i: number) =>
      stream.subscribe({
        streams: ['mail'],
        group: 'g',
        unit: 'message',
        onDelivery: seen[i].onDelivery,
        onAssigned: async (partitions) => partitions.forEach((p) => void held[i].add(p)),
        onRevoked: async (partitions) => partitions.forEach((p) => void held[i].delete(p)),
      });
    const one = await start(0);
    await comesTrue(() => held[0].size === 3, 'the first has all');
    const two = await start(1);
    await comesTrue(() => held[0].size + held[1].size === 3 && held[1].size > 0, 'both share');
    await comesTrue(
      () => [0, 1, 2].every((p) => one.isUpToDate('mail', p) !== two.isUpToDate('mail', p)),
      'settled',
    );
    for (const partition of [0, 1, 2])
      await stream.publish('mail', [{ ...message(`${partition}`), partition }]);
    await comesTrue(() => seen[0].messages.length + seen[1].messages.length === 3, 'all messages once');
    for (const i of [0, 1]) {
      expect(seen[i].texts().map(Number).sort()).toEqual([...held[i]].sort());
    }
    await one.stop();
    await comesTrue(() => held[1].size === 3, 'the second has all');
  });

  it('stores values in LZ4 and gives back the same bytes', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    const value = Buffer.alloc(3 << 20, 'flow records ');
    await stream.publish('flows', [{ key: '', id: '', rows: 1, value, partition: 0 }]);
    const { onDelivery, messages } = collector();
    await stream.subscribe({ streams: ['flows'], group: 'g', unit: 'segment', onDelivery });
    await comesTrue(() => messages.length === 1, 'the message');
    expect(value.equals(messages[0].value)).toBe(true);
  });
});

describe.skipIf(reason !== null)('topics', () => {
  it('are created as configured, found right the next time, and an error where they differ', async () => {
    const prefix = freshPrefix();
    const config = kafkaConfig(broker.cluster, prefix, small);
    const stream = await startKafkaStream(config);
    expect((await stream.checkTopics(false)).checked).toEqual(
      ['flows', 'mail', 'alerts', 'incidents', 'decisions'].map((name) => `${prefix}.${name}`),
    );
    const other = kafkaConfig(broker.cluster, prefix, { topics: { mail: { partitions: 5 } } });
    const error = await startKafkaStream(other).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'stream', transient: false });
    expect(String(error)).toContain(
      `topic ${prefix}.mail has 3 partitions, not 5 (kafka.topics.mail.partitions)`,
    );
  });

  it('are an error where they are missing and not to be created', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix(), small));
    void stream;
    const missing = kafkaConfig(broker.cluster, freshPrefix(), small);
    const { createKafkaStream } = await import('../../../src/stream/kafka/kafka-stream.ts');
    const { keptLog } = await import('../../stream/support.ts');
    const bare = createKafkaStream({ config: missing, log: keptLog() });
    await bare.start();
    await expect(bare.checkTopics(false)).rejects.toThrow(/is missing; create it with: rogue-smtp migrate/);
    await bare.stop();
  });

  it('gets what lies unread in the embedded streams, once each, though the move is killed in the middle', async () => {
    const data = await temporaryDirectory();
    const directory = join(data, 'stream');
    const local = await startStream({ directory });
    const all = Array.from({ length: 2500 }, (_, i) => String(i));
    await local.publish(
      'flows',
      all.map((text) => message(text)),
    );
    await local.publish('alerts', [message('{}', { key: '192.0.2.1', id: 'one' })]);
    const embedded = await local.subscribe({
      streams: ['flows'],
      group: 'store',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    await embedded.commit('flows', 0, 99);
    await local.stop();
    const kafka = { brokers: [...broker.cluster.brokers], topic_prefix: freshPrefix(), ...small };
    const config = configSchema.parse({ data, kafka });
    const stream = await startKafkaStream(config.kafka);
    const { onDelivery, messages } = collector();
    await stream.subscribe({ streams: ['flows'], group: 'store', unit: 'segment', onDelivery });

    let publications = 0;
    const killed = moveStreams({
      directory,
      to: {
        ...stream,
        async publish(name, some) {
          await stream.publish(name, some);
          if (++publications === 2) throw new Error('killed');
          return { accepted: some.length, dropped: 0 };
        },
      },
      partsOf: (_, { key, id, value, rows, offset }) => [{ key, id, value, rows, partition: offset % 2 }],
      log: keptLog(),
    });
    await expect(killed).rejects.toThrow('killed');
    expect(await unreadStreams(data)).toMatch(/1400 of flows, 1 of alerts/);
    const printed: string[] = [];
    const stdout = { write: (text: string) => printed.push(text) } as never;
    const loaded = { config } as Parameters<typeof moveStreamsCommand>[0];
    await moveStreamsCommand(loaded, { stdout });
    expect(printed.join('')).toMatch(/moved {4}1400 of flows\nmoved {4}0 of mail\nmoved {4}1 of alerts/);
    expect(await unreadStreams(data)).toBeNull();
    await comesTrue(
      () => messages.length >= 2400,
      () => `${messages.length} messages`,
    );
    expect(messages.map((one) => Number(textOf(one))).sort((a, b) => a - b)).toEqual(
      all.slice(100).map(Number),
    );
    expect(stream.counters.repeated.flows).toBe(1000);
  });
});

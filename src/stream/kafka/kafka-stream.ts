/**
 * The stream over Kafka: five topics, consumer groups, positions kept by the brokers.
 *
 * Same contract as the in-process stream (`../stream.ts`). Nothing here is kept on this machine: a publication waits for
 * the brokers and rejects while they are away, so whoever cannot wait publishes through `../spooled-stream.ts`. Topics
 * are never created here (see topics.ts).
 */

import { randomUUID } from 'node:crypto';
import kafkajs, { type PartitionMetadata } from 'kafkajs';
import type { KafkaConfig } from '../../config/schema.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { StreamLogger } from '../local/settings.ts';
import {
  isCompacted,
  perStream,
  STREAM_NAMES,
  type Stream,
  type StreamCounters,
  type StreamGap,
  type StreamMessage,
  type StreamName,
  type Subscription,
} from '../stream.ts';
import { createBrokerAdmin } from './broker-admin.ts';
import { createBrokerWatch } from './broker-watch.ts';
import { createKafkaClient } from './client.ts';
import { createEarlyRemoval } from './early-removal.ts';
import { createKafkaSubscription, type SubscriptionCounters } from './kafka-subscription.ts';
import { readLatest } from './latest.ts';
import { divideBlocks, toRecord } from './messages.ts';
import { createRecordProducer, type PlacedRecord } from './producer.ts';
import { ensureTopics, partitionCount, type TopicReport, topicName } from './topics.ts';

export interface KafkaStreamOptions {
  readonly config: KafkaConfig;
  readonly log: StreamLogger;
}

export interface KafkaStream extends Stream {
  readonly counters: StreamCounters & Readonly<SubscriptionCounters>;
  /**
   * Looks whether the topics are what the configuration says, and creates missing ones where `create` is set. Throws
   * RogueSmtpError `stream`: transient when no broker answers.
   */
  checkTopics(create: boolean): Promise<TopicReport>;
  /** Looks once at everything that `troubles` and `differences` speak of. Never rejects. */
  look(): Promise<void>;
}

/** Inert until `start`, which itself needs no broker. Throws RogueSmtpError `config` for secrets that cannot be read. */
export function createKafkaStream({ config, log }: KafkaStreamOptions): KafkaStream {
  const kafka = createKafkaClient(config, log);
  const admin = createBrokerAdmin(kafka);
  const topicOf = (stream: StreamName) => topicName(config, stream);
  const partitions = (stream: StreamName) => partitionCount(config, stream);
  // One each, so that mail never waits behind flows.
  const removals = perStream((stream) =>
    createEarlyRemoval(
      topicOf(stream),
      isCompacted(stream) ? Number.POSITIVE_INFINITY : config.topics[stream].retention,
      () => performance.now(),
    ),
  );
  const producers = perStream((stream) =>
    createRecordProducer({
      kafka,
      compression: config.compression,
      guarantee: stream === 'flows' || stream === 'mail' ? { acks: config.acks } : 'exact',
      ...(!isCompacted(stream) && { onAnswer: removals[stream].note }),
    }),
  );
  const byKey = kafkajs.Partitioners.DefaultPartitioner();
  const metadata = perStream((stream) => allPartitions(partitions(stream)));
  /** As Java's clients do it, so that others who publish to the topics agree. */
  const place = (stream: StreamName) => (key: string) =>
    byKey({
      topic: topicOf(stream),
      partitionMetadata: metadata[stream],
      message: { key: key === '' ? null : key, value: null },
    });
  const zeroes = () => perStream(() => 0);
  const counters = {
    published: zeroes(),
    dropped: zeroes(),
    repeated: zeroes(),
    damaged: zeroes(),
    lostRows: zeroes(),
    rebalances: 0,
    spoolBytes: 0,
  };
  const gaps: StreamGap[] = [];
  const subscriptions = new Set<Subscription>();
  let state: 'new' | 'running' | 'stopped' = 'new';

  const checkTopics = (create: boolean) =>
    admin.ask('the topics cannot be looked at', (client) => ensureTopics(client, config, create));
  // With connections of its own: a look that hangs or fails must not hold up or break the questions of others.
  const watching = createBrokerAdmin(kafka);
  const watch = createBrokerWatch({
    facts: () => watching.facts(STREAM_NAMES.map(topicOf)),
    time: watching.time,
    settings: () =>
      watching.ask('the topics cannot be looked at', (client) => ensureTopics(client, config, false)),
    now: Date.now,
    log,
  });

  function mustRun(): void {
    if (state !== 'running') throw new RogueSmtpError('stream', `the stream is ${state}, not running`);
  }

  return {
    counters,
    partitions,
    gaps: () => gaps,
    async identity(stream) {
      const { clusterId, topics } = await admin.facts([topicOf(stream)]);
      const id = topics.get(topicOf(stream))?.id;
      return clusterId === null || id === undefined
        ? null
        : `${topicOf(stream)} ${id} of cluster ${clusterId}`;
    },
    checkTopics,
    look: watch.look,
    differences: watch.differences,
    troubles: () => [
      ...watch.troubles(),
      // Those would say the same, each for its topic.
      ...(watch.areAway()
        ? []
        : [
            ...STREAM_NAMES.map((stream) => producers[stream].trouble()),
            ...[...subscriptions].map((subscription) => subscription.trouble?.() ?? null),
          ].filter((text) => text !== null)),
      ...STREAM_NAMES.flatMap((stream) => removals[stream].trouble() ?? []),
    ],
    async start() {
      if (state !== 'new') throw new RogueSmtpError('stream', `the stream is ${state}, not new`);
      state = 'running';
      watch.start();
    },
    async publish(stream, messages) {
      mustRun();
      if (messages.length === 0) return { accepted: 0, dropped: 0 };
      const sources = new Map<PlacedRecord, StreamMessage>();
      const recordOf = (message: StreamMessage): PlacedRecord => {
        const record = toRecord(stream, message, place(stream));
        sources.set(record, message);
        return record;
      };
      await producers[stream].send(topicOf(stream), messages.map(recordOf), (record) => {
        const message = sources.get(record);
        const parts = message === undefined ? null : divideBlocks(message);
        return parts === null
          ? null
          : parts.map((part) => recordOf({ ...part, partition: record.partition }));
      });
      const accepted = messages.reduce((sum, { rows }) => sum + rows, 0);
      counters.published[stream] += accepted;
      return { accepted, dropped: 0 };
    },
    async subscribe(request) {
      mustRun();
      const inner = createKafkaSubscription({
        kafka,
        admin,
        request,
        groupId: groupOf(config, request.group, request.streams, request.sharing === 'alone'),
        topicOf,
        partitionsOf: partitions,
        counters,
        onGap: (gap) => gaps.push(gap),
        log,
      });
      const subscription: Subscription = {
        ...inner,
        async stop() {
          subscriptions.delete(subscription);
          await inner.stop();
        },
      };
      subscriptions.add(subscription);
      return subscription;
    },
    async *latest(stream, wanted) {
      mustRun();
      yield* await readLatest(kafka, admin, topicOf(stream), wanted);
    },
    async stop() {
      if (state !== 'running') return;
      state = 'stopped';
      const watched = watch.stop();
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      await Promise.all(STREAM_NAMES.map((stream) => producers[stream].stop()));
      await watched;
      await watching.stop();
      await admin.stop();
    },
  };
}

/**
 * Streams are part of the name: the members of a Kafka group must all read the same topics. One that reads alone is a
 * group by itself, which commits nothing and is gone when it leaves.
 */
function groupOf(config: KafkaConfig, group: string, streams: readonly StreamName[], alone: boolean): string {
  const name = `${config.topic_prefix}.${group}.${[...new Set(streams)].sort().join('-')}`;
  return alone ? `${name}.${randomUUID()}` : name;
}

/** All that the library's partitioner looks at is how many there are, and that each has a leader. */
function allPartitions(count: number): PartitionMetadata[] {
  return Array.from({ length: count }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 0,
    replicas: [],
    isr: [],
  }));
}

/**
 * The topics: their names and settings, and how `migrate` creates or checks them.
 *
 * A topic that is there already is never changed: settings that keep things from working are an error that names what
 * is and what should be, since partitions and compaction decide where hosts go and what a restart knows.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaConfig } from '../../config/schema.ts';
import { RogueSmtpError } from '../../errors.ts';
import { isCompacted, STREAM_NAMES, type StreamName } from '../stream.ts';
import { isForbidden, kafkaError } from './client.ts';
import { leastInSync, replicationOf, type TopicDifference, topicDifferences } from './topic-differences.ts';

/** A batch of flows that does not compress still has to pass: 32768 rows of 171 bytes, and room. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

export function topicName(config: KafkaConfig, stream: StreamName): string {
  return config.topics[stream].name ?? `${config.topic_prefix}.${stream}`;
}

export function partitionCount(config: KafkaConfig, stream: StreamName): number {
  const { flows, mail, alerts } = config.topics;
  // A detector finds the incidents and decisions of its mail partition in their partitions of the same number.
  return {
    flows: flows.partitions,
    mail: mail.partitions,
    alerts: alerts.partitions,
    incidents: mail.partitions,
    decisions: mail.partitions,
  }[stream];
}

/** What a topic must be like, as Kafka's own configuration. */
function settingsOf(config: KafkaConfig, stream: StreamName): Readonly<Record<string, string>> {
  const common = { 'max.message.bytes': String(MAX_MESSAGE_BYTES) };
  if (isCompacted(stream)) return { ...common, 'cleanup.policy': 'compact' };
  return {
    ...common,
    'cleanup.policy': 'delete',
    'retention.ms': String(config.topics[stream].retention),
  };
}

export interface TopicReport {
  readonly created: readonly string[];
  readonly checked: readonly string[];
  /** What could not be looked at, in words; empty when everything could. */
  readonly unchecked: readonly string[];
  /** Existing topics that are not as `create` would make them, though they can be used. */
  readonly differences: readonly TopicDifference[];
  /** `min.insync.replicas` by topic, where it could be looked at. */
  readonly leastInSync: ReadonlyMap<string, number>;
}

/** Creates what is missing where `create` is set. Throws RogueSmtpError `stream` for what is missing or differs. */
export async function ensureTopics(admin: Admin, config: KafkaConfig, create: boolean): Promise<TopicReport> {
  const existing = new Set(await admin.listTopics());
  const missing = STREAM_NAMES.filter((stream) => !existing.has(topicName(config, stream)));
  const present = STREAM_NAMES.filter((stream) => existing.has(topicName(config, stream)));
  const { problems, ...looked } = await lookAtTopics(admin, config, present);
  if (!create) {
    for (const stream of missing) {
      problems.push(
        `topic ${topicName(config, stream)} is missing; create it with: rogue-smtp migrate. If it is there, the user of kafka.sasl lacks the right DESCRIBE on it`,
      );
    }
  }
  if (problems.length > 0) throw new RogueSmtpError('stream', problems.join('\n'));
  if (missing.length > 0) {
    const replicationFactor = replicationOf(config, await brokersOf(admin));
    const inSync = leastInSync(replicationFactor);
    // One is what brokers take by themselves.
    const durable: Readonly<Record<string, string>> =
      inSync > 1 ? { 'min.insync.replicas': String(inSync) } : {};
    await admin
      .createTopics({
        waitForLeaders: false,
        topics: missing.map((stream) => ({
          topic: topicName(config, stream),
          numPartitions: partitionCount(config, stream),
          replicationFactor,
          configEntries: Object.entries({ ...settingsOf(config, stream), ...durable }).map(
            ([name, value]) => ({
              name,
              value,
            }),
          ),
        })),
      })
      .catch((error: unknown) => {
        const right = `CREATE on the topics ${missing.map((stream) => topicName(config, stream)).join(' ')}`;
        throw kafkaError('the topics cannot be made', error, { topic: right });
      });
    await partitionsOf(
      admin,
      missing.map((stream) => topicName(config, stream)),
    );
  }
  return {
    created: missing.map((stream) => topicName(config, stream)),
    checked: present.map((stream) => topicName(config, stream)),
    ...looked,
  };
}

async function brokersOf(admin: Admin): Promise<number> {
  return (await admin.describeCluster()).brokers.length;
}

/** So long a new topic may take to be known to the broker that is asked. */
const SPREAD_MS = 30_000;
const SPREAD_LOOK_MS = 100;

interface Layout {
  readonly partitions: number;
  /** Of the partition that has the fewest. */
  readonly replicas: number;
}

/**
 * The partitions of topics that exist, once each has a leader. A broker that has not heard of a topic yet is asked
 * again, which kafkajs itself does only for one without a leader.
 */
async function partitionsOf(admin: Admin, topics: readonly string[]): Promise<ReadonlyMap<string, Layout>> {
  const deadline = performance.now() + SPREAD_MS;
  for (;;) {
    try {
      const metadata = await admin.fetchTopicMetadata({ topics: [...topics] });
      return new Map(
        metadata.topics.map(({ name, partitions }) => [
          name,
          {
            partitions: partitions.length,
            replicas: Math.min(...partitions.map(({ replicas }) => replicas?.length ?? 0)),
          },
        ]),
      );
    } catch (error) {
      if (!isStillSpreading(error) || performance.now() > deadline) throw error;
      await sleep(SPREAD_LOOK_MS);
    }
  }
}

function isStillSpreading(error: unknown): boolean {
  return error instanceof kafkajs.KafkaJSProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION';
}

interface Looked extends Pick<TopicReport, 'unchecked' | 'differences' | 'leastInSync'> {
  /** Why existing topics cannot be used, in words. */
  readonly problems: string[];
}

async function lookAtTopics(
  admin: Admin,
  config: KafkaConfig,
  streams: readonly StreamName[],
): Promise<Looked> {
  const problems: string[] = [];
  const differences: TopicDifference[] = [];
  const inSync = new Map<string, number>();
  if (streams.length === 0) return { problems, unchecked: [], differences, leastInSync: inSync };
  const topics = streams.map((stream) => topicName(config, stream));
  const layouts = await partitionsOf(admin, topics);
  const described = await settingsFound(admin, topics);
  const brokers = await brokersOf(admin);
  for (const stream of streams) {
    const topic = topicName(config, stream);
    const { partitions, replicas } = layouts.get(topic) ?? { partitions: 0, replicas: 0 };
    const wanted = partitionCount(config, stream);
    if (partitions !== wanted) {
      problems.push(
        `topic ${topic} has ${partitions} partitions, not ${wanted} (kafka.topics.${isCompacted(stream) ? 'mail' : stream}.partitions)`,
      );
    }
    const entries = described?.resources.find(({ resourceName }) => resourceName === topic)?.configEntries;
    const setting = (name: string) => entries?.find(({ configName }) => configName === name)?.configValue;
    differences.push(...topicDifferences(config, stream, brokers, { topic, replicas, setting }));
    if (entries === undefined) continue;
    inSync.set(topic, Number(setting('min.insync.replicas') ?? 1));
    const policy = setting('cleanup.policy') ?? '';
    const compacts = policy.includes('compact');
    if (compacts !== isCompacted(stream) || (compacts && policy.includes('delete'))) {
      problems.push(
        `topic ${topic} has cleanup.policy=${policy}, not ${settingsOf(config, stream)['cleanup.policy']}`,
      );
    }
    const bytes = Number(setting('max.message.bytes'));
    if (bytes < MAX_MESSAGE_BYTES) {
      problems.push(`topic ${topic} has max.message.bytes=${bytes}, not ${MAX_MESSAGE_BYTES} or more`);
    }
  }
  const unchecked =
    described === null
      ? ['the settings of the topics: the user of kafka.sasl lacks the right DESCRIBE_CONFIGS on them']
      : [];
  return { problems, unchecked, differences, leastInSync: inSync };
}

/** Null where the brokers do not let us look: topics that others made are used as they are. */
async function settingsFound(
  admin: Admin,
  topics: readonly string[],
): Promise<Awaited<ReturnType<Admin['describeConfigs']>> | null> {
  try {
    return await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    });
  } catch (error) {
    if (isForbidden(error)) return null;
    throw error;
  }
}

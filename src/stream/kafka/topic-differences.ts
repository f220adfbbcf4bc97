/**
 * How a topic that exists differs from what `migrate` would make, in words. Pure.
 *
 * None of this keeps the service from working, so nothing is refused for it; but who thinks that flows are kept for a day on
 * three brokers should know when they are not.
 */

import type { KafkaConfig } from '../../config/schema.ts';
import { isCompacted, type StreamName } from '../stream.ts';

/** Replicas that a write waits for where there are three, so that one may be away. */
const IN_SYNC_OF_THREE = 2;
const DEFAULT_REPLICATION = 3;

export interface TopicFound {
  readonly topic: string;
  /** Copies of the partition that has the fewest. */
  readonly replicas: number;
  /** By Kafka's name; undefined where the broker does not tell. */
  readonly setting: (name: string) => string | undefined;
}

export interface TopicDifference {
  readonly text: string;
  /** Messages may be lost, or cannot be written, though all brokers do what they were told. */
  readonly harmful: boolean;
}

/** Copies of a topic that `migrate` makes. */
export function replicationOf(config: KafkaConfig, brokers: number): number {
  return config.replication ?? Math.min(DEFAULT_REPLICATION, brokers);
}

/** `min.insync.replicas` of a topic that `migrate` makes. */
export function leastInSync(replicas: number): number {
  return replicas >= DEFAULT_REPLICATION ? IN_SYNC_OF_THREE : 1;
}

export function topicDifferences(
  config: KafkaConfig,
  stream: StreamName,
  brokers: number,
  { topic, replicas, setting }: TopicFound,
): TopicDifference[] {
  const found: TopicDifference[] = [];
  const wanted = replicationOf(config, brokers);
  if (replicas !== wanted)
    found.push({
      text: `topic ${topic} has ${replicas} replica(s), not ${wanted} (kafka.replication${config.replication === undefined ? ', not set: as many as there are brokers, 3 at most' : ''})`,
      harmful: config.replication !== undefined && replicas < wanted,
    });
  found.push(...inSyncDifferences(topic, replicas, setting('min.insync.replicas')));
  if (!isCompacted(stream)) found.push(...retentionDifferences(config, stream, topic, setting));
  return found;
}

function inSyncDifferences(topic: string, replicas: number, value: string | undefined): TopicDifference[] {
  if (value === undefined) return [];
  const least = Number(value);
  const wanted = leastInSync(replicas);
  const has = `topic ${topic} has min.insync.replicas=${least}`;
  // Kafka 4.3.1 takes writes then: it asks for no more copies than there are to be.
  if (least > replicas)
    return [{ text: `${has}, but only ${replicas} replica(s): brokers go by the smaller`, harmful: false }];
  if (least < wanted)
    return [
      {
        text: `${has}, not ${wanted}: a message that only one broker has is lost with that broker`,
        harmful: false,
      },
    ];
  if (least > wanted)
    return [{ text: `${has}, not ${wanted}: it cannot be written while one broker is away`, harmful: false }];
  return [];
}

function retentionDifferences(
  config: KafkaConfig,
  stream: 'flows' | 'mail' | 'alerts',
  topic: string,
  setting: TopicFound['setting'],
): TopicDifference[] {
  const found: TopicDifference[] = [];
  const wanted = config.topics[stream].retention;
  const kept = Number(setting('retention.ms') ?? wanted);
  if (kept !== wanted) {
    const isShorter = kept >= 0 && kept < wanted;
    found.push({
      text: `topic ${topic} has retention.ms=${kept}, not ${wanted} (kafka.topics.${stream}.retention)${isShorter ? ': messages that nobody has read by then are lost' : ''}`,
      harmful: isShorter,
    });
  }
  const bytes = Number(setting('retention.bytes') ?? -1);
  if (bytes >= 0)
    found.push({
      text: `topic ${topic} has retention.bytes=${bytes}: messages may be removed before kafka.topics.${stream}.retention is over`,
      harmful: false,
    });
  return found;
}

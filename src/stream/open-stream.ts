/**
 * Chooses the stream by the configuration: Kafka when it has brokers, with a spool before it where flows are collected;
 * else a spool in the data directory that is everything.
 */

import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../logger.ts';
import { createKafkaStream } from './kafka/kafka-stream.ts';
import type { TopicReport } from './kafka/topics.ts';
import { createLocalStream } from './local/local-stream.ts';
import type { StreamLogger } from './local/settings.ts';
import { createSparingLog } from './sparing-log.ts';
import { createSpooledStream } from './spooled-stream.ts';
import type { Stream } from './stream.ts';

export interface ConnectedStream {
  readonly stream: Stream;
  /** Only with Kafka: looks at the topics, see KafkaStream. */
  readonly checkTopics: ((create: boolean) => Promise<TopicReport>) | null;
}

/** Of the in-process stream, in the data directory. */
export const STREAM_DIRECTORY = 'stream';

/** How long a collector that stops waits for the brokers to take what it has spooled. */
const DRAIN_MS = 5000;

export function createStream(config: Config, collects: boolean, log: Logger): ConnectedStream {
  const spoolIn = (directory: string, to: StreamLogger) =>
    createLocalStream({ directory, maxBytesPerStream: config.spool.max_bytes, now: Date.now, log: to });
  if (config.kafka.brokers.length === 0) {
    return { stream: spoolIn(join(config.data, STREAM_DIRECTORY), log), checkTopics: null };
  }
  const sparing = createSparingLog(log);
  const kafka = createKafkaStream({ config: config.kafka, log: sparing });
  const { checkTopics } = kafka;
  if (!collects) return { stream: kafka, checkTopics };
  const directory = join(config.data, 'spool');
  const stream = createSpooledStream({
    // It tells that the brokers do not take what it forwards.
    spool: spoolIn(directory, sparing),
    remote: kafka,
    directory,
    drainMs: DRAIN_MS,
    log,
  });
  return { stream, checkTopics };
}

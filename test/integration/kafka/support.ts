/** What the tests against a real broker share: streams on topics of their own, and a log that is kept. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { KafkaConfig } from '../../../src/config/schema.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { createKafkaStream, type KafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { keptLog, type LoggedLine } from '../../stream/support.ts';
import { type Cluster, type SecureAccess, startCluster } from './broker.ts';

export interface OneBroker {
  readonly cluster: Cluster;
  /** A directory of the tests' own. */
  readonly directory: string;
}

/** A broker and a directory for all tests of a file; nothing where there is a reason why not. */
export function oneBroker(
  reason: string | null,
  secure?: SecureAccess,
  more?: Readonly<Record<string, string>>,
): OneBroker {
  let cluster: Cluster | null = null;
  let directory: string | null = null;
  beforeAll(async () => {
    if (reason !== null) return;
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-kafka-test-'));
    cluster = await startCluster(1, secure, more);
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    if (directory !== null) rmSync(directory, { recursive: true, force: true });
  });
  const there = <Thing>(thing: Thing | null): Thing => {
    if (thing === null) throw new Error('the broker is there while tests run only');
    return thing;
  };
  return {
    get cluster() {
      return there(cluster);
    },
    get directory() {
      return there(directory);
    },
  };
}

export const freshPrefix = () => `t${randomBytes(4).toString('hex')}`;

export function kafkaConfig(cluster: Cluster, prefix: string, more: object = {}): KafkaConfig {
  return configSchema.parse({ kafka: { brokers: [...cluster.brokers], topic_prefix: prefix, ...more } })
    .kafka;
}

/** A stream on the topics of the prefix, which are made where they are missing; stopped at the end of the test. */
export async function startKafkaStream(
  config: KafkaConfig,
  log: ReturnType<typeof keptLog> = keptLog(),
): Promise<KafkaStream & { readonly lines: readonly LoggedLine[] }> {
  const stream = createKafkaStream({ config, log });
  await stream.start();
  onTestFinished(() => stream.stop());
  await stream.checkTopics(true);
  return { ...stream, lines: log.lines };
}

/** Makes the topics of a configuration, before several roles would each find them missing. */
export async function makeTopics(config: KafkaConfig): Promise<void> {
  const stream = createKafkaStream({ config, log: keptLog() });
  await stream.start();
  await stream.checkTopics(true);
  await stream.stop();
}

/** Comes true within a minute: brokers that were killed take their time. */
export async function comesTrue(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  withinMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline)
      throw new Error(`did not come true: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

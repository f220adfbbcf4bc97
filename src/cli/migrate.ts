/**
 * `rogue-smtp migrate`: makes what the roles need. Kafka topics are created where missing and checked where not, never
 * changed; tables are created or upgraded. To be run again after an upgrade.
 */

import type { LoadedConfig } from '../config/load.ts';
import { createLogger } from '../logger.ts';
import { migrate } from '../store/migrate.ts';
import { createEngine } from '../store/open-engine.ts';
import { createKafkaStream } from '../stream/kafka/kafka-stream.ts';

/** Throws RogueSmtpError with what differs, or with what does not answer. */
export async function migrateCommand(
  { config }: LoadedConfig,
  streams: { readonly stdout: NodeJS.WritableStream },
): Promise<void> {
  const log = createLogger(config.log.level);
  if (config.kafka.brokers.length > 0) {
    const kafka = createKafkaStream({ config: config.kafka, log });
    await kafka.start();
    try {
      const { created, checked, unchecked, differences } = await kafka.checkTopics(true);
      for (const topic of created) streams.stdout.write(`created  topic ${topic}\n`);
      for (const topic of checked) streams.stdout.write(`ok       topic ${topic}\n`);
      for (const { text } of differences) streams.stdout.write(`differs  ${text}\n`);
      for (const text of unchecked) streams.stdout.write(`unknown  ${text}\n`);
    } finally {
      await kafka.stop();
    }
  }
  const engine = createEngine(config, log);
  try {
    await engine.start();
    await migrate(engine, config.clickhouse);
    streams.stdout.write(
      `ok       tables in ${config.clickhouse.url === '' ? config.data : config.clickhouse.database}\n`,
    );
  } finally {
    await engine.stop();
  }
}

/** TLS and SASL against a real broker: who has the password and the certificate gets in, nobody else does. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import type { KafkaConfig } from '../../../src/config/schema.ts';
import { createKafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { keptLog, message } from '../../stream/support.ts';
import { cannotHaveKafka } from './broker.ts';
import { freshPrefix, oneBroker } from './support.ts';

const reason =
  (await cannotHaveKafka()) ??
  (process.env.KAFKA_BROKERS === undefined ? null : 'brokers of KAFKA_BROKERS have users of their own');
const ACCESS = { username: 'rogue-smtp', password: 'a password: "of" the test'.replaceAll('"', '') };

const broker = oneBroker(reason, ACCESS);

function config(mechanism: string, more: object = {}, sasl: object = {}): KafkaConfig {
  const file = join(broker.directory, 'rogue-smtp.yaml');
  writeFileSync(join(broker.directory, 'password'), `${ACCESS.password}\n`);
  const kafka = {
    brokers: broker.cluster.secure?.brokers,
    topic_prefix: freshPrefix(),
    ssl: { ca: broker.cluster.secure?.authority },
    sasl: {
      mechanism,
      username: ACCESS.username,
      password_file: join(broker.directory, 'password'),
      ...sasl,
    },
    ...more,
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ kafka }));
  return loadConfig({ file, environment: {} }).config.kafka;
}

async function attempt(settings: KafkaConfig) {
  const log = keptLog();
  const stream = createKafkaStream({ config: settings, log });
  try {
    await stream.start();
    await stream.checkTopics(true);
    const { accepted } = await stream.publish('alerts', [{ ...message('through TLS'), key: '10.0.0.1' }]);
    return { accepted, lines: JSON.stringify(log.lines) };
  } catch (error) {
    return { error: String(error), lines: JSON.stringify(log.lines) };
  } finally {
    await stream.stop();
  }
}

describe.skipIf(reason !== null)(`a broker with TLS and SASL${reason === null ? '' : ` (${reason})`}`, () => {
  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])('takes messages by %s', async (mechanism) => {
    expect(await attempt(config(mechanism))).toMatchObject({ accepted: 1 });
  });

  it('refuses a wrong password, which is in no message', async () => {
    const { error, lines } = await attempt(
      config('scram-sha-512', {}, { password: 'another-secret', password_file: undefined }),
    );
    expect(error).toMatch(/authentication/i);
    expect(error + lines).not.toContain('another-secret');
  });

  it('is not believed without the certificate that signed it', async () => {
    const { error } = await attempt(config('plain', { ssl: true }));
    expect(error).toMatch(/certificate/i);
  });
});

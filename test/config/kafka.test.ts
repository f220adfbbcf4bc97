import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { createKafkaClient } from '../../src/stream/kafka/client.ts';
import { partitionCount, topicName } from '../../src/stream/kafka/topics.ts';
import { keptLog } from '../stream/support.ts';

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-kafka-config-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function load(kafka: string, environment: Record<string, string> = {}) {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, `kafka: ${kafka}\n`);
  return loadConfig({ file, environment });
}
const mistake = (kafka: string) => {
  try {
    load(kafka);
  } catch (error) {
    return String(error);
  }
  throw new Error('no mistake found');
};

describe('the Kafka section', () => {
  it('has a default for everything but the brokers', () => {
    const { kafka } = load(
      '{ brokers: ["kafka-1.example.net:9092", "[2001:db8::9]:9092", "192.0.2.9:9092"] }',
    ).config;
    expect(topicName(kafka, 'mail')).toBe('rogue-smtp.mail');
    expect(kafka).toMatchObject({ acks: 'all', compression: 'lz4', ssl: false, client_id: 'rogue-smtp' });
  });

  it('names topics by prefix or by name, and gives incidents the partitions of mail', () => {
    const { kafka } = load(
      '{ topic_prefix: site7, topics: { mail: { partitions: 12 }, flows: { name: netflow } } }',
    ).config;
    expect(topicName(kafka, 'flows')).toBe('netflow');
    expect(topicName(kafka, 'incidents')).toBe('site7.incidents');
    expect(partitionCount(kafka, 'incidents')).toBe(12);
  });

  it('refuses brokers without a port, two streams on one topic, and batches that no broker takes', () => {
    expect(mistake('{ brokers: [kafka-1] }')).toContain('expected host:port');
    expect(mistake('{ brokers: ["k:1"], topics: { mail: { name: a }, flows: { name: a } } }')).toContain(
      'two streams have the same topic',
    );
    expect(mistake('{ brokers: ["k:1"] }\ncollector: { batch_rows: 65536 }')).toContain(
      'with kafka.brokers at most',
    );
  });

  it('takes the password from the environment or a file, from exactly one place, and never repeats it', () => {
    const sasl = (more: string) =>
      `{ brokers: ["k:1"], sasl: { mechanism: scram-sha-512, username: u${more} } }`;
    expect(mistake(sasl(''))).toContain('needs either password or password_file');
    expect(mistake(sasl(', password: hunter2, password_file: f'))).not.toContain('hunter2');
    const { kafka } = load(sasl(''), { ROGUE_SMTP__KAFKA__SASL__PASSWORD: 'hunter2' }).config;
    expect(kafka.sasl?.password).toBe('hunter2');
    const log = keptLog();
    createKafkaClient(kafka, log);
    expect(JSON.stringify(log.lines)).not.toContain('hunter2');
    const missing = load(sasl(`, password_file: ${join(directory, 'none')}`)).config.kafka;
    expect(() => createKafkaClient(missing, keptLog())).toThrow(/kafka\.sasl\.password_file: ENOENT/);
  });

  it('warns of a password that crosses the network as it is', () => {
    const { warnings } = load('{ brokers: ["k:1"], sasl: { mechanism: plain, username: u, password: p } }');
    expect(warnings.join()).toContain('kafka.sasl is plain without kafka.ssl');
  });
});

import kafkajs, { type Admin } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { ensureTopics } from '../../../src/stream/kafka/topics.ts';

const { kafka: config } = configSchema.parse({ kafka: { brokers: ['127.0.0.1:9092'] } });

/** What kafkajs makes of the answer of a broker, such as UNKNOWN_TOPIC_OR_PARTITION. */
const refusal = (type: string) =>
  new kafkajs.KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 3, retriable: true }));

/** An empty cluster whose broker refuses to tell of its topics so often. */
function emptyCluster(refusals: Error[]) {
  const created: string[] = [];
  const cluster = {
    listTopics: async () => [],
    describeCluster: async () => ({ brokers: [{}] }),
    createTopics: async ({ topics }: { topics: { topic: string }[] }) => {
      created.push(...topics.map(({ topic }) => topic));
    },
    fetchTopicMetadata: async ({ topics }: { topics: string[] }) => {
      const refused = refusals.shift();
      if (refused !== undefined) throw refused;
      return { topics: topics.map((name) => ({ name, partitions: [{}] })) };
    },
  };
  return { admin: cluster as unknown as Admin, created };
}

describe('topics that were made just now', () => {
  it('are waited for until the broker knows them', async () => {
    const refusals = [refusal('UNKNOWN_TOPIC_OR_PARTITION'), refusal('UNKNOWN_TOPIC_OR_PARTITION')];
    const { admin, created } = emptyCluster(refusals);
    const report = await ensureTopics(admin, config, true);
    expect(report.created).toEqual(created);
    expect(created).toHaveLength(5);
    expect(refusals).toEqual([]);
  });

  it('are not waited for where the broker says something else', async () => {
    const { admin } = emptyCluster([refusal('TOPIC_AUTHORIZATION_FAILED')]);
    await expect(ensureTopics(admin, config, true)).rejects.toThrow('TOPIC_AUTHORIZATION_FAILED');
  });
});

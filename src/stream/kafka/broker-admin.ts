/**
 * Questions to the cluster, over connections that are made when they are needed and made anew when they failed.
 *
 * Nothing here tries again: whoever asks knows how long the answer is worth waiting for.
 */

import type { Admin, Kafka } from 'kafkajs';
import { kafkaError, rightsToRead } from './client.ts';
import { createClusterQuestions } from './cluster-questions.ts';
import { createLink } from './link.ts';
import type { ClusterFacts } from './raw-requests.ts';

export interface BrokerAdmin {
  /** Rejects with RogueSmtpError `stream`, as all of these do. */
  ask<Answer>(what: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer>;
  /** First offset kept and the offset that the next message gets, by partition. */
  offsets(topic: string): Promise<ReadonlyMap<number, { readonly low: number; readonly end: number }>>;
  /** Ids of the cluster and of topics, as far as the brokers tell. */
  facts(topics: readonly string[]): Promise<ClusterFacts>;
  /** The offset behind the last record of a leader epoch, null where that is not known. */
  epochEnd(topic: string, partition: number, epoch: number): Promise<number | null>;
  /** Milliseconds since 1970 by the brokers' clock, null where they do not tell it. */
  time(): Promise<number | null>;
  /** Rejects with the reason where the group has no coordinator. */
  coordinator(groupId: string): Promise<void>;
  stop(): Promise<void>;
}

export function createBrokerAdmin(kafka: Kafka): BrokerAdmin {
  const link = createLink(() => kafka.admin());
  const questions = createClusterQuestions(kafka);

  const asking = async <Answer>(what: string, answer: Promise<Answer>): Promise<Answer> => {
    try {
      return await answer;
    } catch (error) {
      throw kafkaError(what, error);
    }
  };
  const ask = <Answer>(what: string, question: (admin: Admin) => Promise<Answer>) =>
    asking(what, link.use(question));

  return {
    ask,
    async offsets(topic) {
      const found = await ask(`the offsets of ${topic} cannot be had`, (admin) =>
        admin.fetchTopicOffsets(topic),
      );
      return new Map(
        found.map(({ partition, low, high }) => [partition, { low: Number(low), end: Number(high) }]),
      );
    },
    facts: (topics) => asking('the topics cannot be looked at', questions.facts(topics)),
    epochEnd: (topic, partition, epoch) =>
      asking(`the end of an epoch of ${topic} cannot be had`, questions.epochEnd(topic, partition, epoch)),
    time: () => asking('the time of the brokers cannot be asked', questions.time()),
    coordinator: (groupId) =>
      questions.coordinator(groupId).catch((error: unknown) => {
        throw kafkaError(`group ${groupId} cannot be used`, error, rightsToRead([], groupId));
      }),
    async stop() {
      await Promise.all([link.close(), questions.stop()]);
    },
  };
}

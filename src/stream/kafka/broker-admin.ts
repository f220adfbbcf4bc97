/**
 * Questions to the cluster, over one connection that is made when it is needed and made anew when it failed.
 *
 * Nothing here tries again: whoever asks knows how long the answer is worth waiting for.
 */

import type { Admin, Kafka } from 'kafkajs';
import { kafkaError } from './client.ts';

export interface BrokerAdmin {
  /** Rejects with RogueSmtpError `stream`. */
  ask<Answer>(what: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer>;
  /** First offset kept and the offset that the next message gets, by partition. */
  offsets(topic: string): Promise<ReadonlyMap<number, { readonly low: number; readonly end: number }>>;
  stop(): Promise<void>;
}

export function createBrokerAdmin(kafka: Kafka): BrokerAdmin {
  let connecting: Promise<Admin> | null = null;

  function connected(): Promise<Admin> {
    connecting ??= (async () => {
      const admin = kafka.admin();
      try {
        await admin.connect();
        return admin;
      } catch (error) {
        await admin.disconnect().catch(() => undefined);
        throw error;
      }
    })();
    return connecting;
  }

  async function discard(failed: Promise<Admin> | null): Promise<void> {
    if (failed === null || connecting !== failed) return;
    connecting = null;
    await failed.then((admin) => admin.disconnect()).catch(() => undefined);
  }

  async function ask<Answer>(what: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const connection = connected();
    try {
      return await question(await connection);
    } catch (error) {
      await discard(connection);
      throw kafkaError(what, error);
    }
  }

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
    stop: () => discard(connecting),
  };
}

/**
 * Reads a compacted topic from its beginning to where it ends now, and gives the newest message of each key.
 *
 * In a group of its own that leaves nothing behind. It must never end early: who restores from half a state would open
 * incidents anew that are known.
 */

import { randomUUID } from 'node:crypto';
import { setInterval } from 'node:timers';
import kafkajs, { type Kafka, type PartitionAssigner } from 'kafkajs';
import { RogueSmtpError } from '../../errors.ts';
import type { ReceivedMessage } from '../stream.ts';
import type { BrokerAdmin } from './broker-admin.ts';
import { kafkaError, rightsToRead } from './client.ts';
import { fromRecord } from './messages.ts';

/** Without any progress for so long it is given up, to be tried again by the caller. */
const STALL_MS = 30_000;
const FETCH_BYTES = 4 * 1024 * 1024;

/** Rejects with RogueSmtpError `stream`; what was read by then must not be used. */
export async function readLatest(
  kafka: Kafka,
  admin: BrokerAdmin,
  topic: string,
  partitions: readonly number[],
): Promise<ReceivedMessage[]> {
  const ends = new Map<number, number>();
  for (const [partition, { low, end }] of await admin.offsets(topic)) {
    if (partitions.includes(partition) && end > low) ends.set(partition, end);
  }
  if (ends.size === 0) return [];
  const newest = new Map<string, ReceivedMessage>();
  const consumer = kafka.consumer({
    groupId: `${topic}.latest.${randomUUID()}`,
    partitionAssigners: [onlyPartitions(topic, [...ends.keys()])],
    allowAutoTopicCreation: false,
    maxBytesPerPartition: FETCH_BYTES,
    maxWaitTimeInMs: 100,
    retry: { restartOnFailure: async () => false },
  });
  let progressAt = performance.now();
  let watchdog: NodeJS.Timeout | null = null;
  try {
    await new Promise<void>((resolve, reject) => {
      watchdog = setInterval(() => {
        if (performance.now() - progressAt > STALL_MS)
          reject(new RogueSmtpError('stream', `topic ${topic} stands still`, { transient: true }));
      }, 1000);
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      const eachBatch: Parameters<typeof consumer.run>[0] = {
        autoCommit: false,
        partitionsConsumedConcurrently: 1,
        async eachBatch({ batch, heartbeat }) {
          progressAt = performance.now();
          const end = ends.get(batch.partition);
          if (end === undefined) return;
          for (const record of batch.messages) {
            const message = fromRecord(record);
            const key = record.key?.toString('utf8') ?? '';
            // A copy: the value would keep the whole fetched block in memory.
            if (message === null) newest.delete(key);
            else newest.set(key, { ...message, value: Buffer.from(message.value) });
          }
          if (Number(batch.lastOffset()) + 1 >= end) ends.delete(batch.partition);
          if (ends.size === 0) resolve();
          await heartbeat();
        },
      };
      consumer
        .connect()
        .then(() => consumer.subscribe({ topics: [topic], fromBeginning: true }))
        .then(() => consumer.run(eachBatch))
        .catch(reject);
    });
  } catch (error) {
    throw kafkaError(`topic ${topic} cannot be read`, error, rightsToRead([topic], `${topic}.latest.*`));
  } finally {
    if (watchdog !== null) clearInterval(watchdog);
    await consumer.disconnect().catch(() => undefined);
  }
  return [...newest.values()];
}

/** The only member of the group reads these and nothing else. */
function onlyPartitions(topic: string, partitions: number[]): PartitionAssigner {
  const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;
  const userData = Buffer.alloc(0);
  return () => ({
    name: 'only-partitions',
    version: 0,
    assign: async ({ members }) =>
      members.map(({ memberId }) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: 0,
          assignment: { [topic]: partitions },
          userData,
        }),
      })),
    protocol: ({ topics }) => ({
      name: 'only-partitions',
      metadata: MemberMetadata.encode({ version: 0, topics, userData }),
    }),
  });
}

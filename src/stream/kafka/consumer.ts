/**
 * Keeps one kafkajs consumer running: makes it, watches it, makes it anew with growing pauses when it crashes or goes
 * silent.
 *
 * The library's own restart is switched off, since it does not happen after every crash (kafkajs #1513, #1721). This
 * module knows nothing of messages; what is delivered and committed is partition-reader's business.
 */

import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, ConsumerGroupJoinEvent, EachBatchHandler, Kafka } from 'kafkajs';
import { messageOf } from '../../errors.ts';
import { aborted } from '../../waiting.ts';
import type { StreamLogger } from '../local/settings.ts';
import { kafkaError, rightsToRead } from './client.ts';

export interface ConsumerOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Partitions that may be worked on at the same time. */
  readonly concurrency: number;
  readonly eachBatch: EachBatchHandler;
  /** Called in the same turn in which the group has answered: nothing is fetched before it returns. */
  readonly onJoin: (payload: ConsumerGroupJoinEvent['payload'], consumer: Consumer) => void;
  /** Partitions may be somebody else's from now on, until the next join. */
  readonly onLeave: () => void;
  /** Something is being worked on: silence is then no sign of trouble. */
  readonly isBusy: () => boolean;
  /** Rejects with the reason where the group has no coordinator, which the library does not tell. */
  readonly askCoordinator: () => Promise<void>;
  readonly log: StreamLogger;
}

export interface RunningConsumer {
  /** The consumer, while it can commit. */
  current(): Consumer | null;
  /** Why it ended last, in words; null once it has read something again. */
  trouble(): string | null;
  stop(): Promise<void>;
}

/** Detection promises seconds: a fetch returns as soon as there is anything, and at the latest after this. */
const MAX_WAIT_MS = 500;
/** Compressed. A larger message comes all the same, alone (KIP-74). */
const PARTITION_BYTES = 2 * 1024 * 1024;
const FETCH_BYTES = 8 * 1024 * 1024;
/**
 * A member that died without a word holds up its partitions so long, and with it the alerts. Heartbeats go on during work,
 * so that only a process that does nothing at all for so long is taken for dead.
 */
const SESSION_TIMEOUT_MS = 15_000;
const REBALANCE_TIMEOUT_MS = 60_000;
const HEARTBEAT_MS = 3000;
/** Neither fetch nor heartbeat for so long: the library has got stuck. */
const SILENCE_MS = 120_000;
const WATCH_MS = 5000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3000;
/**
 * Longer than brokers need to elect leaders and coordinators (9 s until one is taken for dead): a consumer that gives up
 * before that cannot even leave its group, and the next one then waits for the session of the first to end.
 */
const RETRY = { initialRetryTime: 200, maxRetryTime: 2000, retries: 14 };

export function startConsumer(options: ConsumerOptions): RunningConsumer {
  const { kafka, groupId, topics, log } = options;
  const stopping = new AbortController();
  let live: Consumer | null = null;
  let trouble: string | null = null;
  const told = (error: unknown) =>
    kafkaError(`${topics.join(' and ')} cannot be read`, error, rightsToRead(topics, groupId)).message;

  /** Resolves with the reason when the consumer ended. */
  async function runOne(): Promise<string> {
    const consumer = kafka.consumer({
      groupId,
      allowAutoTopicCreation: false,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: PARTITION_BYTES,
      maxWaitTimeInMs: MAX_WAIT_MS,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      retry: { ...RETRY, restartOnFailure: async () => false },
    });
    let heardAt = performance.now();
    let watchdog: NodeJS.Timeout | null = null;
    let stopListening = (): void => undefined;
    const { events } = consumer;
    const ended = new Promise<string>((resolve) => {
      consumer.on(events.CRASH, ({ payload }) => {
        live = null;
        resolve(told(payload.error));
      });
      stopListening = aborted(stopping.signal, 'stopped')(resolve, () => undefined);
      watchdog = setInterval(() => {
        if (options.isBusy()) heardAt = performance.now();
        if (performance.now() - heardAt > SILENCE_MS) resolve('nothing was heard of it');
      }, WATCH_MS);
    });
    for (const event of [events.FETCH, events.HEARTBEAT, events.GROUP_JOIN]) {
      consumer.on(event, () => {
        heardAt = performance.now();
      });
    }
    consumer.on(events.FETCH, () => {
      trouble = null;
    });
    consumer.on(events.REBALANCING, options.onLeave);
    consumer.on(events.GROUP_JOIN, ({ payload }) => options.onJoin(payload, consumer));
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [...topics], fromBeginning: true });
      live = consumer;
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.concurrency,
        eachBatch: options.eachBatch,
      });
      return await ended;
    } catch (error) {
      return told(error);
    } finally {
      if (watchdog !== null) clearInterval(watchdog);
      stopListening();
      options.onLeave();
      live = null;
      await consumer.disconnect().catch(() => undefined);
    }
  }

  async function keepRunning(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!stopping.signal.aborted) {
      const from = performance.now();
      const ended = await runOne();
      const reason = /find group coordinator/.test(ended)
        ? await options.askCoordinator().then(() => ended, messageOf)
        : ended;
      if (stopping.signal.aborted) return;
      if (performance.now() - from > SILENCE_MS) pauseMs = FIRST_PAUSE_MS;
      trouble = reason;
      log.warn({ groupId, reason, pauseMs }, 'the consumer ended and is made anew');
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  const running = keepRunning();
  return {
    current: () => live,
    trouble: () => trouble,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

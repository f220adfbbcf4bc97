/**
 * Looks at the brokers every few seconds, so that who asks for the health of this process gets an answer at once.
 *
 * Publications and consumers find out by themselves that brokers are away, but only when they have something to do, and they do
 * not know what else is wrong: partitions that cannot be written, a clock that is a day off, settings that somebody has
 * changed. It never keeps anything from working, and what it has found is forgotten as soon as a look finds it well.
 */

import { clearInterval, setInterval } from 'node:timers';
import { messageOf } from '../../errors.ts';
import type { StreamLogger } from '../local/settings.ts';
import type { ClusterFacts } from './raw-requests.ts';
import type { TopicReport } from './topics.ts';

export interface BrokerWatchOptions {
  /** The topics, and what the brokers say of their partitions. Rejects when no broker answers. */
  readonly facts: () => Promise<ClusterFacts>;
  /** Milliseconds since 1970 by the brokers' clock; null where they do not tell it. */
  readonly time: () => Promise<number | null>;
  /** Looks at the settings of the topics. Rejects also for topics that are missing or cannot be used. */
  readonly settings: () => Promise<TopicReport>;
  /** The wall clock of this machine, by which records are stamped. */
  readonly now: () => number;
  readonly log: StreamLogger;
  /** Between two looks; the default is for everything but tests. */
  readonly everyMs?: number;
}

export interface BrokerWatch {
  start(): void;
  /** Resolves after the look under way, or one that begins now. Never rejects. */
  look(): Promise<void>;
  /** In words; empty while all is well, and before the first look. */
  troubles(): readonly string[];
  /** No broker has answered the newest look. */
  areAway(): boolean;
  /** Settings of topics that differ from the configuration, in words, those of `troubles` too. */
  differences(): readonly string[];
  stop(): Promise<void>;
}

const LOOK_MS = 5000;
/** Looks between two at the settings of the topics and the clock: these change seldom. */
const SETTINGS_EVERY = 12;
/** A broker that has not answered for so long is away, though the library is still trying. */
const SILENCE_MS = 10_000;
/** Clocks that are set by NTP agree to milliseconds. */
const CLOCK_MS = 5 * 60_000;

export function createBrokerWatch(options: BrokerWatchOptions): BrokerWatch {
  const { now, log, everyMs = LOOK_MS } = options;
  let timer: NodeJS.Timeout | null = null;
  let looking: Promise<void> | null = null;
  let begunAt = 0;
  let looks = 0;
  let away: string | null = null;
  let unwritable: readonly string[] = [];
  let clock: string | null = null;
  let unusable: string | null = null;
  let wasUsable = false;
  let report: Pick<TopicReport, 'differences' | 'leastInSync'> = { differences: [], leastInSync: new Map() };

  async function look(): Promise<void> {
    try {
      const { topics } = await options.facts();
      away = null;
      if (unusable !== null || looks++ % SETTINGS_EVERY === 0) await lookClosely();
      unwritable = [...topics].flatMap(([topic, { partitions }]) =>
        unwritablePartitions(topic, partitions, report.leastInSync.get(topic) ?? 1),
      );
    } catch (error) {
      away = messageOf(error);
      // What has changed meanwhile is looked at as soon as they are back.
      looks = 0;
    }
  }

  async function lookClosely(): Promise<void> {
    const asked = now();
    const brokers = await options.time().catch(() => null);
    clock = brokers === null ? null : clockTrouble(brokers, (asked + now()) / 2);
    const before = new Set(differences());
    try {
      report = await options.settings();
      unusable = null;
      wasUsable = true;
    } catch (error) {
      unusable = messageOf(error);
    }
    for (const text of differences())
      if (!before.has(text)) log.warn({ text }, 'a topic differs from the configuration');
  }

  /** One look at a time. */
  function begin(): Promise<void> {
    if (looking !== null) return looking;
    begunAt = performance.now();
    looking = look().finally(() => {
      looking = null;
    });
    return looking;
  }

  const differences = () => report.differences.map(({ text }) => text);
  const isSilent = () => looking !== null && performance.now() - begunAt > SILENCE_MS;

  return {
    start() {
      timer = setInterval(() => void begin(), everyMs).unref();
      void begin();
    },
    look: begin,
    areAway: () => away !== null || isSilent(),
    differences,
    troubles() {
      if (away !== null) return [away];
      if (isSilent())
        return [
          `no broker of kafka.brokers has answered for ${Math.round((performance.now() - begunAt) / 1000)} s`,
        ];
      return [
        ...unwritable,
        ...(clock === null ? [] : [clock]),
        // Whoever starts looks for itself until the topics are as they must be.
        ...(unusable === null || !wasUsable ? [] : [unusable]),
        ...report.differences.filter(({ harmful }) => harmful).map(({ text }) => text),
      ];
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      await looking;
    },
  };
}

type Partitions =
  ClusterFacts['topics'] extends ReadonlyMap<string, infer Topic>
    ? Topic extends { readonly partitions: infer Of }
      ? Of
      : never
    : never;

function unwritablePartitions(topic: string, partitions: Partitions, least: number): string[] {
  const leaderless: number[] = [];
  const short: number[] = [];
  let inSync = Number.POSITIVE_INFINITY;
  for (const [partition, facts] of partitions) {
    if (facts.leader < 0) leaderless.push(partition);
    else if (facts.inSync < Math.min(least, facts.replicas)) {
      short.push(partition);
      inSync = Math.min(inSync, facts.inSync);
    }
  }
  return [
    ...(leaderless.length === 0
      ? []
      : [
          `topic ${topic} has no leader for partition ${leaderless.join(', ')}: nothing can be read or written there until a broker that holds it is back`,
        ]),
    ...(short.length === 0
      ? []
      : [
          `topic ${topic} takes no messages in partition ${short.join(', ')}: ${inSync} replica(s) in sync, and min.insync.replicas is ${least}`,
        ]),
  ];
}

/** Which way it is off decides what happens to records, which carry this machine's time. */
function clockTrouble(brokersMs: number, hereMs: number): string | null {
  const aheadMs = brokersMs - hereMs;
  if (Math.abs(aheadMs) < CLOCK_MS) return null;
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const times = `the brokers' clock says ${new Date(brokersMs).toISOString()}, this machine's ${new Date(hereMs).toISOString()}`;
  return aheadMs > 0
    ? `${times}: the topics remove messages ${seconds} s too early. Set the clock that is wrong`
    : `${times}: the brokers refuse messages from more than an hour ahead (message.timestamp.after.max.ms). This one is ${seconds} s ahead. Set the clock that is wrong`;
}

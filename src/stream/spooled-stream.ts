/**
 * A stream that takes flows at any time: what is published lies on disk first and is forwarded in order when the brokers
 * take it.
 *
 * `flows` and `mail` go through the spool of the in-process stream, with its bound, its counts of what the bound cuts and
 * its survival of a kill; everything else goes to the brokers at once. Each forwarded message carries a name and its number
 * in the spool (producer-lives.ts), so that one that is sent twice, because an answer was lost, can be told, and how many
 * rows went to its partition before it, so that what brokers lose can be counted. It must never make a publisher wait for
 * a broker.
 */

import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { LocalStream } from './local/local-stream.ts';
import type { StreamLogger } from './local/settings.ts';
import { beginLife, type ProducerLives, type SpoolExtent, type SpooledName } from './producer-lives.ts';
import {
  type Delivery,
  perStream,
  type Stream,
  type StreamCounters,
  type StreamName,
  type Subscription,
} from './stream.ts';

type ReadBack = Pick<LocalStream['counters'], 'repeated' | 'damaged'>;

export interface SpooledStreamOptions {
  /** Used for nothing else. */
  readonly spool: LocalStream;
  readonly remote: Stream & { readonly counters: ReadBack };
  /** Where the names of this producer are kept: beside the spool whose numbers they belong to. */
  readonly directory: string;
  /** How long stopping waits for the brokers to take what is spooled; the rest goes at the next start. */
  readonly drainMs: number;
  readonly log: StreamLogger;
}

export interface SpooledStream extends Stream {
  readonly counters: StreamCounters & LocalStream['counters'];
  /** Messages in the spool that the brokers have not taken. */
  waiting(): number;
}

const SPOOLED: readonly SpooledName[] = ['flows', 'mail'];
const GROUP = 'forward';
const DRAIN_POLL_MS = 50;

export function createSpooledStream(options: SpooledStreamOptions): SpooledStream {
  const { spool, remote, directory, drainMs, log } = options;
  const isSpooled = (stream: StreamName) => SPOOLED.some((spooled) => spooled === stream);
  let forwarders: Subscription[] = [];

  const from = (of: (counters: StreamCounters) => Record<StreamName, number>): Record<StreamName, number> =>
    perStream((stream) => of(isSpooled(stream) ? spool.counters : remote.counters)[stream]);
  const counters = {
    get published() {
      return from(({ published }) => published);
    },
    get dropped() {
      return from(({ dropped }) => dropped);
    },
    get refusedFor() {
      return perStream((stream) =>
        isSpooled(stream)
          ? (spool.counters.refusedFor?.[stream] ?? '')
          : (remote.counters.refusedFor?.[stream] ?? ''),
      );
    },
    get repeated() {
      return sum(spool.counters.repeated, remote.counters.repeated);
    },
    get damaged() {
      return sum(spool.counters.damaged, remote.counters.damaged);
    },
    get lostRows() {
      return remote.counters.lostRows ?? perStream(() => 0);
    },
    get spoolBytes() {
      return spool.counters.spoolBytes;
    },
  };

  /** Sends what lies in the spool once the names are known. Says what that is. */
  async function forward(stream: SpooledName, names: Promise<ProducerLives>): Promise<SpoolExtent> {
    const partitions = remote.partitions(stream);
    let extent: SpoolExtent = { from: 0, end: 0 };
    /** Rows of this life that the brokers have taken, by partition. */
    let taken: ReadonlyMap<number, number> = new Map();
    let subscribed: (subscription: Subscription) => void = () => undefined;
    const ready = new Promise<Subscription>((resolve) => {
      subscribed = resolve;
    });
    async function onDelivery(delivery: Delivery): Promise<void> {
      const lives = await names;
      const after = new Map(taken);
      await remote.publish(
        stream,
        delivery.messages.map((message) => {
          // By its number, so that a message that is sent twice goes to the same place twice.
          const partition = message.partition ?? message.offset % partitions;
          const origin = { producer: lives.nameOf(stream, message.offset), sequence: message.offset };
          if (!lives.isNew(stream, message.offset)) return { ...message, partition, origin };
          const rowsBefore = after.get(partition) ?? 0;
          after.set(partition, rowsBefore + message.rows);
          return { ...message, partition, origin: { ...origin, rowsBefore } };
        }),
      );
      taken = after;
      await (await ready).commit(stream, delivery.partition, delivery.lastOffset);
    }
    const subscription = await spool.subscribe({
      streams: [stream],
      group: GROUP,
      unit: 'message',
      async onAssigned(assigned, placeOf) {
        const place = placeOf(stream, assigned[0]);
        if (place !== null) extent = { from: place.from ?? 0, end: place.end };
      },
      onDelivery,
    });
    subscribed(subscription);
    forwarders.push(subscription);
    return extent;
  }

  async function forwardAll(): Promise<void> {
    let name: (lives: ProducerLives) => void = () => undefined;
    const names = new Promise<ProducerLives>((resolve) => {
      name = resolve;
    });
    const flows = await forward('flows', names);
    const mail = await forward('mail', names);
    name(await beginLife(directory, { flows, mail }));
  }

  const waiting = () => forwarders.reduce((sum, forwarder) => sum + forwarder.lag(), 0);

  return {
    counters,
    waiting,
    damages: () => [...(spool.damages?.() ?? []), ...(remote.damages?.() ?? [])],
    gaps: () => remote.gaps?.() ?? [],
    identity: async (stream) => remote.identity?.(stream) ?? null,
    troubles: () => [...(spool.troubles?.() ?? []), ...(remote.troubles?.() ?? [])],
    differences: () => remote.differences?.() ?? [],
    partitions: remote.partitions,
    subscribe: remote.subscribe,
    latest: remote.latest,
    publish: (stream, messages) => (isSpooled(stream) ? spool : remote).publish(stream, messages),
    async start() {
      await mkdir(directory, { recursive: true }).catch((error: unknown) => {
        throw new RogueSmtpError('io', `spool directory ${directory}: ${messageOf(error)}`, { cause: error });
      });
      await remote.start();
      await spool.start();
      await forwardAll();
    },
    async stop() {
      const deadline = performance.now() + drainMs;
      while (waiting() > 0 && performance.now() < deadline) await sleep(DRAIN_POLL_MS);
      const left = waiting();
      if (left > 0)
        log.info({ messages: left }, 'not everything is with the brokers yet; it goes at the next start');
      forwarders = [];
      await spool.stop();
      await remote.stop();
    },
  };
}

function sum(a: Record<StreamName, number>, b: Record<StreamName, number>): Record<StreamName, number> {
  return perStream((stream) => a[stream] + b[stream]);
}

/**
 * A stream that takes flows at any time: what is published lies on disk first and is forwarded in order when the brokers
 * take it.
 *
 * `flows` and `mail` go through the spool of the in-process stream, with its bound, its counts of what the bound cuts and
 * its survival of a kill; everything else goes to the brokers at once. Each forwarded message carries its number in the
 * spool, so that one that is sent twice, because an answer was lost, can be told. It must never make a publisher wait
 * for a broker.
 */

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { LocalStream } from './local/local-stream.ts';
import type { StreamLogger } from './local/settings.ts';
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
  /** Where the name of this producer is kept, which must stay the same as long as the spool's numbers do. */
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

const SPOOLED: readonly StreamName[] = ['flows', 'mail'];
const GROUP = 'forward';
const DRAIN_POLL_MS = 50;
/** A long enough name that no two spools share one; short, since it travels with every message. */
const NAME_DIGITS = 12;

export function createSpooledStream(options: SpooledStreamOptions): SpooledStream {
  const { spool, remote, directory, drainMs, log } = options;
  const isSpooled = (stream: StreamName) => SPOOLED.includes(stream);
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
    get spoolBytes() {
      return spool.counters.spoolBytes;
    },
  };

  async function forward(stream: StreamName): Promise<void> {
    const producer = await producerName(join(directory, 'producer'));
    const partitions = remote.partitions(stream);
    let subscribed: (subscription: Subscription) => void = () => undefined;
    const ready = new Promise<Subscription>((resolve) => {
      subscribed = resolve;
    });
    async function onDelivery(delivery: Delivery): Promise<void> {
      await remote.publish(
        stream,
        delivery.messages.map((message) => ({
          ...message,
          // By its number, so that a message that is sent twice goes to the same place twice.
          partition: message.partition ?? message.offset % partitions,
          origin: { producer, sequence: message.offset },
        })),
      );
      await (await ready).commit(stream, delivery.partition, delivery.lastOffset);
    }
    const subscription = await spool.subscribe({
      streams: [stream],
      group: GROUP,
      unit: 'message',
      onDelivery,
    });
    subscribed(subscription);
    forwarders.push(subscription);
  }

  const waiting = () => forwarders.reduce((sum, forwarder) => sum + forwarder.lag(), 0);

  return {
    counters,
    waiting,
    damages: () => [...(spool.damages?.() ?? []), ...(remote.damages?.() ?? [])],
    troubles: () => [...(spool.troubles?.() ?? []), ...(remote.troubles?.() ?? [])],
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
      for (const stream of SPOOLED) await forward(stream);
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

async function producerName(file: string): Promise<string> {
  const known = await readFile(file, 'utf8').catch(() => '');
  if (/^[0-9a-f]{12}$/.test(known)) return known;
  const name = randomUUID().replaceAll('-', '').slice(0, NAME_DIGITS);
  await writeFile(file, name).catch((error: unknown) => {
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error });
  });
  return name;
}

/**
 * The stream of a single process: five logs in a directory, nothing else to install.
 *
 * Same contract as Kafka's (`../stream.ts`), with one partition a stream. A message that was accepted survives a kill
 * of the process; the directory belongs to one process at a time. It must never slow a publisher down.
 */

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import {
  perStream,
  STREAM_NAMES,
  type Stream,
  type StreamCounters,
  type StreamName,
  type SubscribeOptions,
  type Subscription,
} from '../stream.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { GroupPositions } from './positions.ts';
import { createCursor } from './reader.ts';
import { STREAM_SETTINGS, type StreamLogger, type StreamSettings } from './settings.ts';
import { StreamLog } from './stream-log.ts';
import { ONLY_PARTITION, readStream } from './subscription.ts';

export interface LocalStreamOptions {
  readonly directory: string;
  /** Bound of what one stream may have on disk, index included. */
  readonly maxBytesPerStream: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: StreamLogger;
  /** What differs from `STREAM_SETTINGS`. */
  readonly streams?: Partial<Record<StreamName, Partial<StreamSettings>>>;
}

interface LocalStreamCounters extends StreamCounters {
  /** Messages recognised by their id as published before, and those that could not be read back, by stream. */
  readonly repeated: Record<StreamName, number>;
  readonly damaged: Record<StreamName, number>;
}

export interface LocalStream extends Stream {
  readonly counters: LocalStreamCounters;
}

export function createLocalStream(options: LocalStreamOptions): LocalStream {
  const { maxBytesPerStream, now, log } = options;
  // Absolute, since an engine in another process reads the files in place.
  const directory = resolve(options.directory);
  const positions = new GroupPositions(join(directory, 'groups'), log);
  const logs = perStream(
    (stream) =>
      new StreamLog({
        stream,
        directory: join(directory, stream),
        maxBytes: maxBytesPerStream,
        settings: { ...STREAM_SETTINGS[stream], ...options.streams?.[stream] },
        now,
        log,
        lowestCommitted: () => positions.lowest(stream),
        groupsBehind: () => positions.behind(stream),
      }),
  );
  const subscriptions = new Set<Subscription>();
  /** `group stream` of each that is read: one partition has one reader a group. */
  const reading = new Set<string>();
  let lock: DirectoryLock | null = null;
  let state: 'new' | 'running' | 'stopping' | 'stopped' = 'new';

  const counters: LocalStreamCounters = {
    get published() {
      return perStream((stream) => logs[stream].counters.published);
    },
    get dropped() {
      return perStream((stream) => logs[stream].counters.dropped);
    },
    get refusedFor() {
      return perStream((stream) => logs[stream].lastRefusal);
    },
    get repeated() {
      return perStream((stream) => logs[stream].counters.repeated);
    },
    get damaged() {
      return perStream((stream) => logs[stream].counters.damaged);
    },
    get spoolBytes() {
      return STREAM_NAMES.reduce((sum, stream) => sum + logs[stream].uncommittedBytes(), 0);
    },
  };

  function mustBe(...wanted: readonly (typeof state)[]): void {
    if (!wanted.includes(state)) throw new RogueSmtpError('stream', `the stream is ${state}, not running`);
  }

  async function start(): Promise<void> {
    mustBe('new');
    try {
      await mkdir(directory, { recursive: true });
      lock = await lockDirectory(directory);
      await positions.load();
      for (const stream of STREAM_NAMES) await logs[stream].open(positions.highest(stream));
      state = 'running';
    } catch (error) {
      await lock?.release();
      if (error instanceof RogueSmtpError) throw error;
      throw new RogueSmtpError('io', `cannot use the directory ${directory}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async function subscribe(request: SubscribeOptions): Promise<Subscription> {
    mustBe('running');
    const { group, unit, onDelivery, onAssigned } = request;
    const streams = [...new Set(request.streams)];
    const claims = streams.map((stream) => `${group} ${stream}`);
    const taken = claims.find((claim) => reading.has(claim));
    if (taken !== undefined) {
      throw new RogueSmtpError('stream', `group and stream "${taken}" already have a consumer`);
    }
    for (const claim of claims) reading.add(claim);
    const abort = new AbortController();
    let readers: Promise<unknown> = Promise.resolve();
    const committed = (stream: StreamName) => positions.committed(group, stream) ?? -1;
    /** The last offset of the newest delivery that was taken. */
    const delivered = new Map<StreamName, number>();

    const subscription: Subscription = {
      async commit(stream, partition, offset) {
        if (!streams.includes(stream) || partition !== ONLY_PARTITION) {
          throw new RogueSmtpError(
            'usage',
            `group "${group}" does not read partition ${partition} of "${stream}"`,
          );
        }
        try {
          await positions.commit(group, stream, Math.min(offset, logs[stream].end - 1));
        } finally {
          // Also when the position could not be written, for want of room: this makes some.
          logs[stream].tidy();
        }
      },
      lag: () =>
        streams.reduce((sum, stream) => {
          const { start: oldest, end } = logs[stream];
          return sum + Math.max(0, end - Math.max(oldest, committed(stream) + 1));
        }, 0),
      isUpToDate: (stream, partition) =>
        streams.includes(stream) &&
        partition === ONLY_PARTITION &&
        Math.max(delivered.get(stream) ?? -1, committed(stream)) + 1 >= logs[stream].end,
      assigned: Promise.resolve(),
      async stop() {
        abort.abort();
        await readers;
        subscriptions.delete(subscription);
        for (const claim of claims) reading.delete(claim);
      },
    };

    try {
      await positions.register(group, streams, (stream) => logs[stream].start);
      await onAssigned?.([ONLY_PARTITION], (stream, partition) =>
        partition === ONLY_PARTITION && streams.includes(stream)
          ? { from: positions.uncommitted(group, stream), end: logs[stream].end }
          : null,
      );
      mustBe('running');
    } catch (error) {
      for (const claim of claims) reading.delete(claim);
      throw error;
    }
    subscriptions.add(subscription);
    readers = new Promise((begin) => setImmediate(begin)).then(() =>
      // Not before the caller has the subscription, which its first delivery may want to commit on.
      Promise.all(
        streams.map((stream) =>
          readStream(
            {
              stream,
              group,
              unit,
              async onDelivery(delivery, signal) {
                await onDelivery(delivery, signal);
                delivered.set(stream, delivery.lastOffset);
              },
              streamLog: logs[stream],
              from: committed(stream) + 1,
              committed: () => committed(stream),
              log,
            },
            abort.signal,
          ),
        ),
      ),
    );
    return subscription;
  }

  return {
    start,
    counters,
    damages: () => [...positions.damages, ...STREAM_NAMES.flatMap((stream) => logs[stream].damages)],
    troubles: () => STREAM_NAMES.flatMap((stream) => logs[stream].troubles()),
    async publish(stream, messages) {
      // Whoever is stopped may still have something to say.
      mustBe('running', 'stopping');
      return logs[stream].publish(messages);
    },
    subscribe,
    partitions: () => 1,
    identity: async () => 'embedded',
    async *latest(stream, partitions) {
      mustBe('running');
      if (!partitions.includes(ONLY_PARTITION)) return;
      const source = logs[stream];
      const cursor = createCursor(source.start);
      for (
        let messages = await source.read(cursor);
        messages.length > 0;
        messages = await source.read(cursor)
      ) {
        for (const message of messages) if (source.isNewest(message)) yield message;
      }
    },
    async stop() {
      if (state !== 'running') return;
      state = 'stopping';
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      for (const stream of STREAM_NAMES) await logs[stream].close();
      state = 'stopped';
      await lock?.release();
    },
  };
}

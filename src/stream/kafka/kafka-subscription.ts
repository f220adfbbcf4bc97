/**
 * A subscription over Kafka: partitions come and go, deliveries are handed over one at a time per partition, again and
 * again until they are taken, and positions move when the consumer says so.
 *
 * The library fetches, keeps the group together and says who has which partition. Everything else is decided here, from
 * a place of our own per partition, so that nothing depends on what the library remembers: it may fetch again what was
 * handled (passed over) or from elsewhere. Nothing may be handed over for a partition before `onAssigned` was through, or
 * to two callers at once.
 */

import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Batch, Consumer, ConsumerGroupJoinEvent, EachBatchPayload, Kafka } from 'kafkajs';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import type { StreamLogger } from '../local/settings.ts';
import {
  type Delivery,
  isCompacted,
  type ReadingPlace,
  type ReceivedMessage,
  type StreamName,
  type SubscribeOptions,
  type Subscription,
} from '../stream.ts';
import type { BrokerAdmin } from './broker-admin.ts';
import { startConsumer } from './consumer.ts';
import { fromRecord } from './messages.ts';
import { ProducerMarks } from './producer-marks.ts';

export interface KafkaSubscriptionOptions {
  readonly kafka: Kafka;
  readonly admin: BrokerAdmin;
  readonly request: SubscribeOptions;
  readonly groupId: string;
  readonly topicOf: (stream: StreamName) => string;
  readonly partitionsOf: (stream: StreamName) => number;
  readonly counters: SubscriptionCounters;
  readonly log: StreamLogger;
}

export interface SubscriptionCounters {
  /** Messages that were published twice and taken once, by stream. */
  readonly repeated: Record<StreamName, number>;
  /** Messages that retention removed before this consumer came to read them, by stream. */
  readonly damaged: Record<StreamName, number>;
  /** How often partitions were assigned, and consumers made anew. */
  rebalances: number;
}

/** One partition, from its assignment until another consumer may have it. */
interface Place {
  readonly stream: StreamName;
  readonly topic: string;
  readonly partition: number;
  /** `onAssigned` was through. */
  prepared: boolean;
  /** First offset that was not handed over yet; -1 where the group has no position. */
  next: number;
  /** First offset that is not committed; -1 for none. */
  committed: number;
  /** As `committed`, with the brokers; and what goes there with it. */
  saved: number;
  metadata: string;
  /** As far as is known: the first offset kept, and the offset that the next message gets. */
  low: number;
  end: number;
  marks: ProducerMarks;
  /** Being handed over. */
  inHand: Delivery | null;
  /** One delivery at a time, whatever the library does. */
  turn: Promise<void>;
}

/** A stretch between two answers of the group. */
interface Generation {
  readonly memberId: string;
  readonly places: ReadonlyMap<string, Place>;
  readonly abort: AbortController;
  /** Resolves, never rejects, when all places are prepared or the generation is over. */
  ready: Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const HEARTBEAT_CHECK_MS = 1000;
const REFRESH_ENDS_MS = 2000;
/** Errors after which the library joins the group anew: until then the partitions may be somebody else's. */
const LOST_MEMBERSHIP = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'NOT_COORDINATOR_FOR_GROUP',
  'UNKNOWN_MEMBER_ID',
]);

export function createKafkaSubscription(options: KafkaSubscriptionOptions): Subscription {
  const { admin, request, groupId, topicOf, counters, log } = options;
  const streams = [...new Set(request.streams)];
  const streamOf = new Map(streams.map((stream) => [topicOf(stream), stream]));
  const alone = request.sharing === 'alone';
  const stopping = new AbortController();
  let generation: Generation | null = null;
  /** Every place that `onAssigned` was told of and `onRevoked` was not. */
  const told = new Map<string, Place>();
  let working = 0;
  let refreshing: Promise<void> | null = null;
  let saving: Promise<void> | null = null;
  let firstAssigned: () => void = () => undefined;
  const assigned = new Promise<void>((resolve) => {
    firstAssigned = resolve;
  });

  // Partitions come and go.

  function onJoin(payload: ConsumerGroupJoinEvent['payload'], consumer: Consumer): void {
    const before = generation;
    before?.abort.abort();
    counters.rebalances++;
    // A member that stays in the group keeps its id; one that was thrown out and came back has another, and whoever had
    // its partitions meanwhile may have gone further.
    const stayed = alone || before?.memberId === payload.memberId;
    const places = new Map<string, Place>();
    for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
      const stream = streamOf.get(topic);
      if (stream === undefined) continue;
      for (const partition of partitions) {
        const key = keyOf(stream, partition);
        const known = told.get(key);
        // Without it in the generation before, it was somebody else's in between.
        const kept = stayed && known?.prepared === true && before?.places.get(key) === known ? known : null;
        places.set(key, kept ?? newPlace(stream, topic, partition));
        if (kept !== null && kept.next >= 0) consumer.seek({ topic, partition, offset: String(kept.next) });
      }
    }
    const abort = new AbortController();
    if (stopping.signal.aborted) abort.abort();
    const current: Generation = { memberId: payload.memberId, places, abort, ready: Promise.resolve() };
    current.ready = (before?.ready ?? Promise.resolve()).then(() => prepare(current, consumer));
    generation = current;
  }

  /** Tells of what is gone, then of what has come, and finds out where to begin. */
  async function prepare({ places, abort: { signal } }: Generation, consumer: Consumer): Promise<void> {
    const gone = [...told].filter(([key, place]) => places.get(key) !== place);
    await Promise.all(gone.map(([, place]) => place.turn));
    for (const [key] of gone) told.delete(key);
    if (gone.length > 0 && request.onRevoked !== undefined) {
      const partitions = numbers(gone.map(([, place]) => place));
      // Whatever happens to this generation: they are gone.
      await untilDone(
        () => request.onRevoked?.(partitions) ?? Promise.resolve(),
        stopping.signal,
        'partitions are not let go',
      );
    }
    const come = [...places.values()].filter((place) => !place.prepared);
    await untilDone(
      async () => {
        await locate(come, consumer);
        for (const place of come) told.set(keyOf(place.stream, place.partition), place);
        if (come.length > 0) await request.onAssigned?.(numbers(come), placeOf);
        if (signal.aborted) return;
        for (const place of come) place.prepared = true;
        firstAssigned();
      },
      signal,
      'partitions cannot be taken over yet',
    );
  }

  function placeOf(stream: StreamName, partition: number): ReadingPlace | null {
    const place = told.get(keyOf(stream, partition));
    if (place === undefined) return null;
    return { from: place.committed < 0 ? null : place.committed, end: place.end };
  }

  /** Where the group stands, and what is there. */
  async function locate(places: readonly Place[], consumer: Consumer): Promise<void> {
    for (const topic of new Set(places.map((place) => place.topic))) {
      const offsets = await admin.offsets(topic);
      const positions = alone
        ? []
        : await admin.ask('positions cannot be had', (client) =>
            client.fetchOffsets({ groupId, topics: [topic] }),
          );
      const found = new Map(positions.flatMap(({ partitions }) => partitions).map((p) => [p.partition, p]));
      for (const place of places) {
        if (place.topic !== topic) continue;
        const { low = 0, end = 0 } = offsets.get(place.partition) ?? {};
        place.low = low;
        place.end = end;
        const position = found.get(place.partition);
        place.committed = Number(position?.offset ?? -1);
        place.saved = place.committed;
        place.next = alone ? end : place.committed;
        place.marks = ProducerMarks.decode(position?.metadata ?? null);
        if (alone) consumer.seek({ topic, partition: place.partition, offset: String(end) });
      }
    }
  }

  function onLeave(): void {
    generation?.abort.abort();
  }

  // Deliveries.

  async function eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat } = payload;
    const current = generation;
    const stream = streamOf.get(batch.topic);
    const place = stream === undefined ? undefined : current?.places.get(keyOf(stream, batch.partition));
    if (current === null || place === undefined) return;
    working++;
    let lost: unknown = null;
    const beat = () =>
      heartbeat().catch((error: unknown) => {
        // Anything else is the connection's trouble, and may pass before the session ends.
        if (!isMembershipLost(error)) return;
        lost ??= error;
        current.abort.abort();
      });
    const heart = setInterval(beat, HEARTBEAT_CHECK_MS);
    // Once its leader has moved, the library would fetch what is being worked on from the new one, over and over, and
    // throw it away each time: a slow store then spends its time unpacking.
    const resume = payload.pause();
    try {
      await current.ready;
      const work = place.turn.then(() => handOver(payload, current, place));
      place.turn = work.catch(() => undefined);
      await work;
    } finally {
      resume();
      clearInterval(heart);
      working--;
    }
    if (lost === null) return;
    await saveNow();
    throw lost;
  }

  async function handOver(payload: EachBatchPayload, current: Generation, place: Place): Promise<void> {
    const { batch, resolveOffset, isRunning, isStale } = payload;
    const { signal } = current.abort;
    const isOver = () => signal.aborted || !isRunning() || isStale();
    place.end = Math.max(place.end, Number(batch.highWatermark));
    noteGap(batch, place);
    for (const delivery of deliveriesOf(batch, place)) {
      if (isOver()) return;
      if (delivery.messages.length > 0) {
        place.inHand = delivery;
        const taken = await untilDone(
          () => request.onDelivery(delivery, signal),
          signal,
          'a delivery failed and comes again',
        );
        place.inHand = null;
        if (!taken) return;
        if (request.unit === 'segment') place.marks = place.marks.with(delivery.messages);
      }
      place.next = delivery.lastOffset + 1;
      // The library throws for partitions that it lost meanwhile.
      if (current === generation) resolveOffset(String(delivery.lastOffset));
    }
  }

  /** What lies between our place and what came is gone for good; in a compacted topic that is how it should be. */
  function noteGap(batch: Batch, place: Place): void {
    const first = Number(batch.messages[0]?.offset ?? place.next);
    if (place.next < 0 || first <= place.next || isCompacted(place.stream)) return;
    counters.damaged[place.stream] += first - place.next;
    const { topic, partition } = place;
    log.error(
      { groupId, topic, partition, messages: first - place.next },
      'the topic no longer held messages that were to be read',
    );
  }

  /** The rest of the batch from our place on. Never empty unless the batch is behind it; then only the place moves. */
  function* deliveriesOf(batch: Batch, place: Place): Generator<Delivery> {
    const messages: ReceivedMessage[] = [];
    let last = place.next - 1;
    for (const record of batch.messages) {
      const offset = Number(record.offset);
      if (offset < place.next) continue;
      last = offset;
      const message = fromRecord(record);
      if (message !== null) messages.push(message);
    }
    if (last < place.next) {
      last = Number(batch.lastOffset());
      if (last < place.next) return;
    }
    if (request.unit === 'message') {
      yield deliveryOf(place, messages, last);
      return;
    }
    // One message each: a delivery that comes again after a crash is then the same, whatever was fetched with it, and a
    // store recognises it.
    for (const message of messages) {
      const repeated = place.marks.isRepeated(message.origin);
      if (repeated) counters.repeated[place.stream]++;
      yield deliveryOf(place, repeated ? [] : [message], message.offset);
    }
    yield deliveryOf(place, [], last);
  }

  /** True when done; false when the generation ended before. */
  async function untilDone(
    work: () => Promise<void>,
    signal: AbortSignal,
    complaint: string,
  ): Promise<boolean> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        await work();
        return true;
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ groupId, error: messageOf(error), pauseMs }, complaint);
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
    return false;
  }

  // Positions.

  /**
   * Notes the position; it is with the brokers a moment later, several together, and before the partition is let go. A
   * crash in between means that something comes again, as it always may. Waiting here would cost a round trip to the
   * replicas for every delivery.
   */
  async function commit(stream: StreamName, partition: number, offset: number): Promise<void> {
    if (!streams.includes(stream)) {
      throw new RogueSmtpError('usage', `group "${request.group}" does not read "${stream}"`);
    }
    if (alone) return;
    const place = generation?.places.get(keyOf(stream, partition));
    if (place?.prepared !== true) {
      throw new RogueSmtpError(
        'stream',
        `partition ${partition} of "${stream}" is not assigned at the moment`,
        { transient: true },
      );
    }
    const { inHand } = place;
    const next = Math.min(offset + 1, Math.max(place.next, (inHand?.lastOffset ?? -1) + 1));
    if (next <= place.committed) return;
    const marks =
      inHand !== null && next > inHand.lastOffset ? place.marks.with(inHand.messages) : place.marks;
    place.metadata = request.unit === 'segment' ? marks.encode() : '';
    place.committed = next;
    if (saving === null) save();
  }

  function save(): void {
    saving = savePositions()
      .catch(async (error: unknown) => {
        log.warn({ groupId, error: messageOf(error) }, 'positions could not be kept');
        await sleep(FIRST_PAUSE_MS);
      })
      .finally(() => {
        saving = null;
        if (!stopping.signal.aborted && unsaved().length > 0) save();
      });
  }

  /** Without a consumer nothing can be saved, and nothing is worth trying: the next one begins where the group stands. */
  const unsaved = () =>
    running.current() === null
      ? []
      : [...(generation?.places.values() ?? [])].filter((place) => place.committed > place.saved);

  async function savePositions(): Promise<void> {
    const consumer = running.current();
    const positions = unsaved().map((place) => ({ place, next: place.committed, metadata: place.metadata }));
    if (consumer === null || positions.length === 0) return;
    await consumer.commitOffsets(
      positions.map(({ place: { topic, partition }, next, metadata }) => ({
        topic,
        partition,
        offset: String(next),
        metadata,
      })),
    );
    // The library says nothing when it did nothing because it had just ended.
    if (running.current() !== consumer) return;
    for (const { place, next } of positions) place.saved = Math.max(place.saved, next);
  }

  /** What is noted goes to the brokers now, if they take it. */
  async function saveNow(): Promise<void> {
    await saving;
    await savePositions().catch((error: unknown) => {
      log.warn({ groupId, error: messageOf(error) }, 'positions could not be kept');
    });
  }

  function lag(): number {
    let sum = 0;
    for (const place of generation?.places.values() ?? []) {
      const done = alone ? place.next : place.committed;
      sum += Math.max(0, place.end - Math.max(place.low, done));
    }
    return sum;
  }

  /** Ends are told with every batch; without one they are asked for, so that who stands still is seen to. */
  function refreshEnds(): void {
    const places = [...(generation?.places.values() ?? [])].filter((place) => place.prepared);
    refreshing ??= (async () => {
      for (const topic of new Set(places.map((place) => place.topic))) {
        const offsets = await admin.offsets(topic);
        for (const place of places) {
          if (place.topic !== topic) continue;
          place.end = Math.max(place.end, offsets.get(place.partition)?.end ?? 0);
          place.low = Math.max(place.low, offsets.get(place.partition)?.low ?? 0);
        }
      }
    })()
      .catch(() => undefined)
      .finally(() => {
        refreshing = null;
      });
  }

  const running = startConsumer({
    kafka: options.kafka,
    groupId,
    topics: streams.map(topicOf),
    concurrency: Math.max(...streams.map(options.partitionsOf)) * streams.length,
    eachBatch,
    onJoin,
    onLeave,
    isBusy: () => working > 0,
    log,
  });
  const refresher = setInterval(refreshEnds, REFRESH_ENDS_MS);
  refresher.unref();

  return {
    commit,
    lag,
    assigned,
    isUpToDate(stream, partition) {
      const place = generation?.places.get(keyOf(stream, partition));
      if (place?.prepared !== true || generation?.abort.signal.aborted !== false) return false;
      return Math.max(place.next, place.low) >= place.end;
    },
    async stop() {
      stopping.abort();
      onLeave();
      clearInterval(refresher);
      // Handlers may still commit: the consumer goes after them.
      await generation?.ready;
      await Promise.all([...(generation?.places.values() ?? [])].map((place) => place.turn));
      await saveNow();
      await running.stop();
      await refreshing;
    },
  };
}

function newPlace(stream: StreamName, topic: string, partition: number): Place {
  return {
    stream,
    topic,
    partition,
    prepared: false,
    next: -1,
    committed: -1,
    saved: -1,
    metadata: '',
    low: 0,
    end: 0,
    marks: new ProducerMarks(),
    inHand: null,
    turn: Promise.resolve(),
  };
}

const keyOf = (stream: StreamName, partition: number) => `${stream} ${partition}`;

const numbers = (places: readonly Place[]) => [...new Set(places.map(({ partition }) => partition))];

function deliveryOf(place: Place, messages: readonly ReceivedMessage[], lastOffset: number): Delivery {
  let rows = 0;
  for (const message of messages) rows += message.rows;
  const { stream, partition } = place;
  return { stream, partition, firstOffset: messages[0]?.offset ?? lastOffset, lastOffset, rows, messages };
}

function isMembershipLost(error: unknown): boolean {
  return error instanceof Error && 'type' in error && LOST_MEMBERSHIP.has(String(error.type));
}

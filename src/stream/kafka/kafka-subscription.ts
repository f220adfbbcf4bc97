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
  type StreamGap,
  type StreamName,
  type SubscribeOptions,
  type Subscription,
} from '../stream.ts';
import type { BrokerAdmin } from './broker-admin.ts';
import { startConsumer } from './consumer.ts';
import { createGapLog } from './gap-log.ts';
import { epochAt, epochOf, fromRecord } from './messages.ts';
import { beginningOf, type FoundPartition, type Memory, type Move, moveOf } from './place-moves.ts';
import { deliveryOf, keyOf, newPlace, numbers, type Place } from './places.ts';
import { decodeNote, encodeNote, type PositionNote } from './position-note.ts';
import { ProducerMarks } from './producer-marks.ts';
import type { ClusterFacts } from './raw-requests.ts';

export interface KafkaSubscriptionOptions {
  readonly kafka: Kafka;
  readonly admin: BrokerAdmin;
  readonly request: SubscribeOptions;
  readonly groupId: string;
  readonly topicOf: (stream: StreamName) => string;
  readonly partitionsOf: (stream: StreamName) => number;
  readonly counters: SubscriptionCounters;
  /** Takes what is gone, or is not what it was. */
  readonly onGap: (gap: StreamGap) => void;
  readonly log: StreamLogger;
}

export interface SubscriptionCounters {
  /** Messages that were published twice and taken once, by stream. */
  readonly repeated: Record<StreamName, number>;
  /** Messages that retention removed before this consumer came to read them, by stream. */
  readonly damaged: Record<StreamName, number>;
  /** Flow rows (or JSON messages) that were published and are lost to this consumer, by stream. */
  readonly lostRows: Record<StreamName, number>;
  /** How often partitions were assigned, and consumers made anew. */
  rebalances: number;
}

/** A stretch between two answers of the group. */
interface Generation {
  readonly memberId: string;
  readonly places: ReadonlyMap<string, Place>;
  readonly abort: AbortController;
  /** Resolves, never rejects, when all places are prepared or the generation is over. */
  ready: Promise<void>;
}

/** A part of a batch, which is handed over unless it has no messages. */
interface Portion {
  readonly delivery: Delivery;
  /** The message that was here before, and is passed over. */
  readonly repeated: ReceivedMessage | null;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const HEARTBEAT_CHECK_MS = 1000;
const REFRESH_ENDS_MS = 2000;
/** A publication that is sent again after a failure is shorter than that. */
const LONG_RUN = 1000;
/** Of a batch, whether its producers left something out. */
const LOOKED_AT = 16;
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
  /** Where this process stood in partitions that it has read: the brokers may forget it with the topic. */
  const memories = new Map<string, Memory & PositionNote>();
  const gaps = createGapLog(groupId, log, options.onGap);
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
    for (const [key, place] of gone) {
      told.delete(key);
      const { topicId, epoch, marks, next, committed } = place;
      if (next >= 0 || committed >= 0)
        memories.set(key, { topicId, epoch, marks, committed: alone ? next : committed });
    }
    if (gone.length > 0 && request.onRevoked !== undefined) {
      const partitions = numbers(gone.map(([, place]) => place));
      // Whatever happens to this generation: they are gone.
      await untilDone(
        () => request.onRevoked?.(partitions) ?? Promise.resolve(),
        stopping.signal,
        'partitions are not let go',
      );
    }
    // Their topic may have been made anew while the group was put together.
    const kept = [...places.values()].filter((place) => place.prepared);
    let strange: readonly Place[] = [];
    await untilDone(
      async () => {
        strange = await lookAtEnds(kept);
      },
      signal,
      'places cannot be looked at yet',
    );
    for (const place of strange) {
      await place.turn;
      await looked(place, signal);
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
    return {
      from: place.committed < 0 ? null : place.committed,
      end: place.end,
      ...(place.moved && { moved: true }),
    };
  }

  /** Where the group stands, and what is there. */
  async function locate(places: readonly Place[], consumer: Consumer): Promise<void> {
    for (const topic of new Set(places.map((place) => place.topic))) {
      const [offsets, facts] = await Promise.all([admin.offsets(topic), admin.facts([topic])]);
      const positions = alone
        ? []
        : await admin.ask('positions cannot be had', (client) =>
            client.fetchOffsets({ groupId, topics: [topic] }),
          );
      const found = new Map(positions.flatMap(({ partitions }) => partitions).map((p) => [p.partition, p]));
      for (const place of places) {
        if (place.topic !== topic) continue;
        const position = found.get(place.partition);
        const offset = Number(position?.offset ?? -1);
        const note = decodeNote(position?.metadata ?? '');
        const memory = memories.get(keyOf(place.stream, place.partition)) ?? null;
        const epoch = note?.epoch ?? memory?.epoch ?? -1;
        const there = await look(place, epoch, offsets, facts);
        const { from, story } = beginningOf(
          alone
            ? // Nobody else moves its place: nothing is committed.
              { committed: memory?.committed ?? null, topicId: memory?.topicId ?? null, isOurs: true }
            : {
                committed: offset < 0 ? null : offset,
                topicId: note?.topicId ?? null,
                isOurs: note !== null,
              },
          memory,
          there,
        );
        if (story !== null) gaps.moved(topic, place.partition, story);
        place.moved = story === 'recreated' || story === 'cut';
        begin(place, there, facts, alone || place.moved ? null : from);
        place.next = from ?? (alone ? there.end : -1);
        place.epoch = place.moved ? -1 : epoch;
        // Whoever set a position back wants to read again what was taken.
        const isSetBack = story === 'set' && memory !== null && offset < memory.committed;
        place.marks =
          note?.marks ??
          (isSetBack ? null : memory?.marks) ??
          (offset < 0
            ? new ProducerMarks(there.low === 0)
            : ProducerMarks.decode(`${position?.metadata ?? ''} !`));
        // The library knows the committed position only.
        if (place.next >= 0 && place.next !== offset)
          consumer.seek({ topic, partition: place.partition, offset: String(place.next) });
      }
    }
  }

  async function look(
    { topic, partition }: Place,
    epoch: number,
    offsets: ReadonlyMap<number, { readonly low: number; readonly end: number }>,
    facts: ClusterFacts,
  ): Promise<FoundPartition> {
    const { low = 0, end = 0 } = offsets.get(partition) ?? {};
    const epochEnd = epoch < 0 ? null : await admin.epochEnd(topic, partition, epoch);
    return { topicId: facts.topics.get(topic)?.id ?? null, low, end, epochEnd };
  }

  /** What is there now; `committed`: null where nothing of it is. */
  function begin(place: Place, there: FoundPartition, facts: ClusterFacts, committed: number | null): void {
    place.topicId = there.topicId;
    place.leaderEpoch = facts.topics.get(place.topic)?.partitions.get(place.partition)?.leaderEpoch ?? -1;
    place.low = there.low;
    place.end = there.end;
    place.committed = committed ?? -1;
    place.saved = place.committed;
  }

  /** Finds out whether the messages of a place are still those that were read, and goes to where they are not. */
  async function lookInto(place: Place, signal: AbortSignal): Promise<boolean> {
    if (place.next < 0) return false;
    const { topic } = place;
    const [offsets, facts] = await Promise.all([admin.offsets(topic), admin.facts([topic])]);
    const there = await look(place, place.epoch, offsets, facts);
    const move = moveOf(place, there);
    // Where nothing but the end speaks for it, a new leader may not know yet how far its log goes.
    const isSure = move?.kind !== 'cut' || there.epochEnd !== null || place.doubted;
    place.doubted = move !== null && !isSure;
    if (move === null || !isSure) {
      place.topicId ??= there.topicId;
      place.leaderEpoch = facts.topics.get(topic)?.partitions.get(place.partition)?.leaderEpoch ?? -1;
      return false;
    }
    await goTo(place, move, there, facts, signal);
    return true;
  }

  /** Tries until it is known, or the generation is over. */
  async function looked(place: Place, signal: AbortSignal): Promise<'moved' | 'unmoved' | 'unknown'> {
    let moved = false;
    const known = await untilDone(
      async () => {
        moved = await lookInto(place, signal);
      },
      signal,
      'a place cannot be looked at yet',
    );
    if (!known) return 'unknown';
    return moved ? 'moved' : 'unmoved';
  }

  async function goTo(
    place: Place,
    { kind, from }: Move,
    there: FoundPartition,
    facts: ClusterFacts,
    signal: AbortSignal,
  ): Promise<void> {
    const { stream, topic, partition } = place;
    gaps.moved(topic, partition, kind);
    begin(place, there, facts, null);
    place.life++;
    place.next = from;
    place.epoch = -1;
    place.accounted = -1;
    place.moved = true;
    const taken = await untilDone(
      async () => {
        if (request.onMoved !== undefined) return request.onMoved(stream, partition);
        await request.onRevoked?.([partition]);
        await request.onAssigned?.([partition], placeOf);
      },
      signal,
      'a partition that is not what it was cannot be taken over yet',
    );
    // Whoever has it next tells of it again.
    if (!taken) place.prepared = false;
    running.current()?.seek({ topic, partition, offset: String(from) });
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
    // Fetched before the place was set elsewhere: what it lacks is no gap.
    if (isOver()) return;
    if (isStrange(batch, place)) {
      if ((await looked(place, signal)) !== 'unmoved') return;
    }
    place.end = Math.max(place.end, Number(batch.highWatermark));
    noteGap(batch, place);
    for (const { delivery, repeated } of deliveriesOf(batch, place)) {
      if (isOver()) return;
      if (repeated !== null) place.repeats = noteRepeated(place, repeated);
      // Before the consumer commits: a position behind the first records of a new leader, with the epoch of the old one,
      // would look to whoever begins there as if the log had been cut back.
      place.epoch = epochAt(batch, delivery.lastOffset) ?? place.epoch;
      if (delivery.messages.length > 0) {
        place.repeats = 0;
        noteMissing(delivery, place);
        place.inHand = delivery;
        const taken = await untilDone(
          () => request.onDelivery(delivery, signal),
          signal,
          'a delivery failed and comes again',
        );
        place.inHand = null;
        if (!taken) return;
        place.marks = place.marks.with(delivery.messages);
      }
      place.next = delivery.lastOffset + 1;
      // The library throws for partitions that it lost meanwhile.
      if (current === generation) resolveOffset(String(delivery.lastOffset));
    }
  }

  /** What comes does not follow what came: retention removed something, or the place is not what it was. */
  function isStrange(batch: Batch, place: Place): boolean {
    if (place.next < 0) return false;
    const [record] = batch.messages;
    const first = Number(record?.offset ?? batch.lastOffset());
    if (first < place.next || (first > place.next && !isCompacted(place.stream))) return true;
    const epoch = epochOf(record) ?? -1;
    if (epoch >= 0 && place.epoch >= 0 && epoch !== place.epoch) return true;
    // A topic that was made anew and is longer already: what its producers sent in between was passed over.
    return batch.messages
      .slice(0, LOOKED_AT)
      .some((each) => place.marks.missingBefore(fromRecord(each)?.origin) > 0);
  }

  /** What lies between our place and what came is gone for good; in a compacted topic that is how it should be. */
  function noteGap(batch: Batch, place: Place): void {
    const { stream, topic, partition } = place;
    const first = Number(batch.messages[0]?.offset ?? place.next);
    if (place.next < 0 || first <= place.next || isCompacted(stream)) return;
    const messages = first - place.next;
    counters.damaged[stream] += messages;
    // Producers of flows say how many rows that were, each with its next message.
    const rows = stream === 'alerts' ? messages : 0;
    counters.lostRows[stream] += rows;
    gaps.lost(topic, partition, { messages, rows });
    place.next = first;
  }

  /** Rows that producers published in between, and that are gone. */
  function noteMissing({ messages }: Delivery, place: Place): void {
    const { stream, topic, partition } = place;
    let { marks } = place;
    let rows = 0;
    for (const message of messages) {
      if (message.offset <= place.accounted) continue;
      rows += marks.missingBefore(message.origin);
      marks = marks.with([message]);
      place.accounted = message.offset;
    }
    if (rows === 0) return;
    counters.lostRows[stream] += rows;
    gaps.lost(topic, partition, { messages: 0, rows });
  }

  /** Longer than what is sent again after a failure: two collectors may number their messages alike. */
  function noteRepeated({ stream, topic, partition, ...place }: Place, message: ReceivedMessage): number {
    counters.repeated[stream]++;
    const run = place.repeats + 1;
    // At 1000, 2000, 4000 and so on.
    const times = run / LONG_RUN;
    if (Number.isInteger(times) && (times & (times - 1)) === 0)
      gaps.repeated(topic, partition, message.origin?.producer ?? '', run);
    return run;
  }

  /** The rest of the batch from our place on. Never empty unless the batch is behind it; then only the place moves. */
  function* deliveriesOf(batch: Batch, place: Place): Generator<Portion> {
    const messages: ReceivedMessage[] = [];
    let last = place.next - 1;
    for (const record of batch.messages) {
      const offset = Number(record.offset);
      if (offset < place.next) continue;
      last = offset;
      const message = fromRecord(record);
      if (message !== null && message.readBy?.includes(request.group) !== true) messages.push(message);
    }
    if (last < place.next) {
      last = Number(batch.lastOffset());
      if (last < place.next) return;
    }
    if (request.unit === 'message') {
      yield { delivery: deliveryOf(place, messages, last), repeated: null };
      return;
    }
    // One message each: a delivery that comes again after a crash is then the same, whatever was fetched with it, and a
    // store recognises it.
    for (const message of messages) {
      const repeated = place.marks.isRepeated(message.origin) ? message : null;
      yield { delivery: deliveryOf(place, repeated === null ? [message] : [], message.offset), repeated };
    }
    yield { delivery: deliveryOf(place, [], last), repeated: null };
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
    place.metadata = encodeNote({ topicId: place.topicId, epoch: place.epoch, marks });
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
    const positions = unsaved().map((place) => ({
      place,
      life: place.life,
      next: place.committed,
      metadata: place.metadata,
    }));
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
    for (const { place, life, next } of positions)
      if (place.life === life) place.saved = Math.max(place.saved, next);
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

  /** Asks where partitions end. Gives those that do not look as if they were what they were. */
  async function lookAtEnds(places: readonly Place[]): Promise<readonly Place[]> {
    const strange: Place[] = [];
    for (const topic of new Set(places.map((place) => place.topic))) {
      const [offsets, facts] = await Promise.all([admin.offsets(topic), admin.facts([topic])]);
      const found = facts.topics.get(topic);
      for (const place of places) {
        if (place.topic !== topic) continue;
        const { low = 0, end = 0 } = offsets.get(place.partition) ?? {};
        const leaderEpoch = found?.partitions.get(place.partition)?.leaderEpoch ?? -1;
        const isAnother = found !== undefined && place.topicId !== null && place.topicId !== found.id;
        if (isAnother || end < place.next || leaderEpoch !== place.leaderEpoch) {
          strange.push(place);
          continue;
        }
        place.end = Math.max(place.end, end);
        place.low = Math.max(place.low, low);
      }
    }
    return strange;
  }

  /** Ends are told with every batch; without one they are asked for, so that who stands still is seen to. */
  function refreshEnds(): void {
    const places = [...(generation?.places.values() ?? [])].filter((place) => place.prepared);
    refreshing ??= lookAtEnds(places)
      .then((strange) => strange.forEach(suspect))
      .catch(() => undefined)
      .finally(() => {
        refreshing = null;
      });
  }

  /** Looks into it between two deliveries. */
  function suspect(place: Place): void {
    if (place.suspected) return;
    place.suspected = true;
    const current = generation;
    place.turn = place.turn
      .then(async () => {
        if (current === null || current !== generation || current.abort.signal.aborted) return;
        await lookInto(place, current.abort.signal);
      })
      .catch(() => undefined)
      .finally(() => {
        place.suspected = false;
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
    askCoordinator: () => admin.coordinator(groupId),
    log,
  });
  const refresher = setInterval(() => {
    gaps.flush();
    refreshEnds();
  }, REFRESH_ENDS_MS);
  refresher.unref();

  return {
    commit,
    lag,
    trouble: running.trouble,
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
      gaps.flush();
    },
  };
}

function isMembershipLost(error: unknown): boolean {
  return error instanceof Error && 'type' in error && LOST_MEMBERSHIP.has(String(error.type));
}

/**
 * The store role's work: what is on the streams goes into the tables, each message once in effect.
 *
 * A delivery is inserted under a token that is the same whenever it comes again, and committed after that; a crash in
 * between costs a repeated insert that the engine recognises. When the engine does not take a delivery it is refused and
 * the stream brings it again, in order. Only what a second look proves to be damaged goes to the dead letters, so that one
 * damaged message does not hold up all that follow. It must never commit what is neither stored nor set aside.
 */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { alertSchema, incidentSchema } from '../messages/alert.ts';
import { judgeJson } from '../messages/parse-message.ts';
import { impossibleBlocks } from '../stream/judge-blocks.ts';
import type { Delivery, ReceivedMessage, Stream, StreamName, Subscription } from '../stream/stream.ts';
import { createDeadLetters, deadLettersDirectory, type LettersLeft } from './dead-letters.ts';
import { refusesWhatWasSent } from './failures.ts';
import { type BlockSource, damageOfBlocks, lookAgain, messageRow } from './second-look.ts';
import type { Engine } from './store.ts';

export interface StoreWriterOptions {
  readonly stream: Stream;
  readonly engine: Engine;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** `all`: every flow is stored. `mail`: only those of the mail stream. */
  readonly archive: 'all' | 'mail';
  /** The data directory, for the dead letters. */
  readonly directory: string;
  /** That the tables are in. */
  readonly database: string;
  /** Why nothing may be inserted at present, in words; '' when it may. What comes meanwhile waits in the stream. */
  readonly heldFor?: () => string;
}

interface StoreWriterCounters {
  /** Flow rows in the store; a row that came twice is counted once per delivery that was committed. */
  flowsStored: number;
  alertsStored: number;
  incidentsStored: number;
  /** Rows and messages set aside, and those that were let go because the dead letters were full. */
  rowsDeadLettered: number;
  rowsDropped: number;
  inserts: number;
  /** Deliveries refused because the engine was away; they came again. */
  retries: number;
  /** Of the newest failure, '' when the newest insert went well. */
  lastError: string;
  /** Why the store does not take rows at present, so that they wait in the stream; '' while it does. */
  waitsFor: string;
}

export interface StoreWriter {
  start(): Promise<void>;
  /** Waits up to `drainMs` for what is published to be stored, then stops. True when nothing was left. */
  stop(drainMs?: number): Promise<boolean>;
  /** Messages published and not yet in the store. */
  lag(): number;
  /** What lies in the dead letters now, of earlier runs, too. Throws `io` when the disk refuses. */
  deadLetters(): Promise<LettersLeft>;
  readonly counters: StoreWriterCounters;
}

const GROUP = 'store';
const DRAIN_POLL_MS = 50;
const HELD_WAIT_MS = 2000;
/** Characters of a reason in the log; the letter has all of it. */
const MAX_LOGGED = 500;
const DEAD_LETTER_BYTES = 256 * 1024 * 1024;
/** Enough of a delivery to tell it from one with the same offsets in another life of the stream. */
const IDENTITY_BYTES = 4096;

/** Streams whose messages are JSON that the store keeps, with a table of the same name each. */
export type MessageStream = 'alerts' | 'incidents';
type Table = 'flows' | MessageStream;

const SCHEMAS: Readonly<Record<MessageStream, z.ZodType>> = {
  alerts: alertSchema,
  incidents: incidentSchema,
};

export function createStoreWriter(options: StoreWriterOptions): StoreWriter {
  const { stream, engine, log, archive } = options;
  const deadLetters = createDeadLetters(deadLettersDirectory(options.directory), DEAD_LETTER_BYTES);
  const counters: StoreWriterCounters = {
    flowsStored: 0,
    alertsStored: 0,
    incidentsStored: 0,
    rowsDeadLettered: 0,
    rowsDropped: 0,
    inserts: 0,
    retries: 0,
    lastError: '',
    waitsFor: '',
  };
  const subscriptions: Subscription[] = [];
  const heldFor = () => options.heldFor?.() ?? '';

  async function storeFlows(delivery: Delivery): Promise<void> {
    const impossible = new Map<ReceivedMessage, string>();
    for (const message of delivery.messages) {
      const why = impossibleBlocks(message);
      if (why !== null) impossible.set(message, why);
    }
    if (impossible.size > 0) {
      // No engine may see them: one that believes what they claim is busy for ever, or takes what follows for their rows.
      for (const message of delivery.messages)
        if (!impossible.has(message)) await storeFlows(deliveryOf(delivery, message));
      for (const [message, why] of impossible) await setAside(delivery.stream, delivery, message, why);
      return;
    }
    const source: BlockSource =
      delivery.file === undefined
        ? { bytes: delivery.messages.map((message) => message.value) }
        : { file: delivery.file };
    const token = await tokenOf(delivery, source);
    const attempt = () => engine.insertNative('flows', source, { token });
    const refusal = await insert('flows', attempt, (error) => damageOfBlocks(source, error));
    if (refusal === null) {
      counters.flowsStored += delivery.rows;
      return;
    }
    const { messages } = delivery;
    const { sound, damaged } = await sorted(messages, refusal);
    if (messages.length > 1 && sound.length > 0) {
      // By themselves the sound ones can go in. Nothing of the delivery did: the engine could not read it. They come first,
      // so that a delivery that comes again finds no letter of its own.
      for (const message of [...sound, ...damaged]) await storeFlows(deliveryOf(delivery, message));
      return;
    }
    const outcome = await deadLetters.add({
      name: token,
      extension: 'native',
      rows: delivery.rows,
      reason: refusal.message,
      content: source,
    });
    countRefused(delivery.stream, delivery.rows, outcome, refusal.message);
  }

  async function sorted(messages: readonly ReceivedMessage[], refusal: RogueSmtpError) {
    const sound: ReceivedMessage[] = [];
    const damaged: ReceivedMessage[] = [];
    for (const message of messages) {
      const damage = await damageOfBlocks({ bytes: [message.value] }, refusal);
      (damage === null ? sound : damaged).push(message);
    }
    return { sound, damaged };
  }

  async function storeMessages(name: MessageStream, delivery: Delivery): Promise<void> {
    const good: ReceivedMessage[] = [];
    const bad: { readonly message: ReceivedMessage; readonly reason: string }[] = [];
    for (const message of delivery.messages) {
      const judged = judgeJson(SCHEMAS[name], message);
      if (judged.ok && isCanary(judged.content)) continue;
      if (judged.ok) good.push(message);
      else bad.push({ message, reason: judged.reason });
    }
    // One of them may be what the table cannot take: by themselves the others can go in.
    if (!(await insertMessages(name, delivery, good)))
      for (const message of good) await insertMessages(name, delivery, [message]);
    // Last, so that a delivery that has to wait sets nothing aside again and again.
    for (const { message, reason } of bad) await setAside(name, delivery, message, reason);
  }

  /** False when several were refused together; a single one that is refused is set aside. */
  async function insertMessages(
    name: MessageStream,
    delivery: Delivery,
    messages: readonly ReceivedMessage[],
  ): Promise<boolean> {
    if (messages.length === 0) return true;
    const rows = messages.map(({ value }) => messageRow(value));
    const token = await tokenOf(
      { ...delivery, firstOffset: messages[0].offset, lastOffset: messages[messages.length - 1].offset },
      { bytes: messages.map(({ value }) => value) },
    );
    const refusal = await insert(
      name,
      () => engine.insertJson(name, rows, { token }),
      async (error) => (refusesWhatWasSent(error) ? error.message : null),
    );
    if (refusal === null) {
      if (name === 'alerts') counters.alertsStored += messages.length;
      else counters.incidentsStored += messages.length;
      return true;
    }
    if (messages.length > 1) return false;
    await setAside(name, delivery, messages[0], refusal.message);
    return true;
  }

  /**
   * Null when it went in, else the refusal that a second look has proven. Throws when the rows have to wait. `evidence`:
   * what is wrong with the rows by themselves, or null when nothing is.
   */
  async function insert(
    table: Table,
    attempt: () => Promise<void>,
    evidence: (refusal: RogueSmtpError) => Promise<string | null>,
  ): Promise<RogueSmtpError | null> {
    try {
      await untilReleased();
      const refusal = await refusalOf(attempt);
      if (refusal !== null) {
        if ((await evidence(refusal)) === null) throw refusal;
        const { database } = options;
        const verdict = await lookAgain({ engine, database, table, attempt, refusal });
        if (verdict === 'refused') {
          counters.lastError = refusal.message;
          counters.waitsFor = '';
          return refusal;
        }
      }
      counters.inserts++;
      counters.lastError = '';
      counters.waitsFor = '';
      return null;
    } catch (error) {
      counters.lastError = messageOf(error);
      // Why it is held, says who holds it.
      counters.waitsFor = heldFor() === '' ? counters.lastError : '';
      counters.retries++;
      throw error;
    }
  }

  /** A store opens within seconds as a rule, sooner than a refused delivery comes again. */
  async function untilReleased(): Promise<void> {
    const deadline = performance.now() + HELD_WAIT_MS;
    for (;;) {
      const held = heldFor();
      if (held === '') return;
      if (performance.now() > deadline) throw new RogueSmtpError('store', held, { transient: true });
      await sleep(DRAIN_POLL_MS);
    }
  }

  /** What the engine itself said to an insert; null when it took it. Throws what is no answer of an engine. */
  async function refusalOf(attempt: () => Promise<void>): Promise<RogueSmtpError | null> {
    try {
      await attempt();
      return null;
    } catch (error) {
      if (error instanceof RogueSmtpError && (error.engine !== undefined || refusesWhatWasSent(error)))
        return error;
      throw error;
    }
  }

  async function setAside(
    name: StreamName,
    delivery: Delivery,
    message: ReceivedMessage,
    reason: string,
  ): Promise<void> {
    const outcome = await deadLetters.add({
      name: `${name}-${delivery.partition}-${message.offset}`,
      extension: name === 'flows' || name === 'mail' ? 'native' : 'ndjson',
      rows: message.rows,
      reason,
      content: { bytes: [message.value] },
    });
    countRefused(name, message.rows, outcome, reason);
  }

  function countRefused(
    name: StreamName,
    rows: number,
    outcome: 'kept' | 'known' | 'full',
    reason: string,
  ): void {
    if (outcome === 'known') return;
    if (outcome === 'kept') counters.rowsDeadLettered += rows;
    else counters.rowsDropped += rows;
    log.error(
      { stream: name, rows, reason: reason.slice(0, MAX_LOGGED) },
      outcome === 'kept'
        ? 'damaged rows lie in dead-letters and are not in the store'
        : 'damaged rows were dropped: dead-letters is full',
    );
  }

  async function subscribe(
    streams: readonly StreamName[],
    unit: 'segment' | 'message',
    store: (delivery: Delivery) => Promise<void>,
  ): Promise<void> {
    let subscribed: (subscription: Subscription) => void = () => undefined;
    const ready = new Promise<Subscription>((resolve) => {
      subscribed = resolve;
    });
    const subscription = await stream.subscribe({
      streams,
      group: GROUP,
      unit,
      async onDelivery(delivery) {
        await store(delivery);
        await (await ready).commit(delivery.stream, delivery.partition, delivery.lastOffset);
      },
    });
    subscriptions.push(subscription);
    subscribed(subscription);
  }

  const lag = () => subscriptions.reduce((sum, subscription) => sum + subscription.lag(), 0);

  return {
    counters,
    lag,
    deadLetters: () => deadLetters.left(),
    async start() {
      await subscribe([archive === 'all' ? 'flows' : 'mail'], 'segment', storeFlows);
      await subscribe(['alerts', 'incidents'], 'message', (delivery) =>
        delivery.stream === 'alerts' || delivery.stream === 'incidents'
          ? storeMessages(delivery.stream, delivery)
          : Promise.resolve(),
      );
    },
    async stop(drainMs = 0) {
      if (subscriptions.length === 0) return false;
      const deadline = performance.now() + drainMs;
      while (lag() > 0 && performance.now() < deadline && heldFor() === '') await sleep(DRAIN_POLL_MS);
      await Promise.all(subscriptions.map((subscription) => subscription.stop()));
      const left = lag();
      if (left > 0) log.info({ messages: left }, 'not everything is stored yet; it is at the next start');
      subscriptions.length = 0;
      return left === 0;
    },
  };
}

/** One message of a delivery by itself. */
function deliveryOf(delivery: Delivery, message: ReceivedMessage): Delivery {
  const { offset, rows } = message;
  return { ...delivery, firstOffset: offset, lastOffset: offset, rows, messages: [message] };
}

/** Where a delivery is. */
type Place = Pick<Delivery, 'stream' | 'partition' | 'firstOffset' | 'lastOffset'>;

/** The same for a delivery however often it comes: where it is, and what it begins with. */
export async function tokenOf(place: Place, source: BlockSource): Promise<string> {
  const beginning =
    'file' in source ? await readBeginning(source.file) : (source.bytes[0] ?? new Uint8Array());
  const identity = createHash('sha256')
    .update(beginning.subarray(0, IDENTITY_BYTES))
    .digest('hex')
    .slice(0, 16);
  const { stream, partition, firstOffset, lastOffset } = place;
  return `${stream}-${partition}-${firstOffset}-${lastOffset}-${identity}`;
}

async function readBeginning(file: string): Promise<Uint8Array> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw new RogueSmtpError('store', messageOf(error), { cause: error, transient: true });
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(IDENTITY_BYTES), 0, IDENTITY_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Why a message is not of the schema of its stream, or null when it is. */
export function messageObjection(name: MessageStream, value: Uint8Array): string | null {
  const judged = judgeJson(SCHEMAS[name], { value });
  return judged.ok ? null : judged.reason;
}

/** Nobody is an offender for what this program sent itself: such an alert is no row. */
function isCanary(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'canary';
}

/**
 * The store role's work: what is on the streams goes into the tables, each message once in effect.
 *
 * A delivery is inserted under a token that is the same whenever it comes again, and committed after that; a crash in
 * between costs a repeated insert that the engine recognises. When the engine is away the delivery is refused and the
 * stream brings it again, in order. What the engine will never take goes to the dead letters, so that one damaged
 * message does not hold up all that follow. It must never commit what is neither stored nor set aside.
 */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { alertSchema, incidentSchema } from '../messages/alert.ts';
import type { Delivery, ReceivedMessage, Stream, StreamName, Subscription } from '../stream/stream.ts';
import { createDeadLetters } from './dead-letters.ts';
import { textOf } from './rows.ts';
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
  readonly counters: StoreWriterCounters;
}

const GROUP = 'store';
const DRAIN_POLL_MS = 50;
const DEAD_LETTER_BYTES = 256 * 1024 * 1024;
/** Enough of a delivery to tell it from one with the same offsets in another life of the stream. */
const IDENTITY_BYTES = 4096;

const SCHEMAS: Readonly<Record<'alerts' | 'incidents', z.ZodType>> = {
  alerts: alertSchema,
  incidents: incidentSchema,
};

export function createStoreWriter(options: StoreWriterOptions): StoreWriter {
  const { stream, engine, log, archive } = options;
  const deadLetters = createDeadLetters(join(options.directory, 'dead-letters'), DEAD_LETTER_BYTES);
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

  async function storeFlows(delivery: Delivery): Promise<void> {
    const source =
      delivery.file === undefined
        ? { bytes: delivery.messages.map((message) => message.value) }
        : { file: delivery.file };
    const token = await tokenOf(delivery, source);
    const refusal = await insert(() => engine.insertNative('flows', source, { token }));
    if (refusal === null) {
      counters.flowsStored += delivery.rows;
      return;
    }
    const kept = await deadLetters.add({
      name: token,
      extension: 'native',
      rows: delivery.rows,
      reason: refusal,
      content: source,
    });
    countRefused(delivery.stream, delivery.rows, kept, refusal);
  }

  async function storeMessages(name: 'alerts' | 'incidents', delivery: Delivery): Promise<void> {
    const good: ReceivedMessage[] = [];
    for (const message of delivery.messages) {
      const reason = objection(SCHEMAS[name], message.value);
      if (reason === null) good.push(message);
      else await setAside(name, delivery, message, reason);
    }
    if (await insertMessages(name, delivery, good)) return;
    // One of them is what the table cannot take: by themselves the others can go in.
    for (const message of good) await insertMessages(name, delivery, [message]);
  }

  /** False when several were refused together; a single one that is refused is set aside. */
  async function insertMessages(
    name: 'alerts' | 'incidents',
    delivery: Delivery,
    messages: readonly ReceivedMessage[],
  ): Promise<boolean> {
    if (messages.length === 0) return true;
    const rows = messages.map(({ value }) => JSON.stringify({ message: textOf(value) }));
    const token = await tokenOf(
      { ...delivery, firstOffset: messages[0].offset, lastOffset: messages[messages.length - 1].offset },
      { bytes: messages.map(({ value }) => value) },
    );
    const refusal = await insert(() => engine.insertJson(name, rows, { token }));
    if (refusal === null) {
      if (name === 'alerts') counters.alertsStored += messages.length;
      else counters.incidentsStored += messages.length;
      return true;
    }
    if (messages.length > 1) return false;
    await setAside(name, delivery, messages[0], refusal);
    return true;
  }

  /** Null when it went in, else why it never will. Throws when it may go in later. */
  async function insert(attempt: () => Promise<void>): Promise<string | null> {
    try {
      await attempt();
      counters.inserts++;
      counters.lastError = '';
      counters.waitsFor = '';
      return null;
    } catch (error) {
      counters.lastError = messageOf(error);
      counters.waitsFor = '';
      if (error instanceof RogueSmtpError && !error.transient) return error.message;
      counters.waitsFor = counters.lastError;
      counters.retries++;
      throw error;
    }
  }

  async function setAside(
    name: StreamName,
    delivery: Delivery,
    message: ReceivedMessage,
    reason: string,
  ): Promise<void> {
    const kept = await deadLetters.add({
      name: `${name}-${delivery.partition}-${message.offset}`,
      extension: 'ndjson',
      rows: 1,
      reason,
      content: { bytes: [message.value] },
    });
    countRefused(name, 1, kept, reason);
  }

  function countRefused(name: StreamName, rows: number, kept: boolean, reason: string): void {
    if (kept) counters.rowsDeadLettered += rows;
    else counters.rowsDropped += rows;
    log.error(
      { stream: name, rows, reason },
      kept
        ? 'the store refused rows; they lie in dead-letters'
        : 'the store refused rows; dead-letters is full',
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
      while (lag() > 0 && performance.now() < deadline) await sleep(DRAIN_POLL_MS);
      await Promise.all(subscriptions.map((subscription) => subscription.stop()));
      const left = lag();
      if (left > 0) log.info({ messages: left }, 'not everything is stored yet; it is at the next start');
      subscriptions.length = 0;
      return left === 0;
    },
  };
}

/** The same for a delivery however often it comes: where it is, and what it begins with. */
async function tokenOf(
  delivery: Delivery,
  source: { readonly file: string } | { readonly bytes: readonly Uint8Array[] },
): Promise<string> {
  const beginning =
    'file' in source ? await readBeginning(source.file) : (source.bytes[0] ?? new Uint8Array());
  const identity = createHash('sha256')
    .update(beginning.subarray(0, IDENTITY_BYTES))
    .digest('hex')
    .slice(0, 16);
  const { stream, partition, firstOffset, lastOffset } = delivery;
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

/** Why a message is none of its schema, or null when it is. */
function objection(schema: z.ZodType, value: Uint8Array): string | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOf(value));
  } catch (error) {
    return `not JSON: ${messageOf(error)}`;
  }
  const checked = schema.safeParse(parsed);
  if (checked.success) return null;
  const [issue] = checked.error.issues;
  return `not of the schema: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`;
}

/**
 * The kafkajs client as everything here uses it: addresses, TLS and SASL from the configuration, LZ4, our log.
 *
 * Inert until something connects. Secrets are read here and handed to the library, nowhere else; what the library logs
 * is passed on without its fields, which may hold anything.
 */

import kafkajs, { type KafkaConfig as ClientConfig, type Kafka, type logLevel } from 'kafkajs';
import type { KafkaConfig } from '../../config/schema.ts';
import { readSecret, readSecretLine } from '../../config/secret.ts';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import type { StreamLogger } from '../local/settings.ts';
import { lz4 } from './lz4.ts';
import { patchOffsetReset } from './offset-reset-patch.ts';
import { patchRequestQueue } from './request-queue-patch.ts';

/** A request that a broker does not answer; the library tries again on another connection. */
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTION_TIMEOUT_MS = 3000;
/** A broker that is away is told of several times a second; so often is enough. */
const REPEAT_MS = 10_000;
const TOLD_MESSAGES = 100;

/** Throws RogueSmtpError `config` when a secret or certificate cannot be read. */
export function createKafkaClient(config: KafkaConfig, log: StreamLogger): Kafka {
  const patched = patchRequestQueue();
  if (patched !== 'patched') {
    log.warn(patched, 'kafkajs is used as it is: expect some idle load');
  }
  const kept = patchOffsetReset();
  if (kept !== 'patched') {
    log.warn(kept, 'kafkajs is used as it is: gaps that retention leaves are not counted over a restart');
  }
  if (lz4.missing !== null) {
    log.warn(
      { reason: lz4.missing },
      'LZ4 is not installed (npm ci --omit=optional leaves it out): this role publishes gzip, and cannot read LZ4 batches',
    );
  }
  // kafkajs brings gzip only.
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.LZ4] = () => lz4.codec;
  return new kafkajs.Kafka({
    clientId: config.client_id,
    brokers: [...config.brokers],
    ssl: tlsOf(config.ssl),
    ...(config.sasl !== undefined && { sasl: saslOf(config.sasl) }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Those who call try for ever, with their own pauses: here it is only for what passes in a moment.
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 5 },
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => logTo(log),
  });
}

function tlsOf(ssl: KafkaConfig['ssl']): NonNullable<ClientConfig['ssl']> {
  if (typeof ssl === 'boolean') return ssl;
  return {
    ...(ssl.ca !== undefined && { ca: [readSecret(ssl.ca, 'kafka.ssl.ca')] }),
    ...(ssl.cert !== undefined && { cert: readSecret(ssl.cert, 'kafka.ssl.cert') }),
    ...(ssl.key !== undefined && { key: readSecret(ssl.key, 'kafka.ssl.key') }),
    ...(ssl.server_name !== undefined && { servername: ssl.server_name }),
  };
}

function saslOf(sasl: NonNullable<KafkaConfig['sasl']>): NonNullable<ClientConfig['sasl']> {
  const { mechanism, username } = sasl;
  const password =
    sasl.password_file === undefined
      ? (sasl.password ?? '')
      : readSecretLine(sasl.password_file, 'kafka.sasl.password_file');
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password };
    case 'scram-sha-256':
      return { mechanism, username, password };
    case 'scram-sha-512':
      return { mechanism, username, password };
  }
}

/** What the library reports as errors it mostly gets over by itself; what it does not, our callers see. */
function logTo(
  log: StreamLogger,
): (entry: {
  readonly namespace: string;
  readonly level: logLevel;
  readonly log: { readonly message: string };
}) => void {
  const told = new Map<string, number>();
  return ({ namespace, level, log: { message } }) => {
    if (level > kafkajs.logLevel.WARN) return;
    const nowMs = performance.now();
    if (nowMs - (told.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    if (told.size >= TOLD_MESSAGES) told.clear();
    told.set(message, nowMs);
    log.info({ from: `kafkajs ${namespace}` }, message);
  };
}

/** The rights that something needs, by what they are on, as `READ on topic x`. */
export interface NeededRights {
  readonly topic?: string;
  readonly group?: string;
}

export function rightsToRead(topics: readonly string[], groupId: string): NeededRights {
  return { topic: `READ on topic ${topics.join(' or ')}`, group: `READ on group ${groupId}` };
}

/**
 * What anything of the library threw, as ours, with what a person can do about it. Trying again may help, unless the library
 * says that it cannot.
 */
export function kafkaError(what: string, error: unknown, rights: NeededRights = {}): RogueSmtpError {
  if (error instanceof RogueSmtpError) return error;
  const hopeless =
    error instanceof Error && /SASLAuthenticationError|KafkaJSServerDoesNotSupportApiKey/.test(error.name);
  const advice = adviceOn(error, rights);
  const text = advice === null ? messageOf(error) : `${advice} (${messageOf(error)})`;
  return new RogueSmtpError('stream', `${what}: ${text}`, { cause: error, transient: !hopeless });
}

/** By the type or the name of an error of the library; types are the names of Kafka's error codes. */
const ADVICE: Readonly<Record<string, string>> = {
  KafkaJSSASLAuthenticationError:
    'the brokers refuse the user or the password: see kafka.sasl, and kafka.ssl for the listener',
  TOPIC_AUTHORIZATION_FAILED:
    'the user of kafka.sasl lacks a right on the topic: DESCRIBE, READ (detect, store, serve), WRITE (collect, detect, serve)',
  GROUP_AUTHORIZATION_FAILED: 'the user of kafka.sasl lacks the right READ on the group',
  CLUSTER_AUTHORIZATION_FAILED:
    'the user of kafka.sasl lacks a right on the cluster: CREATE to make topics, IDEMPOTENT_WRITE with brokers before 2.8',
  NOT_ENOUGH_REPLICAS: 'the brokers refuse writes: fewer replicas are in sync than min.insync.replicas',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    'the brokers refuse writes: fewer replicas are in sync than min.insync.replicas',
  INVALID_TIMESTAMP:
    'the broker refuses the time of the records: the clock of this machine or its own is wrong',
  MESSAGE_TOO_LARGE: 'a message is larger than the topic takes: raise its max.message.bytes',
  KAFKA_STORAGE_ERROR: 'the disk of a broker is full or broken',
  LEADER_NOT_AVAILABLE: 'a partition has no leader: the brokers that hold it are away',
  KafkaJSConnectionError: 'no broker answers',
  KafkaJSBrokerNotFound: 'no broker answers',
};

/** Of an error, what caused it, or one of several; null where nothing better is known than what it says itself. */
function adviceOn(error: unknown, rights: NeededRights): string | null {
  if (!(error instanceof Error)) return null;
  const inner = [error.cause, ...('errors' in error && Array.isArray(error.errors) ? error.errors : [])];
  const type = 'type' in error ? String(error.type) : '';
  return (
    missingRight(type, rights) ??
    ADVICE[type] ??
    inner.map((one) => adviceOn(one, rights)).find((advice) => advice !== null) ??
    ADVICE[error.name] ??
    null
  );
}

function missingRight(type: string, { topic, group }: NeededRights): string | null {
  const lacks = (right: string) => `the user of kafka.sasl lacks the right ${right}`;
  if (type === 'GROUP_AUTHORIZATION_FAILED' && group !== undefined) return lacks(group);
  if (type === 'TOPIC_AUTHORIZATION_FAILED' && topic !== undefined) return lacks(topic);
  // Who asks for a number as a producer needs WRITE on any topic; before 2.8, IDEMPOTENT_WRITE.
  if (type === 'CLUSTER_AUTHORIZATION_FAILED' && topic !== undefined)
    return `${lacks(topic)} (brokers before 2.8 ask for IDEMPOTENT_WRITE on the cluster, too)`;
  return null;
}

/** The brokers answer, and refuse what was asked for want of a right. */
export function isForbidden(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const type = 'type' in error ? String(error.type) : '';
  return type.endsWith('_AUTHORIZATION_FAILED') || isForbidden(error.cause);
}

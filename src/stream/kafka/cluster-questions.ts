/**
 * Asks the brokers what kafkajs cannot ask: which topic a name stands for, where the records of a leader end, and
 * what time it is.
 *
 * The requests of raw-requests.ts go over the library's own connections, with its TLS and SASL. Where the library is built
 * otherwise, or a broker is older than 2.8, the answer is that nothing is known: whoever asks must then go by offsets.
 */

import type { Kafka } from 'kafkajs';
import { createLink } from './link.ts';
import {
  type ClusterFacts,
  EPOCH_END,
  epochEndRequest,
  epochEndResponse,
  METADATA,
  metadataRequest,
  metadataResponse,
  QUORUM,
  quorumRequest,
  quorumResponse,
} from './raw-requests.ts';

export interface ClusterQuestions {
  /** Rejects when no broker answers. */
  facts(topics: readonly string[]): Promise<ClusterFacts>;
  /** See `epochEndResponse`; null also where it cannot be asked. Rejects when the leader does not answer. */
  epochEnd(topic: string, partition: number, epoch: number): Promise<number | null>;
  /** Milliseconds since 1970 by the brokers' clock, null where it cannot be asked. Rejects when no broker answers. */
  time(): Promise<number | null>;
  /**
   * Asks for the coordinator of a group, and rejects with what the broker answers where it gives none: a consumer only says
   * that there is none, also where a right is missing.
   */
  coordinator(groupId: string): Promise<void>;
  stop(): Promise<void>;
}

interface InternalBroker {
  /** By API key; null before it was asked. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null;
  readonly connectionPool: { send(protocol: object): Promise<unknown> };
  findGroupCoordinator(of: { readonly groupId: string; readonly coordinatorType: 0 }): Promise<unknown>;
}

/** As far as it is used here, of kafkajs 2.2.4 (src/cluster/index.js). */
interface InternalCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  findBroker(of: { readonly nodeId: number }): Promise<InternalBroker>;
  readonly brokerPool: { findConnectedBroker(): Promise<InternalBroker> };
}

interface Api {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
}

const NOTHING_KNOWN: ClusterFacts = { clusterId: null, topics: new Map() };

export function createClusterQuestions(kafka: Kafka): ClusterQuestions {
  const makeCluster = clusterMaker(kafka);
  if (makeCluster === null) {
    return {
      facts: async () => NOTHING_KNOWN,
      epochEnd: async () => null,
      time: async () => null,
      coordinator: async () => undefined,
      stop: async () => undefined,
    };
  }
  const link = createLink(makeCluster);
  let turn: Promise<unknown> = Promise.resolve();

  /** One question at a time: each that meets a broken connection would make one of its own. */
  function ask<Answer>(question: (cluster: InternalCluster) => Promise<Answer>): Promise<Answer> {
    const answer = turn.then(() => link.use(question));
    turn = answer.catch(() => undefined);
    return answer;
  }

  const factsOf = async (cluster: InternalCluster, topics: readonly string[]): Promise<ClusterFacts> => {
    const broker = await cluster.brokerPool.findConnectedBroker();
    return (await send(broker, METADATA, metadataRequest(topics), metadataResponse)) ?? NOTHING_KNOWN;
  };

  return {
    facts: (topics) => ask((cluster) => factsOf(cluster, topics)),
    epochEnd: (topic, partition, epoch) =>
      ask(async (cluster) => {
        const { topics } = await factsOf(cluster, [topic]);
        const leader = topics.get(topic)?.partitions.get(partition)?.leader;
        if (leader === undefined || leader < 0) return null;
        await cluster.addMultipleTargetTopics([topic]);
        const broker = await cluster.findBroker({ nodeId: leader });
        return send(broker, EPOCH_END, epochEndRequest(topic, partition, epoch), epochEndResponse);
      }),
    time: () =>
      ask(async (cluster) => {
        const broker = await cluster.brokerPool.findConnectedBroker();
        return send(broker, QUORUM, quorumRequest(), quorumResponse);
      }),
    coordinator: (groupId) =>
      ask(async (cluster) => {
        const broker = await cluster.brokerPool.findConnectedBroker();
        await broker.findGroupCoordinator({ groupId, coordinatorType: 0 });
      }),
    async stop() {
      await turn;
      await link.close();
    },
  };
}

/** Null when the broker does not know the request in this version. */
async function send<Answer>(
  broker: InternalBroker,
  api: Api,
  body: Buffer,
  read: (bytes: Buffer) => Answer,
): Promise<Answer | null> {
  const { maxVersion = 0 } = broker.versions?.[api.apiKey] ?? {};
  if (maxVersion < api.apiVersion) return null;
  let answer: Answer | null = null;
  await broker.connectionPool.send({
    request: { ...api, encode: async () => ({ buf: body, buffer: body }) },
    response: {
      // The library looks for a throttle time in what is decoded.
      async decode(bytes: Buffer) {
        answer = read(bytes);
        return {};
      },
      parse: async () => undefined,
    },
  });
  return answer;
}

/** The library makes its clients' connections by a function of its own, which is not exported. */
function clusterMaker(kafka: Kafka): (() => InternalCluster) | null {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  const make: unknown = symbol === undefined ? undefined : Reflect.get(kafka, symbol);
  if (typeof make !== 'function' || !isCluster(make({ allowAutoTopicCreation: false }))) return null;
  return () => {
    const cluster: unknown = make({ allowAutoTopicCreation: false });
    if (!isCluster(cluster)) throw new Error('kafkajs is built otherwise');
    return cluster;
  };
}

function isCluster(value: unknown): value is InternalCluster {
  return (
    typeof value === 'object' &&
    value !== null &&
    'addMultipleTargetTopics' in value &&
    'findBroker' in value &&
    'brokerPool' in value &&
    typeof value.brokerPool === 'object' &&
    value.brokerPool !== null &&
    'findConnectedBroker' in value.brokerPool
  );
}

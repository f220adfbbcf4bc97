/**
 * From UDP into Kafka: `rogue-smtp collect` and goflow2 in turn on the same broker, with the same exports.
 *
 * What counts is what the broker has acknowledged. Bytes are those of the topics' segments on its disk, which hold the
 * batches as they came over the wire.
 */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { cannotHaveKafka, startCluster } from '../integration/kafka/broker.ts';
import { kafkaConfig, makeTopics } from '../integration/kafka/support.ts';
import { cpuSecondsOf } from '../support/processes.ts';
import { freeUdpPort, startService } from '../support/service.ts';
import { createPools } from './exports.ts';
import { type Goflow2, goflow2ToKafka } from './goflow2.ts';
import { startReceiver } from './receivers.ts';
import type { Sender } from './sender.ts';

export interface FirstLegResult {
  readonly collector: string;
  /** Flows offered a second, sent in all, and acknowledged by the broker. */
  readonly offered: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly kernelDropped: number;
  /** Microseconds of CPU for each acknowledged flow. */
  readonly collectorCpu: number;
  readonly brokerCpu: number;
  /** In the topics, for each acknowledged flow. */
  readonly bytesAFlow: number;
}

export type FirstLeg =
  | {
      readonly kind: 'measured';
      readonly results: readonly FirstLegResult[];
      readonly missing: string | null;
    }
  | { readonly kind: 'missing'; readonly why: string };

const RECORDS = 30;
/** Different ones, so that what compresses is not their repetition. */
const DATAGRAMS = 4000;
const PARTITIONS = 4;
const RECEIVE_BUFFER = 32 * 1024 * 1024;
/** So often nothing more was acknowledged, a second apart, before it counts as final. */
const SETTLED_LOOKS = 6;

/** A collector that publishes to Kafka: what it needs to be told, and asked. */
interface Subject {
  readonly name: string;
  readonly prefix: string;
  readonly port: number;
  readonly acknowledged: () => Promise<number>;
  readonly kernelDropped: () => Promise<number>;
  readonly cpuSeconds: () => number;
  stop(): Promise<void>;
}

/** Of brokers that are not ours neither CPU nor bytes can be told. */
async function cannotHaveOwnKafka(): Promise<string | null> {
  return (
    (await cannotHaveKafka()) ?? (process.env.KAFKA_BROKERS === undefined ? null : 'KAFKA_BROKERS is set')
  );
}

/** Offers each of `rates`, in flows a second of v5, to each collector for so many seconds. */
export async function benchFirstLeg(
  sender: Sender,
  goflow2: Goflow2,
  rates: readonly number[],
  seconds: number,
): Promise<FirstLeg> {
  const why = await cannotHaveOwnKafka();
  if (why !== null) return { kind: 'missing', why };
  const cluster = await startCluster(1);
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-first-leg-'));
  const results: FirstLegResult[] = [];
  const [pool] = createPools(DATAGRAMS).filter(({ version }) => version === 'v5');
  const brokerCpu = () => cluster.pids().reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  const client = new kafkajs.Kafka({
    brokers: [...cluster.brokers],
    clientId: 'bench',
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = client.admin();

  async function collect(prefix: string): Promise<Subject> {
    const topics = { flows: { partitions: PARTITIONS }, mail: { partitions: PARTITIONS } };
    await makeTopics(kafkaConfig(cluster, prefix, { topics }));
    const service = await startService({
      directory,
      name: prefix,
      command: 'collect',
      config: `networks: { internal: [10.0.0.0/8] }
kafka: { brokers: ${JSON.stringify(cluster.brokers)}, topic_prefix: ${prefix}, topics: ${JSON.stringify(topics)} }
log: { level: error }
`,
    });
    return {
      name: 'rogue-smtp collect (flows and mail)',
      prefix,
      port: service.udpPort,
      acknowledged: () => service.metric('rogue_smtp_flows_published_total', 'stream="flows"'),
      kernelDropped: async () => RECORDS * (await service.metric('rogue_smtp_kernel_drops_total')),
      cpuSeconds: () => cpuSecondsOf(service.process.pid ?? 0),
      stop: () => service.end('SIGTERM'),
    };
  }

  async function goflow(program: string, prefix: string): Promise<Subject> {
    await admin.createTopics({
      topics: [{ topic: prefix, numPartitions: PARTITIONS, replicationFactor: 1 }],
    });
    const port = await freeUdpPort();
    const place = { directory: join(directory, prefix), port, receiveBuffer: RECEIVE_BUFFER, sflow: false };
    const running = await startReceiver(
      {
        name: 'goflow2',
        missing: null,
        versions: ['v5'],
        command: async ({ directory: into }) =>
          goflow2ToKafka(program, port, into, { brokers: cluster.brokers, topic: prefix }),
      },
      place,
    );
    return {
      name: 'goflow2 (protobuf, a message a flow, LZ4)',
      prefix,
      port,
      acknowledged: async () =>
        (await admin.fetchTopicOffsets(prefix)).reduce((sum, { high }) => sum + Number(high), 0),
      kernelDropped: async () => RECORDS * (await running.drops()),
      cpuSeconds: running.cpuSeconds,
      stop: async () => void (await running.stop()),
    };
  }

  async function measure(subject: Subject, offered: number): Promise<void> {
    const { name, prefix, port, acknowledged, kernelDropped, cpuSeconds, stop } = subject;
    await sleep(2000);
    const [own, broker] = [cpuSeconds(), brokerCpu()];
    const datagrams = await sender.send(port, offered / RECORDS, seconds, pool);
    let taken = -1;
    for (let same = 0; same < SETTLED_LOOKS; ) {
      await sleep(1000);
      const now = await acknowledged();
      same = now === taken ? same + 1 : 0;
      taken = now;
    }
    const perFlow = (cpu: number) => (1e6 * cpu) / Math.max(1, taken);
    results.push({
      collector: name,
      offered,
      sent: datagrams * RECORDS,
      acknowledged: taken,
      kernelDropped: await kernelDropped(),
      collectorCpu: perFlow(cpuSeconds() - own),
      brokerCpu: perFlow(brokerCpu() - broker),
      bytesAFlow: bytesOfTopics(cluster.directory, prefix) / Math.max(1, taken),
    });
    await stop();
  }

  try {
    await admin.connect();
    for (const [i, offered] of rates.entries()) {
      await measure(await collect(`ours${i}`), offered);
      if (goflow2.kind === 'built') await measure(await goflow(goflow2.program, `theirs${i}`), offered);
    }
    return { kind: 'measured', results, missing: goflow2.kind === 'missing' ? goflow2.why : null };
  } finally {
    await admin.disconnect();
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The segments of every topic of the prefix, in the directory of a cluster of one broker. */
function bytesOfTopics(directory: string, prefix: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(({ name, parentPath }) => name.endsWith('.log') && basename(parentPath).startsWith(prefix))
    .reduce((sum, { name, parentPath }) => sum + statSync(join(parentPath, name)).size, 0);
}

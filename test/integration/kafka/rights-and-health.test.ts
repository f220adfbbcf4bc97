/**
 * What a broker refuses or does wrong has words of its own: each right that is missing, with Kafka's own authoriser, and
 * each way in which topics, clocks and brokers are not what they should be. One broker for all of it.
 */

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { KafkaConfig } from '../../../src/config/schema.ts';
import { readCapture } from '../../../src/replay/capture/read-capture.ts';
import { ROLES, type Role } from '../../../src/service/roles.ts';
import { createKafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { STREAM_NAMES, type StreamName, type Subscription } from '../../../src/stream/stream.ts';
import { keptLog, message, textOf } from '../../stream/support.ts';
import { sendDatagrams, startService } from '../../support/service.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, makeTopics, oneBroker, startKafkaStream } from './support.ts';

const reason =
  (await cannotHaveKafka()) ??
  (process.env.KAFKA_BROKERS === undefined ? null : 'brokers of KAFKA_BROKERS have rights of their own');
const ACCESS = { username: 'limited', password: 'a password', others: ROLES };
const DAY_MS = 86_400_000;

// The listener without a password belongs to the administrator.
const broker = oneBroker(reason, ACCESS, {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
});

let admin: kafkajs.Admin;

beforeAll(async () => {
  if (reason !== null) return;
  const client = new kafkajs.Kafka({
    brokers: [...broker.cluster.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  admin = client.admin();
  await admin.connect();
});
afterAll(() => admin?.disconnect());

/** As the user who has only what was granted. */
const limited = (prefix: string): KafkaConfig =>
  kafkaConfig(broker.cluster, prefix, {
    brokers: broker.cluster.secure?.brokers,
    ssl: { ca: broker.cluster.secure?.authority },
    sasl: { mechanism: 'plain', username: ACCESS.username, password: ACCESS.password },
    topics: { flows: { partitions: 1 }, mail: { partitions: 1 } },
  });

type Right = readonly [
  on: 'topic' | 'group' | 'cluster',
  name: string,
  operation: keyof typeof kafkajs.AclOperationTypes,
];

const RESOURCE_TYPES = {
  topic: kafkajs.AclResourceTypes.TOPIC,
  group: kafkajs.AclResourceTypes.GROUP,
  cluster: kafkajs.AclResourceTypes.CLUSTER,
} as const;

async function grant(rights: readonly Right[], user: string = ACCESS.username): Promise<void> {
  await admin.createAcls({
    acl: rights.map(([on, resourceName, operation]) => ({
      resourceType: RESOURCE_TYPES[on],
      resourceName,
      resourcePatternType:
        on === 'group' ? kafkajs.ResourcePatternTypes.PREFIXED : kafkajs.ResourcePatternTypes.LITERAL,
      principal: `User:${user}`,
      host: '*',
      operation: kafkajs.AclOperationTypes[operation],
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    })),
  });
}

async function limitedStream(prefix: string) {
  const stream = createKafkaStream({ config: limited(prefix), log: keptLog() });
  await stream.start();
  onTestFinished(() => stream.stop());
  return stream;
}

const describeAll = (prefix: string): Right[] =>
  (['flows', 'mail', 'alerts', 'incidents', 'decisions'] as const).map((name) => [
    'topic',
    `${prefix}.${name}`,
    'DESCRIBE',
  ]);

describe.skipIf(reason !== null)(`rights${reason === null ? '' : ` (${reason})`}`, () => {
  it('that are missing are named one by one, and work goes on as soon as they are given', async () => {
    const prefix = freshPrefix();
    const nothing = await limitedStream(prefix);
    await expect(nothing.checkTopics(true)).rejects.toThrow(
      /lacks the right CREATE on the topics .*flows.*decisions/,
    );
    await makeTopics({
      ...limited(prefix),
      brokers: [...broker.cluster.brokers],
      ssl: false,
      sasl: undefined,
    });
    await expect(nothing.checkTopics(false)).rejects.toThrow(
      new RegExp(`topic ${prefix}.flows is missing.*lacks the right DESCRIBE on it`),
    );

    await grant(describeAll(prefix));
    await comesTrue(
      () =>
        nothing.checkTopics(false).then(
          ({ unchecked }) => /DESCRIBE_CONFIGS/.test(unchecked.join()),
          () => false,
        ),
      'a check without DESCRIBE_CONFIGS',
    );

    const publish = (name: StreamName) =>
      nothing
        .publish(name, [{ ...message('of a test'), key: '10.0.0.1' }])
        .then(({ accepted }) => `accepted ${accepted}`, String);
    for (const name of ['flows', 'alerts'] as const) {
      expect(await publish(name)).toContain(`lacks the right WRITE on topic ${prefix}.${name}`);
      expect(nothing.troubles?.().join()).toContain(`WRITE on topic ${prefix}.${name}`);
      await grant([['topic', `${prefix}.${name}`, 'WRITE']]);
      await comesTrue(async () => (await publish(name)) === 'accepted 1', `a publication to ${name}`);
    }
    expect(nothing.troubles?.()).toEqual([]);

    let delivered = 0;
    const reader = await nothing.subscribe({
      streams: ['flows'],
      group: 'store',
      unit: 'message',
      async onDelivery({ messages }) {
        delivered += messages.length;
      },
    });
    onTestFinished(() => reader.stop());
    const says = (text: string) =>
      comesTrue(
        () => (nothing.troubles?.() ?? []).join().includes(text),
        () => `${text} in ${nothing.troubles?.()}`,
      );
    await says(`lacks the right READ on group ${prefix}.store.flows`);
    await grant([['group', `${prefix}.`, 'READ']]);
    await says(`lacks the right READ on topic ${prefix}.flows`);
    await grant([['topic', `${prefix}.flows`, 'READ']]);
    await comesTrue(() => delivered > 0 && nothing.troubles?.().length === 0, 'a delivery');
  }, 60_000);
});

/** The rights of a role as the table of docs/kafka.md has them: `READ; WRITE` has the topics of each between semicolons. */
function documentedRights(role: Role, prefix: string): Right[] {
  const text = readFileSync(new URL('../../../docs/kafka.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| ([A-Z_; ]+) \| (.+?) \| (.+?) \|$/gm)];
  return rows
    .filter(([, , , who]) => who.startsWith('all roles') || who.includes(`\`${role}\``))
    .flatMap(([, operations, on]) =>
      operations.split('; ').flatMap((operation, i): Right[] => {
        const right = operation as Right[2];
        if (on.startsWith('groups')) return [['group', `${prefix}.`, right]];
        if (on === 'the cluster') return [['cluster', 'kafka-cluster', right]];
        const named = on.split('; ')[i] ?? on;
        const topics = STREAM_NAMES.filter((name) => on === 'the topics' || named.includes(`\`${name}\``));
        return topics.map((name) => ['topic', `${prefix}.${name}`, right]);
      }),
    );
}

/** A broker that is away may be worth a few lines in a minute, for each role. */
const MOST_LINES = 12;
const OUTAGE_MS = 10_000;

describe.skipIf(reason !== null)(`the roles${reason === null ? '' : ` (${reason})`}`, () => {
  it('work with the documented rights alone, and say little while the broker is away', async () => {
    const prefix = freshPrefix();
    const demo = new URL('../../../deploy/demo/', import.meta.url).pathname;
    const topics = { flows: { partitions: 1 }, mail: { partitions: 1 } };
    await makeTopics(kafkaConfig(broker.cluster, prefix, { topics }));
    const general = readFileSync(`${demo}rogue-smtp.yaml`, 'utf8').replace(
      /^(collector|http|data|log):.*(\n[ #].*)*\n/gm,
      '',
    );
    const start = async (role: Role) => {
      const rights = documentedRights(role, prefix);
      expect(rights.length).toBeGreaterThan(10);
      await grant(rights, role);
      const kafka = {
        brokers: broker.cluster.secure?.brokers,
        topic_prefix: prefix,
        topics,
        ssl: { ca: broker.cluster.secure?.authority },
        sasl: { mechanism: 'plain', username: role, password: ACCESS.password },
      };
      const config = `${general}kafka: ${JSON.stringify(kafka)}\nlog: { level: info }\n`;
      return startService({ directory: broker.directory, name: role, command: role, config });
    };
    const services = await Promise.all(ROLES.map(start));
    const [collect, , store, serve] = services;
    onTestFinished(async () => void (await Promise.all(services.map((service) => service.end('SIGKILL')))));
    const areReady = () =>
      comesTrue(
        async () => {
          const troubles = await Promise.all(services.map((service) => service.client.notReady()));
          return troubles.every((trouble) => trouble === null);
        },
        () => services.map((service) => service.log().slice(-1000)).join('\n'),
      );
    await areReady();
    const capture: Buffer[] = [];
    for await (const { payload } of readCapture(`${demo}exports.pcap`)) capture.push(Buffer.from(payload));
    await sendDatagrams(collect.udpPort, capture, 5);
    await comesTrue(
      async () => (await store.client.alerts({ limit: 10 })).length > 0,
      'an alert in the store',
    );
    const list = { platform: 'cisco-ios', kind: 'offenders', family: '4' } as const;
    await comesTrue(
      async () => (await serve.client.renderAcl(list)).text.includes('deny tcp host'),
      'a host in a list',
    );

    const said = services.map((service) => service.log().length);
    await broker.cluster.kill(0);
    await sleep(OUTAGE_MS);
    const lines = services.map((service, i) => service.log().slice(said[i]).trim().split('\n'));
    await broker.cluster.start(0);
    await areReady();
    for (const some of lines) expect(some.length, some.join('\n')).toBeLessThanOrEqual(MOST_LINES);
    for (const service of services) expect(service.log()).not.toMatch(/lacks the right|not authorized/i);
  }, 120_000);
});

/** A consumer of incidents that commits each delivery before it returns, as the store does. */
function committing(stream: Awaited<ReturnType<typeof startKafkaStream>>) {
  const messages: string[] = [];
  const subscribe = async (): Promise<Subscription> => {
    const subscription: Subscription = await stream.subscribe({
      streams: ['incidents'],
      group: 'store',
      unit: 'message',
      async onDelivery(delivery) {
        messages.push(...delivery.messages.map(textOf));
        await subscription.commit('incidents', delivery.partition, delivery.lastOffset);
      },
    });
    return subscription;
  };
  return { messages, subscribe };
}

describe.skipIf(reason !== null)(`what is wrong${reason === null ? '' : ` (${reason})`}`, () => {
  const alter = (name: string, settings: Readonly<Record<string, string>>) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name,
          configEntries: Object.entries({ 'max.message.bytes': String(8 << 20), ...settings }).map(
            ([setting, value]) => ({ name: setting, value }),
          ),
        },
      ],
    });

  it('with settings of topics is told for each, and what does harm is a trouble', async () => {
    const prefix = freshPrefix();
    await startKafkaStream(kafkaConfig(broker.cluster, prefix));
    await alter(`${prefix}.flows`, { 'retention.ms': '3600000', 'retention.bytes': '1000000' });
    await alter(`${prefix}.alerts`, { 'retention.ms': '-1', 'min.insync.replicas': '2' });
    const stream = createKafkaStream({
      config: kafkaConfig(broker.cluster, prefix, { replication: 3 }),
      log: keptLog(),
    });
    // Brokers hear of new settings a moment after the controller, which has them now.
    await comesTrue(async () => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: ['flows', 'alerts'].map((name) => ({
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: `${prefix}.${name}`,
        })),
      });
      const kept = resources.map(
        ({ configEntries }) =>
          configEntries.find(({ configName }) => configName === 'retention.ms')?.configValue,
      );
      return kept.join() === '3600000,-1';
    }, 'the new settings');
    await stream.start();
    onTestFinished(() => stream.stop());
    await stream.look();
    const differences = stream.differences?.() ?? [];
    const about = (topic: string) => differences.filter((text) => text.includes(`${prefix}.${topic} `));
    expect(about('mail')).toEqual([`topic ${prefix}.mail has 1 replica(s), not 3 (kafka.replication)`]);
    expect(about('flows').slice(1)).toEqual([
      expect.stringMatching(/retention.ms=3600000, not 86400000 \(kafka.topics.flows.retention\): .* lost/),
      expect.stringContaining('retention.bytes=1000000'),
    ]);
    expect(about('alerts').slice(1)).toEqual([
      expect.stringContaining('min.insync.replicas=2, but only 1 replica(s)'),
      expect.stringContaining('retention.ms=-1, not 2592000000'),
    ]);
    const troubles = stream.troubles?.().join('\n') ?? '';
    expect(troubles).toContain('retention.ms=3600000');
    expect(troubles).not.toContain('retention.ms=-1');
  }, 30_000);

  it.each([
    ['ahead', DAY_MS, /this machine's .*: the brokers refuse messages .* 86400 s ahead/],
    ['behind', -DAY_MS, /this machine's .*: the topics remove messages 86400 s too early/],
  ])(
    'with a clock that is a day %s is told',
    async (_, shift, words) => {
      const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix()));
      const real = Date.now;
      vi.spyOn(Date, 'now').mockImplementation(() => real() + shift);
      onTestFinished(() => void vi.restoreAllMocks());
      const other = createKafkaStream({ config: kafkaConfig(broker.cluster, freshPrefix()), log: keptLog() });
      await other.start();
      onTestFinished(() => other.stop());
      await other.look();
      expect(other.troubles?.()).toEqual([expect.stringMatching(words)]);
      if (shift > 0)
        await expect(stream.publish('flows', [message('of tomorrow')])).rejects.toThrow(
          /refuses the time of the records/,
        );
    },
    30_000,
  );

  it('with the broker itself is told while it is away, and no longer', async () => {
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, freshPrefix()));
    await stream.look();
    expect(stream.troubles?.()).toEqual([]);
    const { messages, subscribe } = committing(stream);
    await stream.publish('incidents', [message('by the first leader', { key: '10.0.0.1' })]);
    const before = await subscribe();
    await comesTrue(() => messages.length === 1, 'a delivery');
    await broker.cluster.kill(0);
    await comesTrue(
      async () => {
        await stream.look();
        return /no broker/.test(stream.troubles?.().join() ?? '');
      },
      () => `silence: ${stream.troubles?.()}`,
      20_000,
    );
    await broker.cluster.start(0);
    await comesTrue(
      async () => {
        await stream.look();
        return stream.troubles?.().length === 0;
      },
      () => `all is well: ${stream.troubles?.()}`,
    );

    // Its leader has another epoch now, and nothing was cut back.
    await stream.publish('incidents', [message('by the next leader', { key: '10.0.0.1' })]);
    await comesTrue(() => messages.length === 2, 'another delivery');
    await before.stop();
    const after = await subscribe();
    await after.assigned;
    await stream.publish('incidents', [message('the last', { key: '10.0.0.1' })]);
    await comesTrue(() => messages.length > 2, 'the last delivery');
    expect(messages).toEqual(['by the first leader', 'by the next leader', 'the last']);
    expect((stream.gaps?.() ?? []).map(({ text }) => text).join()).not.toContain('cut back');
  }, 120_000);
});

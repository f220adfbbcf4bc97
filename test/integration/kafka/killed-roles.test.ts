/**
 * Roles that are killed with SIGKILL while flows come in: two collectors, two detectors and two stores on a broker. Every
 * flow that was published is stored once, every rogue host is alerted once per event, nobody else is.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { v5 } from '../../support/datagrams.ts';
import { type RunningService, sendDatagrams, startService } from '../../support/service.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, makeTopics, oneBroker } from './support.ts';

const reason = await cannotHaveKafka();
const ROGUES = 40;
const FLOWS = 20;

const broker = oneBroker(reason);

/** A mail session of a rogue host, one of the mail server, and web traffic, all with ports of their own. */
function datagram(sequence: number): Buffer {
  return v5(
    Array.from({ length: FLOWS }, (_, i) => ({
      src: i === 0 ? `10.0.1.${1 + (sequence % ROGUES)}` : i === 1 ? '10.0.0.25' : `10.0.2.${i}`,
      dst: `198.51.100.${1 + (sequence % 200)}`,
      srcPort: 20_000 + (sequence % 40_000),
      dstPort: i < 2 ? 25 : 443,
      packets: 20,
      bytes: 6000,
      flags: 0x1b,
    })),
    { sequence: sequence * FLOWS },
  );
}

async function number(service: RunningService, sql: string): Promise<number> {
  return Number((await service.ask(sql, 'TSV')).trim());
}

describe.skipIf(reason !== null)(`roles that are killed${reason === null ? '' : ` (${reason})`}`, () => {
  it('lose no published flow, store none twice, and alert once per event', async () => {
    const prefix = freshPrefix();
    const topics = { flows: { partitions: 2 }, mail: { partitions: 4 } };
    await makeTopics(kafkaConfig(broker.cluster, prefix, { topics }));
    const config = `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: [10.0.0.25] }]
kafka: { brokers: ["${broker.cluster.brokers[0]}"], topic_prefix: ${prefix}, topics: ${JSON.stringify(topics)} }
log: { level: warn }
`;
    const start = (command: string, name: string) =>
      startService({ directory: broker.directory, name, command, config });
    let [one, two, detect1, detect2, store] = await Promise.all([
      start('collect', 'one'),
      start('collect', 'two'),
      start('detect', 'detect1'),
      start('detect', 'detect2'),
      start('store', 'store'),
    ]);
    let sequence = 0;
    let sending = true;
    let published = 0;
    // Two exporters: sequence numbers of their own, told apart by the collector's port only if at all.
    const sender = (async () => {
      while (sending) {
        const burst = Array.from({ length: 20 }, () => datagram(sequence++));
        await Promise.all([
          sendDatagrams(one.udpPort, burst.slice(0, 10)),
          sendDatagrams(two.udpPort, burst.slice(10)),
        ]);
        await sleep(20);
      }
    })();
    await comesTrue(
      async () => (await number(store, 'SELECT count() FROM alerts')) >= ROGUES,
      'all hosts alerted',
    );
    const flowsOf = (service: RunningService) =>
      service.metric('rogue_smtp_flows_published_total', 'stream="flows"');
    for (let round = 0; round < 2; round++) {
      await detect1.end('SIGKILL');
      await sleep(1500);
      detect1 = await start('detect', 'detect1');
      await store.end('SIGKILL');
      await sleep(500);
      store = await start('store', 'store');
      await detect2.end('SIGKILL');
      detect2 = await start('detect', 'detect2');
      published += await flowsOf(two);
      await two.end('SIGKILL');
      two = await start('collect', 'two');
    }
    sending = false;
    await sender;
    await sleep(1000);
    published += (await flowsOf(one)) + (await flowsOf(two));
    const sent = sequence * FLOWS;
    let stored = -1;
    await comesTrue(
      async () => {
        const before = stored;
        stored = await number(store, 'SELECT count() FROM flows');
        await sleep(3000);
        return stored >= published && stored === before;
      },
      `${published} flows in the store`,
      120_000,
    );
    const identities = await number(store, 'SELECT uniqExact(exporter, domain, sequence, record) FROM flows');
    const lag = await detect1.metric('rogue_smtp_detect_lag_messages');
    const alerts = await store.client.alerts({ limit: 100_000 });
    console.log(
      `sent ${sent}, published at least ${published}, stored ${stored}, alerts ${alerts.length}, a detector reads again ${lag} messages`,
    );
    try {
      expect(identities, 'stored twice').toBe(stored);
      expect(stored).toBeLessThanOrEqual(sent);
      const ids = alerts.map((alert) => alert.alert_id);
      expect(new Set(ids).size).toBe(ids.length);
      const opened = alerts.filter(({ kind }) => kind === 'opened').map(({ host }) => host);
      expect(opened.sort()).toEqual(Array.from({ length: ROGUES }, (_, i) => `10.0.1.${i + 1}`).sort());
      const events = alerts.map(({ host, kind, grade }) => `${host} ${kind} ${grade}`);
      expect(new Set(events).size, 'an event alerted twice').toBe(events.length);
      expect(await number(store, 'SELECT uniqExact(incident_id) FROM incidents')).toBe(ROGUES);
    } catch (error) {
      for (const service of [detect1, detect2, store]) console.error(service.log().slice(-3000));
      throw error;
    } finally {
      await Promise.all([one, two, detect1, detect2, store].map((service) => service.end('SIGTERM')));
    }
  });
});

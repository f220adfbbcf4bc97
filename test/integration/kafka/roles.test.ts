/**
 * The roles as processes of their own on a real broker: the shipped capture of real exports in, the same alerts out as
 * from `rogue-smtp run`.
 */

import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Alert } from '../../../src/messages/alert.ts';
import { readCapture } from '../../../src/replay/capture/read-capture.ts';
import { MAIN, type RunningService, sendDatagrams, startService } from '../../support/service.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, oneBroker } from './support.ts';

const reason = await cannotHaveKafka();
const DEMO = new URL('../../../deploy/demo/', import.meta.url).pathname;
const run = promisify(execFile);

const broker = oneBroker(reason);

/** The demo's configuration without what the test says itself. */
function demoConfig(): string {
  const text = readFileSync(join(DEMO, 'rogue-smtp.yaml'), 'utf8');
  return text.replace(/^(collector|http|data|log):.*(\n[ #].*)*\n/gm, '');
}

const kafkaSection = (prefix: string) =>
  `kafka: { brokers: [${broker.cluster.brokers.map((broker) => `"${broker}"`).join(', ')}], topic_prefix: ${prefix}, topics: { flows: { partitions: 2 }, mail: { partitions: 4 } } }\nlog: { level: info }\n`;

async function datagrams(): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const datagram of readCapture(join(DEMO, 'exports.pcap')))
    found.push(Buffer.from(datagram.payload));
  return found;
}

/** What must be the same however it is run; ids contain receive times. */
const essence = (alerts: readonly Alert[]) =>
  alerts
    .map(({ host, kind, grade, sessions, block }) => `${host} ${kind} ${grade} ${sessions} ${block.state}`)
    .sort();

async function alertsOf(service: RunningService): Promise<readonly Alert[]> {
  return service.client.alerts({ limit: 1000 });
}

describe.skipIf(reason !== null)(`roles on Kafka${reason === null ? '' : ` (${reason})`}`, () => {
  it('find what `run` finds, with two detectors, and store every flow once', async () => {
    const capture = await datagrams();
    const alone = await startService({ directory: broker.directory, name: 'alone', config: demoConfig() });
    await sendDatagrams(alone.udpPort, capture, 5);
    await comesTrue(async () => (await alone.client.offenders()).length > 0, 'an offender in run');
    let expected: string[] = [];
    await comesTrue(async () => {
      const before = expected;
      expected = essence(await alertsOf(alone));
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return expected.length > 0 && before.join() === expected.join();
    }, 'alerts that stay as they are');
    const flows = await alone.metric('rogue_smtp_flows_published_total', 'stream="flows"');
    await alone.end('SIGTERM');

    const prefix = freshPrefix();
    const config = demoConfig() + kafkaSection(prefix);
    const migrated = join(broker.directory, 'migrate.yaml');
    writeFileSync(migrated, `${config}data: ${join(broker.directory, 'migrate')}\n`);
    const { stdout } = await run(process.execPath, [MAIN, 'migrate', '--config', migrated]);
    expect(stdout).toContain(`created  topic ${prefix}.mail`);

    const start = (command: string, name = command) =>
      startService({ directory: broker.directory, name, command, config });
    const [collect, detect, spare, store, serve] = await Promise.all([
      start('collect'),
      start('detect'),
      start('detect', 'detect2'),
      start('store'),
      start('serve'),
    ]);
    const services = [collect, detect, spare, store, serve];
    try {
      const followed: Alert[] = [];
      const stop = new AbortController();
      const following = (async () => {
        for await (const alert of await serve.client.follow(stop.signal)) followed.push(alert);
      })().catch(() => undefined);
      await sendDatagrams(collect.udpPort, capture, 5);
      await comesTrue(
        async () => (await alertsOf(store)).length >= expected.length,
        'all alerts in the store',
      );
      await comesTrue(async () => {
        const [row] = (await store.ask('SELECT count() AS n FROM flows', 'TSV')).trim().split('\n');
        return Number(row) === flows;
      }, `${flows} flows in the store`);
      const alerts = await alertsOf(store);
      expect(essence(alerts)).toEqual(expected);
      expect(new Set(alerts.map((alert) => alert.alert_id)).size).toBe(alerts.length);
      await comesTrue(() => followed.length >= expected.length, 'all alerts at /events');
      expect(essence(followed)).toEqual(expected);
      stop.abort();
      await following;
      // Nobody who asks the wrong process takes its silence for an empty list.
      await expect(
        collect.client.renderAcl({ platform: 'cisco-ios', kind: 'offenders', family: '4' }),
      ).rejects.toThrow('ask the one that runs the role serve');
      const acl = await serve.client.renderAcl({ platform: 'cisco-ios', kind: 'offenders', family: '4' });
      expect(acl.text).toContain('deny tcp host 192.0.2.55 any eq 25');
      await expect(collect.client.offenders()).rejects.toThrow(/has no store/);
    } catch (error) {
      for (const service of services) console.error(service.log().slice(-3000));
      throw error;
    } finally {
      await Promise.all(services.map((service) => service.end('SIGTERM')));
    }
  });

  it('run in one process on Kafka too, which makes its topics itself', async () => {
    const prefix = freshPrefix();
    const service = await startService({
      directory: broker.directory,
      name: 'run-on-kafka',
      config: demoConfig() + kafkaSection(prefix),
    });
    await sendDatagrams(service.udpPort, await datagrams(), 5);
    await comesTrue(
      async () => (await service.client.offenders()).some(({ host }) => host === '192.0.2.55'),
      'the rogue host among the offenders',
    );
    const from = Date.now();
    await service.end('SIGTERM');
    expect(Date.now() - from).toBeLessThan(20_000);
  });

  it('wait for topics that are not what the configuration says, with the reason; migrate ends with it', async () => {
    const prefix = freshPrefix();
    const file = join(broker.directory, 'differs.yaml');
    const write = (partitions: number) =>
      writeFileSync(
        file,
        `${demoConfig()}kafka: { brokers: ["${broker.cluster.brokers[0]}"], topic_prefix: ${prefix}, topics: { mail: { partitions: ${partitions} } } }\nhttp: { listen: "127.0.0.1:0" }\ndata: ${join(broker.directory, 'differs')}\n`,
      );
    write(2);
    await run(process.execPath, [MAIN, 'migrate', '--config', file]);
    write(3);
    const differs = `topic ${prefix}.mail has 2 partitions, not 3`;
    await expect(run(process.execPath, [MAIN, 'migrate', '--config', file])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(differs),
    });
    const detect = spawn(process.execPath, [MAIN, 'detect', '--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    detect.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    try {
      await comesTrue(
        () => said.includes(differs),
        () => said,
      );
      expect(detect.exitCode).toBeNull();
    } finally {
      detect.kill('SIGTERM');
    }
  });
});

describe('a role by itself', () => {
  it('is refused without Kafka, with the reason', async () => {
    const file = join(broker.directory, 'no-kafka.yaml');
    writeFileSync(file, `data: ${join(broker.directory, 'no-kafka')}\n`);
    await expect(run(process.execPath, [MAIN, 'detect', '--config', file])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('needs kafka.brokers'),
    });
  });
});

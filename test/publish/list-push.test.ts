import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { type Alert, alertSchema } from '../../src/messages/alert.ts';
import { createListPush, type ListPush, whyNotPushed } from '../../src/publish/list-push.ts';
import { createCliRouter } from '../support/cli-router.ts';
import { createPushBench, listFor, type PushBench } from '../support/pushing.ts';

let bench: PushBench;
let listPush: ListPush | null = null;
let alerts: Alert[];

beforeEach(() => {
  bench = createPushBench();
  alerts = [];
});
afterEach(async () => {
  await listPush?.stop();
  await bench.close();
});

async function start(mode: string, more: { senders?: unknown[]; hostKey?: string } = {}): Promise<Config> {
  const { settings } = await bench.prepare(createCliRouter({ dialect: 'cisco-ios' }), 'cisco-ios');
  const config = configSchema.parse({
    data: bench.directory,
    senders: more.senders ?? [{ name: 'mail', hosts: ['192.0.2.100'] }],
    block: { mode },
    acl: {
      targets: [
        {
          name: 'border',
          platform: 'cisco-ios',
          interface: 'Gi0/1',
          push: {
            host: settings.host,
            port: settings.port,
            username: settings.username,
            password_file: settings.password_file,
            host_key: [more.hostKey ?? settings.host_key[0]],
          },
        },
      ],
    },
  });
  listPush = createListPush(config, {
    tell: (alert) => alerts.push(alertSchema.parse(alert)),
    policyVersion: () => '0',
    log: createLogger('silent'),
    now: Date.now,
  });
  await listPush?.start();
  return config;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(condition()).toBe(true);
}

it('a changed list goes to its router', async () => {
  const config = await start('publish');
  listPush?.offer(config.acl.targets[0], '4', listFor('cisco-ios'));
  await until(() => listPush?.counters.applied === 1);
  expect(alerts).toEqual([]);
});

it.each([
  ['observe', undefined],
  ['publish', []],
])('nothing is sent in mode %s with senders %j', async (mode, senders) => {
  const config = await start(mode, senders === undefined ? {} : { senders });
  listPush?.offer(config.acl.targets[0], '4', listFor('cisco-ios'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(bench.server().logins()).toBe(0);
  expect(listPush?.counters).toMatchObject({ applied: 0, failed: 0 });
});

it('in mode propose offenders that were approved are pushed, a policy is not', async () => {
  const config = await start('propose');
  const [target] = config.acl.targets;
  expect(whyNotPushed(config, 'policy')).toMatch(/propose/);
  listPush?.offer(target, '4', listFor('cisco-ios'));
  await until(() => listPush?.counters.applied === 1);
});

it('a list that does not get there is an alert, with the reason and the state of the router', async () => {
  const config = await start('publish', { hostKey: `SHA256:${'B'.repeat(43)}` });
  listPush?.offer(config.acl.targets[0], '4', listFor('cisco-ios'));
  await until(() => alerts.length === 1);
  expect(alerts[0]).toMatchObject({
    kind: 'delivery',
    host: '',
    grade: null,
    delivery: { target: 'border', family: '4', state: 'failed', failures: 1 },
  });
  expect(alerts[0].reasons.join('\n')).toMatch(/host key[\s\S]*the device: as before/);
});

it('what waits for another attempt is given up when the mode is left', async () => {
  const config = await start('publish', { hostKey: `SHA256:${'B'.repeat(43)}` });
  listPush?.offer(config.acl.targets[0], '4', listFor('cisco-ios'));
  await until(() => alerts.length === 1);
  listPush?.reload({ ...config, block: { ...config.block, mode: 'observe' } });
  listPush?.offer(config.acl.targets[0], '4', listFor('cisco-ios'));
  await listPush?.stop();
  expect(listPush?.counters.failed).toBe(1);
});

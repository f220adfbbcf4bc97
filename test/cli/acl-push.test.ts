import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { aclPushCommand } from '../../src/cli/acl-push.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/logger.ts';
import { publishAcl } from '../../src/publish/list-files.ts';
import { createServeRole, type ServeRole } from '../../src/service/serve-role.ts';
import { type CliRouter, createCliRouter } from '../support/cli-router.ts';
import { detect, STRICT, sendersFrom } from '../support/detecting.ts';
import { createDrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { SECOND, T0 } from '../support/flows.ts';
import { createPushBench, listFor, type PushBench } from '../support/pushing.ts';

let bench: PushBench;
let router: CliRouter;

beforeEach(() => {
  bench = createPushBench();
  router = createCliRouter({ dialect: 'cisco-ios' });
});
afterEach(() => bench.close());

/** A configuration whose router listens from now on. */
async function configFile(mode: string): Promise<string> {
  const { settings } = await bench.prepare(router, 'cisco-ios');
  const file = join(bench.directory, 'c.yaml');
  const push = `{ host: 127.0.0.1, port: ${settings.port}, username: rogue, password_file: "${settings.password_file}", host_key: ["${settings.host_key[0]}"] }`;
  writeFileSync(
    file,
    `data: ${bench.directory}\nsenders: [{ name: mail, hosts: [192.0.2.100] }]\nblock: { mode: ${mode} }\n` +
      `acl: { targets: [{ name: border, platform: cisco-ios, interface: Gi0/1, push: ${push} }] }\n`,
  );
  return file;
}

async function push(file: string, dryRun = false): Promise<{ code: number; output: string }> {
  let output = '';
  const stream = new PassThrough().on('data', (data: Buffer) => {
    output += data.toString();
  });
  const code = await aclPushCommand(
    loadConfig({ file }),
    'border',
    { family: '4', dryRun },
    { stdout: stream, stderr: stream },
  );
  await new Promise((resolve) => stream.end(resolve));
  return { code, output };
}

const run = async (mode: string, dryRun: boolean) => push(await configFile(mode), dryRun);

const written = () =>
  publishAcl({
    directory: join(bench.directory, 'acl'),
    target: 'border',
    family: '4',
    text: listFor('cisco-ios'),
  });

it('a dry run shows the lines of the file and changes nothing, in any mode', async () => {
  await written();
  const { code, output } = await run('observe', true);
  expect(code).toBe(0);
  expect(output).toContain('deny tcp host 192.0.2.55 any eq 25');
  expect(output).toContain('Nothing was changed.');
  expect(output).toContain('Without --dry-run nothing would be sent: block.mode is observe');
  expect(router.running().lists.size).toBe(0);
});

it('the file that the service wrote goes to the router', async () => {
  await written();
  expect(await run('publish', false)).toMatchObject({
    code: 0,
    output: expect.stringContaining('Applied and confirmed.'),
  });
  expect(router.running().lists.size).toBe(1);
});

it('is refused in mode observe, and without a file', async () => {
  await expect(run('publish', false)).rejects.toThrow(/there is no list in .* yet/);
  await bench.server().close();
  await written();
  await expect(run('observe', false)).rejects.toThrow(/nothing is sent: block.mode is observe/);
});

it('after a rollback the revision that is held goes to the router, over a restart of the service, until it is let go', async () => {
  const { incidents } = detect(sendersFrom(101, 3), { config: STRICT });
  const file = await configFile('publish');
  const { config } = loadConfig({ file });
  const serve = async (known: number): Promise<ServeRole> => {
    const stream = createDrivenStream();
    stream.kept = incidents.slice(0, known).map(jsonMessage);
    const role = createServeRole(config, {
      stream,
      log: createLogger('silent'),
      now: () => T0 + 300 * SECOND,
      policyVersion: () => 'v',
    });
    await role.start();
    // What a list is now is in its file once the work before is done.
    await role.assigned;
    await role.desk.follow({ targets: ['none'], by: '', reason: '' }).catch(() => undefined);
    return role;
  };
  /** Hosts that the list denies which is bound to the router's interface. */
  const denied = () => {
    const { lists, faces } = router.running();
    const [, name = ''] = /access-group (\S+) in/.exec(faces.get('Gi0/1')?.join() ?? '') ?? [];
    return (lists.get(name) ?? []).flatMap((line) => /deny tcp host (\S+) any eq/.exec(line)?.[1] ?? []);
  };
  const ADA = { by: 'ada', reason: 'said so' };

  await (await serve(1)).stop();
  const first = await serve(2);
  await push(file);
  expect(denied()).toEqual(['10.0.0.101', '10.0.0.102']);
  await first.desk.rollback({ target: 'border', ...ADA });
  const [list] = (await first.desk.overview()).targets;
  expect((await push(file)).output).toContain('Applied and confirmed.');
  expect(denied()).toEqual(['10.0.0.101']);
  expect(readFileSync(join(bench.directory, 'acl', 'border.4.txt'), 'utf8')).toBe(
    await first.targetText('border', '4', list.pin?.revision),
  );
  await first.stop();

  const second = await serve(3);
  expect((await second.desk.overview()).targets[0].pin).toEqual(list.pin);
  expect((await push(file)).output).toContain('The device has this list already.');
  expect(denied()).toEqual(['10.0.0.101']);
  await second.desk.follow({ targets: ['border'], ...ADA });
  await push(file);
  expect(denied()).toEqual(['10.0.0.101', '10.0.0.102', '10.0.0.103']);
  await second.stop();
});

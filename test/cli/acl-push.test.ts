import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { publishAcl } from '../../src/acl/publish.ts';
import { aclPushCommand } from '../../src/cli/acl-push.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type CliRouter, createCliRouter } from '../support/cli-router.ts';
import { createPushBench, listFor, type PushBench } from '../support/pushing.ts';

let bench: PushBench;
let router: CliRouter;

beforeEach(() => {
  bench = createPushBench();
  router = createCliRouter({ dialect: 'cisco-ios' });
});
afterEach(() => bench.close());

async function run(mode: string, dryRun: boolean): Promise<{ code: number; output: string }> {
  const { settings } = await bench.prepare(router, 'cisco-ios');
  const file = join(bench.directory, 'c.yaml');
  const push = `{ host: 127.0.0.1, port: ${settings.port}, username: rogue, password_file: "${settings.password_file}", host_key: ["${settings.host_key[0]}"] }`;
  writeFileSync(
    file,
    `data: ${bench.directory}\nsenders: [{ name: mail, hosts: [192.0.2.100] }]\nblock: { mode: ${mode} }\n` +
      `acl: { targets: [{ name: border, platform: cisco-ios, interface: Gi0/1, push: ${push} }] }\n`,
  );
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

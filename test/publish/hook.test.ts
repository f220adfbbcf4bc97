/** The operator's program that is run with a new list: what it is given, and what becomes of one that fails. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { createListHooks } from '../../src/publish/hook.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-hook-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function start(script: string, hook_timeout = '10s') {
  const { targets } = configSchema.parse({
    acl: {
      targets: [
        {
          name: 'edge',
          platform: 'nftables',
          hook: [process.execPath, '-e', script, '{file}', '{revision}', '$(id)'],
          hook_timeout,
        },
      ],
    },
  }).acl;
  const taken = new Map<string, string>();
  const failures: string[] = [];
  const hooks = createListHooks({
    log: createLogger('silent'),
    taken: (key) => taken.get(key),
    noteTaken: async (key, revision) => void taken.set(key, revision),
    onFailure: (key, reason) => failures.push(`${key} ${reason}`),
    firstRetryMs: 20,
  });
  const call = (text: string, revision: string, previous = '') =>
    hooks.offer({
      target: targets[0],
      family: '4',
      file: '/lists/edge.4.txt',
      text,
      revision,
      digest: revision,
      previous,
    });
  return { hooks, call, taken, failures };
}

const out = () => readFileSync(join(directory, 'out'), 'utf8');
const patience = { timeout: 20_000 };

describe('a hook', () => {
  it('gets the diff on stdin, file and revision as arguments, and nothing of our environment', async () => {
    process.env.ROGUE_SMTP__HTTP__TOKEN = 'secret';
    const { hooks, call, taken } = start(
      `const fs = require('fs'); fs.appendFileSync('${join(directory, 'out')}', JSON.stringify({ args: process.argv.slice(1), input: fs.readFileSync(0, 'utf8'), env: process.env }) + '\\n')`,
    );
    call('b\n', '0000000b', 'a\n');
    await expect.poll(() => taken.get('edge.4'), patience).toBe('0000000b');
    call('b\n', '0000000b', 'b\n');
    await hooks.stop();
    delete process.env.ROGUE_SMTP__HTTP__TOKEN;
    const seen = out().trim().split('\n');
    expect(seen).toHaveLength(1);
    const { args, input, env } = JSON.parse(seen[0]);
    expect(args).toEqual(['/lists/edge.4.txt', '0000000b', '$(id)']);
    expect(input).toBe('--- edge.4\n+++ /lists/edge.4.txt\n@@ -1 +1 @@\n-a\n+b\n');
    expect(env).toMatchObject({ ROGUE_SMTP_TARGET: 'edge', ROGUE_SMTP_REVISION: '0000000b' });
    expect(JSON.stringify(env)).not.toContain('secret');
  });

  it('that fails is tried again until it succeeds, and complained about once', async () => {
    const { hooks, call, taken, failures } = start(
      `const fs = require('fs'); fs.appendFileSync('${join(directory, 'out')}', 'x'); process.exit(fs.readFileSync('${join(directory, 'out')}').length < 3 ? 7 : 0)`,
    );
    call('b\n', '0000000b');
    await expect.poll(() => taken.get('edge.4'), patience).toBe('0000000b');
    await hooks.stop();
    expect(out()).toBe('xxx');
    expect(failures).toEqual(['edge.4 it ended with exit code 7']);
  });

  it('that hangs is ended, and one that is not there is a failure', async () => {
    const { hooks, call, failures } = start('setInterval(() => {}, 1000)', '500ms');
    call('b\n', '0000000b');
    await expect.poll(() => failures, patience).toEqual(['edge.4 it did not end within 500 ms']);
    await hooks.stop();
  });
});

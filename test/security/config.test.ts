/** What becomes of a running process when its configuration is emptied, cut short or deleted: nothing, and it says so. */

import { mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reloadCommand } from '../../src/cli/reload.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { createReloader } from '../../src/service/reloader.ts';
import { collected } from '../support/collected.ts';
import { startHttpServer, stopHttpServers } from '../support/http-server.ts';

let directory: string;
let file: string;
const reloaders: { stop(): Promise<void> }[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-config-'));
  file = join(directory, 'c.yaml');
});
afterEach(async () => {
  for (const one of reloaders.splice(0)) await one.stop();
  await stopHttpServers();
  rmSync(directory, { recursive: true });
});

const FULL = `networks:
  internal: [192.0.2.0/24, "2001:db8:1::/64"]
senders:
  - { name: mail, hosts: [192.0.2.25] }
  - { name: news, hosts: [192.0.2.26] }
acl:
  targets:
    - { name: edge, platform: cisco-ios }
block:
  mode: publish
  never: [192.0.2.1, 192.0.2.2]
`;

function running(text = FULL) {
  writeFileSync(file, text);
  const applied: Config[] = [];
  const logged: string[] = [];
  const log = createLogger('silent');
  log.error = (fields: unknown, words?: string) => {
    logged.push(`${words} ${JSON.stringify(fields)}`);
  };
  const reloader = createReloader(loadConfig({ file }), {
    log,
    now: () => 0,
    apply: async (config) => {
      applied.push(config);
    },
  });
  reloaders.push(reloader);
  return { reloader, applied, logged };
}

const without = (section: string) => FULL.replace(new RegExp(`^${section}:\n(?: .*\n)+`, 'm'), '');

describe('a reload is refused, and nothing changes', () => {
  it.each([
    ['an empty file', '', /empty/],
    ['blanks', '\n\n  \n', /empty/],
    ['comments only', '# nothing here\n---\n', /empty/],
    ['an empty map', '{}\n', /empty/],
    ['no senders', without('senders'), /no sender is left of 2/],
    ['an empty list of senders', without('senders').concat('senders: []\n'), /no sender/],
    ['no networks, so that the defaults would do', without('networks'), /networks\.internal/],
    ['all other networks', FULL.replace(/internal: .*/, 'internal: [198.51.100.0/24]'), /networks\.internal/],
    ['no targets', without('acl'), /no ACL target/],
    ['an empty list of targets', without('acl').concat('acl: { targets: [] }\n'), /no ACL target/],
    ['no mode, so that all blocks would be lifted', without('block'), /block\.mode/],
  ])('%s', async (_, text, reason) => {
    const { reloader, applied, logged } = running();
    const before = reloader.config;
    writeFileSync(file, text);
    await reloader.reload();
    expect(reloader.state.error).toMatch(reason);
    expect(reloader.state.error).toMatch(/reload --force/);
    expect(logged.join()).toMatch(reason);
    expect([applied, reloader.config, reloader.counters]).toEqual([[], before, { applied: 0, failed: 1 }]);
  });

  it('whatever the byte at which the file was cut, unless nothing is lost', async () => {
    const { reloader, applied } = running();
    const lost: number[] = [];
    for (let length = 0; length < FULL.length; length++) {
      truncateSync(file, 0);
      writeFileSync(file, FULL.slice(0, length));
      await reloader.reload();
      const { senders, networks, acl, block } = reloader.config;
      if (
        senders.length !== 2 ||
        networks.internal.length !== 2 ||
        acl.targets.length !== 1 ||
        block.mode !== 'publish' ||
        block.never.length !== 2
      )
        lost.push(length);
    }
    expect(lost).toEqual([]);
    expect(applied).toEqual([]);
  });

  it('until somebody says that it is meant', async () => {
    const { reloader, applied } = running();
    writeFileSync(file, without('senders'));
    await reloader.reload();
    expect(applied).toEqual([]);
    await reloader.reload({ force: true });
    expect(reloader.state.error).toBeNull();
    expect(applied.map(({ senders }) => senders.length)).toEqual([0]);
    // What was meant once is the measure from then on.
    writeFileSync(file, without('senders').replace('publish', 'propose'));
    await reloader.reload();
    expect(reloader.state.error).toBeNull();
  });

  it('and is not for what the operator says in so many words', async () => {
    const { reloader } = running();
    for (const text of [
      FULL.replace(/ {2}- \{ name: news.*\n/, ''),
      FULL.replace('publish', 'observe'),
      FULL.replace(', "2001:db8:1::/64"', ''),
      FULL.replace('192.0.2.0/24', '192.0.2.0/25'),
      FULL.replace('192.0.2.1, 192.0.2.2', '192.0.2.2'),
      FULL.replace(/ {2}never.*\n/, ''),
    ].filter((text) => !FULL.startsWith(text))) {
      writeFileSync(file, FULL);
      await reloader.reload({ force: true });
      writeFileSync(file, text);
      await reloader.reload();
      expect(reloader.state.error).toBeNull();
    }
  });

  it('of a list whose file was cut, and of one that was emptied', async () => {
    const list = join(directory, 'smarthosts.txt');
    const entries = ['198.51.100.10', '198.51.100.25', '198.51.100.128/25', '203.0.113.5'];
    const text = `${entries.join('\n')}\n`;
    writeFileSync(list, text);
    const { reloader } = running(
      `${FULL}lists: [{ name: smart, file: smarthosts.txt }]\n`.replace(
        'hosts: [192.0.2.26]',
        'hosts: [192.0.2.26], to: [203.0.113.1], to_lists: [smart]',
      ),
    );
    const before = reloader.config;
    for (const cut of ['', '# all gone\n', text.slice(0, -2), text.slice(0, 20), `${entries[0]}\n`]) {
      writeFileSync(list, cut);
      await reloader.reload();
      expect([cut, reloader.state.error]).toEqual([cut, expect.stringContaining(list)]);
      expect(reloader.config).toBe(before);
    }
    writeFileSync(list, `${entries.slice(1).join('\n')}\n`);
    await reloader.reload();
    expect(reloader.state.error).toBeNull();
  });
});

describe('a file that is deleted', () => {
  it('is reported until it is back, and what is in force stays', async () => {
    const { reloader, logged, applied } = running();
    reloader.start();
    renameSync(file, `${file}.away`);
    await expect.poll(() => reloader.state.error, { timeout: 15_000 }).toMatch(/c\.yaml: cannot be found/);
    expect(logged).toHaveLength(1);
    expect(reloader.counters.failed).toBe(1);
    renameSync(`${file}.away`, file);
    await expect.poll(() => reloader.state.error, { timeout: 15_000 }).toBeNull();
    expect(applied).toEqual([]);
  });

  it('is reported as well when something else has taken its name', async () => {
    const { reloader } = running();
    rmSync(file);
    mkdirSync(file);
    await reloader.reload();
    expect(reloader.state.error).toMatch(/c\.yaml: cannot be read/);
  });
});

describe('POST /api/v1/reload', () => {
  it('is what `reload --force` sends, and nothing that a form or another site can', async () => {
    const asked: boolean[] = [];
    const base = await startHttpServer(undefined, {
      reload: async (force) => {
        asked.push(force);
        return { version: 'v', loaded_at: '', error: null, need_restart: [], lists: [] };
      },
    });
    const post = async (body: string, headers: Record<string, string>) =>
      (await fetch(`${base}/api/v1/reload`, { method: 'POST', body, headers })).status;
    const json = { 'Content-Type': 'application/json' };
    expect(await post('{"force":true}', json)).toBe(200);
    expect(await post('{}', json)).toBe(200);
    expect(await post('{"force":true}', { 'Content-Type': 'text/plain' })).toBe(400);
    expect(await post('{"force":1}', json)).toBe(400);
    expect(await post(`{"force":true,"x":"${'x'.repeat(5000)}"}`, json)).toBe(413);
    expect(await post('{"force":true}', { ...json, Origin: 'http://evil.example' })).toBe(403);
    expect((await fetch(`${base}/api/v1/reload`)).status).toBe(405);
    expect(asked).toEqual([true, false]);
  });
});

describe('rogue-smtp reload', () => {
  async function reload(text: string, environment: Record<string, string> = {}, force = false) {
    writeFileSync(file, text);
    const [stdout, stderr] = [collected(), collected()];
    const streams = { stdout: stdout.stream, stderr: stderr.stream };
    const code = await reloadCommand(loadConfig({ file, environment }), { force }, streams);
    return { code, told: stderr.text(), said: stdout.text() };
  }

  it.each(['', '\n \n', '# nothing\n', '---\n', '{}\n'])(
    'says that the file is empty and refused, and asks nobody at the default address: %j',
    async (text) => {
      const { code, told } = await reload(text);
      expect(code).toBe(1);
      expect(told).toContain(file);
      expect(told).toMatch(/the file is empty, so the reload is refused/);
    },
  );

  it('asks the instance where a variable says its address, also for an empty file', async () => {
    const asked: boolean[] = [];
    const base = await startHttpServer(undefined, {
      reload: async (force) => {
        asked.push(force);
        const error = force ? null : 'the file is empty: refused';
        return { version: 'v', loaded_at: '', error, need_restart: [], lists: [] };
      },
    });
    const environment = { ROGUE_SMTP__HTTP__LISTEN: base.replace('http://', '') };
    expect(await reload('', environment)).toMatchObject({ code: 1, told: 'the file is empty: refused\n' });
    expect((await reload('', environment, true)).code).toBe(0);
    expect(asked).toEqual([false, true]);
  });
});

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { createReloader } from '../../src/service/reloader.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-reload-'));
  file = join(directory, 'c.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

const FIRST = 'networks: { internal: [192.0.2.0/24] }\n';

function reloaderOf(text = FIRST) {
  writeFileSync(file, text);
  const applied: Config[] = [];
  const logged: string[] = [];
  const log = createLogger('silent');
  for (const level of ['info', 'warn', 'error'] as const)
    log[level] = (fields: unknown, words?: string) => {
      logged.push(`${level} ${words} ${JSON.stringify(fields)}`);
    };
  const fault: { text: string | null } = { text: null };
  const reloader = createReloader(loadConfig({ file }), {
    log,
    now: () => 0,
    apply: async (config) => {
      if (fault.text !== null) throw new Error(fault.text);
      applied.push(config);
    },
  });
  return { reloader, applied, logged, fault };
}

describe('the reloader', () => {
  it('puts a changed file in force as a whole', async () => {
    const { reloader, applied } = reloaderOf();
    writeFileSync(file, `${FIRST}block: { mode: publish }\nsenders: [{ name: mail, hosts: [192.0.2.25] }]\n`);
    await reloader.reload();
    expect(applied).toHaveLength(1);
    expect(applied[0]).toBe(reloader.config);
    expect(reloader.config.senders[0].name).toBe('mail');
    expect(reloader.state.error).toBeNull();
    expect(reloader.counters).toEqual({ applied: 1, failed: 0 });
  });

  it('follows the files of tokens: one that leaked is replaced without a restart', async () => {
    const secret = join(directory, 'token');
    const write = (token: string) => writeFileSync(secret, token, { mode: 0o600 });
    write('the-token-that-leaked');
    const { reloader } = reloaderOf(
      `${FIRST}http: { tokens: [{ name: wall, role: read, token_file: ${secret} }] }\n`,
    );
    reloader.start();
    try {
      write('the-token-of-today');
      await expect
        .poll(() => reloader.config.http.tokens[0].token, { timeout: 10_000 })
        .toBe('the-token-of-today');
    } finally {
      await reloader.stop();
    }
  });

  it.each([
    ['unknown key', `${FIRST}blocks: { mode: publish }\n`, /c\.yaml:2: .*blocks/],
    ['no YAML', `${FIRST}block: { mode: [\n`, /c\.yaml:\d+/],
    ['a combination that is unsafe', `${FIRST}http: { listen: "0.0.0.0:1" }\n`, /c\.yaml:2: .*http\.token/],
  ])('keeps what is in force when the file has a mistake: %s', async (_, text, complaint) => {
    const { reloader, applied, logged } = reloaderOf();
    const before = reloader.config;
    writeFileSync(file, text);
    await reloader.reload();
    expect(applied).toEqual([]);
    expect(reloader.config).toBe(before);
    expect(reloader.state.error).toMatch(complaint);
    expect(logged.join()).toMatch(complaint);
    expect(reloader.counters).toEqual({ applied: 0, failed: 1 });
    writeFileSync(file, FIRST);
    await reloader.reload();
    expect(reloader.state.error).toBeNull();
  });

  it('keeps what is in force when the new policy cannot be put in force', async () => {
    const { reloader, fault } = reloaderOf();
    const before = reloader.config;
    fault.text = 'no memory for it';
    writeFileSync(file, `${FIRST}block: { ttl: 1h }\n`);
    await reloader.reload();
    expect(reloader.config).toBe(before);
    expect(reloader.state.error).toBe('no memory for it');
  });

  it('names the keys that wait for a restart, and takes over the others', async () => {
    const { reloader, logged } = reloaderOf();
    writeFileSync(file, `${FIRST}block: { ttl: 1h }\nlog: { level: debug }\n`);
    await reloader.reload();
    expect(reloader.config.block.ttl).toBe(3_600_000);
    expect(reloader.config.log.level).toBe('info');
    expect(reloader.state.need_restart).toEqual(['log.level']);
    expect(logged.join()).toMatch(/until a restart .*log\.level/);
  });

  it('sees by itself that the file was written or replaced', async () => {
    const { reloader, applied } = reloaderOf();
    reloader.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(file, `${FIRST}block: { ttl: 1h }\n`);
    await expect.poll(() => applied.length, { timeout: 10_000 }).toBe(1);
    writeFileSync(`${file}.new`, `${FIRST}block: { ttl: 2h }\n`);
    renameSync(`${file}.new`, file);
    await expect.poll(() => applied.length, { timeout: 10_000 }).toBe(2);
    expect(reloader.config.block.ttl).toBe(7_200_000);
    await reloader.stop();
  });

  it('says on request that there is no file to read', async () => {
    const log = createLogger('silent');
    const warned: unknown[] = [];
    log.warn = (text: unknown) => warned.push(text);
    writeFileSync(file, FIRST);
    const loaded = { ...loadConfig({ file }), file: null };
    const reloader = createReloader(loaded, { log, now: () => 0, apply: async () => undefined });
    await reloader.reload();
    expect(warned.join()).toContain('no configuration file');
  });
});

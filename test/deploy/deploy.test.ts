/**
 * What deploy/ holds, read by the tools that will read it: Compose, systemd and our own configuration.
 *
 * Containers are not started here: no image can be pulled in CI.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { missingTools } from '../support/requirements.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const ROLES = ['collect', 'detect', 'store', 'serve'];

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-deploy-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Why it cannot run, for its name; with REQUIRE_ALL it must run. */
function lacking(...tools: readonly string[]): string | null {
  const missing = missingTools(...tools);
  if (missing.length > 0 && process.env.REQUIRE_ALL === '1') throw new Error(`needs ${missing.join(', ')}`);
  return missing.length === 0 ? null : `needs ${missing.join(' and ')}`;
}

/** The plugin where there is one, else the older program of Debian. */
const composeProgram = (() => {
  const plugin = spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' });
  return plugin.status === 0 ? ['docker', 'compose'] : ['docker-compose'];
})();

describe('deploy/compose', () => {
  const without = lacking(composeProgram[0]);

  function readByCompose(env: Readonly<Record<string, string>>) {
    const [program, ...first] = composeProgram;
    return spawnSync(program, [...first, '-f', join(DEPLOY, 'compose/compose.yaml'), 'config'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '', HOME: directory, ...env },
    });
  }

  test.skipIf(without !== null)(`is read by Compose (${without ?? 'done'})`, () => {
    const { status, stdout, stderr } = readByCompose({
      CLICKHOUSE_PASSWORD: 'a-password-of-the-test',
      ROGUE_SMTP_TOKEN: 'a-token-of-the-test-0123',
    });
    expect(stderr).not.toMatch(/error|invalid/i);
    expect(status).toBe(0);
    const { services } = parse(stdout);
    expect(Object.keys(services).sort()).toEqual(['clickhouse', 'kafka', 'migrate', ...ROLES].sort());
    // Exporters are known by their address, which a forwarded port may hide.
    expect(services.collect.network_mode).toBe('host');
    for (const role of ROLES) expect(services[role].command[0]).toBe(role);
  });

  test.skipIf(without !== null)(`does not start without secrets (${without ?? 'done'})`, () => {
    const { status, stderr } = readByCompose({});
    expect(status).not.toBe(0);
    expect(stderr).toContain('set it in deploy/compose/.env');
  });

  test('gives each role a configuration that is valid', () => {
    const compose = parse(readFileSync(join(DEPLOY, 'compose/compose.yaml'), 'utf8'), { merge: true });
    for (const role of ['migrate', ...ROLES]) {
      const environment: Record<string, string> = {};
      for (const [name, value] of Object.entries<string | number>(compose.services[role].environment))
        environment[name] = String(value).replace(/\$\{.*\}/, 'a-secret-of-the-test-0123');
      const { config } = loadConfig({ file: join(DEPLOY, 'compose/rogue-smtp.yaml'), environment });
      expect(config.kafka.brokers).toHaveLength(1);
      expect(config.clickhouse).toMatchObject({
        username: 'rogue_smtp',
        password: 'a-secret-of-the-test-0123',
      });
    }
  });

  test('sends every health check to where the role listens', () => {
    const compose = parse(readFileSync(join(DEPLOY, 'compose/compose.yaml'), 'utf8'), { merge: true });
    for (const role of ROLES) {
      const { HEALTH_PORT = 9025, ROGUE_SMTP__HTTP__LISTEN = '127.0.0.1:9025' } =
        compose.services[role].environment;
      expect(ROGUE_SMTP__HTTP__LISTEN.split(':')[1]).toBe(String(HEALTH_PORT));
    }
  });
});

describe('deploy/Dockerfile', () => {
  test('copies what there is, and what .dockerignore lets through', () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const lines = readFileSync(join(DEPLOY, 'Dockerfile'), 'utf8').split('\n');
    const allowed = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
    const sources = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      execFileSync('git', ['ls-files', '--error-unmatch', source], { cwd: root, stdio: 'ignore' });
      expect(allowed).toContain(`!${source.replace(/^\.\//, '')}`);
    }
    expect(lines).toContain('USER 1000:1000');
  });
});

describe('deploy/systemd', () => {
  const folder = join(DEPLOY, 'systemd');
  const units = readdirSync(folder).filter((name) => /\.(service|socket)$/.test(name));
  const without = lacking('systemd-analyze');

  test('has a service for each role and for all of them, and sockets for those that receive', () => {
    expect(units.sort()).toEqual(
      [
        'rogue-smtp.service',
        'rogue-smtp.socket',
        'rogue-smtp-collect.socket',
        ...ROLES.map((role) => `rogue-smtp-${role}.service`),
      ].sort(),
    );
  });

  test.skipIf(without !== null)(`is read by systemd without a complaint (${without ?? 'done'})`, () => {
    const copies = join(directory, 'units');
    cpSync(folder, copies, { recursive: true });
    // Programs must exist for systemd to be content: Node is somewhere else here.
    for (const name of units) {
      const text = readFileSync(join(copies, name), 'utf8');
      writeFileSync(
        join(copies, name),
        text.replace('ExecStart=/usr/bin/node', `ExecStart=${process.execPath}`),
      );
    }
    const { status, stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', ...units.map((name) => join(copies, name))],
      { encoding: 'utf8' },
    );
    const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('rogue-smtp'));
    expect(complaints).toEqual([]);
    expect(status).toBe(0);
  });

  test('tells the roles apart on one machine: each has a directory and an HTTP port of its own', () => {
    const settings = (name: string) => {
      const text = readFileSync(join(folder, name), 'utf8');
      const environment = [...text.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, key, value]) => [
        key,
        value,
      ]);
      return Object.fromEntries(environment);
    };
    const all = ROLES.map((role) => settings(`rogue-smtp-${role}.service`));
    expect(new Set(all.map(({ ROGUE_SMTP__DATA }) => ROGUE_SMTP__DATA)).size).toBe(4);
    expect(new Set(all.map(({ ROGUE_SMTP__HTTP__LISTEN }) => ROGUE_SMTP__HTTP__LISTEN)).size).toBe(4);
  });
});

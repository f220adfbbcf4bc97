import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoadOptions, loadConfig } from '../../src/config/load.ts';
import { exposedSecrets } from '../../src/config/secret-files.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-secrets-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function written(name: string, text: string, mode: number): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}
const warned = (text: string, mode: number, options: LoadOptions = {}) =>
  exposedSecrets(loadConfig({ file: written('c.yaml', text, mode), ...options }));

describe('a secret in a file that every user can read', () => {
  it.each([
    ['http.token', 'http: { token: "0123456789abcdef" }'],
    ['clickhouse.password', 'clickhouse: { url: "http://db.example:8123", password: hidden }'],
    [
      'kafka.sasl.password',
      'kafka: { brokers: ["k:9092"], sasl: { mechanism: plain, username: u, password: hidden } }',
    ],
    ['url of the list', 'lists: [{ name: p, url: "https://p.example/list?key=hidden" }]'],
  ])('is warned of in the configuration: %s', (key, text) => {
    const [warning, ...others] = warned(text, 0o644);
    expect(others).toEqual([]);
    expect(warning).toContain(key);
    expect(warning).not.toMatch(/hidden|0123456789abcdef/);
    expect(warned(text, 0o640)).toEqual([]);
  });

  it('is warned of in the files that the configuration names', () => {
    const password = written('password', 'hidden', 0o604);
    const key = written('key.pem', 'hidden', 0o602);
    const push = `push: { host: r, username: u, password_file: ${password}, host_key: ["SHA256:${'A'.repeat(43)}"] }`;
    const text = `kafka: { brokers: ["k:9092"], ssl: { cert: x, key: ${key} }, sasl: { mechanism: scram-sha-256, username: u, password_file: ${password} } }
acl: { targets: [{ name: edge, platform: cisco-ios, interface: Vlan1, ${push} }] }`;
    const warnings = warned(text, 0o600);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(
      /password .*kafka\.sasl\.password_file, push\.password_file of the target "edge"/,
    );
    expect(warnings[1]).toMatch(/key\.pem .*kafka\.ssl\.key.* read or write/);
    chmodSync(password, 0o640);
    chmodSync(key, 0o600);
    expect(warned(text, 0o600)).toEqual([]);
  });

  it('is warned of in the files of the token and of the password of ClickHouse', () => {
    const token = written('token', '0123456789abcdef', 0o644);
    const password = written('db-password', 'hidden', 0o644);
    const text = `http: { token_file: ${token} }\nclickhouse: { url: "http://d.example", password_file: ${password} }`;
    const warnings = warned(text, 0o644);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('http.token_file');
    expect(warnings[1]).toContain('clickhouse.password_file');
  });

  it('is no matter of what has no secret, or has it from a variable', () => {
    expect(warned('block: { mode: observe }', 0o644)).toEqual([]);
    const environment = { ROGUE_SMTP__HTTP__TOKEN: '0123456789abcdef' };
    expect(warned('block: { mode: observe }', 0o644, { environment })).toEqual([]);
  });

  it('a configuration that everybody can write is warned of in any case: it may run a hook', () => {
    expect(warned('block: { mode: observe }', 0o646)).toEqual([expect.stringContaining('chmod o-w')]);
  });
});

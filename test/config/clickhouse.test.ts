import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { loadForAsking } from '../../src/config/load-for-asking.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function written(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}
const load = (text: string) => loadConfig({ file: written('c.yaml', text) }).config;
function mistake(text: string): string {
  try {
    load(text);
  } catch (error) {
    return String(error);
  }
  throw new Error('it was taken');
}

describe('clickhouse.url', () => {
  test.each([
    ['https://bob:hidden@db.example:8443', 'clickhouse.username'],
    ['https://bob@db.example:8443', 'clickhouse.username'],
    ['http://db.example:8123/?database=other', 'nothing may follow the path'],
    ['http://db.example:8123?max_threads=1&password=hidden', 'nothing may follow the path'],
    ['http://db.example:8123/#part', 'nothing may follow the path'],
  ])('%s is refused with what to do, and without what may be secret', (url, said) => {
    const text = mistake(`clickhouse:\n  url: "${url}"\n`);
    expect(text).toContain('c.yaml:2');
    expect(text).toContain(said);
    expect(text).not.toContain('hidden');
  });

  test.each(['https://db.example:8443', 'http://db.example', 'https://proxy.example/clickhouse/'])(
    '%s is taken',
    (url) => {
      expect(load(`clickhouse: { url: "${url}" }`).clickhouse.url).toBe(url);
    },
  );
});

test('files of a password, authorities and the token belong to one key each', () => {
  expect(mistake('clickhouse: { url: "https://d.example", password: hidden, password_file: x }')).toContain(
    'exclude each other',
  );
  expect(mistake('clickhouse: { url: "http://d.example", ca_file: ca.pem }')).toContain('with https');
  expect(mistake('clickhouse: { ca_file: ca.pem }')).toContain('with https');
  expect(mistake('http: { token: "0123456789abcdef", token_file: x }')).toContain('exclude each other');
});

describe('http.token_file', () => {
  test('is the token of the server and of commands, and allows to listen beyond loopback', () => {
    const file = written('token', '0123456789abcdef0\r\n');
    const text = `http: { listen: "0.0.0.0:9025", token_file: ${file} }`;
    expect(load(text).http.token).toBe('0123456789abcdef0');
    const asked = loadForAsking({ file: written('d.yaml', `${text}\nblock: 7\n`) });
    expect(asked.mistake).not.toBe(null);
    expect(asked.config.http.token).toBe('0123456789abcdef0');
  });

  test('that holds no token, or is not there, is a mistake that repeats nothing', () => {
    expect(mistake(`http: { token_file: ${written('short', 'hidden')} }`)).toMatch(
      /token_file: .*16 characters/,
    );
    expect(mistake(`http: { token_file: ${written('spaces', 'hidden words of a token')} }`)).not.toContain(
      'hidden words',
    );
    expect(mistake(`http: { token_file: ${join(directory, 'none')} }`)).toContain('ENOENT');
  });
});

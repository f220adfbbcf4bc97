/** Users that may only read, old versions, and URLs with a path, against a server that keeps such profiles. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseRows, textOf } from '../../src/store/rows.ts';
import { createServerEngine, type ServerEngineOptions } from '../../src/store/server.ts';
import { takenBy } from '../../src/store/server-profile.ts';
import type { Engine } from '../../src/store/store.ts';
import { type FakeClickHouse, startFakeClickHouse } from '../support/fake-clickhouse.ts';
import { silentLog } from './fixture.ts';

let server: FakeClickHouse;
let engine: Engine | null = null;
async function open(more: Partial<ServerEngineOptions> = {}): Promise<Engine> {
  engine = createServerEngine({
    url: server.url,
    database: 'd',
    username: 'u',
    password: 'p',
    log: silentLog,
    ...more,
  });
  await engine.start();
  return engine;
}
beforeEach(async () => {
  server = await startFakeClickHouse();
});
afterEach(async () => {
  await engine?.stop();
  await server.stop();
});

const meta = (type: string) => [{ name: 'x', type }];

describe.each([1, 2] as const)('a profile with readonly = %i', (readonly) => {
  beforeEach(() => {
    server.profile = readonly;
    server.answers = (statement) =>
      statement.startsWith('SELECT lower(name)')
        ? 'none\n'
        : statement.startsWith('SELECT 7')
          ? '7\n'
          : undefined;
  });

  test('reads what the program asks, and what users ask', async () => {
    const reader = await open();
    expect(await reader.query('SELECT {a:String} AS a', { params: { a: 'b' }, timeoutMs: 1000 })).toEqual([]);
    const options = { readonly: true, request: { params: { a: 'b' }, settings: {} } };
    expect(textOf(await reader.queryBytes('SELECT 7', 'CSV', options))).toBe('7\n');
    expect((await reader.walls()).map(({ stands }) => stands)).toEqual([true, true, false]);
    const [asked] = server.requests.filter(({ statement }) => statement.startsWith('SELECT 7'));
    expect(asked?.params.has('max_result_rows')).toBe(readonly === 2);
  });

  test('reads with compression, too', async () => {
    const reader = await open({ compression: true });
    expect(await reader.query('SELECT {a:String} AS a', { params: { a: 'b' } })).toEqual([]);
    expect(server.requests.at(-1)?.params.has('enable_http_compression')).toBe(readonly === 2);
  });

  test('a setting that a user asks for is kept or refused by name, never passed over', async () => {
    const reader = await open();
    const settings = { output_format_json_quote_64bit_integers: '1' };
    const asked = reader.queryBytes('SELECT 7', 'CSV', { readonly: true, request: { params: {}, settings } });
    if (readonly === 2) expect(textOf(await asked)).toBe('7\n');
    else
      await expect(asked).rejects.toMatchObject({
        engine: { code: 164 },
        message: expect.stringContaining('output_format_json_quote_64bit_integers'),
      });
  });

  test('refuses to write, as something that can be mended', async () => {
    const reader = await open();
    await expect(reader.insertJson('alerts', ['{}'], { token: 't' })).rejects.toMatchObject({
      transient: true,
      engine: { code: 164 },
    });
  });
});

test('rows are the same without our settings: numbers exact, times ISO 8601', () => {
  const rows = (type: string, value: string) =>
    parseRows<{ x: unknown }>(Buffer.from(`{"meta":${JSON.stringify(meta(type))},"data":[[${value}]]}`), {
      bySettings: false,
    })[0]?.x;
  expect(rows('UInt64', '18446744073709551615')).toBe('18446744073709551615');
  expect(rows('Int64', '-9007199254740993')).toBe('-9007199254740993');
  expect(rows('UInt64', '5')).toBe(5);
  expect(rows('UInt64', '"5"')).toBe(5);
  expect(rows('Array(UInt64)', '[1,18446744073709551615]')).toEqual([1, '18446744073709551615']);
  expect(rows('String', '"a 18446744073709551615 \\" 18446744073709551615"')).toBe(
    'a 18446744073709551615 " 18446744073709551615',
  );
  expect(rows('Float64', '0.1234567890123456789')).toBeCloseTo(0.1234567890123456);
  expect(rows("DateTime64(3, 'UTC')", '"2026-03-01 10:00:00.123"')).toBe('2026-03-01T10:00:00.123Z');
  expect(rows("Nullable(DateTime('UTC'))", '"2026-03-01 10:00:00"')).toBe('2026-03-01T10:00:00Z');
  expect(rows("Nullable(DateTime('UTC'))", 'null')).toBe(null);
  expect(rows('String', '"2026-03-01 10:00:00"')).toBe('2026-03-01 10:00:00');
});

describe('the version', () => {
  test.each(['18.16.1', '24.3.18.7', '24.7.9.9', '9.9'])('%s is too old, which is said', async (version) => {
    server.version = version;
    await expect(open()).rejects.toMatchObject({
      transient: true,
      message: expect.stringMatching(`version ${version.replaceAll('.', '\\.')}; 24\\.8 or later is needed`),
    });
  });

  test.each(['24.8.1.1', '24.10.1', '25.1', '100.1', '26.7.2.1 (official build)', 'of a proxy', ''])(
    '%s is not',
    async (version) => {
      server.version = version;
      await open();
    },
  );

  test('is asked without the function that old servers lack', async () => {
    server.answers = (statement) => (statement.startsWith('SELECT version()\n') ? '18.16.1\n' : undefined);
    server.fate = ({ statement }) => (statement.includes('getSetting') ? { code: 46 } : null);
    await expect(open()).rejects.toThrow('version 18.16.1');
  });
});

test('the path of the URL is where the server is, never a database', async () => {
  const behind = await open({ url: `${server.url}/analytics/` });
  await behind.query('SELECT 7');
  await behind.command('CREATE x');
  expect(new Set(server.requests.map(({ path }) => path))).toEqual(new Set(['/analytics/']));
  expect(new Set(server.requests.map(({ params }) => params.get('database')))).toEqual(new Set(['d', null]));
});

test('of our settings a profile gets those that it takes', () => {
  const ours = { readonly: '1', max_threads: '2' };
  expect(
    [0, 1, 2].map((readonly) => takenBy({ version: null, readonly: readonly as 0 | 1 | 2 }, ours)),
  ).toEqual([ours, {}, { max_threads: '2' }]);
});

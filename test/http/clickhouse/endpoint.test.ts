import { gzipSync } from 'node:zlib';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqlRequest } from '../../../src/api/read-model.ts';
import { createStoredModel } from '../../../src/api/stored-read-model.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { RogueSmtpError } from '../../../src/errors.ts';
import { encodeNative } from '../../../src/flow/native.ts';
import { createClickHouseEndpoint } from '../../../src/http/clickhouse/endpoint.ts';
import { createHttpListener, type HttpListener } from '../../../src/http/listener.ts';
import {
  chdbInstalled,
  DATABASE,
  flowBatch,
  openTestStore,
  type TestStore,
  withoutChdb,
} from '../../store/fixture.ts';

const TOKEN = 'a-token-of-sixteen';
const NOW = Date.UTC(2026, 2, 1, 10);

/** An endpoint over a function, without a socket. */
function endpoint(query: (request: SqlRequest) => Promise<Uint8Array>, token?: string) {
  const errors: unknown[] = [];
  const app = createClickHouseEndpoint(
    { token, database: DATABASE },
    { query, onError: (_path, error) => errors.push(error) },
  );
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has('host')) headers.set('host', 'localhost:1');
    const response = await app.fetch(new Request(`http://localhost:1${path}`, { ...init, headers }));
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  return { ask, errors };
}

const echo = async (request: SqlRequest) => Buffer.from(JSON.stringify(request));

describe('a request in the protocol of ClickHouse', () => {
  test('takes the statement from the URL, from the body, or from both', async () => {
    const { ask } = endpoint(echo);
    for (const [path, body] of [
      ['/?query=SELECT+1', undefined],
      ['/', 'SELECT 1'],
      ['/?query=SELECT', '1'],
    ] as const) {
      const init = body === undefined ? {} : { method: 'POST', body };
      expect(JSON.parse((await ask(path, init)).text).sql.replace(/\s+/g, ' '), path).toBe('SELECT 1');
    }
    const zipped = { method: 'POST', body: gzipSync('SELECT 2'), headers: { 'Content-Encoding': 'gzip' } };
    expect(JSON.parse((await ask('/', zipped)).text).sql).toBe('SELECT 2');
    expect((await ask('/')).text).toBe('Ok.\n');
    expect((await ask('/ping')).text).toBe('Ok.\n');
  });

  test('a format in the statement comes before default_format, that before the header, and TabSeparated is the last', async () => {
    const { ask } = endpoint(echo);
    const header = { 'X-ClickHouse-Format': 'CSV' };
    const formatOf = async (path: string, init?: RequestInit) => JSON.parse((await ask(path, init)).text);
    expect(
      await formatOf('/?default_format=XML&query=SELECT+1+FORMAT+JSONCompact;', { headers: header }),
    ).toMatchObject({ sql: 'SELECT 1', format: 'JSONCompact' });
    expect(await formatOf('/?default_format=XML&query=SELECT+1', { headers: header })).toMatchObject({
      format: 'XML',
    });
    expect(await formatOf('/?query=SELECT+1', { headers: header })).toMatchObject({ format: 'CSV' });
    expect(await formatOf('/?query=SELECT+1')).toMatchObject({ format: 'TabSeparated' });
    const { headers } = await ask('/?query=SELECT+1&default_format=CSV&query_id=abc');
    expect(headers.get('content-type')).toBe('text/csv; charset=UTF-8');
    expect(headers.get('x-clickhouse-format')).toBe('CSV');
    expect(headers.get('x-clickhouse-query-id')).toBe('abc');
  });

  test('settings of the output pass, the time limit can only be lowered, all others are refused', async () => {
    const { ask } = endpoint(echo);
    const given =
      '/?query=SELECT+1&max_execution_time=5&join_use_nulls=1&wait_end_of_query=1&readonly=0&param_a=b';
    expect(JSON.parse((await ask(given)).text)).toEqual({
      sql: 'SELECT 1',
      format: 'TabSeparated',
      timeoutMs: 5000,
      request: { params: { a: 'b' }, settings: { join_use_nulls: '1' } },
    });
    for (const name of ['max_memory_usage', 'format_schema', 'output_format_schema', 'allow_ddl', 'limit']) {
      expect(await ask(`/?query=SELECT+1&${name}=1`)).toMatchObject({
        status: 403,
        text: `Code: 164. DB::Exception: Cannot modify '${name}' setting in readonly mode (READONLY)\n`,
      });
    }
    expect((await ask('/?query=SELECT+1&param_a`b=1')).status).toBe(400);
  });

  test('there is one database, which clients may call default', async () => {
    const { ask } = endpoint(echo);
    for (const name of ['', 'default', DATABASE])
      expect((await ask(`/?query=SELECT+1&database=${name}`)).status).toBe(200);
    for (const name of ['system', 'overlay', 'information_schema'])
      expect(await ask('/?query=SELECT+1', { headers: { 'X-ClickHouse-Database': name } })).toMatchObject({
        status: 404,
        text: expect.stringContaining('(UNKNOWN_DATABASE)'),
      });
  });

  test('what is not served is said, and what is too large is not read', async () => {
    const { ask } = endpoint(echo);
    const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
      ask(path, { method: 'POST', body: Buffer.from(body), headers });
    expect((await post('/', 'x'.repeat(300_000))).status).toBe(413);
    const bomb = gzipSync(Buffer.alloc(10_000_000, 32));
    expect((await post('/', bomb, { 'Content-Encoding': 'gzip' })).status).toBe(400);
    expect((await post('/', 'x', { 'Content-Encoding': 'zstd' })).status).toBe(501);
    expect((await post('/?compress=1', 'SELECT 1')).status).toBe(501);
    expect((await post('/', 'x', { 'Content-Type': 'multipart/form-data; boundary=x' })).status).toBe(501);
    expect((await post('/', ' ')).text).toContain('Empty query');
    expect((await ask('/play')).status).toBe(404);
    expect((await ask('/', { method: 'PUT', body: 'x' })).status).toBe(404);
  });

  test('errors are worded as ClickHouse words them, and nothing of the insides is shown', async () => {
    const failing = (error: unknown) =>
      endpoint(async () => {
        throw error;
      });
    const store = (code: number, name: string) =>
      new RogueSmtpError('store', 'it says so', { engine: { code, name } });
    for (const [error, status, text, code] of [
      [store(62, 'SYNTAX_ERROR'), 400, 'Code: 62. DB::Exception: it says so (SYNTAX_ERROR)\n', '62'],
      [store(60, 'UNKNOWN_TABLE'), 404, 'Code: 60. DB::Exception: it says so (UNKNOWN_TABLE)\n', '60'],
      [store(241, 'MEMORY_LIMIT_EXCEEDED'), 500, expect.stringContaining('(MEMORY_LIMIT'), '241'],
      [new RogueSmtpError('refused', 'no'), 403, 'Code: 497. DB::Exception: no (ACCESS_DENIED)\n', '497'],
      [new RogueSmtpError('unavailable', 'no store'), 503, expect.stringContaining('no store'), '1001'],
      [new Error('secret'), 500, expect.not.stringContaining('secret'), '1001'],
    ] as const) {
      const { ask, errors } = failing(error);
      const answer = await ask('/?query=SELECT+1');
      expect(answer).toMatchObject({ status, text });
      expect(answer.headers.get('x-clickhouse-exception-code')).toBe(code);
      expect(errors.length).toBe(error instanceof RogueSmtpError ? 0 : 1);
    }
  });

  test('with a token nobody else is served, however the token is brought; without one only this machine', async () => {
    const { ask } = endpoint(echo, TOKEN);
    const path = '/?query=SELECT+1';
    const basic = (password: string) => `Basic ${Buffer.from(`default:${password}`).toString('base64')}`;
    for (const headers of [
      { Authorization: `Bearer ${TOKEN}` },
      { Authorization: basic(TOKEN) },
      { 'X-ClickHouse-User': 'anyone', 'X-ClickHouse-Key': TOKEN },
    ])
      expect((await ask(path, { headers })).status).toBe(200);
    const nobody = await ask(path);
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Basic'),
    ]);
    expect((await ask(path, { headers: { Authorization: basic('wrong') } })).text).toContain(
      '(AUTHENTICATION_FAILED)',
    );
    expect((await ask(`${path}&password=${TOKEN}`)).status).toBe(401);
    expect((await ask('/ping')).status).toBe(200);
    const open = endpoint(echo);
    expect((await open.ask(path, { headers: { host: 'evil.example' } })).status).toBe(403);
    expect((await open.ask(path, { headers: { origin: 'http://evil.example' } })).status).toBe(403);
  });

  test('at most so many are under way; the next is told to come later', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { ask } = endpoint(async () => {
      await held;
      return new Uint8Array();
    });
    const first = Array.from({ length: 32 }, () => ask('/?query=SELECT+1'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(await ask('/?query=SELECT+1')).toMatchObject({
      status: 503,
      text: expect.stringContaining('(TOO_MANY_SIMULTANEOUS_QUERIES)'),
    });
    release();
    for (const { status } of await Promise.all(first)) expect(status).toBe(200);
    expect((await ask('/?query=SELECT+1')).status).toBe(200);
  });
});

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'the endpoint over the real engine' : withoutChdb, () => {
  let store: TestStore;
  let listener: HttpListener;
  let url = '';

  beforeAll(async () => {
    store = await openTestStore();
    const rows = [{ at: NOW, src: '10.0.0.7', dst: '198.51.100.9', srcPort: 4000, dstPort: 25 }];
    await store.engine.insertNative('flows', { bytes: [encodeNative(flowBatch(rows))] }, { token: 't' });
    const model = createStoredModel(store.engine, () => configSchema.parse({}));
    const app = createClickHouseEndpoint(
      { token: TOKEN, database: DATABASE },
      { query: model.query, onError: () => undefined },
    );
    listener = createHttpListener('clickhouse.listen', { host: '127.0.0.1', port: 0 }, app.fetch);
    url = `http://127.0.0.1:${(await listener.start()).port}`;
  }, 60_000);
  afterAll(async () => {
    await listener?.stop();
    await store?.close();
  });

  const ask = (sql: string, more = '', headers: Record<string, string> = {}) =>
    fetch(`${url}/?query=${encodeURIComponent(sql)}${more}`, {
      headers: { 'X-ClickHouse-Key': TOKEN, ...headers },
    });

  test('is read by @clickhouse/client: ping, rows, placeholders, settings, compression, errors with their code', async () => {
    const client = createClient({
      url,
      password: TOKEN,
      compression: { response: true },
      log: { level: ClickHouseLogLevel.OFF },
    });
    try {
      expect(await client.ping({ select: true })).toMatchObject({ success: true });
      const result = await client.query({
        query:
          'SELECT src_addr, {text:String} AS text, {list:Array(String)} AS list, {none:Nullable(UInt8)} AS none, bytes FROM flows WHERE dst_port = {port:UInt16}',
        query_params: { text: "a'b\\\t\n", list: ["x'y", 'z\\'], none: null, port: 25 },
        format: 'JSONEachRow',
        clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
      });
      expect(await result.json()).toEqual([
        { src_addr: '::ffff:10.0.0.7', text: "a'b\\\t\n", list: ["x'y", 'z\\'], none: null, bytes: '100' },
      ]);
      await expect(client.query({ query: 'SELECT nothing FROM flows' })).rejects.toMatchObject({
        code: '47',
        type: 'UNKNOWN_IDENTIFIER',
      });
      await expect(client.command({ query: 'DROP TABLE flows' })).rejects.toMatchObject({ code: '497' });
      await expect(
        client.insert({ table: 'flows', values: [{ bytes: 1 }], format: 'JSONEachRow' }),
      ).rejects.toMatchObject({ code: '497' });
    } finally {
      await client.close();
    }
  });

  test('gives binary formats byte by byte', async () => {
    const bytes = async (format: string, sql: string) =>
      Buffer.from(await (await ask(`${sql} FORMAT ${format}`)).arrayBuffer());
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const sql = `SELECT unhex('${every.toString('hex')}')`;
    expect(await bytes('RawBLOB', sql)).toEqual(every);
    expect((await bytes('Parquet', 'SELECT number FROM numbers(10)')).toString('latin1')).toMatch(
      /^PAR1.*PAR1$/s,
    );
    const zipped = await ask(`${sql} FORMAT RawBLOB`, '&enable_http_compression=1', {
      'Accept-Encoding': 'gzip',
    });
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    expect(Buffer.from(await zipped.arrayBuffer())).toEqual(every);
  });

  test('is bounded in rows and in time', async () => {
    const many = await ask('SELECT number FROM numbers(2000000)');
    expect([many.status, await many.text()]).toEqual([500, expect.stringContaining('(TOO_MANY_ROWS')]);
    const slow = await ask(
      'SELECT sum(cityHash64(number)) FROM numbers_mt(100000000000)',
      '&max_execution_time=1',
    );
    expect([slow.status, await slow.text()]).toEqual([408, expect.stringContaining('(TIMEOUT_EXCEEDED)')]);
  });

  test('lets no placeholder, setting or database name past the check of the statement', async () => {
    for (const [sql, more] of [
      ['SELECT * FROM {d:Identifier}.{t:Identifier}', '&param_d=default&param_t=/etc/passwd'],
      ['SELECT file({f:String})', '&param_f=/etc/passwd'],
      ['SELECT * FROM processes', '&database=system'],
      ["SELECT {a:DateTime('}, file('/etc/passwd'), '')}", '&param_a=1'],
      ['SELECT 1', '&output_format_schema=/tmp/x'],
      ['SELECT 1 SETTINGS readonly = 0', ''],
      ['INSERT INTO flows SELECT * FROM flows', ''],
    ] as const) {
      const { status } = await ask(sql, more);
      expect(status, sql).toBeGreaterThanOrEqual(400);
    }
  });
});

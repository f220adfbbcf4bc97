import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { textOf } from '../../src/store/rows.ts';
import { createServerEngine } from '../../src/store/server.ts';
import type { Engine } from '../../src/store/store.ts';

interface Received {
  readonly query: string;
  readonly params: URLSearchParams;
  readonly body: Buffer;
}

const ok = (response: ServerResponse, text = '') => response.end(text);
const fail = (response: ServerResponse, code: number, name: string) => {
  response.statusCode = 500;
  response.setHeader('X-ClickHouse-Exception-Code', String(code));
  response.end(`Code: ${code}. DB::Exception: it says so. (${name}) (version 26.7.2.1)`);
};

/** Speaks the protocol of ClickHouse as far as needed; no ClickHouse server is at hand for unit tests. */
describe('the engine over HTTP', () => {
  let server: Server;
  let engine: Engine;
  let directory = '';
  const received: Received[] = [];
  let roleIsKnown: boolean | 'old' = true;
  let answer: (request: Received, response: ServerResponse) => void = (_request, response) => ok(response);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const params = new URL(request.url ?? '', 'http://x').searchParams;
    const body = Buffer.concat(chunks);
    const inUrl = params.get('query');
    const seen =
      inUrl === null
        ? { query: body.toString(), params, body: Buffer.alloc(0) }
        : { query: inUrl, params, body };
    if (params.has('role') && roleIsKnown === 'old') {
      response.writeHead(404);
      response.end(
        'Code: 115, e.displayText() = DB::Exception: Unknown setting role, e.what() = DB::Exception\n',
      );
      return;
    }
    if (params.has('role') && !roleIsKnown) {
      response.writeHead(500, { 'x-clickhouse-exception-code': '512' });
      response.end('Code: 512. DB::Exception: Role should be granted to set it. (SET_NON_GRANTED_ROLE)');
      return;
    }
    if (seen.query.startsWith('SELECT lower(name) FROM system.')) {
      ok(response, seen.query.includes('table_functions') ? 'url\nfile\n' : 'mysql_copy\n');
      return;
    }
    received.push(seen);
    answer(seen, response);
  }

  beforeEach(async () => {
    received.length = 0;
    roleIsKnown = true;
    answer = (_request, response) => ok(response);
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-server-'));
    server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    engine = createServerEngine({
      url: `http://127.0.0.1:${port}`,
      database: 'mail_db',
      username: 'u',
      password: 'p',
      log: { warn: () => undefined },
    });
    answer = (_request, response) => ok(response, '1\n');
    await engine.start();
    received.length = 0;
    answer = (_request, response) => ok(response);
  });
  afterEach(async () => {
    await engine.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  test('sends flow blocks as they are, from memory or a file, with the token', async () => {
    const file = join(directory, 'segment');
    const bytes = Buffer.from([0, 255, 128, 10, 13, 0]);
    writeFileSync(file, bytes);
    await engine.insertNative('flows', { file }, { token: "t'1" });
    await engine.insertNative('flows', { bytes: [bytes.subarray(0, 2), bytes.subarray(2)] }, { token: 't2' });
    expect(received.map(({ body }) => body)).toEqual([bytes, bytes]);
    const [{ query, params }] = received;
    expect(query).toMatch(/^INSERT INTO `mail_db`\.`flows` \(`received_at`, .*\) FORMAT Native$/);
    expect(params.get('insert_deduplication_token')).toBe("t'1");
    expect(params.get('deduplicate_blocks_in_dependent_materialized_views')).toBe('1');
    expect(params.get('async_insert')).toBe('0');
    expect(params.get('database')).toBe('mail_db');
  });

  test('tries a broken connection again with the same token', async () => {
    let times = 0;
    answer = (_request, response) => {
      times++;
      if (times === 1) response.destroy();
      else if (times === 2) fail(response, 210, 'NETWORK_ERROR');
      else ok(response);
    };
    await engine.insertJson('alerts', ['{"message":"ü"}', '{"message":"2"}'], { token: 'same' });
    expect(
      received.map(({ params, body }) => [params.get('insert_deduplication_token'), body.toString()]),
    ).toEqual(Array(3).fill(['same', '{"message":"ü"}\n{"message":"2"}']));
  });

  test('gives up on what stays broken as transient, on what can never work at once', async () => {
    answer = (_request, response) => fail(response, 242, 'TABLE_IS_READ_ONLY');
    await expect(
      engine.insertNative('flows', { bytes: [Buffer.from('x')] }, { token: 't' }),
    ).rejects.toMatchObject({ code: 'store', transient: true });
    expect(received.length).toBe(4);
    received.length = 0;
    answer = (_request, response) => fail(response, 117, 'INCORRECT_DATA');
    await expect(
      engine.insertNative('flows', { bytes: [Buffer.from('x')] }, { token: 't' }),
    ).rejects.toMatchObject({ code: 'store', transient: false });
    expect(received.length).toBe(1);
    await expect(
      engine.insertNative('flows', { file: join(directory, 'gone') }, { token: 't' }),
    ).rejects.toMatchObject({ code: 'store', transient: false });
  });

  test('understands the errors of old servers, which have no name', async () => {
    answer = (_request, response) => {
      response.statusCode = 404;
      response.end(
        'Code: 115, e.displayText() = DB::Exception: Unknown setting x, e.what() = DB::Exception\n',
      );
    };
    await expect(engine.query('SELECT 1')).rejects.toMatchObject({ engine: { code: 115 } });
    expect(received.length).toBe(1);
    roleIsKnown = 'old';
    expect((await engine.walls()).map(({ stands }) => stands)).toEqual([true, false, false]);
  });

  test('a statement that is not known to be repeatable is sent once', async () => {
    answer = (_request, response) => response.destroy();
    await expect(engine.command('ALTER TABLE x')).rejects.toMatchObject({ code: 'store', transient: true });
    expect(received.length).toBe(1);
    expect(received[0]?.params.get('database')).not.toBe('mail_db');
  });

  test('reads rows with exact numbers, values as parameters, a time limit', async () => {
    answer = (_request, response) =>
      ok(response, JSON.stringify({ meta: [{ name: 'n', type: 'UInt64' }], data: [['5']] }));
    expect(await engine.query('SELECT {a:String} AS n', { params: { a: "x'y" }, timeoutMs: 2500 })).toEqual([
      { n: 5 },
    ]);
    const [{ query, params }] = received;
    expect(query).toBe('SELECT {a:String} AS n\nFORMAT JSONCompact');
    // Values travel escaped as in TSV; the server takes the escapes off.
    expect(params.get('param_a')).toBe("x\\'y");
    expect(params.get('max_execution_time')).toBe('3');
    expect(params.get('output_format_json_quote_64bit_integers')).toBe('1');
  });

  test('the SQL of a user is checked, and runs read-only with limits', async () => {
    answer = (_request, response) => ok(response, '1\n');
    expect(textOf(await engine.queryBytes('SELECT 1 -- x', 'CSV', { readonly: true }))).toBe('1\n');
    expect(received[0]?.query).toBe('SELECT 1\nFORMAT CSV');
    expect(received[0]?.params.get('readonly')).toBe('1');
    expect(received[0]?.params.get('max_result_rows')).toBe('1000000');
    for (const sql of ["SELECT * FROM url('http://x/')", 'SELECT * FROM mysql_copy.t', 'DROP TABLE x'])
      await expect(engine.queryBytes(sql, 'CSV', { readonly: true })).rejects.toMatchObject({
        code: 'refused',
      });
    expect(received.length).toBe(1);
  });

  test('statements of users take the role of readers where the server has it, and the walls say so', async () => {
    await engine.queryBytes('SELECT 1', 'CSV', { readonly: true });
    expect(received[0]?.params.get('role')).toBe('rogue_smtp_reader');
    expect((await engine.walls()).map(({ stands }) => stands)).toEqual([true, true, false]);
    await engine.query('SELECT 1').catch(() => undefined);
    expect(received[1]?.params.get('role')).toBeNull();
  });

  test('a server without the role of readers is asked without it, and the walls say so', async () => {
    roleIsKnown = false;
    await engine.queryBytes('SELECT 1', 'CSV', { readonly: true });
    expect(received[0]?.params.get('role')).toBeNull();
    expect((await engine.walls()).map(({ stands }) => stands)).toEqual([true, false, false]);
  });

  test('a server that is not there is a transient failure that names the reason', async () => {
    const nobody = createServerEngine({
      url: 'http://127.0.0.1:1',
      database: 'd',
      username: 'u',
      password: 'geheim',
      log: { warn: () => undefined },
    });
    const error = await nobody.start().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'store',
      transient: true,
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(JSON.stringify(error)).not.toContain('geheim');
    await nobody.stop();
    await expect(nobody.query('SELECT 1')).rejects.toMatchObject({ transient: true });
  });
});

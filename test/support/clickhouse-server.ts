/**
 * A ClickHouse server for tests of the HTTP path: the one that CLICKHOUSE_URL names, else the embedded engine behind the
 * protocol code of our own endpoint. Unlike the endpoint of the product it takes every statement, which nothing in src can
 * be configured to do.
 *
 * In front of either stands a proxy that a test can tell to lose requests or answers, as a network does.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Context, Hono } from 'hono';
import { answerException, ClickHouseException, exceptionOf } from '../../src/http/clickhouse/exception.ts';
import { type ClickHouseRequest, readRequest } from '../../src/http/clickhouse/request.ts';
import { createHttpListener } from '../../src/http/listener.ts';
import { createEmbeddedEngine, type EmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { splitFormat } from '../../src/store/readonly-sql.ts';
import { silentLog } from '../store/fixture.ts';

/** What happens to a request on its way: the request is lost, or it arrives and its answer is lost. */
type Mishap = 'request_lost' | 'answer_lost' | null;

export interface ClickHouseServer {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** A name that nobody uses yet. */
  readonly database: string;
  /** What the requests since the last look carried. */
  readonly seen: SeenRequest[];
  /** Decides about each request by its statement; nothing happens until it is set. */
  mishap: (statement: string) => Mishap;
  stop(): Promise<void>;
}

interface SeenRequest {
  readonly statement: string;
  readonly params: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: number;
}

const MAX_BODY_BYTES = 256 * 1024 * 1024;

interface Upstream {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly database: string;
  stop(): Promise<void>;
}

/** `place`: a directory and a port that outlive this process, so that another can go on there. */
export async function startClickHouse(place?: {
  readonly directory: string;
  readonly port: number;
}): Promise<ClickHouseServer> {
  const given = process.env.CLICKHOUSE_URL;
  const upstream = given === undefined ? await startEmbedded(place?.directory) : theirs(given);
  const state: Pick<ClickHouseServer, 'mishap' | 'seen'> = { mishap: () => null, seen: [] };
  const proxy = createServer((request, response) => void forward(request, response, upstream.url, state));
  await new Promise<void>((resolve) => proxy.listen(place?.port ?? 0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return Object.assign(state, {
    url: `http://127.0.0.1:${address.port}`,
    username: upstream.username,
    password: upstream.password,
    database: upstream.database,
    async stop() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
      await upstream.stop();
    },
  });
}

function theirs(url: string): Upstream {
  const username = process.env.CLICKHOUSE_USER ?? 'default';
  const password = process.env.CLICKHOUSE_PASSWORD ?? '';
  const database = `rogue_smtp_test_${randomBytes(4).toString('hex')}`;
  return {
    url,
    username,
    password,
    database,
    async stop() {
      await fetch(url, {
        method: 'POST',
        body: `DROP DATABASE IF EXISTS ${database}`,
        headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password },
      });
    },
  };
}

async function startEmbedded(kept?: string): Promise<Upstream> {
  const directory = kept ?? mkdtempSync(join(tmpdir(), 'rogue-smtp-clickhouse-'));
  const database = 'served';
  const password = 'correct horse';
  const engine = createEmbeddedEngine({ directory, database, log: silentLog });
  await engine.start();
  const app = new Hono();
  app.get('/ping', (context) => context.text('Ok.\n'));
  app.all('/', async (context) =>
    serve(engine, await readRequest(context, MAX_BODY_BYTES), context, password),
  );
  app.onError((error, context) =>
    answerException(
      context,
      exceptionOf(error) ?? new ClickHouseException(500, 1001, 'STD_EXCEPTION', String(error)),
    ),
  );
  const listener = createHttpListener('test', { host: '127.0.0.1', port: 0 }, app.fetch);
  const { port } = await listener.start();
  return {
    url: `http://127.0.0.1:${port}`,
    username: 'default',
    password,
    database,
    async stop() {
      await listener.stop();
      await engine.stop();
      if (kept === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

const INSERT = /^INSERT INTO `?\w+`?\.`?(\w+)`?\s+(?:\(.*\)\s+)?FORMAT (\w+)\s*([\s\S]*)$/;
const READS = /^\s*(?:SELECT|WITH|SHOW|DESCRIBE|EXPLAIN|EXISTS)\b/i;

/** Like a server, as far as the product asks of one. */
async function serve(
  engine: EmbeddedEngine,
  request: ClickHouseRequest,
  context: Context,
  password: string,
): Promise<Response> {
  const basic = Buffer.from((context.req.header('authorization') ?? '').replace(/^Basic /, ''), 'base64');
  if (basic.toString() !== `default:${password}`)
    throw new ClickHouseException(
      403,
      516,
      'AUTHENTICATION_FAILED',
      'default: Authentication failed: password is incorrect, or there is no user with such name.',
    );
  const insert = INSERT.exec(request.sql);
  if (insert !== null) {
    const [, table, format, inline] = insert;
    const token = request.settings.insert_deduplication_token ?? randomBytes(8).toString('hex');
    const data = request.data.length > 0 ? request.data : Buffer.from(inline);
    if (format === 'Native') await engine.insertNative(table, { bytes: [data] }, { token });
    else await engine.insertJson(table, Buffer.from(data).toString('utf8').split('\n'), { token });
    return context.body('');
  }
  if (!READS.test(request.sql)) {
    await engine.command(request.sql);
    return context.body('');
  }
  const { sql, format } = splitFormat(request.sql);
  const { max_execution_time: seconds = '60', ...settings } = request.settings;
  const result = await engine.queryBytes(sql, format ?? request.format ?? 'TabSeparated', {
    // The only path that takes placeholders as they travel. It refuses what no query of ours needs.
    readonly: true,
    timeoutMs: Number(seconds) * 1000,
    request: { params: request.params, settings },
  });
  if (!request.gzip) return context.body(new Uint8Array(result));
  const packed = await promisify(gzip)(result);
  return context.body(new Uint8Array(packed), 200, { 'Content-Encoding': 'gzip' });
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  upstream: string,
  state: Pick<ClickHouseServer, 'mishap' | 'seen'>,
): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return;
  }
  const body = Buffer.concat(chunks);
  const params = new URL(request.url ?? '/', upstream).searchParams;
  const statement = params.get('query') ?? (body.length < 100_000 ? body.toString('latin1') : '');
  state.seen.push({ statement, params, headers: request.headers, bytes: body.length });
  const mishap = state.mishap(statement);
  if (mishap === 'request_lost') {
    response.destroy();
    return;
  }
  const { 'transfer-encoding': _chunked, ...headers } = request.headers;
  const onward = httpRequest(
    new URL(request.url ?? '/', upstream),
    {
      method: request.method,
      headers: { ...headers, 'content-length': String(body.length) },
    },
    (answer) => {
      if (mishap === 'answer_lost') {
        answer.resume().once('end', () => response.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    },
  );
  onward.once('error', () => response.destroy());
  onward.end(body);
}

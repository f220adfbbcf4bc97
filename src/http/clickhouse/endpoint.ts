/**
 * Read-only SQL over ClickHouse's HTTP protocol, for Grafana, curl, `@clickhouse/client` and our own command line.
 *
 * What a statement may do is enforced below (src/store/readonly-sql.ts, `readonly = 1`); here only settings that shape the
 * output pass, the one database is ours, and size, time and number of requests are bounded. Answers are made whole before
 * they begin, so that an error never comes in the middle of one. It never writes, whatever the method.
 */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { SqlRequest } from '../../api/read-model.ts';
import { readingFor } from '../../store/reader.ts';
import { settingObjection } from '../../store/readonly-sql/settings.ts';
import { splitFormat } from '../../store/readonly-sql.ts';
import { type Access, createAccess } from '../access/access.ts';
import { createGuard } from '../guard.ts';
import { answerException, ClickHouseException, exceptionOf } from './exception.ts';
import { withRevision } from './native-revision.ts';
import { type ClickHouseRequest, readRequest } from './request.ts';

export interface ClickHouseEndpointOptions {
  readonly token: string | undefined;
  /** Who may ask, where it is not `token` alone. */
  readonly access?: Access;
  /** The only database there is. Clients that name none, or `default`, mean it too. */
  readonly database: string;
}

export interface ClickHouseEndpointDependencies {
  readonly query: (request: SqlRequest) => Promise<Uint8Array>;
  readonly onError: (path: string, error: unknown) => void;
}

const MAX_BODY_BYTES = 256 * 1024;
/** Requests that are answered or wait. */
const MAX_UNDER_WAY = 32;
/** As a ClickHouse server answers it to anyone. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/ping']);
const STATUS_OF_REFUSAL = { foreign: 403, role: 403, csrf: 403, token: 401, rate: 429 } as const;
const DEFAULT_FORMAT = 'TabSeparated';
/** Fast, and most of what there is to win. */
const GZIP_LEVEL = 3;

const compress = promisify(gzip);

export function createClickHouseEndpoint(
  options: ClickHouseEndpointOptions,
  dependencies: ClickHouseEndpointDependencies,
): Hono {
  const app = new Hono();
  let underWay = 0;

  app.use(
    createGuard(
      options.access ?? createAccess({ http: () => options, now: Date.now }),
      (context, { why, message }) =>
        answerException(
          context,
          new ClickHouseException(STATUS_OF_REFUSAL[why], 516, 'AUTHENTICATION_FAILED', message),
        ),
      { isOpen: ({ req }) => OPEN_PATHS.has(req.path) },
    ),
  );
  app.use((context, next) => readingFor(context.req.raw.signal, next));
  app.get('/ping', (context) => context.text('Ok.\n'));
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (context) =>
        answerException(
          context,
          new ClickHouseException(413, 307, 'TOO_MANY_BYTES', `a statement may have ${MAX_BODY_BYTES} bytes`),
        ),
    }),
  );
  app.on(['GET', 'POST'], '/', async (context) => {
    if (underWay >= MAX_UNDER_WAY)
      throw new ClickHouseException(
        503,
        202,
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `${MAX_UNDER_WAY} statements are under way; try again later`,
      );
    underWay++;
    try {
      return await serve(context);
    } finally {
      underWay--;
    }
  });
  app.notFound((context) =>
    answerException(
      context,
      new ClickHouseException(404, 1001, 'STD_EXCEPTION', 'there is / for statements and /ping'),
    ),
  );
  app.onError((error, context) => {
    const known = exceptionOf(error);
    if (known === null) dependencies.onError(context.req.path, error);
    return answerException(
      context,
      known ?? new ClickHouseException(500, 1001, 'STD_EXCEPTION', 'internal error, see the log'),
    );
  });

  async function serve(context: Context): Promise<Response> {
    const request = await readRequest(context, MAX_BODY_BYTES);
    if (request.sql.trim() === '') {
      if (context.req.method === 'GET') return context.text('Ok.\n');
      throw new ClickHouseException(400, 62, 'SYNTAX_ERROR', 'Empty query');
    }
    const { format, ...asked } = requestOf(request, options.database);
    const result = await dependencies.query({ ...asked, format });
    const native = request.protocolVersion > 0 && format === 'Native';
    return answer(context, request, format, native ? withRevision(result, request.protocolVersion) : result);
  }

  return app;
}

function requestOf(request: ClickHouseRequest, ours: string): SqlRequest {
  if (!['', 'default', ours].includes(request.database))
    throw new ClickHouseException(
      404,
      81,
      'UNKNOWN_DATABASE',
      `Database ${JSON.stringify(request.database.slice(0, 64))} does not exist; it is ${ours}`,
    );
  const text = Buffer.from(request.data).toString('utf8');
  const { sql, format } = splitFormat(text === '' ? request.sql : `${request.sql}\n${text}`);
  const { max_execution_time: seconds, ...others } = request.settings;
  for (const [name, value] of Object.entries(others)) {
    if (settingObjection(name, value) !== null)
      throw new ClickHouseException(
        403,
        164,
        'READONLY',
        `Cannot modify '${name.slice(0, 64)}' setting in readonly mode`,
      );
  }
  for (const name of Object.keys(request.params)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,56}$/.test(name))
      throw new ClickHouseException(400, 36, 'BAD_ARGUMENTS', 'the name of a param_ is no identifier');
  }
  const wantedMs = Number(seconds) * 1000;
  return {
    sql,
    format: format ?? request.format ?? DEFAULT_FORMAT,
    ...(wantedMs > 0 ? { timeoutMs: wantedMs } : {}),
    request: { params: request.params, settings: others },
  };
}

async function answer(
  context: Context,
  request: ClickHouseRequest,
  format: string,
  result: Uint8Array,
): Promise<Response> {
  const headers: Record<string, string> = {
    'Content-Type': contentTypeOf(format),
    'X-ClickHouse-Format': format,
    'X-ClickHouse-Timezone': 'UTC',
    'X-ClickHouse-Server-Display-Name': 'rogue-smtp',
  };
  if (request.queryId !== null && /^[\x21-\x7e]{1,100}$/.test(request.queryId))
    headers['X-ClickHouse-Query-Id'] = request.queryId;
  if (!request.gzip) return context.body(new Uint8Array(result), 200, headers);
  headers['Content-Encoding'] = 'gzip';
  return context.body(new Uint8Array(await compress(result, { level: GZIP_LEVEL })), 200, headers);
}

function contentTypeOf(format: string): string {
  if (/^JSON.*EachRow/.test(format)) return 'application/x-ndjson; charset=UTF-8';
  if (format.startsWith('JSON')) return 'application/json; charset=UTF-8';
  if (format.startsWith('CSV')) return 'text/csv; charset=UTF-8';
  if (/^(TSV|TabSeparated)/.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (/^(Native|RowBinary|Parquet|Arrow|ORC|Avro|MsgPack|BSON|Npy|RawBLOB|Buffers)/.test(format))
    return 'application/octet-stream';
  return 'text/plain; charset=UTF-8';
}

/**
 * A request in ClickHouse's HTTP protocol, taken apart: statement, data, format, placeholders, settings.
 *
 * It decides nothing: which settings and databases are allowed, and whether data may come along, is for whoever serves the
 * request. Sizes are bounded here, before and after decompression.
 */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Context } from 'hono';
import { ClickHouseException } from './exception.ts';

export interface ClickHouseRequest {
  /** '' when there is none. */
  readonly sql: string;
  /** The body, where the statement came in the URL. */
  readonly data: Uint8Array;
  /** '' when none is named. */
  readonly database: string;
  /** The format for a statement that names none; null when the request does not say either. */
  readonly format: string | null;
  /** Values of `{name:Type}`, with the escapes of TSV. */
  readonly params: Readonly<Record<string, string>>;
  /** What else stands in the URL: settings of the engine. */
  readonly settings: Readonly<Record<string, string>>;
  readonly queryId: string | null;
  /** The answer may be compressed with gzip. */
  readonly gzip: boolean;
  /** Of clients that want `Native` as it is on the binary protocol; 0 for all others. */
  readonly protocolVersion: number;
}

const unzip = promisify(gunzip);

/** Of the HTTP layer of a server, without meaning here: answers are whole when they begin. */
const WITHOUT_MEANING = new Set([
  'user',
  'password',
  'quota_key',
  'session_id',
  'session_timeout',
  'session_check',
  'role',
  'wait_end_of_query',
  'buffer_size',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'cancel_http_readonly_queries_on_client_close',
  'add_http_cors_header',
  'http_zlib_compression_level',
  'readonly',
]);

/** Throws ClickHouseException for what is too large, cannot be unpacked, or is of a kind that is not served. */
export async function readRequest(context: Context, maxBodyBytes: number): Promise<ClickHouseRequest> {
  const url = new URL(context.req.url);
  const params: Record<string, string> = {};
  const settings: Record<string, string> = {};
  const known = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (name.startsWith('param_')) params[name.slice('param_'.length)] = value;
    else if (KNOWN.has(name)) known.set(name, value);
    else if (!WITHOUT_MEANING.has(name)) settings[name] = value;
  }
  if (known.get('compress') === '1' || known.get('decompress') === '1')
    throw new ClickHouseException(
      501,
      48,
      'NOT_IMPLEMENTED',
      'compress and decompress (blocks of LZ4) are not served; use gzip by Accept-Encoding and enable_http_compression=1',
    );
  const body = await readBody(context, maxBodyBytes);
  const inUrl = known.get('query');
  return {
    sql: inUrl ?? body.toString('utf8'),
    data: inUrl === undefined ? new Uint8Array() : body,
    database: known.get('database') ?? context.req.header('x-clickhouse-database') ?? '',
    format: known.get('default_format') ?? context.req.header('x-clickhouse-format') ?? null,
    params,
    settings,
    queryId: known.get('query_id') ?? null,
    gzip:
      isOn(known.get('enable_http_compression')) &&
      /\bgzip\b/.test(context.req.header('accept-encoding') ?? ''),
    protocolVersion: Number.parseInt(known.get('client_protocol_version') ?? '0', 10) || 0,
  };
}

const KNOWN = new Set([
  'query',
  'database',
  'default_format',
  'query_id',
  'compress',
  'decompress',
  'enable_http_compression',
  'client_protocol_version',
]);

function isOn(value: string | undefined): boolean {
  return value === '1' || value === 'true';
}

async function readBody(context: Context, maxBytes: number): Promise<Buffer> {
  if (/^multipart\//i.test(context.req.header('content-type') ?? ''))
    throw new ClickHouseException(501, 48, 'NOT_IMPLEMENTED', 'external tables are not served');
  const body = Buffer.from(await context.req.arrayBuffer());
  const encoding = context.req.header('content-encoding') ?? '';
  if (encoding === '' || encoding === 'identity') return body;
  if (encoding !== 'gzip')
    throw new ClickHouseException(501, 48, 'NOT_IMPLEMENTED', 'the only Content-Encoding served is gzip');
  try {
    return await unzip(body, { maxOutputLength: maxBytes });
  } catch {
    throw new ClickHouseException(
      400,
      271,
      'CANNOT_DECOMPRESS',
      `the body is no gzip, or over ${maxBytes} bytes when unpacked`,
    );
  }
}

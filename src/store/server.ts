/**
 * A ClickHouse server over HTTP, behind the same interface as the embedded engine.
 *
 * Inserts carry their deduplication token, so that a repeat after a broken connection changes nothing; that is why they
 * and reads are tried a few times here, and commands are not. Passwords are never logged, and the client's own printing
 * is off. Statements of users run with `readonly = 1` and are checked as for the embedded engine; what the configured
 * ClickHouse user may see is the server's business.
 */

import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { engineError } from './failures.ts';
import { settingsWithinBounds, textValues } from './readonly-sql/settings.ts';
import { askRules, checkedSql, type ReadonlyRules } from './readonly-sql.ts';
import { JSON_SETTINGS, parseRows, textOf } from './rows.ts';
import { INSERT_SETTINGS, insertFlowsFromBody, insertJsonHead, resultFormat } from './sql.ts';
import type { Engine, QueryOptions } from './store.ts';
import { serverWalls } from './walls.ts';

export interface ServerEngineOptions {
  readonly url: string;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  /** gzip in both directions. */
  readonly compression?: boolean;
  readonly log: { warn(fields: object, message: string): void };
}

const ATTEMPTS = 4;
const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 1000;
const DEFAULT_TIMEOUT_MS = 60_000;
const WRITE_TIMEOUT_MS = 300_000;
/** Beyond the server's own time limit: it should be the one that says so. */
const TIMEOUT_GRACE_MS = 5000;
/** Servers close idle connections after 10 s by default in old versions, 30 s in newer; half a second is for the way. */
const IDLE_SOCKET_MS = 9500;
const MAX_CONNECTIONS = 8;
const RULES_VALID_MS = 600_000;
const READER_ROLE = 'rogue_smtp_reader';
/** UNKNOWN_ROLE and SET_NON_GRANTED_ROLE of ClickHouse, and what versions before 24.4 say of the parameter: UNKNOWN_SETTING. */
const NO_ROLE: ReadonlySet<number> = new Set([511, 512, 115]);
/** TIMEOUT_EXCEEDED and TOO_SLOW of ClickHouse. */
const OUT_OF_TIME: ReadonlySet<number> = new Set([159, 160]);
const USER_LIMITS = {
  readonly: '1',
  result_overflow_mode: 'throw',
} as const;

export function createServerEngine(options: ServerEngineOptions): Engine {
  const { database, log } = options;
  const common = {
    url: options.url,
    username: options.username,
    password: options.password,
    application: 'rogue-smtp',
    request_timeout: WRITE_TIMEOUT_MS + TIMEOUT_GRACE_MS,
    compression: { request: options.compression === true, response: options.compression === true },
    max_open_connections: MAX_CONNECTIONS,
    keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
    log: { level: ClickHouseLogLevel.OFF },
  };
  let client: ClickHouseClient | null = null;
  /** Without a database of its own: it creates the one that the other is in. */
  let administrator: ClickHouseClient | null = null;
  let rules: { readonly value: ReadonlyRules; readonly role: boolean; readonly until: number } | null = null;

  function opened(which: ClickHouseClient | null): ClickHouseClient {
    if (which === null) throw new RogueSmtpError('store', 'the store is not open', { transient: true });
    return which;
  }

  /**
   * Only for what may be repeated: reads, and inserts with a token. What ran into its limit of time is not repeated: it
   * would cost the server as much again, and the caller as long.
   */
  async function repeatedly<Result>(
    limitMs: number,
    attempt: (limit: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    for (let tries = 1; ; tries++) {
      const limit = AbortSignal.timeout(limitMs);
      try {
        return await attempt(limit);
      } catch (error) {
        if (limit.aborted) throw engineError(`ClickHouse: no answer within ${limitMs} ms`, null, '', error);
        const failure = asEngineError(error);
        if (!failure.transient || OUT_OF_TIME.has(failure.engine?.code ?? 0) || tries >= ATTEMPTS)
          throw failure;
        const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 4 ** tries);
        log.warn({ error: failure.message, tries }, 'ClickHouse did not answer as it should; trying again');
        await sleep(RETRY_MIN_MS + Math.random() * ceiling);
      }
    }
  }

  function fetchResult(
    sql: string,
    format: string,
    settings: ClickHouseSettings,
    given: QueryOptions = {},
    role?: string,
  ): Promise<Uint8Array> {
    const timeoutMs = given.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    return repeatedly(timeoutMs + TIMEOUT_GRACE_MS, async (limit) => {
      const result = await opened(client).exec({
        query: `${sql}\nFORMAT ${format}`,
        clickhouse_settings: {
          ...settings,
          max_execution_time: Math.max(1, Math.ceil(timeoutMs / 1000)),
          ...requestSettings(given.request),
          // Without it an error in the middle of a result would come with status 200.
          wait_end_of_query: 1,
        },
        ...(role === undefined ? {} : { role }),
        ...(given.params === undefined ? {} : { query_params: { ...given.params } }),
        abort_signal: limit,
      });
      return buffer(result.stream);
    });
  }

  async function readonlyRules(): Promise<NonNullable<typeof rules>> {
    if (rules !== null && rules.until > Date.now()) return rules;
    const value = await askRules(async (sql) => textOf(await fetchResult(sql, 'TabSeparatedRaw', {})));
    rules = { value, role: await hasReaderRole(), until: Date.now() + RULES_VALID_MS };
    return rules;
  }

  /** Whether the server knows the role of readers (schemas/clickhouse/reader.sql) and lets our user take it. */
  async function hasReaderRole(): Promise<boolean> {
    try {
      await fetchResult('SELECT lower(name) FROM system.functions LIMIT 1', 'Null', {}, {}, READER_ROLE);
      return true;
    } catch (error) {
      if (error instanceof RogueSmtpError && error.engine !== undefined && NO_ROLE.has(error.engine.code))
        return false;
      throw error;
    }
  }

  async function read(
    sql: string,
    format: string,
    settings: ClickHouseSettings,
    given: QueryOptions = {},
  ): Promise<Uint8Array> {
    if (given.readonly !== true) return fetchResult(sql, format, settings, given);
    const { value, role } = await readonlyRules();
    const checked = checkedSql(sql, value);
    const asked = { ...given.request?.settings, ...checked.settings };
    const asReader: QueryOptions = {
      ...given,
      request: {
        params: given.request?.params ?? {},
        settings: {
          ...settingsWithinBounds(asked, given.timeoutMs ?? DEFAULT_TIMEOUT_MS),
          ...USER_LIMITS,
        },
      },
    };
    return fetchResult(checked.sql, format, settings, asReader, role ? READER_ROLE : undefined);
  }

  /** `body` is called for each attempt, since a stream can be read only once. */
  async function insert(query: string, body: () => Promise<Readable>, token: string): Promise<void> {
    await repeatedly(WRITE_TIMEOUT_MS, async (limit) => {
      const result = await opened(client).exec({
        query,
        values: await body(),
        clickhouse_settings: {
          ...textValues(INSERT_SETTINGS),
          insert_deduplication_token: token,
          wait_end_of_query: 1,
        },
        abort_signal: limit,
      });
      // An unread answer would keep its connection from being used again.
      await buffer(result.stream);
    });
  }

  return {
    async start() {
      client ??= createClient({ ...common, database });
      administrator ??= createClient(common);
      const answer = await administrator.ping({ select: true });
      if (!answer.success) throw asEngineError(answer.error);
    },

    async command(sql) {
      try {
        await opened(administrator).command({ query: sql, clickhouse_settings: { wait_end_of_query: 1 } });
      } catch (error) {
        throw asEngineError(error);
      }
    },

    async query<Row>(sql: string, given?: QueryOptions): Promise<Row[]> {
      return parseRows<Row>(await read(sql, 'JSONCompact', textValues(JSON_SETTINGS), given));
    },

    async queryBytes(sql, format, given) {
      return read(sql, resultFormat(format), {}, given);
    },

    insertNative(table, source, { token }) {
      const body = async () => ('file' in source ? fileBody(source.file) : Readable.from(source.bytes));
      return insert(insertFlowsFromBody(database, table), body, token);
    },

    async insertJson(table, rows, { token }) {
      if (rows.length === 0) return;
      await insert(
        insertJsonHead(database, table, ''),
        async () => Readable.from([Buffer.from(rows.join('\n'))]),
        token,
      );
    },

    async walls() {
      return serverWalls((await readonlyRules()).role);
    },

    async stop() {
      await Promise.all([client?.close(), administrator?.close()]);
      client = null;
      administrator = null;
    },
  };
}

/** Opened first, so that a missing file is an error of ours before a request is made. */
async function fileBody(file: string): Promise<Readable> {
  const stream = (await open(file, 'r')).createReadStream();
  // The request fails with the stream; without a listener the error would end the process as well.
  return stream.on('error', () => undefined);
}

function requestSettings(request: QueryOptions['request']): ClickHouseSettings {
  if (request === undefined) return {};
  const params = Object.entries(request.params).map(([name, value]) => [`param_${name}`, value]);
  return { ...request.settings, ...Object.fromEntries(params) };
}

/** Errors of the server have a numeric code; of the connection a textual one (ECONNREFUSED) or none. */
function asEngineError(error: unknown): RogueSmtpError {
  if (error instanceof RogueSmtpError) return error;
  const code =
    typeof error === 'object' && error !== null && 'code' in error
      ? Number(error.code)
      : codeInText(messageOf(error));
  const numeric = Number.isInteger(code) ? code : null;
  // Node reports a refused connection to a name with several addresses as an AggregateError without a message.
  const named = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const message = messageOf(error) || named || 'the connection failed';
  // A segment that is gone will not come back.
  if (named === 'ENOENT') return new RogueSmtpError('store', message, { cause: error });
  const name = typeof error === 'object' && error !== null && 'type' in error ? String(error.type ?? '') : '';
  return engineError(`ClickHouse: ${message}`, numeric, name, error);
}

/**
 * The client gives codes only where a name follows in parentheses. Servers before 21.10 write none: "Code: 115,
 * e.displayText() = DB::Exception: Unknown setting role" (seen on 18.16). NaN where there is no code.
 */
const codeInText = (message: string) => Number(/^Code: (\d{1,5})[.,]/.exec(message)?.[1] ?? Number.NaN);

/**
 * A ClickHouse server over HTTP, behind the same interface as the embedded engine.
 *
 * Inserts carry their deduplication token, so that a repeat after a broken connection changes nothing; that is why they
 * and reads are tried a few times here, where that can help, and commands are not. A server that hangs is noticed within
 * seconds, and a read that nobody waits for any more is cancelled there. Passwords are never logged, and the client's own
 * printing is off. Statements of users run with `readonly = 1` and are checked as for the embedded engine; what the configured
 * ClickHouse user may see is the server's business.
 */

import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { addAbortSignal, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { asEngineError, createAttempts } from './attempts.ts';
import { createHangWatch } from './hang-watch.ts';
import { readerGone } from './reader.ts';
import { settingsWithinBounds, textValues } from './readonly-sql/settings.ts';
import { askRules, checkedSql, type ReadonlyRules } from './readonly-sql.ts';
import { JSON_SETTINGS, parseRows, textOf } from './rows.ts';
import { askProfile, requireVersion, takenBy, UNKNOWN_PROFILE } from './server-profile.ts';
import { INSERT_SETTINGS, insertFlowsFromBody, insertJsonHead, quoteText, resultFormat } from './sql.ts';
import type { Engine, QueryOptions } from './store.ts';
import { serverWalls } from './walls.ts';

export interface ServerEngineOptions {
  /** Scheme, host, port, and the path of a proxy in front of the server. */
  readonly url: string;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  /** Authorities in PEM for https; absent: those of the system. */
  readonly ca?: string;
  /** gzip in both directions. */
  readonly compression?: boolean;
  readonly log: { warn(fields: object, message: string): void };
}

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
/** A read that broke later than this was much work: it is not done again. */
const READ_AGAIN_WITHIN_MS = 5000;
/** How long a server may take to say that it is there, when it is opened. */
const OPEN_LIMIT_MS = 4000;
const CANCEL_LIMIT_MS = 2000;
const USER_LIMITS = {
  readonly: '1',
  result_overflow_mode: 'throw',
  // Beside our own cancelling: for the end of this process.
  cancel_http_readonly_queries_on_client_close: '1',
} as const;

export function createServerEngine(options: ServerEngineOptions): Engine {
  const { database, log } = options;
  const { origin, pathname } = new URL(options.url);
  const common = {
    url: origin,
    // By itself the client would take the path for the name of a database.
    ...(pathname !== '/' && { pathname }),
    ...(options.ca !== undefined && { tls: { ca_cert: Buffer.from(options.ca) } }),
    username: options.username,
    password: options.password,
    application: 'rogue-smtp',
    request_timeout: WRITE_TIMEOUT_MS + TIMEOUT_GRACE_MS,
    max_open_connections: MAX_CONNECTIONS,
    keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
    log: { level: ClickHouseLogLevel.OFF },
  };
  let client: ClickHouseClient | null = null;
  /** Without a database of its own: it creates the one that the other is in. */
  let administrator: ClickHouseClient | null = null;
  let profile = UNKNOWN_PROFILE;
  let rules: { readonly value: ReadonlyRules; readonly role: boolean; readonly until: number } | null = null;

  const watch = createHangWatch(async (signal) =>
    administrator?.ping({ select: true, abort_signal: signal }),
  );

  const { once, repeatedly } = createAttempts(watch, log);

  function opened(which: ClickHouseClient | null): ClickHouseClient {
    if (which === null) throw new RogueSmtpError('store', 'the store is not open', { transient: true });
    return which;
  }

  function fetchResult(
    sql: string,
    format: string,
    settings: ClickHouseSettings,
    given: QueryOptions = {},
    role?: string,
  ): Promise<Uint8Array> {
    const timeoutMs = given.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const limits = {
      limitMs: timeoutMs + TIMEOUT_GRACE_MS,
      againWithinMs: READ_AGAIN_WITHIN_MS,
      gone: readerGone(),
    };
    return repeatedly(limits, async (over) => {
      const queryId = randomUUID();
      try {
        const result = await opened(client).exec({
          query: `${sql}\nFORMAT ${format}`,
          query_id: queryId,
          clickhouse_settings: {
            ...takenBy(profile, {
              ...settings,
              max_execution_time: Math.max(1, Math.ceil(timeoutMs / 1000)),
            }),
            ...given.request?.settings,
            ...paramsOf(given.request),
            // No setting. Without it an error in the middle of a result would come with status 200.
            wait_end_of_query: 1,
          },
          ...(role === undefined ? {} : { role }),
          ...(given.params === undefined ? {} : { query_params: { ...given.params } }),
          abort_signal: over,
        });
        return await received(result.stream, over);
      } catch (error) {
        if (over.aborted) cancel(queryId);
        throw error;
      }
    });
  }

  /** Without it a server goes on with a statement whose connection was closed. Users may cancel their own statements. */
  function cancel(queryId: string): void {
    administrator
      ?.command({
        query: `KILL QUERY WHERE query_id = ${quoteText(queryId)} ASYNC`,
        abort_signal: AbortSignal.timeout(CANCEL_LIMIT_MS),
      })
      .catch((error: unknown) =>
        log.warn(
          { error: messageOf(error) },
          'a statement could not be cancelled; it ends by its limit of time',
        ),
      );
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
    const bounded = settingsWithinBounds(asked, given.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const asReader: QueryOptions = {
      ...given,
      request: {
        params: given.request?.params ?? {},
        // Where nothing may be set, what was asked for is refused by the server, by its name.
        settings: profile.readonly === 1 ? asked : takenBy(profile, { ...bounded, ...USER_LIMITS }),
      },
    };
    return fetchResult(checked.sql, format, settings, asReader, role ? READER_ROLE : undefined);
  }

  /** `body` is called for each attempt, since a stream can be read only once. */
  async function insert(query: string, body: () => Promise<Readable>, token: string): Promise<void> {
    await repeatedly({ limitMs: WRITE_TIMEOUT_MS }, async (over) => {
      const result = await opened(client).exec({
        query,
        values: await body(),
        clickhouse_settings: {
          ...textValues(INSERT_SETTINGS),
          insert_deduplication_token: token,
          wait_end_of_query: 1,
        },
        abort_signal: over,
      });
      // An unread answer would keep its connection from being used again.
      await received(result.stream, over);
    });
  }

  return {
    async start() {
      administrator ??= createClient(common);
      const answer = await once({ limitMs: OPEN_LIMIT_MS }, (over) =>
        opened(administrator).ping({ select: true, abort_signal: over }),
      );
      if (!answer.success) throw asEngineError(answer.error);
      profile = await askProfile(async (sql) => {
        const ask = async (over: AbortSignal) => {
          const query = `${sql}\nFORMAT TabSeparated`;
          const { stream } = await opened(administrator).exec({ query, abort_signal: over });
          return received(stream, over);
        };
        return textOf(await once({ limitMs: OPEN_LIMIT_MS }, ask));
      });
      requireVersion(profile);
      const request = options.compression === true;
      // The client asks for packed answers by a setting.
      const compression = { request, response: request && profile.readonly !== 1 };
      client ??= createClient({ ...common, database, compression });
    },

    async command(sql) {
      await once({ limitMs: WRITE_TIMEOUT_MS }, (over) =>
        opened(administrator).command({
          query: sql,
          clickhouse_settings: { wait_end_of_query: 1 },
          abort_signal: over,
        }),
      );
    },

    async query<Row>(sql: string, given?: QueryOptions): Promise<Row[]> {
      return parseRows<Row>(await read(sql, 'JSONCompact', textValues(JSON_SETTINGS), given), {
        bySettings: profile.readonly !== 1,
      });
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
      return serverWalls((await readonlyRules()).role, profile.readonly);
    },

    async stop() {
      await Promise.all([client?.close(), administrator?.close()]);
      client = null;
      administrator = null;
    },
  };
}

/** The whole answer; its connection is closed when nobody waits for the rest. */
function received(stream: Readable, over: AbortSignal): Promise<Buffer> {
  return buffer(addAbortSignal(over, stream));
}

/** Opened first, so that a missing file is an error of ours before a request is made. */
async function fileBody(file: string): Promise<Readable> {
  const stream = (await open(file, 'r')).createReadStream();
  // The request fails with the stream; without a listener the error would end the process as well.
  return stream.on('error', () => undefined);
}

function paramsOf(request: QueryOptions['request']): ClickHouseSettings {
  const params = Object.entries(request?.params ?? {});
  return Object.fromEntries(params.map(([name, value]) => [`param_${name}`, value]));
}

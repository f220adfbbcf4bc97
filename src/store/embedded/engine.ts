/**
 * The embedded engine: chDB in a child process, behind the same interface as a ClickHouse server.
 *
 * A crash or a stuck query costs the child and the calls under way, which fail as transient, never the collector: the
 * child is started anew with growing pauses. Flow blocks reach it as files that are linked into its directory, because
 * its connection destroys binary and because a name of ours needs no escaping of globs that `file()` would see.
 */

import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import { settingsWithinBounds } from '../readonly-sql/settings.ts';
import { checkedSql, type ReadonlyRules } from '../readonly-sql.ts';
import { parseRows } from '../rows.ts';
import { insertFlowsFromFile, insertJsonHead, insertSettings, resultFormat } from '../sql.ts';
import type { Engine, QueryOptions } from '../store.ts';
import { embeddedWalls } from '../walls.ts';
import { type EngineLog, type EngineProcess, InterruptedError, startEngineProcess } from './child-process.ts';
import type { ReadRequest } from './protocol.ts';

export interface EmbeddedEngineOptions {
  /** Owned by the engine; created when missing. One process at a time. */
  readonly directory: string;
  readonly database: string;
  readonly log: EngineLog;
  /** Bound of the engine's memory in bytes; default: a third of the machine's, at most 2 GiB, at least 512 MiB. */
  readonly memoryBytes?: number;
  /** How long to wait for another process to let go of the directory; default ten seconds. */
  readonly lockWaitMs?: number;
  /** How much longer than its time limit a statement of a user may run before it is killed with the child; default ten seconds. */
  readonly userGraceMs?: number;
  /** False: the child may open any file and connection; for tests of what only a ClickHouse server may do. Default true. */
  readonly confined?: boolean;
}

export interface EmbeddedEngine extends Engine {
  /** Process id of the child that runs now, for tests and diagnostics. */
  pid(): number | undefined;
}

const GIB = 1024 ** 3;
const DEFAULT_TIMEOUT_MS = 60_000;
/** How much longer than its own time limit a read may take before the child counts as stuck. */
const READ_GRACE_MS = 60_000;
/** The same for a statement of a user, whose killing costs the others a moment. */
const USER_GRACE_MS = 10_000;
/** How often a call is repeated whose child was killed because of others. */
const MAX_REPEATS = 5;
const WRITE_LIMIT_MS = 600_000;
/** The child of a parent that was just killed may need a moment to let go of the directory. */
const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 200;
const RESTART_MIN_MS = 200;
const RESTART_MAX_MS = 10_000;
/** A child that lived so long starts the pauses from the beginning. */
const HEALTHY_AFTER_MS = 60_000;
const STOP_LIMIT_MS = 30_000;
/** Reads that may wait for the child. What is beyond gets an error instead of a place in an endless queue. */
const MAX_READS = 100;

export function createEmbeddedEngine(options: EmbeddedEngineOptions): EmbeddedEngine {
  const { database, log } = options;
  const directory = resolve(options.directory);
  const incoming = join(directory, 'incoming');
  const memoryBytes = options.memoryBytes ?? Math.min(2 * GIB, Math.max(GIB / 2, Math.floor(totalmem() / 3)));
  const userGraceMs = options.userGraceMs ?? USER_GRACE_MS;
  let stopping = new AbortController();
  let segments = 0;
  let current: Promise<EngineProcess> | null = null;
  let live: EngineProcess | null = null;
  let reads = 0;
  /** Until it turns out that this machine's libraries lie where the launcher does not expect them. */
  let confined = options.confined ?? true;

  async function startOnce(): Promise<EngineProcess> {
    const deadline = Date.now() + (options.lockWaitMs ?? LOCK_WAIT_MS);
    for (;;) {
      const started = await startEngineProcess({ directory, database, memoryBytes }, log, confined);
      if (started.ok) return started.process;
      if (started.why === 'confined') {
        log.warn(
          { error: started.message },
          'the embedded engine does not start confined; starting it without',
        );
        confined = false;
        continue;
      }
      if (started.why === 'missing')
        throw new RogueSmtpError(
          'unavailable',
          `the embedded engine (npm package chdb, for Linux with glibc and macOS) cannot be loaded: ${started.message}; install it, or set clickhouse.url to use a ClickHouse server`,
        );
      if (started.why === 'other')
        throw new RogueSmtpError('store', `the embedded engine did not start: ${started.message}`, {
          transient: true,
        });
      if (stopping.signal.aborted || Date.now() > deadline)
        throw new RogueSmtpError(
          'store',
          `the store in ${directory} is in use by another rogue-smtp process; ask that one, or stop it`,
        );
      await sleep(LOCK_RETRY_MS);
    }
  }

  /** Starts the child and watches it; when it ends unasked, the next one is on its way at once. */
  function launch(pauseMs: number): Promise<EngineProcess> {
    const { signal } = stopping;
    const launched = sleep(pauseMs, undefined, { signal }).then(async () => {
      const startedAt = Date.now();
      const process = await startOnce();
      live = process;
      log.debug({ pid: process.pid, tookMs: Date.now() - startedAt }, 'the embedded engine is ready');
      void process.ended.then((how) => {
        live = null;
        if (signal.aborted) return;
        if (process.wasInterrupted()) {
          log.warn(
            { how },
            'a statement did not end in time; the embedded engine was killed and starts anew',
          );
          current = launch(1);
          return;
        }
        const pause = Date.now() - startedAt > HEALTHY_AFTER_MS ? 0 : pauseMs;
        log.error({ how }, 'the embedded engine ended; starting it anew');
        current = launch(Math.min(RESTART_MAX_MS, Math.max(RESTART_MIN_MS, 2 * pause)));
      });
      return process;
    });
    launched.catch((error: unknown) => {
      if (signal.aborted || current !== launched || pauseMs === 0) return;
      log.error({ error: messageOf(error) }, 'the embedded engine could not be started anew');
      current = launch(Math.min(RESTART_MAX_MS, 2 * pauseMs));
    });
    return launched;
  }

  async function withProcess<Result>(use: (process: EngineProcess) => Promise<Result>): Promise<Result> {
    if (current === null || stopping.signal.aborted)
      throw new RogueSmtpError('store', 'the embedded engine is not running', { transient: true });
    return use(await current.catch(restarting));
  }

  /** For what may run twice: reads, and inserts with a token. Not the fault of such a call, so nobody is told. */
  async function repeatable<Result>(use: (process: EngineProcess) => Promise<Result>): Promise<Result> {
    for (let repeats = 0; ; repeats++) {
      try {
        return await withProcess(use);
      } catch (error) {
        if (!(error instanceof InterruptedError) || repeats >= MAX_REPEATS) throw error;
      }
    }
  }

  async function command(sql: string): Promise<void> {
    await withProcess((process) => process.call({ kind: 'command', sql }, WRITE_LIMIT_MS));
  }

  async function insert(sql: string): Promise<void> {
    await repeatable((process) => process.call({ kind: 'command', sql }, WRITE_LIMIT_MS));
  }

  async function read(
    sql: string,
    format: string,
    rows: boolean,
    given: QueryOptions = {},
  ): Promise<Uint8Array> {
    if (reads >= MAX_READS)
      throw new RogueSmtpError('store', 'too many statements wait for the store; try again later', {
        transient: true,
      });
    reads++;
    try {
      return await repeatable((process) => {
        const timeoutMs = given.timeoutMs ?? DEFAULT_TIMEOUT_MS;
        const request: ReadRequest = {
          ...(given.readonly === true
            ? userStatement(sql, process.rules, given, timeoutMs)
            : { kind: 'read', sql }),
          format,
          params: given.params,
          rows,
          timeoutMs,
        };
        return process.call(request, timeoutMs + (request.kind === 'readonly' ? userGraceMs : READ_GRACE_MS));
      });
    } finally {
      reads--;
    }
  }

  return {
    pid: () => live?.pid,

    async start() {
      stopping = new AbortController();
      await mkdir(incoming, { recursive: true, mode: 0o750 }).catch((error: unknown) => {
        throw new RogueSmtpError('io', `${incoming}: ${messageOf(error)}`, { cause: error });
      });
      current = launch(0);
      let started: EngineProcess;
      try {
        started = await current;
      } catch (error) {
        current = null;
        throw error;
      }
      await clearIncoming(incoming);
      for (const { stands, text } of embeddedWalls(started.confinement))
        log[stands ? 'debug' : 'warn']({ stands }, text);
    },

    command,

    async query<Row>(sql: string, given?: QueryOptions): Promise<Row[]> {
      return parseRows<Row>(await read(sql, 'JSONCompact', true, given));
    },

    async queryBytes(sql, format, given) {
      return read(sql, resultFormat(format), false, given);
    },

    async insertNative(table, source, { token }) {
      const name = `${createHash('sha256').update(token).digest('hex').slice(0, 32)}-${segments++}.native`;
      const path = join(incoming, name);
      try {
        if ('file' in source) await linkOrCopy(resolve(source.file), path);
        else await writeBlocks(path, source.bytes);
        await insert(insertFlowsFromFile(database, table, `incoming/${name}`, token));
      } finally {
        await rm(path, { force: true });
      }
    },

    async insertJson(table, rows, { token }) {
      if (rows.length === 0) return;
      await insert(`${insertJsonHead(database, table, insertSettings(token))}\n${rows.join('\n')}`);
    },

    walls: () => withProcess(async ({ confinement }) => embeddedWalls(confinement)),

    async stop() {
      if (current === null) return;
      stopping.abort();
      const process = await current.catch(() => null);
      current = null;
      if (process === null) return;
      const timer = setTimeout(() => process.kill(), STOP_LIMIT_MS);
      await process.call({ kind: 'stop' }, STOP_LIMIT_MS).catch(() => undefined);
      await process.ended;
      clearTimeout(timer);
    },
  };
}

/** The checked statement, with its own settings among those of the request, all within the bounds of users. */
function userStatement(
  sql: string,
  rules: ReadonlyRules,
  { request }: QueryOptions,
  timeoutMs: number,
): Pick<ReadRequest, 'kind' | 'sql' | 'request'> {
  const checked = checkedSql(sql, rules);
  return {
    kind: 'readonly',
    sql: checked.sql,
    request: {
      params: request?.params ?? {},
      settings: settingsWithinBounds({ ...request?.settings, ...checked.settings }, timeoutMs),
    },
  };
}

/** Whatever keeps the engine from starting anew says nothing about the rows that wait for it. */
function restarting(error: unknown): never {
  throw new RogueSmtpError('store', messageOf(error), { cause: error, transient: true });
}

/** What a killed run left; the stream still has it all. */
async function clearIncoming(incoming: string): Promise<void> {
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o750 });
}

/** A second name for a file, so that it can be read even when the stream deletes it; a copy on another disk. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await rm(to, { force: true });
    await link(from, to);
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
    if (code === 'ENOENT') throw new RogueSmtpError('store', `there is no segment ${from}`, { cause: error });
    try {
      await copyFile(from, to);
    } catch (copyError) {
      throw storageError(to, copyError);
    }
  }
}

async function writeBlocks(path: string, blocks: readonly Uint8Array[]): Promise<void> {
  try {
    await writeFile(path, blocks);
  } catch (error) {
    throw storageError(path, error);
  }
}

/** A full disk is no property of the rows: they wait. */
function storageError(path: string, error: unknown): RogueSmtpError {
  return new RogueSmtpError('store', `${path}: ${messageOf(error)}`, { transient: true, cause: error });
}

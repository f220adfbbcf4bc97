/**
 * The process that owns the embedded engine: opens chDB on the data directory and runs what its parent asks.
 *
 * It must never outlive its parent (the directory is locked while it lives), never act on a signal meant for the parent
 * (who stops it when everything is stored), and never pass `clickhouse_settings`: the connection would turn them into
 * SET statements that leak into later calls. Two connections, so that no read waits behind an insert, and a third kind,
 * made and thrown away per statement of a user.
 */

import { setPriority } from 'node:os';
import { messageOf } from '../../errors.ts';
import { askRules } from '../readonly-sql.ts';
import { JSON_SETTINGS, textOf } from '../rows.ts';
import { INSERT_SETTINGS, quoteName, quoteText } from '../sql.ts';
import { READER_PROFILE, READER_ROLE } from './access.ts';
import type { Confinement } from './confine.ts';
import { type Connection, type Connector, openEngine } from './connection.ts';
import type { ChildMessage, ChildOptions, ReadRequest, Request } from './protocol.ts';

const MAX_READ_BYTES = 128 * 1024 * 1024;
/** Statements of users that run at once; more wait. Each holds a thread of the pool of eight. */
const USER_STATEMENTS = 2;
/** About a third of the collector's share when both want a core. */
const NICE = 5;
const NOTHING = new Uint8Array();
/** From launcher.ts, which became this process. */
const confinement: Confinement = JSON.parse(
  process.env.ROGUE_SMTP_CONFINEMENT ?? '{"files":false,"network":false,"missing":""}',
);

type Run = <Result>(task: () => Promise<Result>) => Promise<Result>;

/** Runs at most `width` tasks at once, in the order they came. */
function createQueue(width: number): Run {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function setStatement(settings: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(settings).map(([name, value]) =>
    typeof value === 'number' ? `${name} = ${value}` : `${name} = ${quoteText(value)}`,
  );
  return `SET ${parts.join(', ')}`;
}

function seconds(timeoutMs: number): number {
  return Math.max(1, Math.ceil(timeoutMs / 1000));
}

async function serve(options: ChildOptions, connector: Connector): Promise<void> {
  const { database, memoryBytes } = options;
  const use = `USE ${quoteName(database)}`;
  const writer = connector.connect();
  await writer.command(`CREATE DATABASE IF NOT EXISTS ${quoteName(database)}`);
  await writer.command(use);
  await writer.command(setStatement(INSERT_SETTINGS));
  const reader = connector.connect();
  await reader.command(use);
  await reader.command(
    setStatement({
      max_result_bytes: MAX_READ_BYTES,
      result_overflow_mode: 'throw',
      max_memory_usage: Math.floor(memoryBytes / 2),
    }),
  );
  const checker = connector.connect();
  const inWriter = createQueue(1);
  const inReader = createQueue(1);
  const inChecker = createQueue(1);
  const inUser = createQueue(USER_STATEMENTS);

  async function read(request: ReadRequest): Promise<Uint8Array> {
    await reader.command(
      setStatement({
        max_execution_time: seconds(request.timeoutMs),
        ...(request.rows ? JSON_SETTINGS : { ...JSON_SETTINGS, date_time_output_format: 'simple' }),
      }),
    );
    return reader.read(request.sql, request.format, request.params);
  }

  /** Bounds and settings come first: once `readonly` is 1, the engine lets nobody change any. */
  async function readAsUser(request: ReadRequest): Promise<Uint8Array> {
    const connection = connector.connect();
    const { params = {}, settings = {} } = request.request ?? {};
    try {
      await requireOneStatement(request.sql);
      await connection.command(use);
      for (const [name, value] of Object.entries(params))
        await connection.command(`SET ${quoteName(`param_${name}`)} = ${quoteText(value)}`);
      await connection.command(`SET profile = ${quoteText(READER_PROFILE)}`);
      await connection.command(
        setStatement({
          ...settings,
          result_overflow_mode: 'throw',
          max_memory_usage: Math.floor(memoryBytes / 4),
          allow_ddl: 0,
          ...(request.rows ? JSON_SETTINGS : {}),
        }),
      );
      await connection.command(`SET ROLE ${quoteName(READER_ROLE)}`);
      await connection.command('SET readonly = 1');
      return await connection.read(request.sql, request.format, request.params);
    } finally {
      await connection.close();
    }
  }

  /** The engine's own parser says that it is one statement: a second could take another role. Throws its syntax error. */
  async function requireOneStatement(sql: string): Promise<void> {
    await inChecker(() =>
      checker.read(`SELECT length(formatQuerySingleLine(${quoteText(sql)}))`, 'Null', undefined),
    );
  }

  async function answer(request: Request): Promise<Uint8Array> {
    switch (request.kind) {
      case 'command':
        await inWriter(() => writer.command(request.sql));
        return NOTHING;
      case 'read':
        return inReader(() => read(request));
      case 'readonly':
        return inUser(() => {
          say({ kind: 'begun', id: request.id });
          return readAsUser(request);
        });
      case 'stop':
        await inWriter(() => inReader(async () => undefined));
        return NOTHING;
    }
  }

  process.on('message', (request: Request) => {
    answer(request).then(
      (result) => {
        say({ kind: 'done', id: request.id, result });
        if (request.kind === 'stop') void close([writer, reader, checker]);
      },
      (error: unknown) => say({ kind: 'failed', id: request.id, failure: connector.failureOf(error) }),
    );
  });
  const names = async (sql: string) => textOf(await reader.read(sql, 'TabSeparatedRaw', undefined));
  say({ kind: 'ready', rules: await askRules(names), confinement });

  async function close(connections: readonly Connection[]): Promise<void> {
    for (const connection of connections) await connection.close();
    connector.close();
    process.disconnect();
    process.exit(0);
  }
}

function say(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

/** A datagram that nobody takes from the kernel in time is lost; an insert that waits is not. Threads inherit it. */
setPriority(NICE);

/** The lock on the directory must go with the parent, even while a query runs: `process.exit` would wait for it. */
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

process.once('message', (options: ChildOptions) => {
  openEngine(options)
    .then((opened) => {
      // After the engine is loaded, in case it brings handlers of its own. Ctrl-C reaches the whole process group.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
      if (!opened.ok) {
        const why = confinement.files && opened.why === 'missing' ? 'confined' : opened.why;
        say({ kind: 'cannot_start', why, message: opened.message });
        return;
      }
      return serve(options, opened.connector);
    })
    .catch((error: unknown) => say({ kind: 'cannot_start', why: 'other', message: messageOf(error) }));
});
say({ kind: 'here' });

/**
 * Brings the tables to the version that this build knows: numbered SQL files, each applied once, in order.
 *
 * Which were applied, with the checksum of their text, is recorded in `schema_migrations`. A file that changed after it
 * was applied, or a database that a newer build has migrated, is an error and nothing is touched. Every statement is
 * idempotent (IF NOT EXISTS), so that a crash in the middle, or two processes at once, do no harm. Never drops data. Where
 * nothing is to be done it only reads: that takes no rights to create anything, and no other node of a cluster.
 */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { backfill } from './backfill.ts';
import { type Cluster, migrationsEngine, onCluster, statementsFor, storedName } from './cluster.ts';
import { qualifiedName, quoteName, quoteText } from './sql.ts';
import type { Engine } from './store.ts';

export interface MigrateOptions {
  readonly database: string;
  /** Milliseconds that rows are kept, counted from when they were stored. */
  readonly retention: { readonly flows: number; readonly mail: number; readonly incidents: number };
  /** Absent: one server. */
  readonly cluster?: Cluster | undefined;
}

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  /** SHA-256 of the text, in hexadecimal. Of the file, not of what was rendered: another retention is no change. */
  readonly checksum: string;
}

/** Tables with a retention of their own, and which. */
const RETENTION_OF: Readonly<Record<string, keyof MigrateOptions['retention']>> = {
  flows: 'flows',
  mail_sessions: 'mail',
  mail_5m: 'mail',
  exporters: 'mail',
  incidents: 'incidents',
  alerts: 'incidents',
  blocks: 'incidents',
};

/** `src/store` and `dist/store` lie equally deep. */
const SHIPPED = new URL('../../schemas/clickhouse/', import.meta.url);

/** The migrations of a directory in their order. Throws `io` when it cannot be read, `store` when a number is missing. */
export async function loadMigrations(directory: URL = SHIPPED): Promise<Migration[]> {
  let files: string[];
  try {
    files = (await readdir(directory)).filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file)).sort();
  } catch (error) {
    throw new RogueSmtpError('io', `migrations: ${messageOf(error)}`, { cause: error });
  }
  const migrations: Migration[] = [];
  for (const file of files) {
    const text = await readFile(new URL(file, directory), 'utf8');
    const number = Number(file.slice(0, 4));
    if (number !== migrations.length + 1)
      throw new RogueSmtpError('store', `migration ${file} is out of line: ${migrations.length + 1} is next`);
    const checksum = createHash('sha256').update(text).digest('hex');
    migrations.push({ number, name: file.slice(5, -4), text, checksum });
  }
  return migrations;
}

/** What is left to do in a database. */
export interface PendingChanges {
  /** In their order. */
  readonly migrations: readonly Migration[];
  /** Statements that bring the configured retention to tables that have another one. */
  readonly retention: readonly string[];
  /** Rows may be written although this waits: their tables are there, and nothing is to be filled from what they hold. */
  readonly canStore: boolean;
}

/** Only reads. Throws as `migrate`. */
export async function pendingChanges(
  engine: Engine,
  options: MigrateOptions,
  migrations?: readonly Migration[],
): Promise<PendingChanges> {
  const tables = await tablesOf(engine, options.database);
  const applied = tables.some(isRecord) ? await appliedMigrations(engine, options.database) : [];
  const missing = pending(migrations ?? (await loadMigrations()), applied);
  await checkKind(engine, options);
  const isFilled = missing.some(({ text }) => /^CREATE MATERIALIZED VIEW/m.test(text));
  return {
    migrations: missing,
    retention: retentionStatements(tables, options),
    canStore: !isFilled && WRITTEN_TABLES.every((table) => tables.some(({ name }) => name === table)),
  };
}

/** Applies what is missing, then the configured retention. Returns the names of the migrations that were applied. */
export async function migrate(
  engine: Engine,
  options: MigrateOptions,
  migrations?: readonly Migration[],
): Promise<string[]> {
  const known = migrations ?? (await loadMigrations());
  const { database, cluster } = options;
  const tables = await tablesOf(engine, database);
  const isNew = !tables.some(isRecord);
  if (isNew) await createRecord(engine, options);
  const applied = await appliedMigrations(engine, database);
  const missing = pending(known, applied);
  await checkKind(engine, options);
  // A node that is new in the cluster has no record yet.
  if (!isNew && cluster !== undefined && missing.length > 0) await createRecord(engine, options);
  for (const migration of missing) {
    for (const statement of statementsOf(render(migration.text, options))) {
      // What earlier versions stored belongs into the new rollups, too. On clusters there were none.
      if (applied.length > 0 && cluster === undefined)
        await backfill(engine, statement, `migration-${migration.number}`);
      for (const one of statementsFor(statement, cluster)) await engine.command(one);
    }
    await engine.command(
      `INSERT INTO ${qualifiedName(database, RECORD)} (number, name, checksum) SELECT ${migration.number}, ${quoteText(migration.name)}, ${quoteText(migration.checksum)}`,
    );
  }
  for (const statement of retentionStatements(tables, options)) await engine.command(statement);
  return missing.map(({ name }) => name);
}

interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

interface StoredTable {
  readonly name: string;
  readonly engine_full: string;
}

const RECORD = 'schema_migrations';
/** Tables that the writer inserts into. */
const WRITTEN_TABLES = ['flows', 'alerts', 'incidents'] as const;
/** UNKNOWN_DATABASE of ClickHouse. */
const NO_DATABASE = 81;

const isRecord = ({ name }: StoredTable) => name === RECORD;

function tablesOf(engine: Engine, database: string): Promise<StoredTable[]> {
  return engine.query<StoredTable>(
    'SELECT name, engine_full FROM system.tables WHERE database = {database:String}',
    { params: { database } },
  );
}

function appliedMigrations(engine: Engine, database: string): Promise<AppliedMigration[]> {
  return engine.query<AppliedMigration>(
    `SELECT number, name, checksum FROM ${qualifiedName(database, RECORD)} FINAL ORDER BY number`,
  );
}

/** The database is made only where there is none: that needs a right of its own. */
async function createRecord(engine: Engine, { database, cluster }: MigrateOptions): Promise<void> {
  const createDatabase = `CREATE DATABASE IF NOT EXISTS ${quoteName(database)}${onCluster(cluster)}`;
  const create =
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(database, RECORD)}${onCluster(cluster)} (number UInt32, name String, checksum String, ` +
    `applied_at DateTime('UTC') DEFAULT now('UTC')) ENGINE = ${migrationsEngine(database, cluster)} ORDER BY number`;
  const found = await engine.query<{ name: string }>(
    'SELECT name FROM system.databases WHERE name = {database:String}',
    { params: { database } },
  );
  if (found.length === 0) await engine.command(createDatabase);
  try {
    await engine.command(create);
  } catch (error) {
    // Another node of the cluster has no such database.
    if (!(error instanceof RogueSmtpError && error.engine?.code === NO_DATABASE)) throw error;
    await engine.command(createDatabase);
    await engine.command(create);
  }
}

/** Tables are made for a cluster or not when they are created; the configuration cannot change that afterwards. */
async function checkKind(engine: Engine, { database, cluster }: MigrateOptions): Promise<void> {
  const [flows] = await engine.query<{ name: string; engine: string }>(
    "SELECT name, engine FROM system.tables WHERE database = {database:String} AND name = 'flows'",
    { params: { database } },
  );
  if (flows?.engine === undefined) return;
  const wanted =
    cluster === undefined ? 'MergeTree' : cluster.sharded ? 'Distributed' : 'ReplicatedMergeTree';
  // Cloud services replicate by an engine of their own.
  if (flows.engine !== wanted && !(cluster === undefined && flows.engine === 'SharedMergeTree'))
    throw new RogueSmtpError(
      'config',
      `the tables in ${database} were made with engine ${flows.engine}, and clickhouse.cluster asks for ${wanted}; use another clickhouse.database, and copy the rows`,
    );
}

function pending(
  known: readonly Migration[],
  applied: readonly { number: number; name: string; checksum: string }[],
): readonly Migration[] {
  for (const done of applied) {
    const migration = known.find(({ number }) => number === done.number);
    if (migration === undefined)
      throw new RogueSmtpError(
        'store',
        `the database was migrated to version ${done.number} (${done.name}) by a newer rogue-smtp; this one knows ${known.length}. Install the newer version again`,
      );
    if (migration.checksum !== done.checksum)
      throw new RogueSmtpError(
        'store',
        `migration ${done.number} (${done.name}) was applied with another text than this build has; an applied migration must not be changed`,
      );
  }
  const last = applied.reduce((highest, { number }) => Math.max(highest, number), 0);
  return known.filter(({ number }) => number > last);
}

/** Fills the placeholders. Names are quoted and retentions are whole seconds, so nothing else gets into the text. */
export function render(text: string, { database, retention }: MigrateOptions): string {
  const values: Readonly<Record<string, string>> = {
    database: quoteName(database),
    retention_flows: retentionSeconds(retention.flows),
    retention_mail: retentionSeconds(retention.mail),
    retention_incidents: retentionSeconds(retention.incidents),
  };
  return text.replace(/\{\{(\w+)\}\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) throw new RogueSmtpError('store', `unknown placeholder ${placeholder}`);
    return value;
  });
}

function retentionSeconds(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (!Number.isSafeInteger(seconds) || seconds < 1)
    throw new RogueSmtpError('config', `a retention of ${milliseconds} ms is not possible`);
  return String(seconds);
}

/** One statement a call: HTTP takes no more. Statements end with a semicolon at the end of a line. */
export function statementsOf(text: string): string[] {
  return text
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.replace(/^[ \t]*--.*\n?/gm, '').trim())
    .filter((statement) => statement !== '');
}

/** A retention that was changed in the configuration reaches tables that exist. Parts are checked lazily, by merges. */
function retentionStatements(
  tables: readonly StoredTable[],
  { database, retention, cluster }: MigrateOptions,
): string[] {
  return Object.entries(RETENTION_OF).flatMap(([table, kind]) => {
    const name = storedName(table, cluster);
    const found = tables.find((candidate) => candidate.name === name);
    const ttl = `stored_at + toIntervalSecond(${retentionSeconds(retention[kind])})`;
    return found === undefined || found.engine_full.includes(`TTL ${ttl}`)
      ? []
      : [`ALTER TABLE ${qualifiedName(database, name)}${onCluster(cluster)} MODIFY TTL ${ttl}`];
  });
}

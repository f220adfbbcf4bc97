import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS, KIND_CLICKHOUSE } from '../../src/flow/columns.ts';
import { engineError } from '../../src/store/failures.ts';
import {
  loadMigrations,
  type Migration,
  migrate,
  pendingChanges,
  render,
  statementsOf,
} from '../../src/store/migrate.ts';
import type { Engine } from '../../src/store/store.ts';
import { DATABASE, DAY_MS, RETENTION } from './fixture.ts';

const options = { database: DATABASE, retention: RETENTION };
const RECORD = { name: 'schema_migrations', engine_full: '' };

/** An engine that remembers statements, and knows of some applied migrations and tables. */
function recordingEngine(
  applied: readonly { number: number; name: string; checksum: string }[] = [],
  tables: readonly { name: string; engine_full: string }[] = [],
) {
  const commands: string[] = [];
  const engine: Engine = {
    start: async () => undefined,
    stop: async () => undefined,
    command: async (sql) => {
      commands.push(sql);
    },
    query: async <Row>(sql: string) => (sql.includes('schema_migrations') ? applied : tables) as Row[],
    queryBytes: async () => new Uint8Array(),
    insertNative: async () => undefined,
    walls: async () => [],
    insertJson: async () => undefined,
  };
  return { engine, commands };
}

describe('the shipped migrations', () => {
  test('declare the flows table with exactly the columns of a FlowBatch, in their order', async () => {
    const [flows] = await loadMigrations();
    const declared = [...flows!.text.matchAll(/^ {4}`(\w+)` (.+?) (?:DEFAULT .*)?CODEC\(.*\),?$/gm)].map(
      ([, name, type]) => [name, type],
    );
    expect(declared).toEqual([
      ...FLOW_COLUMN_NAMES.map((name) => [name, KIND_CLICKHOUSE[FLOW_COLUMNS[name]]]),
      ['stored_at', "DateTime('UTC')"],
    ]);
  });

  test('are idempotent: every statement only creates, and only what is missing', async () => {
    for (const { text } of await loadMigrations()) {
      for (const statement of statementsOf(render(text, options))) {
        expect(statement).toMatch(
          /^(CREATE (TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS `rogue_smtp`\.\w+|ALTER TABLE `rogue_smtp`\.\w+ ADD COLUMN IF NOT EXISTS )/,
        );
      }
    }
  });

  test('carry the configured retention in whole seconds and leave no placeholder', async () => {
    const text = (await loadMigrations()).map((migration) => render(migration.text, options)).join('\n');
    expect(text).toContain(`TTL stored_at + toIntervalSecond(${(30 * DAY_MS) / 1000})`);
    expect(text).toContain(`TTL stored_at + toIntervalSecond(${(365 * DAY_MS) / 1000})`);
    expect(text).not.toContain('{{');
  });
});

describe('rendering', () => {
  test('refuses names and retentions that could carry SQL', () => {
    expect(() => render('{{database}}', { ...options, database: 'a`; DROP' })).toThrow();
    const retention = (flows: number) => ({ ...options, retention: { ...RETENTION, flows } });
    for (const flows of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => render('{{retention_flows}}', retention(flows))).toThrow();
    expect(render('{{retention_flows}}', retention(1500))).toBe('2');
    expect(() => render('{{other}}', options)).toThrow();
  });

  test('statements are told apart by the semicolons at the ends of lines, comments left out', () => {
    expect(statementsOf("-- one;\nSELECT 1;\n\n  -- two\nSELECT ';x',\n  2 -- rest\n;\n")).toEqual([
      'SELECT 1',
      "SELECT ';x',\n  2 -- rest",
    ]);
  });
});

describe('migrating', () => {
  let directory = '';
  afterEach(() => directory && rmSync(directory, { recursive: true, force: true }));
  function shipped(files: Record<string, string>): URL {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-migrations-'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    return pathToFileURL(`${directory}/`);
  }

  test('applies what is missing in order and records each with its checksum', async () => {
    const known = await loadMigrations(
      shipped({ '0001_a.sql': 'A1;\nA2;\n', '0002_b.sql': 'B;\n', 'README.md': 'x' }),
    );
    const { engine, commands } = recordingEngine([{ number: 1, name: 'a', checksum: known[0]!.checksum }]);
    expect(await migrate(engine, options, known)).toEqual(['b']);
    expect(commands.slice(2)).toEqual(['B', expect.stringContaining(known[1]!.checksum)]);
  });

  test('only reads where nothing is to be done, so that it needs no right to create', async () => {
    const known = await loadMigrations();
    const applied = known.map(({ number, name, checksum }) => ({ number, name, checksum }));
    const { engine, commands } = recordingEngine(applied, [RECORD]);
    for (const cluster of [undefined, { name: 'mail', sharded: false }])
      expect(await migrate(engine, { ...options, cluster }, known)).toEqual([]);
    expect(commands).toEqual([]);
  });

  test('makes the record of migrations where it is missing, and the database only where there is none', async () => {
    const known = await loadMigrations(shipped({ '0001_a.sql': 'A;' }));
    const made = async (databases: readonly { name: string }[], missesOnce = false) => {
      const { engine, commands } = recordingEngine();
      let misses = missesOnce;
      const there: Engine = {
        ...engine,
        query: async <Row>(sql: string) => (sql.includes('system.databases') ? databases : []) as Row[],
        command: async (sql) => {
          commands.push(sql);
          const fails = misses && sql.startsWith('CREATE TABLE');
          misses &&= !fails;
          if (fails) throw engineError('another node has no such database', 81);
        },
      };
      expect(await migrate(there, options, known)).toEqual(['a']);
      return commands.map((sql) => sql.split(' ', 2).join(' '));
    };
    expect(await made([])).toEqual(['CREATE DATABASE', 'CREATE TABLE', 'A', 'INSERT INTO']);
    expect(await made([{ name: DATABASE }])).toEqual(['CREATE TABLE', 'A', 'INSERT INTO']);
    expect(await made([{ name: DATABASE }], true)).toEqual([
      'CREATE TABLE',
      'CREATE DATABASE',
      'CREATE TABLE',
      'A',
      'INSERT INTO',
    ]);
  });

  test('says whether rows may be written while a migration waits', async () => {
    const tables = [...['flows', 'alerts', 'incidents'].map((name) => ({ name, engine_full: '' })), RECORD];
    const files = { '0001_a.sql': 'A;', '0002_b.sql': 'ALTER TABLE x ADD COLUMN y UInt8;' };
    const known = await loadMigrations(shipped(files));
    const first = [{ number: 1, name: 'a', checksum: known[0]!.checksum }];
    const look = async (there: typeof tables, migrations: readonly Migration[]) =>
      (await pendingChanges(recordingEngine(first, there).engine, options, migrations)).canStore;
    expect(await look(tables, known)).toBe(true);
    expect(await look(tables.slice(1), known)).toBe(false);
    const filled = { ...known[1]!, text: 'CREATE MATERIALIZED VIEW IF NOT EXISTS a.b TO a.c AS SELECT 1;' };
    expect(await look(tables, [known[0]!, filled])).toBe(false);
  });

  test('a file that was changed after it was applied is an error, and nothing runs', async () => {
    const known = await loadMigrations(shipped({ '0001_a.sql': 'A;', '0002_b.sql': 'B;' }));
    const { engine, commands } = recordingEngine([{ number: 1, name: 'a', checksum: 'other' }]);
    await expect(migrate(engine, options, known)).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining('another text'),
    });
    expect(commands).not.toContain('B');
  });

  test('a database of a newer build is an error that says so', async () => {
    const known = await loadMigrations(shipped({ '0001_a.sql': 'A;' }));
    const { engine } = recordingEngine([
      { number: 1, name: 'a', checksum: known[0]!.checksum },
      { number: 2, name: 'future', checksum: 'x' },
    ]);
    await expect(migrate(engine, options, known)).rejects.toMatchObject({
      message: expect.stringContaining('newer rogue-smtp'),
    });
  });

  test('a missing number is an error', async () => {
    await expect(loadMigrations(shipped({ '0001_a.sql': 'A;', '0003_c.sql': 'C;' }))).rejects.toMatchObject({
      code: 'store',
    });
  });

  test('a retention that was changed reaches the tables that exist, and only those', async () => {
    const { engine, commands } = recordingEngine(
      [],
      [
        { name: 'flows', engine_full: 'MergeTree TTL stored_at + toIntervalSecond(5) SETTINGS x = 1' },
        {
          name: 'alerts',
          engine_full: `MergeTree TTL stored_at + toIntervalSecond(${(365 * DAY_MS) / 1000})`,
        },
        { name: 'somebody_elses', engine_full: 'MergeTree' },
      ],
    );
    await migrate(engine, options, []);
    expect(commands.filter((sql) => sql.startsWith('ALTER'))).toEqual([
      'ALTER TABLE `rogue_smtp`.`flows` MODIFY TTL stored_at + toIntervalSecond(2592000)',
    ]);
  });
});

/**
 * The walls around SQL that people type, each by itself: the check of statements, the engine's role of readers, the kernel's confinement.
 * See SECURITY.md.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EngineProcess, startEngineProcess } from '../../src/store/embedded/child-process.ts';
import { probeConfinement } from '../../src/store/embedded/confine.ts';
import { createEmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { ALLOWED_FUNCTIONS } from '../../src/store/readonly-sql/functions.ts';
import { TABLE_FUNCTIONS } from '../../src/store/readonly-sql/lists.ts';
import { askRules, checkReadonlySql } from '../../src/store/readonly-sql.ts';
import { textOf } from '../../src/store/rows.ts';
import {
  chdbInstalled,
  DATABASE,
  openTestStore,
  silentLog,
  type TestStore,
  withoutChdb,
} from '../store/fixture.ts';
import { hostileParts } from './sql-grammar.ts';
import { checkStatements } from './sql-run.ts';
import { type LiveTargets, liveTargets, SECRET } from './sql-targets.ts';

const kernel = await probeConfinement();
const confinable = kernel.files && kernel.network;

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'SQL of a user' : withoutChdb, () => {
  let targets: LiveTargets;
  let process: EngineProcess;
  let free: EngineProcess;
  const directories: string[] = [];

  /** A child that takes statements as they are, without our check. */
  async function child(confined: boolean): Promise<EngineProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-raw-'));
    directories.push(directory);
    const started = await startEngineProcess(
      { directory, database: DATABASE, memoryBytes: 2 ** 30 },
      silentLog,
      confined,
    );
    if (!started.ok) throw new Error(started.message);
    await command(started.process, `CREATE TABLE ${DATABASE}.flows (x Int8) ENGINE = MergeTree ORDER BY x`);
    return started.process;
  }

  const command = (where: EngineProcess, sql: string) => where.call({ kind: 'command', sql }, 60_000);
  /** As a user's statement, past the check. What the engine answers, or its error. */
  const raw = (where: EngineProcess, sql: string) =>
    where
      .call(
        { kind: 'readonly', sql, format: 'TabSeparated', params: undefined, rows: false, timeoutMs: 5000 },
        60_000,
      )
      .then(
        (bytes) => ({ ok: true, text: textOf(bytes) }),
        (error: Error) => ({ ok: false, text: error.message }),
      );

  beforeAll(async () => {
    targets = await liveTargets();
    process = await child(true);
    free = await child(false);
  }, 120_000);
  afterAll(async () => {
    for (const one of [process, free]) one?.kill();
    await Promise.all([process?.ended, free?.ended]);
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
    targets?.close();
  });

  describe('wall 1, the check', () => {
    test('refuses each hostile part in its plainest form', () => {
      const parts = hostileParts(targets);
      const plain = [
        ...parts.expressions.map((text) => `SELECT ${text}`),
        ...parts.tables.map((text) => `SELECT 1 FROM ${text}`),
        ...parts.ends.map((text) => `SELECT 1 FROM flows ${text}`),
        'SELECT * FROM (SELECT 1 SETTINGS readonly = 0)',
        'WITH (SELECT 1 SETTINGS readonly = 0) AS x SELECT x',
        'SELECT *, SETTINGS limit, readonly = 0',
        'SELECT * SETTINGS limit, readonly = 0',
        'SELECT 1 SETTINGS max_threads = 1, readonly = 0',
        'SELECT metadata_path FROM system.databases',
        'SELECT * FROM system.databases',
        'SHOW CREATE USERS',
        'SHOW FULL PROCESSLIST',
        'EXPLAIN AST DROP TABLE flows',
        "EXPLAIN TABLE OVERRIDE mysql('a', 'b')",
        `SELECT ${'('.repeat(200)}1${')'.repeat(200)}`,
        'SELECT (1',
        'SELECT 1)',
      ];
      for (const sql of plain) expect(checkReadonlySql(sql, process.rules), sql).toMatchObject({ ok: false });
    });

    test('takes columns, tables, texts and comments that bear the names of clauses', () => {
      const harmless = [
        'SELECT settings FROM flows',
        'SELECT settings, format, file FROM (SELECT 1 AS settings, 2 AS format, 3 AS file)',
        "SELECT name FROM system.settings WHERE name = 'readonly'",
        "SELECT t.settings FROM flows AS t WHERE settings = 'x' AND format IN (1, 2) ORDER BY settings DESC LIMIT 3",
        'SELECT \'SETTINGS readonly = 0\', "settings" FROM flows',
        'SELECT 1 /* SETTINGS readonly = 0 */ -- INTO OUTFILE\n',
        'SELECT count(settings), max(format) FROM flows GROUP BY settings HAVING format > 1',
        'SELECT 1 AS settings UNION ALL SELECT 2',
        "SELECT truncate(1.5), replace('a', 'b', 'c'), left('abc', 1), CAST(1 AS Decimal(9, 2)), x::DateTime64(3) FROM flows",
        'SELECT quantile(0.5)(x), uniqCombinedMerge(12)(y), sumIf(x, y > 1), groupUniqArrayArray(z) FROM flows',
      ];
      for (const sql of harmless)
        expect(checkReadonlySql(sql, process.rules), sql).toMatchObject({ ok: true });
    });

    test('gives harmless settings at the end to the engine, and no others', () => {
      expect(
        checkReadonlySql('SELECT 1 SETTINGS max_threads = 1, join_use_nulls = 1', process.rules),
      ).toEqual({
        ok: true,
        sql: 'SELECT 1',
        settings: { max_threads: '1', join_use_nulls: '1' },
      });
    });

    test('has no function on its list that is a table function which reaches outside', () => {
      const both = [...ALLOWED_FUNCTIONS].filter((name) => process.rules.tableFunctions.has(name));
      expect(both.filter((name) => !TABLE_FUNCTIONS.has(name))).toEqual([]);
    });
  });

  describe('wall 2, the role of readers, without the check and the kernel', () => {
    test('gives no file, no server and no other table, whatever the settings', async () => {
      const { secret, out, url } = targets;
      const statements = [
        `SELECT * FROM file('${secret}', 'LineAsString')`,
        `SELECT * FROM (SELECT * FROM file('${secret}', 'LineAsString') SETTINGS readonly = 0)`,
        `SELECT * FROM default.\`${secret}\``,
        `SELECT * FROM format(Template, '1') SETTINGS format_template_row = '${secret}'`,
        `SELECT * FROM (SELECT * FROM format(Template, '1') SETTINGS readonly = 0, format_template_row = '${secret}')`,
        `SELECT * FROM (SELECT * FROM format(CSV, 'a Int8', 'x') SETTINGS readonly = 0, input_format_record_errors_file_path = '${out}')`,
        `SELECT * FROM url('${url}', 'CSV', 'a String')`,
        `SELECT * FROM (SELECT * FROM url('${url}', 'CSV', 'a String') SETTINGS readonly = 0)`,
        `DESCRIBE url('${url}')`,
        `SELECT * FROM s3('${url}', 'CSV', 'a String')`,
        "SELECT * FROM remote('127.0.0.1:9000', system.one)",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        `INSERT INTO ${DATABASE}.flows VALUES (1)`,
        `INSERT INTO FUNCTION file('${out}', 'CSV', 'a Int8') SELECT 1`,
        'DROP TABLE flows',
        'CREATE TABLE other (x Int8) ENGINE = Memory',
        'SELECT 1 SETTINGS max_memory_usage = 100000000000',
        'SELECT 1 SETTINGS readonly = 0',
        `SELECT 1; SELECT * FROM file('${secret}', 'LineAsString')`,
        `SET ROLE ALL; SELECT file('${secret}')`,
        'SELECT addressToLine(1)',
      ];
      for (const sql of statements) expect(await raw(free, sql), sql).toMatchObject({ ok: false });
      expect(targets.harm()).toEqual([]);
      expect(await raw(free, 'SELECT count() FROM flows')).toEqual({ ok: true, text: '0\n' });
    }, 60_000);

    test('does not show the name of the machine', async () => {
      expect(await raw(free, 'SELECT displayName()')).toEqual({ ok: true, text: 'rogue-smtp\n' });
    });
  });

  describe.skipIf(!confinable)(
    confinable ? 'wall 3, the kernel' : `wall 3, the kernel; skipped: ${kernel.missing}`,
    () => {
      test('stands, and says so', () => {
        expect(process.confinement).toEqual({ files: true, network: true, missing: '' });
        expect(free.confinement).toMatchObject({ files: false, network: false });
      });

      test('lets not even our own statements read, write or connect outside', async () => {
        const { secret, out, url } = targets;
        const own = (sql: string) =>
          command(process, sql).then(
            () => 'done',
            (error: Error) => error.message,
          );
        for (const sql of [
          `INSERT INTO ${DATABASE}.flows SELECT length(file('/etc/passwd')) % 100`,
          `INSERT INTO ${DATABASE}.flows SELECT length(file('${secret}'))`,
          `INSERT INTO ${DATABASE}.flows SELECT 1 FROM file('/etc/passwd', 'LineAsString')`,
          `INSERT INTO FUNCTION file('${out}', 'CSV', 'a Int8') SELECT 1`,
          `INSERT INTO FUNCTION file('/etc/rogue-smtp-test', 'CSV', 'a Int8') SELECT 1`,
          `INSERT INTO ${DATABASE}.flows SELECT 1 FROM url('${url}', 'CSV', 'a String') SETTINGS http_max_tries = 1`,
        ])
          expect(await own(sql), sql).not.toBe('done');
        expect(await raw(process, `SELECT file('/etc/passwd')`)).toMatchObject({ ok: false });
        expect(await raw(process, `SELECT 1 INTO OUTFILE '${out}'`)).toMatchObject({ ok: false });
        expect(targets.harm()).toEqual([]);
        // The wall and not the statement was it: inside the directory the same is done.
        expect(await own(`INSERT INTO FUNCTION file('inside.csv', 'CSV', 'a Int8') SELECT 1`)).toBe('done');
      }, 60_000);

      test('stands around every thread of the engine', async () => {
        const tasks = `/proc/${process.pid}/task`;
        for (const task of readdirSync(tasks)) {
          const status = readFileSync(join(tasks, task, 'status'), 'utf8');
          expect(status).toMatch(/^NoNewPrivs:\s1$/m);
          expect(status).toMatch(/^Seccomp:\s2$/m);
        }
      });
    },
  );

  test('does no harm, whatever a grammar of 200,000 statements makes of it', () => {
    const run = checkStatements(200_000, 20_261_128, targets, process.rules, 200);
    expect(run).toMatchObject({ passed: [], refused: [], unstable: [] });
    expect(run.hostile).toBeGreaterThan(90_000);
  }, 120_000);
});

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'a store with users' : withoutChdb, () => {
  let store: TestStore;
  let targets: LiveTargets;
  beforeAll(async () => {
    store = await openTestStore();
    targets = await liveTargets();
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    targets?.close();
  });

  test('answers what the grammar makes and the check lets through, within its limits', async () => {
    const rules = await askRules(async (sql) =>
      textOf(await store.engine.queryBytes(sql, 'TabSeparatedRaw')),
    );
    const { sample } = checkStatements(4000, 7, targets, rules, 300);
    let answered = 0;
    for (const sql of sample) {
      const text = await store.engine
        .queryBytes(sql, 'TabSeparated', { readonly: true, timeoutMs: 5000 })
        .then(
          (bytes) => {
            answered++;
            return textOf(bytes);
          },
          (error: Error) => error.message,
        );
      expect(text).not.toContain(SECRET);
    }
    expect(targets.harm()).toEqual([]);
    // Most of them mean something to the engine, so that it is not the syntax that protects.
    expect(answered).toBeGreaterThan(sample.length / 2);
  }, 120_000);

  test('refuses settings above the bounds, and takes those below', async () => {
    const ask = (sql: string) => store.engine.query(sql, { readonly: true, timeoutMs: 20_000 });
    for (const setting of ['max_execution_time = 21', 'max_threads = 4096', 'max_result_rows = 1000001'])
      await expect(ask(`SELECT 1 SETTINGS ${setting}`), setting).rejects.toMatchObject({ code: 'refused' });
    expect(await ask('SELECT 1 AS a SETTINGS max_execution_time = 5')).toEqual([{ a: 1 }]);
    await expect(ask('SELECT number FROM numbers(10) SETTINGS max_result_rows = 3')).rejects.toMatchObject({
      code: 'store',
    });
  });

  test('loses only the statement that ignores its limit; all others under way are answered', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-stuck-'));
    const engine = createEmbeddedEngine({ directory, database: DATABASE, log: silentLog, userGraceMs: 1500 });
    await engine.start();
    try {
      await engine.command(
        // The window as our tables have it: an insert whose answer died with the engine's process is sent again.
        `CREATE TABLE ${DATABASE}.alerts (message String) ENGINE = MergeTree ORDER BY message SETTINGS non_replicated_deduplication_window = 1000`,
      );
      const before = engine.pid();
      // One row of it takes seconds (8 s for 60,000 characters where this was measured), and the limit is looked at between blocks.
      const stuck = engine.query(
        "SELECT max(editDistance(repeat('ab', 30000), concat(repeat('ba', 29990), toString(number)))) FROM numbers(100)",
        { readonly: true, timeoutMs: 1000 },
      );
      const slow = engine.query('SELECT sum(cityHash64(number)) > 0 AS a FROM numbers(1000000000000)', {
        readonly: true,
        timeoutMs: 2000,
      });
      const failed = expect(stuck).rejects.toMatchObject({
        engine: { name: 'TIMEOUT_EXCEEDED' },
      });
      const timedOut = expect(slow).rejects.toMatchObject({ engine: { name: 'TIMEOUT_EXCEEDED' } });
      const others = Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          await new Promise((resolve) => setTimeout(resolve, 200 * i));
          await engine.insertJson('alerts', [JSON.stringify({ message: `m${i}` })], { token: `t${i}` });
          const [user] = await engine.query<{ a: number }>(`SELECT ${i} AS a`, { readonly: true });
          const [own] = await engine.query<{ a: number }>(`SELECT ${i} AS a`);
          return [user?.a, own?.a];
        }),
      );
      await failed;
      expect(await others).toEqual(Array.from({ length: 20 }, (_, i) => [i, i]));
      await timedOut;
      expect(engine.pid()).not.toBe(before);
      expect(await engine.query('SELECT count() AS n FROM alerts')).toEqual([{ n: 20 }]);
    } finally {
      await engine.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  }, 90_000);
});

/**
 * The roles of schemas/clickhouse/reader.sql, held against an engine of today.
 *
 * No server that knows roles can be had from a package registry, and chDB stores none. So each statement of the file goes
 * through chDB's parser, and its grants and settings, word by word, come into a users file: the code that checks grants is
 * the server's.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate, statementsOf } from '../../src/store/migrate.ts';
import { RETENTION } from '../store/fixture.ts';
import { type RawEngine, startRawEngine } from '../support/raw-engine.ts';
import { grantsIn, roleElement, storeOn } from '../support/sql-grants.ts';

const FILE = new URL('../../schemas/clickhouse/reader.sql', import.meta.url);
const DATABASE = 'rogue_smtp';
const statements = statementsOf(readFileSync(FILE, 'utf8'));

const grantsOf = (role: string) => grantsIn(statements, role);

/** The settings of the profile of readers, each with what the file says of its value. */
function settings(): { readonly name: string; readonly value: string; readonly rule: string }[] {
  const profile = statements.find((statement) => statement.startsWith('CREATE SETTINGS PROFILE')) ?? '';
  return [...profile.matchAll(/(\w+) = ('[^']*'|\d+) (CONST|MAX \d+)/g)].map(([, name, value, rule]) => ({
    name,
    value: value.replaceAll("'", ''),
    rule,
  }));
}

/** The engine that grants what the file grants; `default` starts with the owner's role. */
function usersFile(): string {
  const constraints = settings().map(({ name, rule }) => {
    const limit = rule === 'CONST' ? '<const/>' : `<max>${rule.slice(4)}</max>`;
    return `<${name}>${limit}</${name}>`;
  });
  return `<clickhouse>
  <profiles>
    <default/>
    <rogue_smtp_reader>
      ${settings()
        .map(({ name, value }) => `<${name}>${value}</${name}>`)
        .join('')}
      <constraints>${constraints.join('')}</constraints>
    </rogue_smtp_reader>
  </profiles>
  <roles>${roleElement(statements, 'rogue_smtp_owner')}${roleElement(statements, 'rogue_smtp_reader')}</roles>
  <users>
    <default>
      <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT rogue_smtp_owner</query><query>GRANT rogue_smtp_reader</query></grants>
    </default>
  </users>
  <quotas><default/></quotas>
</clickhouse>
`;
}

describe('schemas/clickhouse/reader.sql', () => {
  let engine: RawEngine;
  beforeAll(async () => {
    engine = startRawEngine(usersFile());
    await engine.ask('SET ROLE rogue_smtp_owner');
  }, 60_000);
  afterAll(() => engine.stop());

  const refused = async (sql: string) => expect(await engine.ask(sql), sql).toMatchObject({ ok: false });

  test('is understood whole', async () => {
    expect(statements.length).toBeGreaterThan(15);
    expect(settings().length).toBeGreaterThan(8);
    expect(grantsOf('rogue_smtp_reader').length).toBeGreaterThan(8);
    for (const statement of statements)
      expect(
        await engine.ask(`SELECT formatQuery('${statement.replaceAll("'", "\\'")}') AS text`),
        statement,
      ).toMatchObject({ ok: true });
  });

  test('gives the owner all that migrations and the store need, and nothing else', async () => {
    expect(await engine.ask('SELECT currentRoles() AS roles')).toMatchObject({
      text: expect.stringContaining('rogue_smtp_owner'),
    });
    const applied = await migrate(storeOn(engine, DATABASE), { database: DATABASE, retention: RETENTION });
    expect(applied.length).toBeGreaterThan(3);
    // A changed retention is an ALTER.
    await migrate(storeOn(engine, DATABASE), {
      database: DATABASE,
      retention: { ...RETENTION, flows: RETENTION.flows + 1000 },
    });
    for (const sql of [
      `INSERT INTO ${DATABASE}.alerts SELECT * FROM ${DATABASE}.alerts`,
      `OPTIMIZE TABLE ${DATABASE}.alerts`,
      'SELECT count() FROM system.parts',
    ])
      expect(await engine.ask(sql), sql).toMatchObject({ ok: true });
    await refused('CREATE DATABASE other');
    await refused('CREATE TABLE default.other (x Int8) ENGINE = MergeTree ORDER BY x');
    await refused("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')");
  }, 60_000);

  test('lets the reader read our tables and what describes them', async () => {
    expect((await engine.ask('SET ROLE rogue_smtp_reader')).ok).toBe(true);
    for (const sql of [
      `SELECT count() FROM ${DATABASE}.flows`,
      `SHOW TABLES FROM ${DATABASE}`,
      `DESCRIBE TABLE ${DATABASE}.mail_sessions`,
      `SELECT name, engine, total_rows FROM system.tables WHERE database = '${DATABASE}'`,
      `SELECT table, sum(bytes_on_disk) FROM system.parts WHERE database = '${DATABASE}' GROUP BY table`,
      'SELECT name FROM system.functions LIMIT 1',
      'SELECT number FROM numbers(3)',
    ])
      expect(await engine.ask(sql), sql).toMatchObject({ ok: true });
  });

  // chDB asks for no grant on system tables, servers do (select_from_system_db_requires_grant).
  test('grants the reader no column that tells where data lies', () => {
    const system = grantsOf('rogue_smtp_reader').filter((grant) => grant.includes(' ON system.'));
    expect(system.length).toBeGreaterThan(8);
    for (const grant of system) {
      expect(grant).not.toMatch(/path|system\.\*/);
      if (/system\.(tables|databases|parts)$/.test(grant)) expect(grant).toMatch(/^GRANT SELECT ?\(/);
    }
  });

  test('gives the reader no file, no server, no write and no other table', async () => {
    await engine.ask('SET ROLE rogue_smtp_reader');
    for (const sql of [
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT * FROM (SELECT * FROM file('/etc/passwd', 'LineAsString') SETTINGS readonly = 0)",
      "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
      "SELECT * FROM remote('127.0.0.1:9000', system.one)",
      "SELECT * FROM s3('http://127.0.0.1:1/', 'CSV', 'a String')",
      "SELECT * FROM executable('id', 'TSV', 'a String')",
      `INSERT INTO ${DATABASE}.alerts SELECT * FROM ${DATABASE}.alerts`,
      `INSERT INTO FUNCTION file('/tmp/rogue-smtp-test', 'CSV', 'a Int8') SELECT 1`,
      `ALTER TABLE ${DATABASE}.flows DELETE WHERE 1`,
      `TRUNCATE TABLE ${DATABASE}.flows`,
      `DROP TABLE ${DATABASE}.flows`,
      `OPTIMIZE TABLE ${DATABASE}.flows`,
      'CREATE TABLE default.other (x Int8) ENGINE = Memory',
      'GRANT SELECT ON *.* TO rogue_smtp_reader',
      'CREATE USER other',
      'SYSTEM SHUTDOWN',
    ])
      await refused(sql);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkReadonlySql, type ReadonlyRules, splitFormat } from '../../src/store/readonly-sql.ts';

const rules: ReadonlyRules = {
  tableFunctions: new Set(['file', 'url', 's3', 'remote', 'executable', 'numbers', 'view', 'merge', 'eval']),
  functions: new Set(['file', 'sleep', 'hostname']),
  outsideDatabases: new Set(['default']),
};
const check = (sql: string) => checkReadonlySql(sql, rules);
const refused = (sql: string) => expect(check(sql).ok, sql).toBe(false);

describe('a statement that only reads', () => {
  test.each([
    'SELECT 1',
    'select src_addr, count() from flows group by 1 order by 2 desc limit 10',
    "SELECT * FROM alerts WHERE host = '10.0.0.1' -- a comment",
    'WITH 1 AS x SELECT x /* and another */ FROM numbers(3)',
    'SHOW TABLES',
    'SHOW CREATE TABLE flows',
    'DESCRIBE flows',
    'EXPLAIN SELECT 1',
    'EXISTS flows',
    '(SELECT 1) UNION ALL (SELECT 2)',
    'SELECT count() AS `count()`, "x y" FROM (SELECT 1 AS "x y")',
    'SELECT arrayMap(x -> x + 1, [1, 2]), 5 % 2, 1 = 1 ? 2 : 3, x::UInt8 FROM (SELECT 1 AS x)',
    "SELECT formatDateTime(received_at, '%Y') FROM flows",
    'SELECT name FROM system.tables;',
    'SELECT t.1, t.2 FROM (SELECT (1, 2) AS t)',
    "SELECT {a:String}, { b : Array(Nullable(String)) }, {c:DateTime64(3, 'Europe/Berlin')}",
  ])('is allowed: %s', (sql) => {
    expect(check(sql)).toMatchObject({ ok: true });
  });

  test('is written anew without comments and with one way of escaping', () => {
    expect(check("SELECT 'it''s', 'a\\'b\\\\' /* x */ , \"n\" --\n ;")).toEqual({
      ok: true,
      sql: "SELECT 'it\\'s' , 'a\\'b\\\\' , `n`",
      settings: {},
    });
  });

  test('keeps the dots of member access apart from those of numbers', () => {
    expect(check('SELECT t.1 + 1.5 + .5')).toEqual({
      ok: true,
      sql: 'SELECT t . 1 + 1.5 + .5',
      settings: {},
    });
  });
});

test('a format at the end is taken from a statement, and only there', () => {
  expect(splitFormat('SELECT 1 format CSV; -- x')).toEqual({ sql: 'SELECT 1', format: 'CSV' });
  for (const sql of ["SELECT 'x FORMAT CSV'", 'SELECT 1 AS format', 'SELECT 1 -- FORMAT CSV', 'FORMAT'])
    expect(splitFormat(sql)).toEqual({ sql, format: null });
  expect(splitFormat('SELECT $$ FORMAT CSV')).toEqual({ sql: 'SELECT $$ FORMAT CSV', format: null });
});

describe('a statement that does anything else', () => {
  test.each([
    '',
    ';',
    '-- nothing',
    'INSERT INTO flows SELECT * FROM flows',
    'DROP TABLE flows',
    'SET readonly = 0',
    'SELECT 1; DROP TABLE flows',
    'KILL QUERY WHERE 1',
    'SYSTEM SHUTDOWN',
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 iNtO outfile '/tmp/x'",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM FILE ('/etc/passwd')",
    "SELECT * FROM `file`('/etc/passwd')",
    'SELECT * FROM "file"(\'/etc/passwd\')',
    "SELECT file('/etc/passwd')",
    "SELECT file/**/('/etc/passwd')",
    "SELECT '/etc/passwd' AS p, * APPLY(file) FROM (SELECT p)",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    'SELECT * FROM default.`/etc/passwd`',
    "SELECT * FROM default.'/etc/passwd'",
    'SELECT * FROM `/etc/passwd`',
    'SELECT * FROM "DEFAULT".x',
    "DESCRIBE file('/etc/passwd')",
    "DESC TABLE url('http://x/')",
    "SELECT * FROM url('http://127.0.0.1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1/')",
    "SELECT * FROM executable('id', TSV, 'a String')",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM eval('SELECT 1')",
    'SELECT * FROM system.users',
    'SELECT * FROM `system`.`users`',
    'SELECT * FROM system . query_log',
    'SELECT * FROM system',
    'SHOW PROCESSLIST',
    'SHOW GRANTS',
    'SHOW CREATE USER default',
    "SELECT hasColumnInTable('default', '/etc/passwd', 'x')",
    "SELECT joinGet('x', 'y', 1)",
    'SELECT sleep(3)',
    'SELECT aiGenerate(1)',
    "SELECT $$ ' $$",
    'SELECT * FROM {x:Identifier}',
    'SELECT * FROM {x: identifier }',
    "SELECT {x:DateTime('}, file('/etc/passwd'), {y:DateTime('')}",
    'SELECT {x}',
    "SELECT {'a': 1}",
    "SELECT 'unclosed",
    'SELECT /* unclosed',
    "SELECT '\\x41'",
    'SELECT 1abc',
    'SELECT 1\u0000',
    'SELECT @@version',
    '# comment\nSELECT 1',
    'SELECT 1 FORMAT Native',
    `SELECT ${'1,'.repeat(60_000)}1`,
  ])('is refused: %s', refused);

  test('says why, in words for the one who typed it', () => {
    expect(check("SELECT file('/etc/passwd')")).toEqual({
      ok: false,
      reason: 'the table function "file" is not allowed',
    });
    expect(check('SELECT 1; SELECT 2')).toEqual({ ok: false, reason: 'one statement at a time' });
  });

  test('never throws, and what passes is stable when checked again', () => {
    const word = fc.constantFrom(
      'SELECT ',
      'file',
      '(',
      ')',
      "'",
      '"',
      '`',
      '\\',
      '--',
      '/*',
      '*/',
      '\n',
      '.',
      ';',
      'x',
      '1',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 4 }))), (parts) => {
        const first = check(`SELECT ${parts.join('')}`);
        if (first.ok) expect(check(first.sql)).toEqual(first);
      }),
    );
  });
});

/**
 * Statements of ClickHouse by a grammar: clauses, functions, aliases, comments and quoting styles, nested into each other.
 *
 * Each is either harmless, and then made of what a user may do, or has one hostile part planted somewhere in it, and then must be refused however
 * it is dressed. The names that are clauses elsewhere (`settings`, `format`, `file`) are used as columns in both.
 */

import { randomBelow } from '../support/random.ts';

export interface Targets {
  /** A file that exists and must not be read. */
  readonly secret: string;
  /** A file that must not come into being. */
  readonly out: string;
  /** A URL where somebody listens. */
  readonly url: string;
}

export interface Statement {
  readonly sql: string;
  /** The planted part; null when there is none. */
  readonly hostile: string | null;
}

const FUNCTIONS = [
  'toString',
  'length',
  'lower',
  'cityHash64',
  'toTypeName',
  'isNull',
  'reverse',
  'upper',
  'hex',
];
const AGGREGATES = ['count', 'any', 'uniqExact', 'min', 'max', 'groupArray', 'countIf', 'anyLast'];
const COLUMNS = ['settings', 'format', 'file', 'x', 'into_', 'url', 'host', 'input', 'readonly'];
const COMMENTS = [
  ' ',
  '\n',
  '\t',
  '/* SETTINGS readonly = 0 */',
  "-- file('/etc/passwd')\n",
  '/* ; DROP TABLE x */',
  '  ',
];
const TEXTS = [
  "'SETTINGS readonly=0'",
  "'it''s'",
  "'a\\'b'",
  "'-- x'",
  "'/* '",
  "'file(1)'",
  "'INTO OUTFILE'",
  "''",
  "';'",
];
const TABLES = [
  'flows',
  'mail_sessions',
  'incidents',
  'numbers(3)',
  'zeros(2)',
  'system.one',
  'system.functions',
  "values('x Int8', 1)",
];

/** Parts that must be refused as an expression, as a table, and at the end of a query. */
export function hostileParts({ secret, out, url }: Targets) {
  const q = (text: string) => `'${text}'`;
  return {
    expressions: [
      `file(${q(secret)})`,
      `\`file\`(${q(secret)})`,
      `"FILE"(${q(secret)})`,
      `arrayMap(file, [${q(secret)}])`,
      `(SELECT 1 SETTINGS readonly = 0)`,
      `(SELECT 1 settings max_threads = 1)`,
      `(WITH 1 AS a SELECT a SETTINGS format_template_row = ${q(secret)})`,
      `(SELECT * FROM format(CSV, '1,2'))`,
      `(SELECT count() FROM file(${q(secret)}, 'LineAsString'))`,
      `(SELECT a FROM url(${q(url)}, 'CSV', 'a String'))`,
      `1 IN (SELECT 1 SETTINGS input_format_record_errors_file_path = ${q(out)})`,
      `EXISTS(SELECT 1 SETTINGS max_bytes_before_external_sort = 1)`,
      `dictGet('d', 'a', 1)`,
      `joinGet('t', 'a', 1)`,
      `hasColumnInTable('system', 'users', 'name')`,
      `hostName()`,
      `FQDN()`,
      `hostname()`,
      `getMacro('x')`,
      `getSetting('readonly')`,
      `getServerSetting('max_connections')`,
      `filesystemAvailable()`,
      `catboostEvaluate(${q(secret)}, 1)`,
      `addressToLine(1)`,
      `demangle('x')`,
      `showCertificate('127.0.0.1:1')`,
      `sleep(3)`,
      `sleepEachRow(1)`,
      `logTrace('x')`,
      `formatRow('Template', 1)`,
      `structureToProtobufSchema('a Int8')`,
      `arrayReduce('flameGraph', [1])`,
      `arrayReduce(concat('su', 'm'), [1])`,
      `initializeAggregation('groupFormat', 1)`,
      `aiGenerate('x')`,
      `tcpPort()`,
      `serverUUID()`,
      `tuple(* APPLY(file))`,
      `notAFunction(1)`,
      `t.file(1)`,
    ],
    tables: [
      `file(${q(secret)})`,
      `"file"(${q(secret)}, 'LineAsString')`,
      `fileCluster('c', ${q(secret)})`,
      `url(${q(url)}, 'CSV', 'a String')`,
      `s3(${q(url)}, 'CSV', 'a String')`,
      `remote('127.0.0.1:9000', system.one)`,
      `mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')`,
      `executable('id', 'TSV', 'a String')`,
      `format(CSV, '1,2')`,
      `format(Template, '1')`,
      `dictionary('d')`,
      `merge('system', '.*')`,
      `loop(flows)`,
      `input('a Int8')`,
      `viewExplain('EXPLAIN', '', (SELECT 1))`,
      `filesystem('/')`,
      `sqlite(${q(out)}, 't')`,
      `eval('SELECT 1')`,
      `clusterAllReplicas('default', system.one)`,
      `generateRandom('a Int8')`,
      `system.processes`,
      `system.users`,
      `\`system\`.\`query_log\``,
      `information_schema.tables`,
      `default.\`${secret}\``,
      `\`${secret}\``,
      `${q(secret)}`,
      `"default".x`,
      `(SELECT 1 SETTINGS readonly = 0)`,
      `(SELECT 1 AS settings SETTINGS readonly = 0)`,
      `view(SELECT 1 SETTINGS readonly = 0)`,
      `(EXPLAIN SELECT 1)`,
      `(SELECT data_paths FROM system.tables)`,
      `(SELECT * FROM system.parts)`,
      `(SELECT path FROM system.parts)`,
    ],
    ends: [
      `SETTINGS readonly = 0`,
      `SETTINGS max_execution_time = 0`,
      `SETTINGS max_threads = 1, format_schema = ${q(secret)}`,
      `SETTINGS format_avro_schema_registry_url = ${q(url)}`,
      `SETTINGS readonly`,
      `INTO OUTFILE ${q(out)}`,
      `into outfile ${q(out)} TRUNCATE`,
      `FORMAT CSV INTO OUTFILE ${q(out)}`,
      `PARALLEL WITH SELECT 1`,
      `; DROP TABLE flows`,
      `SETTINGS max_threads = 1 UNION ALL SELECT 1`,
      `INSERT INTO flows VALUES (1)`,
    ],
  };
}

interface Random {
  below(limit: number): number;
  pick<Item>(items: readonly Item[]): Item;
  chance(share: number): boolean;
}

function createRandom(seed: number): Random {
  const below = randomBelow(seed);
  return {
    below,
    pick: (items) => items[below(items.length)]!,
    chance: (share) => below(1000) < share * 1000,
  };
}

/** An endless source of statements, the same for the same seed. */
export function statements(seed: number, targets: Targets): () => Statement {
  const random = createRandom(seed);
  const parts = hostileParts(targets);
  const all = [
    ...parts.expressions.map((text) => ({ text, where: 'expression' as const })),
    ...parts.tables.map((text) => ({ text, where: 'table' as const })),
    ...parts.ends.map((text) => ({ text, where: 'end' as const })),
  ];
  return () => {
    const planted = random.chance(0.5) ? random.pick(all) : null;
    return write(random, planted);
  };
}

function write(random: Random, planted: { readonly text: string; readonly where: string } | null): Statement {
  let left = planted;
  /** The planted part, the first time that there is a place for it. */
  const plant = (where: string): string | null => {
    if (left === null || left.where !== where || random.chance(0.5)) return null;
    const { text } = left;
    left = null;
    return dress(random, text);
  };
  const word = (text: string) =>
    random.chance(0.5) ? text : random.chance(0.5) ? text.toLowerCase() : text.toUpperCase();
  const name = (text: string) =>
    random.chance(0.6) ? text : random.chance(0.5) ? `\`${text}\`` : `"${text}"`;

  const expression = (depth: number): string => {
    const hostile = plant('expression');
    if (hostile !== null) return hostile;
    if (depth <= 0)
      return random.pick([
        random.pick(TEXTS),
        '1',
        '2.5',
        'NULL',
        "toDate('2026-01-01')",
        '[1, 2]',
        '(1, 2)',
      ]);
    const inner = () => expression(depth - 1);
    return random.pick([
      () => `${random.pick(FUNCTIONS)}(${inner()})`,
      () => `(${inner()})`,
      () => `[${inner()}]`,
      () => `tuple(${inner()}, ${inner()})`,
      () =>
        `${word('CASE')} ${word('WHEN')} 1 ${word('THEN')} ${inner()} ${word('ELSE')} NULL ${word('END')}`,
      () => `${word('CAST')}(${inner()} ${word('AS')} Nullable(String))`,
      () => `toString(${inner()})::String`,
      () => `arrayMap(y -> ${inner()}, [1, 2])`,
      () => `(${word('SELECT')} ${inner()})`,
      () => `(${inner()}) ${word('IS NOT NULL')}`,
      () => `if(1 = 1, toString(${inner()}), '')`,
      () => `1 ${word('IN')} (${word('SELECT')} 1 ${word('FROM')} (${query(depth - 1)}))`,
      () => `${word('EXISTS')}(${query(depth - 1)})`,
      () => `toString(${inner()}) ${word('LIKE')} 'a%'`,
      () => `1 ${word('BETWEEN')} 0 ${word('AND')} 2`,
    ])();
  };

  const table = (depth: number): string => {
    const hostile = plant('table');
    if (hostile !== null) return `${hostile} ${word('AS')} t${random.below(9)}`;
    if (depth <= 0 || random.chance(0.3)) return random.pick(TABLES);
    return random.pick([
      () => `(${query(depth - 1)})`,
      () => `view(${query(depth - 1)})`,
      () => `(${query(depth - 1)} ${word('UNION ALL')} ${query(depth - 1)})`,
      () => `${table(depth - 1)} ${word('AS')} a ${word('CROSS JOIN')} (${query(depth - 1)}) ${word('AS')} b`,
    ])();
  };

  const query = (depth: number): string => {
    const column = random.pick(COLUMNS);
    const list = random.chance(0.3)
      ? `${random.pick(AGGREGATES).replace('countIf', 'count')}(${random.chance(0.5) ? '1' : expression(0)}) ${word('AS')} ${name(column)}`
      : `${expression(depth)} ${word('AS')} ${name(column)}`;
    const ends = depth < TOP ? plant('end') : null;
    return [
      random.chance(0.2) ? `${word('WITH')} ${expression(depth - 1)} ${word('AS')} w${depth}` : '',
      `${word('SELECT')} ${list}`,
      random.chance(0.7) || ends !== null ? `${word('FROM')} ${table(depth - 1)}` : '',
      random.chance(0.3) ? `${word('WHERE')} 1 = 1 ${word('OR')} isNull(${expression(depth - 1)})` : '',
      random.chance(0.2) ? `${word('LIMIT')} 3` : '',
      ends ?? '',
    ]
      .filter((text) => text !== '')
      .join(random.pick(COMMENTS));
  };

  let sql = query(TOP);
  // There was no place for it below: it goes where there always is one.
  if (left !== null) {
    const { text, where } = left;
    const dressed = dress(random, text);
    if (where === 'expression') sql = `SELECT ${dressed}, (${sql})`;
    else if (where === 'table') sql = `SELECT 1 FROM ${dressed} AS h, (${sql}) AS o`;
    else sql = `${sql} LIMIT 1 ${dressed}`;
  } else if (planted === null && random.chance(0.1)) sql += ` ${word('SETTINGS')} max_threads = 1`;
  return { sql, hostile: planted?.text ?? null };
}

const TOP = 3;

/** The same part with other spaces, comments and cases of keywords. */
function dress(random: Random, text: string): string {
  if (random.chance(0.5)) return text;
  const gap = random.pick(COMMENTS);
  // Not inside quotes, where spaces are part of the text.
  return text.replace(/ (?=(?:[^'`"]|'[^']*'|`[^`]*`|"[^"]*")*$)/g, gap);
}

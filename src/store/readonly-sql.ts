/**
 * Makes sure that SQL which a user typed only reads tables.
 *
 * The engine's own `readonly = 1` refuses writes and changes of settings, but (measured on chDB 26.7) still runs
 * `SELECT file('/etc/passwd')`, `SELECT * FROM default.\`/etc/passwd\``, `DESCRIBE url(...)`, `... INTO OUTFILE` and
 * `KILL QUERY`. So the text is split into tokens, checked, and written anew from the tokens: comments go, literals are
 * escaped in one way, and what the engine parses is what was checked. In doubt it refuses.
 */

import { RogueSmtpError } from '../errors.ts';

/** What the engine says about itself, and what therefore must not be named. */
export interface ReadonlyRules {
  /** Lower-case names of all table functions (`system.table_functions`). Only harmless ones stay allowed. */
  readonly tableFunctions: ReadonlySet<string>;
  /** Lower-case names of databases that reach outside the engine (files, other servers). */
  readonly outsideDatabases: ReadonlySet<string>;
}

/** Database engines whose tables lie in the engine itself. All others reach files or servers. */
const INSIDE_ENGINES = "'Atomic', 'Ordinary', 'Memory', 'Replicated', 'Shared', 'Lazy'";

/** The rules of an engine. `read` gives the result of a statement as TabSeparatedRaw. */
export async function askRules(read: (sql: string) => Promise<string>): Promise<ReadonlyRules> {
  const names = async (sql: string) => new Set((await read(sql)).split('\n').filter((name) => name !== ''));
  return {
    tableFunctions: await names('SELECT lower(name) FROM system.table_functions'),
    outsideDatabases: await names(
      `SELECT lower(name) FROM system.databases WHERE engine NOT IN (${INSIDE_ENGINES})`,
    ),
  };
}

export type CheckedSql =
  | { readonly ok: true; readonly sql: string }
  | { readonly ok: false; readonly reason: string };

const MAX_SQL_LENGTH = 100_000;

/** Table functions that make rows out of nothing. */
const HARMLESS_TABLE_FUNCTIONS = new Set([
  'numbers',
  'numbers_mt',
  'zeros',
  'zeros_mt',
  'values',
  'view',
  'null',
  'generate_series',
  'generateseries',
  'format',
]);

/** System tables that describe the tables and the language. Others tell about other users, queries and files. */
const SYSTEM_TABLES = new Set([
  'tables',
  'columns',
  'parts',
  'databases',
  'functions',
  'formats',
  'one',
  'numbers',
  'merges',
  'data_type_families',
  'table_functions',
  'metrics',
  'settings',
]);

/** Functions that read files, look into tables by a name in a string, call out, stall, or write to the log. */
const FORBIDDEN_FUNCTION =
  /^(file|hascolumnintable|joinget\w*|dictget\w*|dicthas|dictisin|catboost\w*|evalmlmethod|naivebayes\w*|ai[a-z]+|sleep|sleepeachrow|logtrace|showcertificate|getmacro|getclienthttpheader|filesystem\w*|getserversetting|executable\w*|fuzzquery)$/;

const STATEMENTS = new Set(['select', 'with', 'show', 'describe', 'desc', 'explain', 'exists']);
const SHOWABLE = new Set(['tables', 'databases', 'columns', 'create', 'full', 'functions', 'indexes']);
const NOT_SHOWABLE_CREATE = /^(user|role|row|policy|quota|settings|profile|masking|named|workload|resource)$/;

type Token =
  | { readonly kind: 'word' | 'name' | 'text' | 'number' | 'placeholder'; readonly value: string }
  | { readonly kind: 'sign'; readonly value: string };

/** Checks one statement; on success returns it in its rewritten form, without a trailing semicolon. */
export function checkReadonlySql(sql: string, rules: ReadonlyRules): CheckedSql {
  if (sql.length > MAX_SQL_LENGTH) return refuse(`the statement is longer than ${MAX_SQL_LENGTH} characters`);
  const tokens = tokenize(sql);
  if (typeof tokens === 'string') return refuse(tokens);
  while (isSign(tokens.at(-1), ';')) tokens.pop();
  const reason = objection(tokens, rules);
  return reason === null ? { ok: true, sql: tokens.map(render).join(' ') } : refuse(reason);
}

/** The rewritten statement. Throws `refused` with the reason when it is more than a read. */
export function checkedSql(sql: string, rules: ReadonlyRules): string {
  const checked = checkReadonlySql(sql, rules);
  if (!checked.ok) throw new RogueSmtpError('refused', `this statement is not allowed: ${checked.reason}`);
  return checked.sql;
}

/**
 * Takes `FORMAT name` from the end of a statement, where clients of ClickHouse write it. What cannot be read is left as it
 * is, for the check to say why.
 */
export function splitFormat(sql: string): { readonly sql: string; readonly format: string | null } {
  const tokens = sql.length > MAX_SQL_LENGTH ? '' : tokenize(sql);
  if (typeof tokens === 'string') return { sql, format: null };
  while (isSign(tokens.at(-1), ';')) tokens.pop();
  const name = tokens.at(-1);
  const keyword = tokens.at(-2);
  if (name?.kind !== 'word' || keyword?.kind !== 'word' || keyword.value.toLowerCase() !== 'format')
    return { sql, format: null };
  return { sql: tokens.slice(0, -2).map(render).join(' '), format: name.value };
}

function refuse(reason: string): CheckedSql {
  return { ok: false, reason };
}

function objection(tokens: readonly Token[], rules: ReadonlyRules): string | null {
  const first = tokens.find((token) => token.value !== '(');
  if (first === undefined) return 'the statement is empty';
  if (first.kind !== 'word' || !STATEMENTS.has(first.value.toLowerCase()))
    return 'only SELECT, SHOW, DESCRIBE, EXPLAIN and EXISTS are allowed';
  if (first.value.toLowerCase() === 'show') {
    const what = lower(tokens, tokens.indexOf(first) + 1);
    const third = lower(tokens, tokens.indexOf(first) + 2);
    if (!SHOWABLE.has(what) || (what === 'create' && NOT_SHOWABLE_CREATE.test(third)))
      return 'of SHOW only tables, databases, columns, functions and CREATE of a table are allowed';
  }
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token.kind === 'sign' && token.value === ';') return 'one statement at a time';
    if (token.kind !== 'word' && token.kind !== 'name') continue;
    const name = token.value.toLowerCase();
    const calls = isSign(tokens[i + 1], '(');
    if (name === 'into' && token.kind === 'word') return 'INTO is not allowed';
    if (name === 'file' || (FORBIDDEN_FUNCTION.test(name) && (calls || isApplied(tokens, i))))
      return `"${token.value}" is not allowed`;
    if (calls && rules.tableFunctions.has(name) && !HARMLESS_TABLE_FUNCTIONS.has(name))
      return `the table function "${token.value}" is not allowed`;
    if (rules.outsideDatabases.has(name)) return `the database "${token.value}" is not allowed`;
    if (name === 'system') {
      const table = isSign(tokens[i + 1], '.') ? lower(tokens, i + 2) : '';
      if (!SYSTEM_TABLES.has(table))
        return `of the system tables only ${[...SYSTEM_TABLES].join(', ')} are allowed`;
    }
    if (name === 'format' && token.kind === 'word' && !calls && i >= tokens.length - 2)
      return 'give the format beside the statement, not in it';
  }
  return null;
}

/** `* APPLY(f)` and `arrayMap(f, ...)` name a function without calling it. */
function isApplied(tokens: readonly Token[], at: number): boolean {
  return isSign(tokens[at - 1], '(') || lower(tokens, at - 1) === 'apply' || isSign(tokens[at - 1], ',');
}

function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === 'sign' && token.value === sign;
}

function lower(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  return token === undefined || token.kind === 'text' ? '' : token.value.toLowerCase();
}

const SPACE = /[\s\u00a0]/;
const WORD = /[A-Za-z_][A-Za-z0-9_$]*/y;
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)/y;
/** `{name:Type}`: the value travels beside the statement. A type of balanced quotes, and never a name (`Identifier`). */
const PLACEHOLDER = /\{\s*[A-Za-z_]\w*\s*:\s*[A-Za-z](?:[\w,\s()]|'[\w/+-]*')*\}/y;
const SIGNS = /(?:::|->|<=>|<=|>=|!=|<>|==|\|\||[-+*/%()[\],.;=<>?:])/y;

/** Tokens of the text, or why it is refused. Other braces, heredocs, `@`, `#`, `^`, `&`, control characters have no use in reading. */
function tokenize(sql: string): Token[] | string {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0] ?? null;
  };
  while (at < sql.length) {
    const character = sql[at];
    if (SPACE.test(character)) {
      at++;
    } else if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end + 1;
    } else if (sql.startsWith('/*', at)) {
      const end = sql.indexOf('*/', at + 2);
      if (end < 0) return 'a comment is not closed';
      at = end + 2;
    } else if (character === "'" || character === '"' || character === '`') {
      const quoted = readQuoted(sql, at);
      if (quoted === null) return `a ${character} is not closed, or holds an escape that is not supported`;
      if (character !== "'" && !/^[^\\/.`"\p{Cc}]+$/u.test(quoted.value))
        return `the name ${JSON.stringify(quoted.value)} is not allowed`;
      tokens.push({ kind: character === "'" ? 'text' : 'name', value: quoted.value });
      at = quoted.next;
    } else if (character === '{') {
      const placeholder = match(PLACEHOLDER);
      if (placeholder === null || /identifier/i.test(placeholder.slice(placeholder.indexOf(':'))))
        return 'braces are allowed only as {name:Type}';
      tokens.push({ kind: 'placeholder', value: placeholder });
      at += placeholder.length;
    } else {
      const word = match(WORD);
      // After a name or a closing bracket a dot is a member access (`tuple.1`), not the start of a number.
      const member = character === '.' && isOperand(tokens.at(-1));
      const number = word === null && !member ? match(NUMBER) : null;
      const sign = word === null && number === null ? match(SIGNS) : null;
      const value = word ?? number ?? sign;
      if (value === null) return `the character ${JSON.stringify(character)} is not allowed here`;
      // `1abc` or `0x1z` would be joined differently by another reader of numbers.
      if (number !== null && /[A-Za-z0-9_]/.test(sql[at + number.length] ?? ''))
        return `"${sql.slice(at, at + number.length + 1)}..." is not a number`;
      tokens.push({ kind: word !== null ? 'word' : number !== null ? 'number' : 'sign', value });
      at += value.length;
    }
  }
  return tokens;
}

function isOperand(token: Token | undefined): boolean {
  return token !== undefined && (token.kind !== 'sign' || token.value === ')' || token.value === ']');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  n: '\n',
  t: '\t',
  r: '\r',
  '%': '\\%',
  _: '\\_',
};

/** A quoted text or name with the usual escapes and doubled quotes. */
function readQuoted(sql: string, start: number): { value: string; next: number } | null {
  const quote = sql[start];
  let value = '';
  for (let at = start + 1; at < sql.length; at++) {
    const character = sql[at];
    if (character === '\\') {
      const escaped = ESCAPES[sql[at + 1] ?? ''];
      if (escaped === undefined) return null;
      value += escaped;
      at++;
    } else if (character !== quote) {
      value += character;
    } else if (sql[at + 1] === quote) {
      value += quote;
      at++;
    } else {
      return { value, next: at + 1 };
    }
  }
  return null;
}

function render(token: Token): string {
  if (token.kind === 'text') return `'${token.value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
  return token.kind === 'name' ? `\`${token.value}\`` : token.value;
}

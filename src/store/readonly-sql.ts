/**
 * Makes sure that SQL which a user typed only reads our tables. The first of three walls (SECURITY.md).
 *
 * The engine's own `readonly = 1` refuses writes, but (measured on chDB 26.7) still runs `SELECT file('/etc/passwd')`,
 * `SELECT * FROM default.\`/etc/passwd\``, `... INTO OUTFILE`, `KILL QUERY`, and takes any SETTINGS below the top level, `readonly = 0`
 * among them. So the text is split into tokens, checked against lists of what is allowed, and written anew from the tokens.
 */

import { RogueSmtpError } from '../errors.ts';
import { objection, type ReadonlyRules, takeSettings } from './readonly-sql/check.ts';
import { isSign, renderTokens, tokenize, wordOf } from './readonly-sql/lexer.ts';

export type { ReadonlyRules } from './readonly-sql/check.ts';

/** Database engines whose tables lie in the engine itself. All others reach files or servers. */
const INSIDE_ENGINES = "'Atomic', 'Ordinary', 'Memory', 'Replicated', 'Shared', 'Lazy'";

/** The rules of an engine. `read` gives the result of a statement as TabSeparatedRaw. */
export async function askRules(read: (sql: string) => Promise<string>): Promise<ReadonlyRules> {
  const names = async (sql: string) => new Set((await read(sql)).split('\n').filter((name) => name !== ''));
  return {
    tableFunctions: await names('SELECT lower(name) FROM system.table_functions'),
    functions: await names('SELECT lower(name) FROM system.functions'),
    outsideDatabases: await names(
      `SELECT lower(name) FROM system.databases WHERE engine NOT IN (${INSIDE_ENGINES}) OR lower(name) = 'information_schema'`,
    ),
  };
}

export interface ReadableSql {
  /** The statement, written anew: without comments, a format, settings and a trailing semicolon. */
  readonly sql: string;
  /** What its SETTINGS said: names from a short list, values still to be bounded by `settingsWithinBounds`. */
  readonly settings: Readonly<Record<string, string>>;
}

export type CheckedSql =
  | ({ readonly ok: true } & ReadableSql)
  | { readonly ok: false; readonly reason: string };

const MAX_SQL_LENGTH = 100_000;

/** Checks one statement; on success returns it in its rewritten form. Never throws. */
export function checkReadonlySql(sql: string, rules: ReadonlyRules): CheckedSql {
  if (sql.length > MAX_SQL_LENGTH) return refuse(`the statement is longer than ${MAX_SQL_LENGTH} characters`);
  const tokens = tokenize(sql);
  if (typeof tokens === 'string') return refuse(tokens);
  while (isSign(tokens.at(-1), ';')) tokens.pop();
  const taken = takeSettings(tokens);
  if (!taken.ok) return refuse(taken.reason);
  const reason = objection(taken.tokens, rules);
  return reason === null
    ? { ok: true, sql: renderTokens(taken.tokens), settings: taken.settings }
    : refuse(reason);
}

/** The statement as it may run. Throws `refused` with the reason when it is more than a read. */
export function checkedSql(sql: string, rules: ReadonlyRules): ReadableSql {
  const checked = checkReadonlySql(sql, rules);
  if (!checked.ok) throw new RogueSmtpError('refused', `this statement is not allowed: ${checked.reason}`);
  return checked;
}

/**
 * Takes `FORMAT name` from the end of a statement, where clients of ClickHouse write it, before or after its SETTINGS. What cannot be
 * read is left as it is, for the check to say why.
 */
export function splitFormat(sql: string): { readonly sql: string; readonly format: string | null } {
  const tokens = sql.length > MAX_SQL_LENGTH ? '' : tokenize(sql);
  if (typeof tokens === 'string') return { sql, format: null };
  while (isSign(tokens.at(-1), ';')) tokens.pop();
  const taken = takeSettings(tokens);
  const end = taken.ok ? taken.tokens.length : tokens.length;
  for (const at of new Set([tokens.length - 2, end - 2])) {
    const name = tokens[at + 1];
    if (name?.kind === 'word' && wordOf(tokens[at]) === 'format')
      return {
        sql: renderTokens([...tokens.slice(0, at), ...tokens.slice(at + 2)]),
        format: name.value,
      };
  }
  return { sql, format: null };
}

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}

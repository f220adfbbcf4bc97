/**
 * The rules for a statement that a user typed: what is not understood is refused.
 *
 * It walks over the tokens once and keeps a stack of the open brackets. What may be called, which tables of `system` may be read and which
 * settings may be set is on lists; a clause is recognised by where its word stands, so that columns may bear the names of clauses.
 */

import { isAllowedFunction } from './functions.ts';
import { isOperand, isSign, nameOf, type Token, wordOf } from './lexer.ts';
import {
  AFTER_OPERAND,
  BEFORE_BRACKET,
  BEFORE_OPERAND,
  BY_NAME_OF_AGGREGATE,
  EXPLAINABLE,
  HIDDEN_COLUMNS,
  NOT_SHOWABLE_CREATE,
  OFF,
  SHOWABLE,
  STATEMENTS,
  SYSTEM_TABLES,
  TABLE_FUNCTIONS,
  TYPES,
} from './lists.ts';
import { settingObjection } from './settings.ts';

/** What the engine says about itself, and what therefore must not be named. */
export interface ReadonlyRules {
  /** Lower-case names of all table functions (`system.table_functions`). Only those on our list stay allowed. */
  readonly tableFunctions: ReadonlySet<string>;
  /** Lower-case names of all functions, for those that are named and not called (`APPLY(f)`). */
  readonly functions: ReadonlySet<string>;
  /** Lower-case names of databases that reach outside the engine (files, other servers). */
  readonly outsideDatabases: ReadonlySet<string>;
}

/** Deeper nesting has no use, and costs the engine stack. */
const MAX_DEPTH = 100;

interface Bracket {
  /** Lower-case name of what is called with it; '' for a list or a query. */
  readonly call: string;
  readonly sign: string;
  /** It holds a query, whose FROM names tables. */
  readonly query: boolean;
  /** The clause of the query the walk is in: only `from` matters. */
  inFrom: boolean;
}

/** Why the statement is refused; null when it may run. `tokens` without SETTINGS at the end, see `takeSettings`. */
export function objection(tokens: readonly Token[], rules: ReadonlyRules): string | null {
  const start = tokens.findIndex((token) => !isSign(token, '('));
  if (start < 0) return 'the statement is empty';
  const head = headObjection(tokens, start);
  if (head !== null) return head;
  const stack: Bracket[] = [{ call: '', sign: '', query: true, inFrom: false }];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const bracket = stack[stack.length - 1];
    if (token.kind === 'sign') {
      if (token.value === ';') return 'one statement at a time';
      if (token.value === '(' || token.value === '[') {
        if (stack.length > MAX_DEPTH) return `brackets are nested deeper than ${MAX_DEPTH}`;
        const called = token.value === '(' ? calledAt(tokens, i) : '';
        const reason = called === '' ? null : callObjection(tokens, i, rules);
        if (reason !== null) return reason;
        const first = wordOf(tokens[i + 1]);
        stack.push({
          call: called,
          sign: token.value,
          query: first === 'select' || first === 'with' || first === 'from' || isSign(tokens[i + 1], '('),
          inFrom: false,
        });
      } else if (token.value === ')' || token.value === ']') {
        if (stack.length === 1 || bracket.sign !== (token.value === ')' ? '(' : '['))
          return 'the brackets do not match';
        stack.pop();
      }
    } else if (token.kind === 'text') {
      if (isSign(tokens[i - 1], '.') || namesTable(tokens, i, bracket)) return 'a text cannot name a table';
    } else if (token.kind === 'word' || token.kind === 'name') {
      if (token.kind === 'word' && bracket.query) followClause(tokens, i, bracket);
      const reason = nameObjection(tokens, i, start, rules) ?? wordObjection(tokens, i, start);
      if (reason !== null) return reason;
      if (isFunctionByName(tokens, i, bracket) && isOffList(nameOf(token), rules))
        return `the function "${token.value}" is not allowed`;
    }
  }
  if (stack.length > 1) return 'a bracket is not closed';
  return hiddenObjection(tokens);
}

/** What may begin a statement, and what may follow SHOW and EXPLAIN. */
function headObjection(tokens: readonly Token[], start: number): string | null {
  const first = wordOf(tokens[start]);
  if (!STATEMENTS.has(first)) return 'only SELECT, SHOW, DESCRIBE, EXPLAIN and EXISTS are allowed';
  if (start > 0 && first !== 'select' && first !== 'with') return 'only a SELECT may stand in brackets';
  if (first === 'show') {
    const what = nameOf(tokens[start + 1]);
    const next = nameOf(tokens[start + 2]);
    if (
      !SHOWABLE.has(what) ||
      (what === 'create' && NOT_SHOWABLE_CREATE.test(next)) ||
      (what === 'full' && next !== 'tables' && next !== 'columns')
    )
      return 'of SHOW only tables, databases, columns, functions and CREATE of a table are allowed';
  }
  if (first === 'explain') {
    let at = start + 1;
    while (EXPLAINABLE.has(wordOf(tokens[at]))) at++;
    while (tokens[at]?.kind === 'word' && isSign(tokens[at + 1], '=') && tokens[at + 2]?.kind === 'number')
      at += isSign(tokens[at + 3], ',') ? 4 : 3;
    while (isSign(tokens[at], '(')) at++;
    if (!['select', 'with'].includes(wordOf(tokens[at]))) return 'only a SELECT may be explained';
  }
  return null;
}

/** Lower-case name before an opening bracket when it is a call, or what looks like one; '' when it is none. */
function calledAt(tokens: readonly Token[], bracket: number): string {
  const before = tokens[bracket - 1];
  if (before?.kind === 'word' && BEFORE_BRACKET.has(before.value.toLowerCase())) {
    // `t.in (` is a column or worse, never the operator.
    return isSign(tokens[bracket - 2], '.') && wordOf(before) !== 'columns' ? nameOf(before) : '';
  }
  return nameOf(before);
}

function callObjection(tokens: readonly Token[], bracket: number, rules: ReadonlyRules): string | null {
  const token = tokens[bracket - 1];
  const name = nameOf(token);
  if (isSign(tokens[bracket - 2], '.')) return `"${token.value}" cannot be called`;
  if (rules.tableFunctions.has(name) && !TABLE_FUNCTIONS.has(name))
    return `the table function "${token.value}" is not allowed`;
  if (BY_NAME_OF_AGGREGATE.has(name)) {
    const named = tokens[bracket + 1];
    const aggregate = named?.kind === 'text' ? /^[A-Za-z]\w*/.exec(named.value)?.[0] : undefined;
    if (aggregate === undefined || !isAllowedFunction(aggregate) || !isSign(tokens[bracket + 2], ','))
      return `"${token.value}" needs the name of an allowed aggregate as a plain text`;
  }
  if (isAllowedFunction(name) || TABLE_FUNCTIONS.has(name) || TYPES.has(name)) return null;
  return `the function "${token.value}" is not allowed`;
}

/** `* APPLY(f)`, `* APPLY f` and the first argument of `arrayMap(f, ...)` name a function without calling it. */
function isFunctionByName(tokens: readonly Token[], at: number, bracket: Bracket): boolean {
  if (isSign(tokens[at + 1], '(')) return false;
  const before = tokens[at - 1];
  if (wordOf(before) === 'apply') return true;
  if (!isSign(before, '(')) return false;
  return (
    wordOf(tokens[at - 2]) === 'apply' || (/^(array|map)/.test(bracket.call) && isSign(tokens[at + 1], ','))
  );
}

function isOffList(name: string, rules: ReadonlyRules): boolean {
  return rules.functions.has(name) && !isAllowedFunction(name);
}

/** Databases and tables of the engine. */
function nameObjection(
  tokens: readonly Token[],
  at: number,
  start: number,
  rules: ReadonlyRules,
): string | null {
  const token = tokens[at];
  const name = nameOf(token);
  if (isSign(tokens[at - 1], '.')) return null;
  if (rules.outsideDatabases.has(name)) return `the database "${token.value}" is not allowed`;
  if (name === 'system' && !(isSign(tokens[at + 1], '.') && SYSTEM_TABLES.has(nameOf(tokens[at + 2])))) {
    return `of the system tables only ${[...SYSTEM_TABLES].join(', ')} are allowed`;
  }
  if (
    (name === 'explain' || name === 'show' || name === 'describe') &&
    token.kind === 'word' &&
    at !== start
  ) {
    const next = tokens[at + 1];
    if (next !== undefined && next.kind !== 'sign' && !AFTER_OPERAND.has(wordOf(next)))
      return `${name.toUpperCase()} is allowed only at the beginning`;
  }
  return null;
}

/** Words that begin a clause which is off. */
function wordObjection(tokens: readonly Token[], at: number, start: number): string | null {
  const word = wordOf(tokens[at]);
  if (word === 'settings' && isClause(tokens, at))
    return 'SETTINGS is allowed only at the end of the whole statement';
  if (word === 'format' && isClause(tokens, at)) return 'give the format beside the statement, not in it';
  if (!OFF.has(word)) return null;
  if (word === 'create' && at === start + 1 && wordOf(tokens[start]) === 'show') return null;
  return isClause(tokens, at) || word === 'into' ? `${word.toUpperCase()} is not allowed` : null;
}

/**
 * Whether an unquoted word stands where only a clause can, or where it could be either. It is a name after a dot, before a dot, after AS,
 * and where an operand must stand, unless what follows is the name that the clause would need.
 */
function isClause(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1];
  const next = tokens[at + 1];
  if (isSign(before, '.') || isSign(next, '.') || wordOf(before) === 'as') return false;
  const operand =
    before !== undefined &&
    (before.kind === 'sign' ? !isOperand(before) : BEFORE_OPERAND.has(wordOf(before)));
  if (!operand) return true;
  if (next === undefined || (next.kind !== 'word' && next.kind !== 'name')) return next?.kind === 'text';
  const after = wordOf(next);
  // There are settings of these names, and a setting may stand without a value.
  if (after === 'limit' || after === 'offset')
    return !/^(number|placeholder)$/.test(tokens[at + 2]?.kind ?? '');
  return next.kind === 'name' || !AFTER_OPERAND.has(after) || isSign(tokens[at + 2], '=');
}

/** The end of FROM is where the next clause of the same query begins. */
function followClause(tokens: readonly Token[], at: number, bracket: Bracket): void {
  const word = wordOf(tokens[at]);
  if (isSign(tokens[at - 1], '.')) return;
  if (word === 'from' || word === 'join') bracket.inFrom = true;
  else if (
    /^(select|where|prewhere|on|using|group|order|having|limit|union|except|intersect|window)$/.test(word)
  )
    bracket.inFrom = false;
}

/** A text where a table must stand: some engines would open the file of that name. */
function namesTable(tokens: readonly Token[], at: number, bracket: Bracket): boolean {
  const before = tokens[at - 1];
  if (/^(table|describe|desc|exists)$/.test(wordOf(before)) && at <= 2) return true;
  if (!bracket.query || !bracket.inFrom) return false;
  return isSign(before, ',') || /^(from|join)$/.test(wordOf(before));
}

/** Columns of system tables that tell where things lie, by name, by `*` or by a pattern. */
function hiddenObjection(tokens: readonly Token[]): string | null {
  const hidden = new Set<string>();
  tokens.forEach((token, i) => {
    if (nameOf(token) !== 'system' || !isSign(tokens[i + 1], '.') || isSign(tokens[i - 1], '.')) return;
    for (const column of HIDDEN_COLUMNS[nameOf(tokens[i + 2])] ?? []) hidden.add(column);
  });
  if (hidden.size === 0) return null;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (hidden.has(nameOf(token))) return `the column "${token.value}" is not shown`;
    const pattern = wordOf(token) === 'columns' && isSign(tokens[i + 1], '(');
    if (pattern || (isSign(token, '*') && isStar(tokens, i)))
      return 'name the columns of this system table; not all of them are shown';
  }
  return null;
}

/** `*` for columns; not as a product, and not in `count(*)`. */
function isStar(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1];
  if (before === undefined || isSign(before, '.')) return true;
  if (isSign(before, '(')) return nameOf(tokens[at - 2]) !== 'count';
  return before.kind === 'sign' ? !isOperand(before) : BEFORE_OPERAND.has(wordOf(before));
}

export type TakenSettings =
  | {
      readonly ok: true;
      readonly tokens: readonly Token[];
      readonly settings: Readonly<Record<string, string>>;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Takes `SETTINGS name = value, ...` from the end of the whole statement. The engine gets them beside it, bounded, since with
 * `readonly = 1` it takes none in it.
 */
export function takeSettings(tokens: readonly Token[]): TakenSettings {
  let depth = 0;
  let at = -1;
  tokens.forEach((token, i) => {
    if (isSign(token, '(') || isSign(token, '[')) depth++;
    else if (isSign(token, ')') || isSign(token, ']')) depth--;
    else if (depth === 0 && i > 0 && wordOf(token) === 'settings' && isClause(tokens, i)) at = i;
  });
  if (at < 0) return { ok: true, tokens, settings: {} };
  const settings: Record<string, string> = {};
  for (let i = at + 1; ; i += 4) {
    const [name, equals, value, comma] = tokens.slice(i, i + 4);
    if (name?.kind !== 'word' || !isSign(equals, '=') || (value?.kind !== 'number' && value?.kind !== 'text'))
      return {
        ok: false,
        reason: 'after SETTINGS must come name = value, at the end of the whole statement',
      };
    const reason = settingObjection(name.value, value.value);
    if (reason !== null) return { ok: false, reason };
    settings[name.value] = value.value;
    if (comma === undefined) return { ok: true, tokens: tokens.slice(0, at), settings };
    if (!isSign(comma, ','))
      return { ok: false, reason: 'SETTINGS must stand at the end of the whole statement' };
  }
}

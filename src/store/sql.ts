/**
 * SQL text that both engines are given: quoting, the INSERT statements, and the settings that make them idempotent.
 *
 * Nothing here runs anything. Outside text reaches a statement only through `quoteText` or, in queries, through
 * `{name:Type}` placeholders; names of databases and tables only through `quoteName`.
 */

import { RogueSmtpError } from '../errors.ts';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS, KIND_CLICKHOUSE } from '../flow/columns.ts';
import { RESULT_FORMATS } from './readonly-sql/lists.ts';

/** A string literal. Backslash and quote are escaped, which ClickHouse reads alike in every dialect setting. */
export function quoteText(text: string): string {
  return `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
}

/** An identifier of a database, table or column. Throws when it is not a plain name, which is a mistake of the caller. */
export function quoteName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)) throw new Error(`"${name}" is not a name for SQL`);
  return `\`${name}\``;
}

export function qualifiedName(database: string, table: string): string {
  return `${quoteName(database)}.${quoteName(table)}`;
}

/**
 * Settings of every insert. The token makes a repeated insert a no-op, in the table and in what its materialised views
 * feed. A replay of an old capture may hold many days and thus partitions, which is no error. `async_insert` is off
 * because an acknowledged insert must be in the table; the block sizes keep one segment one block, so that it is
 * inserted wholly or not at all.
 */
export const INSERT_SETTINGS = {
  async_insert: 0,
  insert_deduplicate: 1,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  max_partitions_per_insert_block: 10_000,
  min_insert_block_size_rows: 4_194_304,
  min_insert_block_size_bytes: 1_073_741_824,
  max_insert_threads: 1,
  // Blocks of newer writers have columns that are not known here.
  input_format_skip_unknown_fields: 1,
  // Into a Distributed table: acknowledged when the shards have the rows, not when they are to be sent.
  insert_distributed_sync: 1,
} as const;

export function insertSettings(token: string): string {
  const constant = Object.entries(INSERT_SETTINGS).map(([name, value]) => `${name} = ${value}`);
  return `SETTINGS ${[`insert_deduplication_token = ${quoteText(token)}`, ...constant].join(', ')}`;
}

const FLOW_COLUMN_LIST = FLOW_COLUMN_NAMES.map(quoteName).join(', ');
const FLOW_STRUCTURE = FLOW_COLUMN_NAMES.map(
  (name) => `${quoteName(name)} ${KIND_CLICKHOUSE[FLOW_COLUMNS[name]]}`,
).join(', ');

/**
 * Reads the flow blocks of a file (relative to the engine's directory) into a table. The structure is given so that
 * blocks of older versions, which lack columns, and of newer ones, which have more, are read by name.
 */
export function insertFlowsFromFile(database: string, table: string, file: string, token: string): string {
  return (
    `INSERT INTO ${qualifiedName(database, table)} (${FLOW_COLUMN_LIST}) ${insertSettings(token)} ` +
    `SELECT ${FLOW_COLUMN_LIST} FROM file(${quoteText(file)}, 'Native', ${quoteText(FLOW_STRUCTURE)}, 'none')`
  );
}

/** Head of an insert of flow blocks whose bytes follow as the body of a request. */
export function insertFlowsFromBody(database: string, table: string): string {
  return `INSERT INTO ${qualifiedName(database, table)} (${FLOW_COLUMN_LIST}) FORMAT Native`;
}

/** Head of an insert of JSON rows: the rows follow, one a line. Which columns there are, the rows say. */
export function insertJsonHead(database: string, table: string, settings: string): string {
  return `INSERT INTO ${qualifiedName(database, table)} ${settings} FORMAT JSONEachRow`;
}

/** The name of a format for a result. Throws `usage` when it is none, or not on the list of those that need no more than their name. */
export function resultFormat(format: string): string {
  if (!/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(format))
    throw new RogueSmtpError('usage', `${JSON.stringify(format)} is not the name of a format`);
  if (!RESULT_FORMATS.has(format.toLowerCase()))
    throw new RogueSmtpError('usage', `the format ${format} is not allowed; try CSVWithNames`);
  return format;
}

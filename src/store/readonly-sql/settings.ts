/**
 * Settings that a statement or a request may bring: a short list, each with what its value may be.
 *
 * None names a file, a schema, a server or a limit that could be lifted. Numbers that bound work can only make the bounds tighter.
 */

import { availableParallelism } from 'node:os';
import { RogueSmtpError } from '../../errors.ts';

const FLAG = /^(0|1|true|false)$/;
const COUNT = /^[1-9]\d{0,15}$/;

const TEXT: Readonly<Record<string, RegExp>> = {
  date_time_output_format: /^(simple|iso|unix_timestamp|unix_timestamp_unquoted)$/,
  session_timezone: /^[A-Za-z0-9_+/-]{0,64}$/,
  format_csv_delimiter: /^[\x20-\x7e\t]$/,
  output_format_pretty_max_rows: /^\d{1,9}$/,
  output_format_pretty_color: /^(0|1|auto)$/,
  output_format_pretty_row_numbers: FLAG,
};

/** They change only how a result looks, or what a join and an empty result mean. */
const FLAGS = new Set([
  'join_use_nulls',
  'extremes',
  'output_format_json_quote_64bit_integers',
  'output_format_json_quote_64bit_floats',
  'output_format_json_quote_decimals',
  'output_format_json_quote_denormals',
  'output_format_json_named_tuples_as_objects',
  'output_format_json_array_of_rows',
  'output_format_json_escape_forward_slashes',
  'output_format_csv_crlf_end_of_line',
  'output_format_tsv_crlf_end_of_line',
  'output_format_decimal_trailing_zeros',
  'output_format_parquet_string_as_string',
  'output_format_arrow_string_as_string',
  'output_format_native_write_json_as_string',
]);

/** Rows and bytes of a result for users; of time and threads see `settingsWithinBounds`. */
const MAX_ROWS = 1_000_000;
const MAX_BYTES = 32 * 1024 * 1024;

/** Why a setting is refused; null when it is allowed with that value, or is a bound, which `settingsWithinBounds` looks at. */
export function settingObjection(name: string, value: string): string | null {
  const allowed = FLAGS.has(name)
    ? FLAG
    : BOUNDS.has(name)
      ? COUNT
      : Object.hasOwn(TEXT, name)
        ? TEXT[name]
        : null;
  if (allowed === null) return `the setting "${name.slice(0, 64)}" is not allowed`;
  return allowed.test(value) ? null : `the setting "${name}" cannot have this value`;
}

const BOUNDS = new Set(['max_threads', 'max_execution_time', 'max_result_rows', 'max_result_bytes']);

/**
 * The settings asked for, and the bounds for the rest. A number may be smaller than its bound: what is above throws `refused`.
 * `timeoutMs`: how long the statement may take.
 */
export function settingsWithinBounds(
  asked: Readonly<Record<string, string>>,
  timeoutMs: number,
): Record<string, string> {
  const bounds = {
    max_execution_time: Math.max(1, Math.ceil(timeoutMs / 1000)),
    max_result_rows: MAX_ROWS,
    max_result_bytes: MAX_BYTES,
    max_threads: Math.max(1, Math.floor(availableParallelism() / 2)),
  };
  for (const [name, bound] of Object.entries(bounds)) {
    if (Number(asked[name] ?? bound) > bound)
      throw new RogueSmtpError('refused', `this statement is not allowed: ${name} may be ${bound} at most`);
  }
  return { ...textValues(bounds), ...asked };
}

/** Numbers as the engine's protocols want them. */
export function textValues(settings: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
}

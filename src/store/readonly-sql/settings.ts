/**
 * Settings that a statement or a request may bring: a short list, each with what its value may be.
 *
 * None names a file, a schema, a server or a limit that could be lifted. Numbers that bound work can only make the bounds tighter
 * (`withinBounds`).
 */

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

/** Bounds that a statement may tighten. */
const BOUNDS = new Set(['max_threads', 'max_execution_time', 'max_result_rows', 'max_result_bytes']);

/** Why a setting is refused; null when it is allowed with that value. */
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

/** The settings asked for and the bounds together: a number asked for counts where it is smaller than the bound. */
export function withinBounds(
  asked: Readonly<Record<string, string>>,
  bounds: Readonly<Record<string, number>>,
): Record<string, string | number> {
  const settings: Record<string, string | number> = { ...asked };
  for (const [name, bound] of Object.entries(bounds)) {
    const number = Number(asked[name]);
    settings[name] = number > 0 && number < bound ? number : bound;
  }
  return settings;
}

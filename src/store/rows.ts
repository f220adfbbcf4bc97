/**
 * From a `JSONCompact` result to row objects.
 *
 * 64-bit integers are asked for as text (`JSON_SETTINGS`), because JSON.parse would silently round them; here those that
 * a double holds exactly become numbers and the rest stay text. The types come with the result, so a String column
 * that happens to hold digits stays what it is.
 */

import { RogueSmtpError } from '../errors.ts';

/** Settings that a query read by `parseRows` must run with. Times come as ISO 8601 UTC text. */
export const JSON_SETTINGS = {
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_denormals: 0,
  date_time_output_format: 'iso',
} as const;

interface CompactResult {
  readonly meta: readonly { readonly name: string; readonly type: string }[];
  readonly data: readonly (readonly unknown[])[];
}

/** A result in a text format. */
export function textOf(result: Uint8Array): string {
  return Buffer.from(result.buffer, result.byteOffset, result.length).toString('utf8');
}

export interface ParseOptions {
  /**
   * False: the query ran without `JSON_SETTINGS`, because the server lets its user set nothing. The same values come then
   * from the defaults of the server: long numbers are quoted before JSON rounds them, and times in UTC are made ISO 8601.
   */
  readonly bySettings?: boolean;
}

/** Rows as objects by column name. Throws `store` when the bytes are not a `JSONCompact` result. */
export function parseRows<Row>(result: Uint8Array, { bySettings = true }: ParseOptions = {}): Row[] {
  const text = textOf(result);
  const { meta, data } = parseCompact(bySettings ? text : quoteLongNumbers(text));
  const converters = meta.map(({ type }) => converterOf(type, bySettings));
  return data.map((values) => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < meta.length; i++) {
      const convert = converters[i];
      row[meta[i].name] = convert === null ? values[i] : convert(values[i]);
    }
    return row as Row;
  });
}

function parseCompact(text: string): CompactResult {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new RogueSmtpError('store', 'the engine answered with something that is not JSON', {
      cause: error,
    });
  }
  if (
    typeof parsed !== 'object' ||
    parsed === null ||
    !('meta' in parsed && Array.isArray(parsed.meta)) ||
    !('data' in parsed && Array.isArray(parsed.data))
  )
    throw new RogueSmtpError('store', 'the engine answered with JSON of another shape than was asked for');
  return parsed as CompactResult;
}

/** Integers of 16 digits or more, outside of texts: from 2^53 on JSON.parse would round them. */
function quoteLongNumbers(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?\d{16,}$/.test(token) ? `"${token}"` : token,
  );
}

/** How values of a type become what callers want; null when they are it already. */
function converterOf(type: string, bySettings: boolean): ((value: unknown) => unknown) | null {
  const inner = /^(?:Nullable|LowCardinality|SimpleAggregateFunction\(\w+,)\s*\(?(.*)\)$/.exec(type);
  if (inner !== null) return converterOf(inner[1].trim(), bySettings);
  const elements = /^Array\((.*)\)$/.exec(type);
  if (elements !== null) {
    const convert = converterOf(elements[1], bySettings);
    return convert === null ? null : (value) => (Array.isArray(value) ? value.map(convert) : value);
  }
  if (!bySettings && /^DateTime(64)?\((\d, )?'UTC'\)$/.test(type)) return isoTime;
  return /^U?Int64$/.test(type) ? exactNumber : null;
}

function isoTime(value: unknown): unknown {
  const match =
    typeof value === 'string' ? /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)$/.exec(value) : null;
  return match === null ? value : `${match[1]}T${match[2]}Z`;
}

function exactNumber(value: unknown): unknown {
  const number = Number(value);
  return typeof value === 'string' && Number.isSafeInteger(number) ? number : value;
}

/** Milliseconds of a time in an answer of the store, which is UTC where it names no zone. NaN for what is no time. */
export function storeTime(text: string): number {
  return Date.parse(/[Zz]|[+-]\d\d:\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
}

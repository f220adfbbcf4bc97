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

/** Rows as objects by column name. Throws `store` when the bytes are not a `JSONCompact` result. */
export function parseRows<Row>(result: Uint8Array): Row[] {
  const { meta, data } = parseCompact(textOf(result));
  const converters = meta.map(({ type }) => converterOf(type));
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

/** How values of a type become what callers want; null when they are it already. */
function converterOf(type: string): ((value: unknown) => unknown) | null {
  const inner = /^(?:Nullable|LowCardinality|SimpleAggregateFunction\(\w+,)\s*\(?(.*)\)$/.exec(type);
  if (inner !== null) return converterOf(inner[1].trim());
  const elements = /^Array\((.*)\)$/.exec(type);
  if (elements !== null) {
    const convert = converterOf(elements[1]);
    return convert === null ? null : (value) => (Array.isArray(value) ? value.map(convert) : value);
  }
  return /^U?Int64$/.test(type) ? exactNumber : null;
}

function exactNumber(value: unknown): unknown {
  const number = Number(value);
  return typeof value === 'string' && Number.isSafeInteger(number) ? number : value;
}

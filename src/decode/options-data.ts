/**
 * Options records: named values instead of columns, because they are few and each exporter has its own.
 *
 * v9 options data is read by node-netflowv9, IPFIX options data here; both give the same names, which are the
 * library's. Values are at most what the datagram holds. Flow records never come this way.
 */

import { formatAddress } from '../flow/address.ts';
import { elementType } from './netflowv9-library.ts';
import { type TemplateField, VARIABLE_LENGTH } from './template-field.ts';

export type OptionsFields = Readonly<Record<string, string | number>>;

/** The name under which an element stands in an options record: by name where known, else `id` or `pen.id`. */
export function elementName(pen: number, id: number): string {
  return pen === 0 ? (elementType(id)?.name ?? String(id)) : `${pen}.${id}`;
}

/** Reads one IPFIX options record at `at`. Null when a field runs past `end`. */
export function readIpfixOptions(
  bytes: Buffer,
  at: number,
  end: number,
  fields: readonly TemplateField[],
): { readonly fields: OptionsFields; readonly next: number } | null {
  const out: Record<string, string | number> = {};
  let position = at;
  for (const field of fields) {
    let length = field.length;
    if (length === VARIABLE_LENGTH) {
      if (position >= end) return null;
      length = bytes[position++];
      if (length === 255) {
        if (position + 2 > end) return null;
        length = bytes.readUInt16BE(position);
        position += 2;
      }
    }
    if (position + length > end) return null;
    const name = elementName(field.pen, field.id);
    if (!(name in out)) out[name] = fieldValue(field, bytes.subarray(position, position + length));
    position += length;
  }
  return { fields: out, next: position };
}

/** IEEE 754 elements that the library's table leaves out; samplingProbability is the one that matters. */
const FLOAT64 = new Set([311, 320, 321, 336, 337, 338]);

function fieldValue(field: TemplateField, value: Buffer): string | number {
  if (field.pen !== 0) return value.toString('hex');
  if (FLOAT64.has(field.id)) return floatOf(value);
  const kind = elementType(field.id)?.kind ?? 'bytes';
  if (kind === 'number' && value.length >= 1 && value.length <= 8) return unsigned(value);
  if (kind === 'ipv4' && value.length === 4) return value.join('.');
  if (kind === 'ipv6' && value.length === 16) return formatAddress(value);
  if (kind === 'text') return value.toString('utf8').replaceAll('\0', '');
  return value.toString('hex');
}

function floatOf(value: Buffer): string | number {
  if (value.length === 8) return value.readDoubleBE();
  return value.length === 4 ? value.readFloatBE() : value.toString('hex');
}

/** Exact up to 2^53. */
function unsigned(value: Buffer): number {
  let sum = 0;
  for (const byte of value) sum = sum * 256 + byte;
  return sum;
}

/**
 * Templates as they lie in a datagram, v9 (RFC 3954 sections 5.2 and 6.1) and IPFIX (RFC 7011 section 3.4).
 *
 * This is the bounds check that everything passes before anyone else sees it, node-netflowv9 included: a template that
 * leaves here is whole, has fields, and describes records that take room. It reads one template record at a time and
 * keeps nothing.
 */

import { type TemplateField, VARIABLE_LENGTH } from './template-field.ts';
import type { DropReason } from './types.ts';

/** The four forms of a template record; also what it means to be restored from a snapshot. */
export const TEMPLATE_FORMS = ['v9', 'v9-options', 'ipfix', 'ipfix-options'] as const;
export type TemplateForm = (typeof TEMPLATE_FORMS)[number];

export type TemplateRecord =
  | {
      readonly kind: 'template';
      readonly id: number;
      readonly fields: readonly TemplateField[];
      /** How many of the fields, from the first, are scope; 0 for data templates. */
      readonly scopeFields: number;
      /** Offset behind the record. */
      readonly next: number;
    }
  /** RFC 7011 section 8.1; `id` 2 or 3 withdraws all of that form. */
  | { readonly kind: 'withdrawal'; readonly id: number; readonly next: number }
  /** `next` is null when nothing behind the record can be made out. */
  | { readonly kind: 'refused'; readonly reason: DropReason; readonly next: number | null };

const ENTERPRISE_BIT = 0x8000;
/** Records have to fit into a set. */
const MAX_RECORD_BYTES = 65535 - 4;

/** Reads the template record at `at`; `at` + 4 must not be past `end`. */
export function readTemplateRecord(
  bytes: Buffer,
  at: number,
  end: number,
  form: TemplateForm,
  maxFields: number,
): TemplateRecord {
  switch (form) {
    case 'v9':
      return readFields(
        bytes,
        at + 4,
        end,
        bytes.readUInt16BE(at),
        bytes.readUInt16BE(at + 2),
        0,
        false,
        maxFields,
      );
    case 'v9-options':
      return readV9Options(bytes, at, end, maxFields);
    case 'ipfix':
    case 'ipfix-options':
      return readIpfix(bytes, at, end, form === 'ipfix-options', maxFields);
  }
}

function readV9Options(bytes: Buffer, at: number, end: number, maxFields: number): TemplateRecord {
  if (at + 6 > end) return { kind: 'refused', reason: 'bad_template', next: null };
  const scopeBytes = bytes.readUInt16BE(at + 2);
  const optionBytes = bytes.readUInt16BE(at + 4);
  // Lengths are in bytes here (RFC 3954 section 6.1), and a field specifier takes four.
  if (scopeBytes % 4 !== 0 || optionBytes % 4 !== 0) {
    const next = at + 6 + scopeBytes + optionBytes;
    return { kind: 'refused', reason: 'bad_template', next: next <= end ? next : null };
  }
  const fields = (scopeBytes + optionBytes) / 4;
  return readFields(bytes, at + 6, end, bytes.readUInt16BE(at), fields, scopeBytes / 4, false, maxFields);
}

function readIpfix(
  bytes: Buffer,
  at: number,
  end: number,
  options: boolean,
  maxFields: number,
): TemplateRecord {
  const id = bytes.readUInt16BE(at);
  const fields = bytes.readUInt16BE(at + 2);
  if (fields === 0) return { kind: 'withdrawal', id, next: at + 4 };
  if (!options) return readFields(bytes, at + 4, end, id, fields, 0, true, maxFields);
  if (at + 6 > end) return { kind: 'refused', reason: 'bad_template', next: null };
  const scopeFields = bytes.readUInt16BE(at + 4);
  return readFields(bytes, at + 6, end, id, fields, scopeFields, true, maxFields);
}

function readFields(
  bytes: Buffer,
  begin: number,
  end: number,
  id: number,
  count: number,
  scopeFields: number,
  enterprise: boolean,
  maxFields: number,
): TemplateRecord {
  if (begin + 4 * count > end) return { kind: 'refused', reason: 'bad_template', next: null };
  const fields: TemplateField[] = [];
  let at = begin;
  let recordBytes = 0;
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) return { kind: 'refused', reason: 'bad_template', next: null };
    const type = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    at += 4;
    let pen = 0;
    if (enterprise && type >= ENTERPRISE_BIT) {
      if (at + 4 > end) return { kind: 'refused', reason: 'bad_template', next: null };
      pen = bytes.readUInt32BE(at);
      at += 4;
    }
    recordBytes += length === VARIABLE_LENGTH ? 1 : length;
    // Fields over the limit are passed over, not kept.
    if (i < maxFields) fields.push({ id: enterprise ? type & ~ENTERPRISE_BIT : type, pen, length });
  }
  if (count > maxFields) return { kind: 'refused', reason: 'template_limit', next: at };
  if (id < 256 || recordBytes === 0 || recordBytes > MAX_RECORD_BYTES || scopeFields > count) {
    return { kind: 'refused', reason: 'bad_template', next: at };
  }
  return { kind: 'template', id, fields, scopeFields, next: at };
}

/**
 * Where the zeros begin that fill the bytes up to `to`: padding has to be zero (RFC 7011 section 3.3.1), and some
 * exporters send kilobytes of it. `from` when all is zero. One pass, whatever the bytes.
 */
export function behindContent(bytes: Buffer, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}

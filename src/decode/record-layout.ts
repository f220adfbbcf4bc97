/**
 * Where the fields of a template lie within a record.
 *
 * A pure look-up over the field list that the reader's generator works from: it decides nothing about meaning. Offsets
 * are relative to the record's start, or, behind variable-length fields, to the end of the last of them.
 */

import { type TemplateField, VARIABLE_LENGTH } from './template-field.ts';

/** A fixed-length field. `base` is the number of variable-length fields before it, `offset` the bytes behind them. */
export interface Slot {
  readonly base: number;
  readonly offset: number;
  readonly length: number;
}

interface PlacedField {
  readonly pen: number;
  readonly id: number;
  readonly slot: Slot;
}

export interface RecordLayout {
  /** Bytes of fixed-length fields before the first, between, and behind the last variable-length field. */
  readonly gaps: readonly number[];
  /** Shortest record possible: each variable-length field takes at least its length byte. */
  readonly minLength: number;
  /** True when a field has variable length, so that records differ in length. */
  readonly variable: boolean;
  /** The fixed-length fields in their order. */
  readonly slots: readonly PlacedField[];
  /** The variable-length fields in their order: the n-th ends where the base n + 1 begins. */
  readonly variables: readonly TemplateField[];
  /** The first field with this number whose length is within the bounds. */
  find(pen: number, id: number, minLength: number, maxLength: number): Slot | undefined;
}

/** Lays the fields out. Fields of length 0 take no room and are not found. */
export function layOut(fields: readonly TemplateField[]): RecordLayout {
  const byNumber = new Map<string, Slot[]>();
  const slots: PlacedField[] = [];
  const variables: TemplateField[] = [];
  const gaps = [0];
  for (const field of fields) {
    const base = gaps.length - 1;
    if (field.length === VARIABLE_LENGTH) {
      gaps.push(0);
      variables.push(field);
      continue;
    }
    if (field.length === 0) continue;
    const key = `${field.pen}:${field.id}`;
    const slot = { base, offset: gaps[base], length: field.length };
    slots.push({ pen: field.pen, id: field.id, slot });
    const known = byNumber.get(key);
    if (known === undefined) byNumber.set(key, [slot]);
    else known.push(slot);
    gaps[base] += field.length;
  }
  return {
    gaps,
    minLength: gaps.reduce((sum, gap) => sum + gap, 0) + gaps.length - 1,
    variable: gaps.length > 1,
    slots,
    variables,
    find: (pen, id, minLength, maxLength) =>
      byNumber.get(`${pen}:${id}`)?.find((slot) => slot.length >= minLength && slot.length <= maxLength),
  };
}

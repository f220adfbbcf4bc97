/**
 * What key was probably meant by one that does not exist: a slip of the pen in the same section, or a key of another section.
 *
 * Pure. It only proposes: a mistyped key is never taken for another.
 */

import { z } from 'zod';
import { writtenForm } from './environment.ts';

/** Of a short key one letter may be wrong, of a longer one every third. */
const mostSlips = (key: string): number => Math.max(1, Math.floor(key.length / 3));
/** A key of this name in more sections than these says nothing. */
const MOST_PLACES = 2;

/** Keys of the section at `path`, by the schema; indexes of lists are passed over. Null where there is no section. */
function sectionAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodObject | null {
  let at: unknown = schema;
  for (const key of [...path, null]) {
    let bare = writtenForm(at);
    if (bare instanceof z.ZodUnion) bare = bare.options.map(writtenForm).find(isSection);
    if (key === null) return isSection(bare) ? bare : null;
    if (bare instanceof z.ZodArray) at = bare.element;
    else if (isSection(bare) && Object.hasOwn(bare.shape, key)) at = bare.shape[String(key)];
    else return null;
  }
  return null;
}

const isSection = (schema: unknown): schema is z.ZodObject => schema instanceof z.ZodObject;

/** Paths of all keys with this name in sections, not in lists. */
function placesOf(schema: unknown, name: string, path: readonly string[] = []): string[] {
  const section = writtenForm(schema);
  if (!isSection(section)) return [];
  return Object.entries(section.shape).flatMap(([key, below]) => [
    ...(key === name ? [[...path, key].join('.')] : []),
    ...placesOf(below, name, [...path, key]),
  ]);
}

/** The keys that may be meant, nearest first: as they are written in this section, or with their path in another. */
export function suggestedKeys(schema: z.ZodType, path: readonly PropertyKey[], unknown: string): string[] {
  const plain = (key: string) => key.toLowerCase().replaceAll(/[-_ ]/g, '');
  const keys = Object.keys(sectionAt(schema, path)?.shape ?? {});
  const near = keys
    .map((key) => ({ key, slips: slipsBetween(plain(unknown), plain(key)) }))
    .filter(({ key, slips }) => slips <= mostSlips(key) && slips < key.length)
    .sort((a, b) => a.slips - b.slips);
  if (near.length > 0) return [near[0].key];
  const elsewhere = placesOf(schema, unknown);
  return elsewhere.length > MOST_PLACES ? [] : elsewhere;
}

/** Letters to add, remove, replace or exchange with their neighbour (optimal string alignment). Texts of a file may be long. */
function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > mostSlips(b)) return Number.POSITIVE_INFINITY;
  let twoBefore: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (exchanged) row[j] = Math.min(row[j], twoBefore[j - 2] + 1);
    }
    twoBefore = before;
    before = row;
  }
  return before[b.length];
}

/**
 * A flow record as any reader may tell it: what it has no word for is absent.
 */

export const COMPARED = [
  'src',
  'dst',
  'src_port',
  'dst_port',
  'protocol',
  'packets',
  'bytes',
  'flags',
] as const;
export type ComparedField = (typeof COMPARED)[number];
/** Addresses as 32 hex digits, IPv4 mapped; all else numbers. */
export type ComparedRecord = Readonly<Partial<Record<ComparedField, string | number>>>;

/** What a reader makes of a capture. `null` for what it cannot tell. */
export interface Reading {
  readonly flows: number;
  readonly options: number | null;
  readonly templates: number | null;
  /** One for each flow, in the order of the capture. */
  readonly records: readonly ComparedRecord[] | null;
}

export interface Comparison {
  /** Fields of records that both readers have. */
  readonly fields: number;
  /** How many records differ in each field. */
  readonly differing: Readonly<Partial<Record<ComparedField, number>>>;
}

/** Compares record by record what both have; null when they do not have the same number. */
export function compareRecords(
  ours: readonly ComparedRecord[],
  theirs: readonly ComparedRecord[],
): Comparison | null {
  if (ours.length !== theirs.length) return null;
  const differing: Partial<Record<ComparedField, number>> = {};
  let fields = 0;
  for (const [i, our] of ours.entries()) {
    for (const field of COMPARED) {
      const value = theirs[i]?.[field];
      if (value === undefined) continue;
      fields++;
      if (our[field] !== value) differing[field] = (differing[field] ?? 0) + 1;
    }
  }
  return { fields, differing };
}

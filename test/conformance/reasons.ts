/**
 * Why an oracle reads a capture otherwise than we do: one line for each difference, with what exactly is different.
 *
 * A difference that is not here, or not in these words, makes the conformance run fail; so does a line here that no
 * longer stands for a difference.
 */

export type Oracle = 'stated' | 'library' | 'tshark' | 'nfdump';

export interface Reason {
  readonly capture: string;
  readonly oracle: Oracle;
  /** As the run prints it. */
  readonly difference: string;
  readonly why: string;
}

export const REASONS: readonly Reason[] = [];

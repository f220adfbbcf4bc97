/**
 * What a fuzzer has found, and how it is kept: as a case file beside the code, which a unit test replays for ever.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export const CASES_DIR = fileURLToPath(new URL('cases/', import.meta.url));

const input = z.object({
  /** Last byte of the exporter's address. */
  exporter: z.number(),
  port: z.number(),
  at_ms: z.number(),
  hex: z.string(),
});
export type DecoderInput = z.infer<typeof input>;

export const caseSchema = z.discriminatedUnion('target', [
  z.object({ target: z.literal('decoder'), reason: z.string(), seed: z.number(), inputs: z.array(input) }),
  z.object({
    target: z.enum(['capture', 'native', 'snapshot', 'sequences', 'flow-log']),
    reason: z.string(),
    seed: z.number(),
    hex: z.string(),
  }),
]);
export type Case = z.infer<typeof caseSchema>;

/** An invariant that does not hold, with the input that shows it. */
export class Finding extends Error {
  readonly found: Case;

  constructor(found: Case, cause?: unknown) {
    super(found.reason, { cause });
    this.found = found;
  }
}

/** Writes the case into `directory` and returns the file's path. */
export function keepFinding({ found }: Finding, directory = CASES_DIR): string {
  mkdirSync(directory, { recursive: true });
  const path = `${directory}${found.target}-${found.seed}.json`;
  writeFileSync(path, `${JSON.stringify(found, null, 1)}\n`);
  return path;
}

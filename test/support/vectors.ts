/**
 * Captures of real exporters that lie outside of the project (VECTORS_DIR, else ../shared/vectors), and what their
 * README says of each. Tests that need them are skipped by name where they are absent.
 */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const VECTORS_DIR =
  process.env.VECTORS_DIR ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

export const haveVectors = existsSync(`${VECTORS_DIR}/README.md`);

export interface Vector {
  /** As in the README, without `.pcap`. */
  readonly name: string;
  readonly path: string;
  readonly version: string;
  readonly data: number;
  readonly options: number;
  readonly templates: number;
  readonly unresolved: number;
}

/** The rows of the table that tell counts as `data / opt / tmpl / unres`. */
export function readVectors(): Vector[] {
  if (!haveVectors) return [];
  const row = /^\| (\S+) \| (\S+) \| \d+ \| (\d+) \/ (\d+) \/ (\d+) \/ (\d+) \|/;
  return readFileSync(`${VECTORS_DIR}/README.md`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const match = row.exec(line);
      if (match === null) return [];
      const [, name, version, ...counts] = match;
      const [data, options, templates, unresolved] = counts.map(Number);
      const path = `${VECTORS_DIR}/${name}.pcap`;
      return [{ name, path, version, data, options, templates, unresolved }];
    });
}

/**
 * Inputs rebuilt from what people who run collectors reported, which lie outside of the project (CASES_DIR, else
 * ../shared/cases). Tests that need them are skipped by name where they are absent.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const CASES_DIR =
  process.env.CASES_DIR ?? fileURLToPath(new URL('../../../shared/cases', import.meta.url));

export const haveCases = existsSync(`${CASES_DIR}/README.md`);

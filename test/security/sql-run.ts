/** Runs statements of the grammar through the check, and gives what it did wrong. */

import { checkReadonlySql, type ReadonlyRules } from '../../src/store/readonly-sql.ts';
import { statements, type Targets } from './sql-grammar.ts';

export interface CheckRun {
  readonly checked: number;
  readonly hostile: number;
  /** Hostile ones that passed: must be empty. */
  readonly passed: readonly string[];
  /** Harmless ones that were refused, with the reason: must be empty. */
  readonly refused: readonly string[];
  /** Those that passed and change when they are checked again: must be empty. */
  readonly unstable: readonly string[];
  /** Some that passed, to be run by an engine. */
  readonly sample: readonly string[];
}

const SHOWN = 20;

export function checkStatements(
  count: number,
  seed: number,
  targets: Targets,
  rules: ReadonlyRules,
  sampleSize: number,
): CheckRun {
  const next = statements(seed, targets);
  const passed: string[] = [];
  const refused: string[] = [];
  const unstable: string[] = [];
  const sample: string[] = [];
  const every = Math.max(1, Math.floor(count / Math.max(1, 2 * sampleSize)));
  let hostile = 0;
  for (let i = 0; i < count; i++) {
    const { sql, hostile: part } = next();
    const result = checkReadonlySql(sql, rules);
    if (part !== null) hostile++;
    if (!result.ok) {
      if (part === null && refused.length < SHOWN) refused.push(`${result.reason}: ${sql}`);
      continue;
    }
    if (part !== null && passed.length < SHOWN) passed.push(`${part} in: ${sql}`);
    const again = checkReadonlySql(result.sql, rules);
    if ((!again.ok || again.sql !== result.sql) && unstable.length < SHOWN) unstable.push(sql);
    if (i % every === 0 && sample.length < sampleSize) sample.push(sql);
  }
  return { checked: count, hostile, passed, refused, unstable, sample };
}

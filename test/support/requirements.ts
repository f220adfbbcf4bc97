/**
 * What a test needs beyond npm packages, and the name under which it is skipped without it.
 *
 * CI sets REQUIRE_ALL=1: there a test that cannot run fails instead of being skipped.
 */

import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The tools that are not there: by their path, or by their name on the PATH. */
export function missingTools(...tools: readonly string[]): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return tools.filter((tool) =>
    tool.includes('/') ? !isExecutable(tool) : !folders.some((folder) => isExecutable(join(folder, tool))),
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What stands against running with namespaces and these tools, in words; null when nothing does. */
export function cannotRunAsRoot(...tools: readonly string[]): string | null {
  const reasons = [
    ...(process.getuid?.() === 0 ? [] : ['needs root']),
    ...missingTools('ip', ...tools).map((tool) => `needs ${tool}`),
  ];
  if (reasons.length === 0) return null;
  if (process.env.REQUIRE_ALL === '1') throw new Error(`REQUIRE_ALL is set, but: ${reasons.join(', ')}`);
  return reasons.join(', ');
}

/** Where `.ci/run` puts packages from PyPI: in a place of its own, never into the system. */
export const PYTHON_HOME = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'rogue-smtp',
  'python',
);

/** What stands against running the commands of PyPI packages, in words; null when nothing does. */
export function lacksPython(...commands: readonly string[]): string | null {
  const missing = commands.filter((command) => !existsSync(join(PYTHON_HOME, 'bin', command)));
  if (missing.length === 0) return null;
  const obstacle = `needs ${missing.join(', ')} in ${PYTHON_HOME}: see .ci/python-packages`;
  if (process.env.REQUIRE_ALL === '1') throw new Error(`REQUIRE_ALL is set, but: ${obstacle}`);
  return obstacle;
}

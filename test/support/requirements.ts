/**
 * What a test needs beyond npm packages, and the name under which it is skipped without it.
 *
 * CI sets REQUIRE_ALL=1: there a test that cannot run fails instead of being skipped.
 */

import { execFileSync } from 'node:child_process';

/** The tools that are not on the PATH. */
export function missingTools(...tools: readonly string[]): string[] {
  return tools.filter((tool) => {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
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

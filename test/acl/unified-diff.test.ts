/** The difference of two lists, as people read it and `patch` would apply it. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unifiedDiff } from '../../src/acl/unified-diff.ts';

const NAMES = ['published', 'new'] as const;

/** What `patch` does, for diffs of texts that end in a newline. */
function apply(before: string, diff: string): string {
  const lines = before === '' ? [] : before.slice(0, -1).split('\n');
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? /.exec(line);
    if (hunk !== null) {
      const from = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      out.push(...lines.slice(at, from));
      at = from;
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      expect(lines[at]).toBe(line.slice(1));
      if (line.startsWith(' ')) out.push(lines[at]);
      at++;
    }
  }
  out.push(...lines.slice(at));
  return out.map((line) => `${line}\n`).join('');
}

const text = fc
  .array(fc.constantFrom('a', 'b', 'c', 'deny'), { maxLength: 40 })
  .map((lines) => lines.map((line) => `${line}\n`).join(''));

describe('a unified diff', () => {
  it('is empty for equal texts', () => {
    expect(unifiedDiff('a\n', 'a\n', NAMES)).toBe('');
  });

  it('shows what changed with three lines around it', () => {
    const lines = Array.from({ length: 20 }, (_, i) => `line ${i + 1}\n`);
    const after = [...lines.slice(0, 9), 'new\n', ...lines.slice(10)];
    expect(unifiedDiff(lines.join(''), after.join(''), NAMES)).toBe(
      '--- published\n+++ new\n@@ -7,7 +7,7 @@\n line 7\n line 8\n line 9\n-line 10\n+new\n line 11\n line 12\n line 13\n',
    );
    expect(unifiedDiff('', 'a\nb\n', NAMES)).toBe('--- published\n+++ new\n@@ -0,0 +1,2 @@\n+a\n+b\n');
  });

  it('applied to the one text gives the other, whatever they are', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        expect(apply(before, unifiedDiff(before, after, NAMES))).toBe(after);
      }),
      { numRuns: 2000 },
    );
  });

  it('of texts that have nothing in common is one replacement, in bounded time', () => {
    const of = (word: string) => Array.from({ length: 5000 }, (_, i) => `${word} ${i}\n`).join('');
    expect(apply(of('old'), unifiedDiff(of('old'), of('new'), NAMES))).toBe(of('new'));
  });
});

/** What was expected of a value, in the words of whoever writes a configuration instead of the validator's. */

import type { z } from 'zod';

const EXPECTED: Readonly<Record<string, string>> = {
  array: 'expected a list, such as [one, two]',
  object: 'expected keys and values, such as { key: value }',
  string: 'expected text; put it in quotes if it looks like a number',
  number: 'expected a number',
  int: 'expected a whole number',
  boolean: 'expected true or false',
};

/**
 * Never holds the value itself, which may be a secret. `root`: what was validated; a key that is missing in it is said to be
 * missing, and one that stands there with nothing behind it to have no value.
 */
export function expectationOf(issue: z.core.$ZodIssue, root: unknown): string {
  const isAbout =
    issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union';
  const value = isAbout ? valueAt(root, issue.path) : root;
  if (value !== undefined && value !== null) return expectation(issue, root);
  const said = value === null ? 'has no value' : 'is missing';
  const text =
    issue.code === 'invalid_type' && issue.expected === 'string' ? 'expected text' : expectation(issue, root);
  return `${said}; ${text}`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function expectation(issue: z.core.$ZodIssue, root: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED[issue.expected] ?? issue.message;
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(' or ')}`;
    case 'too_small':
      if (issue.origin === 'array') return `expected a list with at least ${issue.minimum}`;
      return issue.origin === 'string'
        ? issue.message
        : `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `expected at most ${issue.maximum} characters`
        : `expected at most ${issue.maximum}`;
    case 'invalid_union': {
      // Of the forms that a value may have, the one whose shape was met but for something inside it.
      const inside = issue.errors.flat().find(({ path }) => path.length > 0);
      if (inside === undefined) return issue.message;
      const path = [...issue.path, ...inside.path];
      return `${inside.path.map(String).join('.')}: ${expectationOf({ ...inside, path }, root)}`;
    }
    default:
      return issue.message;
  }
}

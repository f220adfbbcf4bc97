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

/** Never holds the value itself, which may be a secret. */
export function expectationOf(issue: z.core.$ZodIssue): string {
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
      return inside === undefined ? issue.message : expectationOf(inside);
    }
    default:
      return issue.message;
  }
}

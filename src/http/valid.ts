/** Input from outside by a schema: what does not fit is the caller's mistake, told in words. */

import type { z } from 'zod';
import { RogueSmtpError } from '../errors.ts';

/** Throws RogueSmtpError `usage`. */
export function valid<Output>(schema: z.ZodType<Output>, input: unknown): Output {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const text = parsed.error.issues
    .map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    .join('; ');
  throw new RogueSmtpError('usage', text);
}

/** Asks a yes-or-no question on a terminal. */

import { createInterface } from 'node:readline/promises';
import { RogueSmtpError } from '../errors.ts';

export interface ConfirmStreams {
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream;
}

/** True for "y" and "yes". Throws RogueSmtpError `usage` where nobody can be asked. */
export async function confirmed(question: string, { stdin, stdout }: ConfirmStreams): Promise<boolean> {
  if (stdin?.isTTY !== true)
    throw new RogueSmtpError(
      'usage',
      'stdin is not a terminal, so nobody can be asked; add --yes to go on without a question',
    );
  const prompt = createInterface({ input: stdin, output: stdout });
  try {
    return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim());
  } finally {
    prompt.close();
  }
}

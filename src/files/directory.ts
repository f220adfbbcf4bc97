/** Makes a directory of ours, and says in words what stands in the way. */

import { existsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';

/** Only what this program runs as, and its group, may look in. */
const MODE = 0o750;

/**
 * Makes the directory and those above it; one that is there is fine. Throws RogueSmtpError `io`, beginning with `what`.
 *
 * One level at a time: mkdir's own `recursive` turns round for ever where a file system answers ENOENT to a directory
 * whose parent is there, as /proc does (seen with Node 20.20).
 */
export async function makeDirectory(directory: string, what: string): Promise<void> {
  try {
    await make(resolve(directory));
  } catch (error) {
    throw new RogueSmtpError('io', `${what} ${directory}: ${messageOf(error)}`, { cause: error });
  }
}

async function make(directory: string): Promise<void> {
  const parent = dirname(directory);
  if (parent !== directory && !existsSync(parent)) await make(parent);
  try {
    await mkdir(directory, { mode: MODE });
  } catch (error) {
    const there = await stat(directory).catch(() => null);
    if (there === null) throw error;
    if (!there.isDirectory()) throw new Error('it is there and is no directory');
  }
}

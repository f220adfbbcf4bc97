/**
 * The id of a data directory, by which commands tell the instance of their own configuration from another one.
 *
 * Made once, at the first start, and kept in the directory. It is no secret: it says which instance answers, not who may
 * ask.
 */

import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';

const FILE = 'instance-id';
const FORM = /^[0-9a-f]{32}\n$/;

/** The header of /healthz that carries it. */
export const INSTANCE_HEADER = 'X-Rogue-Smtp-Instance';

/** The id in the directory, which must exist; a new one where there is none. Throws RogueSmtpError `io`. */
export async function makeInstanceId(directory: string): Promise<string> {
  const known = await readInstanceId(directory);
  if (known.state === 'known') return known.id;
  const id = randomBytes(16).toString('hex');
  try {
    await writeFile(join(directory, FILE), `${id}\n`, { mode: 0o644, flag: 'wx' });
  } catch (error) {
    // Another role of the same directory, started at the same time, was faster.
    const other = await readInstanceId(directory);
    if (other.state === 'known') return other.id;
    if (other.state === 'damaged') {
      await writeFile(join(directory, FILE), `${id}\n`);
      return id;
    }
    throw new RogueSmtpError('io', `${join(directory, FILE)}: ${messageOf(error)}`, { cause: error });
  }
  return id;
}

/** `absent`: no instance of this version was ever started on the directory. `damaged`: not what was written. `hidden`: this user may not read it. */
export async function readInstanceId(
  directory: string,
): Promise<
  { readonly state: 'known'; readonly id: string } | { readonly state: 'absent' | 'damaged' | 'hidden' }
> {
  try {
    const text = await readFile(join(directory, FILE), 'utf8');
    return FORM.test(text) ? { state: 'known', id: text.trim() } : { state: 'damaged' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    return { state: code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'hidden' };
  }
}

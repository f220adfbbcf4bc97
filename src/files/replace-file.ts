/**
 * Replaces a file as a whole: written beside, synced and renamed, so that a kill or a power cut leaves the old text or
 * the new one.
 *
 * It never leaves a half-written file under the name itself, and never writes through a link that somebody put in the
 * place of the file beside it.
 */

import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

const MODE = 0o640;

export interface ReplaceOptions {
  /** The file beside. Calls for one must not overlap: processes that share a directory need one each. */
  readonly temporary?: string;
  /** Whatever the umask of the process is; without it 0640, less the umask. */
  readonly mode?: number;
}

/** Throws what the file system throws; the file is then as it was. */
export async function replaceFile(
  path: string,
  text: string,
  { temporary = `${path}.new`, mode }: ReplaceOptions = {},
): Promise<void> {
  try {
    await rm(temporary, { force: true });
    const handle = await open(temporary, 'wx', mode === undefined ? MODE : 0o600);
    try {
      await handle.writeFile(text);
      if (mode !== undefined) await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** A rename is kept over a power cut only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

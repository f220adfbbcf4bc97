/**
 * Replaces a file as a whole: written beside, synced and renamed, so that a kill leaves the old text or the new one.
 *
 * It never leaves a half-written file under the name itself.
 */

import { open, rename, rm } from 'node:fs/promises';

/**
 * Throws what the file system throws; the file is then as it was. Calls for one `temporary` must not overlap: processes
 * that share a directory need one each.
 */
export async function replaceFile(path: string, text: string, temporary = `${path}.new`): Promise<void> {
  try {
    const handle = await open(temporary, 'w', 0o640);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

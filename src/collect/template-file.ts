/**
 * Templates over a restart: the decoder's snapshot in a file of the data directory.
 *
 * Exporters send templates every few minutes at best; without the file, what comes in the meantime could not be read.
 * Written beside and renamed, so that a kill leaves the old file or the new one. A file that cannot be read is a pity,
 * not a failure: templates come again.
 */

import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';

/** 32768 templates are about 16 MB of JSON; what is larger was not written by us. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

export type LoadedTemplates =
  | { readonly kind: 'none' }
  | { readonly kind: 'snapshot'; readonly snapshot: unknown }
  | { readonly kind: 'unreadable'; readonly reason: string };

export async function loadTemplates(path: string): Promise<LoadedTemplates> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) return { kind: 'unreadable', reason: `${size} bytes are too many` };
    const text = checkedText(await readFile(path, 'utf8'));
    if (text === null) return { kind: 'unreadable', reason: 'its checksum is wrong: it is damaged' };
    return { kind: 'snapshot', snapshot: JSON.parse(text) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { kind: 'none' };
    return { kind: 'unreadable', reason: messageOf(error) };
  }
}

/** Throws what the file system throws; the file is then as it was. Calls must not overlap. */
export async function saveTemplates(path: string, snapshot: unknown): Promise<void> {
  await replaceFile(path, withChecksum(JSON.stringify(snapshot)));
}

/**
 * Where rows go that the store will never take: a directory, bounded, for a person to look at.
 *
 * Each refusal is a file with the bytes as they came and one beside it that says why. What is over the bound is only
 * counted, since a flood of damaged rows must not fill the disk that the good ones need. Nothing is ever read back.
 */

import { copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';

export interface DeadLetter {
  /** What names it; characters that do not belong in a file name are replaced. */
  readonly name: string;
  readonly extension: 'native' | 'ndjson';
  readonly rows: number;
  readonly reason: string;
  readonly content: { readonly file: string } | { readonly bytes: readonly Uint8Array[] };
}

export interface DeadLetters {
  /** True when the bytes were kept, false when the bound is reached. Throws `io`, transient, when the disk refuses. */
  add(letter: DeadLetter): Promise<boolean>;
}

export function createDeadLetters(directory: string, maxBytes: number): DeadLetters {
  let used: number | null = null;

  async function measure(): Promise<number> {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    let bytes = 0;
    for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).size;
    return bytes;
  }

  return {
    async add({ name, extension, rows, reason, content }) {
      try {
        used ??= await measure();
        const size =
          'file' in content
            ? (await stat(content.file)).size
            : content.bytes.reduce((sum, { length }) => sum + length, 0);
        if (used + size > maxBytes) return false;
        const base = join(directory, name.replace(/[^A-Za-z0-9._-]/g, '_'));
        if ('file' in content) await copyFile(content.file, `${base}.${extension}`);
        else await writeFile(`${base}.${extension}`, content.bytes);
        const note = `${JSON.stringify({ rows, reason })}\n`;
        await writeFile(`${base}.reason.json`, note);
        used += size + note.length;
        return true;
      } catch (error) {
        throw new RogueSmtpError('io', `dead letters in ${directory}: ${messageOf(error)}`, {
          cause: error,
          transient: true,
        });
      }
    },
  };
}

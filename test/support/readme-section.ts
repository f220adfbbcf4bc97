/** Puts a measured section into a page of the project, in place of what stood there under the same heading. */

import { readFile, writeFile } from 'node:fs/promises';

/** `heading` with its `##`; the section runs to the next heading of that rank or the end, and is added where there is none. */
export async function writeSection(file: string, heading: string, body: string): Promise<void> {
  const parts = (await readFile(file, 'utf8')).split(/^(?=## )/m);
  const at = parts.findIndex((part) => part.startsWith(`${heading}\n`));
  parts.splice(at < 0 ? parts.length : at, 1, `${heading}\n\n${body}`);
  await writeFile(file, `${parts.map((part) => part.trimEnd()).join('\n\n')}\n`);
}

/** What lies in the directory of a local stream that no group has read to its end: for who has changed to brokers since. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StreamName } from '../stream.ts';
import { parsePositions } from './positions.ts';
import { indexEntries } from './reader.ts';
import { STREAM_SETTINGS } from './settings.ts';
import { segmentsAsFound } from './verify.ts';

/** Those of which messages are removed once they are read. */
const READ_ONCE: readonly StreamName[] = ['flows', 'mail', 'alerts'];

export interface Unread {
  readonly stream: StreamName;
  /** Flow rows, or JSON messages. */
  readonly rows: number;
}

/** Changes nothing. Throws what the file system throws. */
export async function unreadIn(directory: string): Promise<readonly Unread[]> {
  const found: Unread[] = [];
  for (const stream of READ_ONCE) {
    const folder = join(directory, stream);
    if (!existsSync(folder)) continue;
    const read = await lowestCommitted(join(directory, 'groups'), stream);
    let rows = 0;
    for (const { segment } of await segmentsAsFound(folder, STREAM_SETTINGS[stream].format))
      for await (const entry of indexEntries(segment)) if (entry.offset > read) rows += entry.rows;
    if (rows > 0) found.push({ stream, rows });
  }
  return found;
}

/** -1 where nothing was, or it cannot be said. */
async function lowestCommitted(groups: string, stream: StreamName): Promise<number> {
  let lowest: number | null = null;
  for (const name of existsSync(groups) ? await readdir(groups) : []) {
    if (!name.endsWith('.json')) continue;
    const offset = parsePositions(await readFile(join(groups, name), 'utf8'))?.committed.get(stream);
    if (offset !== undefined) lowest = Math.min(lowest ?? offset, offset);
  }
  return lowest ?? -1;
}

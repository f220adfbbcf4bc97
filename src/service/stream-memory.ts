/**
 * Which streams this data directory was used with: a small file that says so, so that a change is told.
 *
 * Whoever goes from the embedded streams to brokers, to another cluster, or to topics that were made anew while nothing
 * ran, leaves behind what was unread, and nobody would know. It must never stop anything: lists are held elsewhere
 * (publish/admissions.ts).
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { Logger } from '../logger.ts';
import { unreadIn } from '../stream/local/unread.ts';
import { STREAM_NAMES, type Stream } from '../stream/stream.ts';

const FILE = 'streams.json';
const memorySchema = z.object({ streams: z.record(z.string(), z.string()) });
type Identities = Readonly<Record<string, string>>;

export interface StreamMemoryOptions {
  /** The data directory. */
  readonly directory: string;
  readonly stream: Pick<Stream, 'identity'>;
  readonly log: Pick<Logger, 'warn'>;
  /** Something is not what it was, in words. */
  readonly note: (text: string) => void;
}

/** Compares the streams with those of the last run, tells what has changed, and remembers them. Never throws. */
export async function compareStreams({ directory, stream, log, note }: StreamMemoryOptions): Promise<void> {
  const file = join(directory, FILE);
  try {
    const before = await readIdentities(file);
    const now: Record<string, string> = { ...before };
    for (const name of STREAM_NAMES) {
      const identity = await stream.identity?.(name);
      if (identity !== undefined && identity !== null) now[name] = identity;
    }
    const changed = STREAM_NAMES.filter((name) => name in before && before[name] !== now[name]);
    if (changed.length > 0)
      note(
        `the streams ${changed.join(', ')} are others than at the last run (${changed.map((name) => `${before[name]}, now ${now[name]}`).join('; ')}): what was unread there is not read, and how much that is is not known here`,
      );
    const unread = await unreadStreams(directory, now);
    if (unread !== null) note(unread);
    await replaceFile(file, withChecksum(JSON.stringify({ streams: now })));
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'whether the streams are those of the last run cannot be said');
  }
}

/** What lies unread in the embedded streams while brokers are used, in words; null where nothing does. */
export async function unreadStreams(directory: string, now: Identities = {}): Promise<string | null> {
  if (now.flows === EMBEDDED) return null;
  const local = join(directory, 'stream');
  const unread = await unreadIn(local).catch(() => []);
  if (unread.length === 0) return null;
  const parts = unread.map(({ stream, rows }) => `${rows} of ${stream}`);
  return `${local} holds rows that nobody reads while kafka.brokers is set: ${parts.join(', ')}. Stop the roles and run: rogue-smtp migrate --streams, or remove the directory`;
}

const EMBEDDED = 'embedded';

async function readIdentities(file: string): Promise<Identities> {
  try {
    const text = checkedText(await readFile(file, 'utf8'));
    return text === null ? {} : memorySchema.parse(JSON.parse(text)).streams;
  } catch {
    return {};
  }
}

/**
 * What the lists of this process remember over a restart: who is in them, who waits, which are held at a revision, and
 * which revision each hook has taken.
 *
 * One small file in the data directory, written beside its place and renamed. A file that cannot be read is an error and
 * never an empty state: that would let a thousand hosts into the lists unasked.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';

const isoTime = z.iso.datetime({ precision: 3 });

const pinSchema = z.strictObject({
  revision: z.string(),
  by: z.string(),
  reason: z.string(),
  at: isoTime,
  /** The rules of the revision: kept here, since its file may leave the history. */
  model: z.string(),
});
export type Pin = z.infer<typeof pinSchema>;

const stateSchema = z.strictObject({
  v: z.literal(1),
  /** By host and site; null before anything was ever published. */
  admissions: z
    .strictObject({
      admitted: z.record(
        z.string(),
        z.strictObject({
          listed_at: isoTime.nullable(),
          time_to_block_ms: z.number().nonnegative().nullable(),
        }),
      ),
      held: z.record(z.string(), isoTime),
    })
    .nullable(),
  /** By target and family, as `edge.4`. */
  pins: z.record(z.string(), pinSchema),
  hooked: z.record(z.string(), z.string()),
  /** Where the incidents came from that the admissions were made of; absent before that was known. */
  incidents_from: z.string().optional(),
});
type ListState = Readonly<z.infer<typeof stateSchema>>;

const FILE = 'lists.json';

/** The state as its file has it: what cannot be written is not so. */
export interface ListMemory {
  /** Throws RogueSmtpError `io`. */
  open(): Promise<void>;
  isOpen(): boolean;
  /** Throws RogueSmtpError `unavailable` before it was opened. */
  state(): ListState;
  /** Throws RogueSmtpError `io`; nothing has changed then. One change at a time. */
  change(parts: Partial<Omit<ListState, 'v'>>): Promise<void>;
}

export function createListMemory(directory: () => string): ListMemory {
  let known: ListState | null = null;
  const state = () => {
    if (known === null) throw new RogueSmtpError('unavailable', 'the lists are not there yet');
    return known;
  };
  return {
    async open() {
      known = await readListState(directory());
    },
    isOpen: () => known !== null,
    state,
    async change(parts) {
      const next = { ...state(), ...parts };
      await writeListState(directory(), next);
      known = next;
    },
  };
}

/** Throws RogueSmtpError `io`. */
export async function readListState(directory: string): Promise<ListState> {
  const file = join(directory, FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { v: 1, admissions: null, pins: {}, hooked: {} };
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const checked = checkedText(text);
    if (checked === null) throw new Error('its checksum is wrong');
    return stateSchema.parse(JSON.parse(checked));
  } catch (error) {
    throw new RogueSmtpError(
      'io',
      `${file} is damaged: see who is blocked and remove it, then all of them are listed anew`,
      { cause: error },
    );
  }
}

/** Throws RogueSmtpError `io`; the old state is then still there. */
async function writeListState(directory: string, state: ListState): Promise<void> {
  const file = join(directory, FILE);
  try {
    await replaceFile(file, withChecksum(JSON.stringify(state)), { temporary: `${file}.tmp` });
  } catch (error) {
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error, transient: true });
  }
}

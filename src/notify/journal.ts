/**
 * The state of one target on disk: an append-only file of changes, one checked line a step, rewritten when it has grown.
 *
 * A change is in memory first and on disk before `durable` resolves. A kill leaves at most a torn last line, which is
 * passed over; a damaged line is passed over, too, and reported. When the disk refuses a line, the whole file is written
 * anew with the next one, so that memory and disk agree again.
 */

import { appendFile, readFile, stat } from 'node:fs/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import { applyChange, type Change, changesOf, emptyState, type TargetState } from './target-state.ts';

export interface Journal {
  readonly state: TargetState;
  /** Lines that were damaged when it was opened. */
  readonly damaged: number;
  /** Applies the changes, and begins to write them. */
  change(changes: readonly Change[]): void;
  /** Resolves when all changes are on disk. Throws RogueSmtpError `io`, after one more attempt. */
  durable(): Promise<void>;
}

/** The file is rewritten when what was appended exceeds this, and twice what is needed. */
const REWRITE_BYTES = 1024 * 1024;
/** No state is larger: a file that is was not written by this program. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** Opens the file, or begins it. Throws RogueSmtpError `io` when it can be neither read nor written. */
export async function openJournal(file: string, nowMs: number): Promise<Journal> {
  const state = emptyState();
  const damaged = await restore(file, state);
  // The clock may have been wrong when it was begun.
  if (state.startedAt === 0 || state.startedAt > nowMs) state.startedAt = nowMs;
  const pending: string[] = [];
  let appended = 0;
  let kept = 0;
  let mustRewrite = true;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const lines = pending.splice(0);
    if (lines.length === 0 && !mustRewrite) return;
    try {
      if (mustRewrite || (appended > REWRITE_BYTES && appended > 2 * kept)) {
        const text = lineOf(changesOf(state));
        mustRewrite = true;
        await replaceFile(file, text);
        mustRewrite = false;
        appended = 0;
        kept = text.length;
        return;
      }
      const text = lines.join('');
      await appendFile(file, text, { mode: 0o640, flush: true });
      appended += text.length;
    } catch (error) {
      // What became of the line is not known; the whole state takes its place.
      mustRewrite = true;
      throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error, transient: true });
    }
  }

  function writeInTurn(): Promise<void> {
    writing = writing.catch(() => undefined).then(write);
    return writing;
  }

  await writeInTurn();
  return {
    state,
    damaged,
    change(changes) {
      if (changes.length === 0) return;
      for (const change of changes) applyChange(state, change);
      pending.push(lineOf(changes));
      void writeInTurn().catch(() => undefined);
    },
    async durable() {
      await writing.catch(() => undefined);
      await writeInTurn();
    },
  };
}

const lineOf = (changes: readonly Change[]): string => withChecksum(JSON.stringify({ changes }));

/** How many lines were damaged. The last one, without an end, is what a kill leaves. */
async function restore(file: string, state: TargetState): Promise<number> {
  let text: string;
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) throw new Error('it is too large to be a queue');
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error });
  }
  const lines = text.split('\n');
  lines.pop();
  let damaged = 0;
  for (const line of lines) {
    const changes = changesIn(line);
    if (changes === null) damaged++;
    else for (const change of changes) applyChange(state, change);
  }
  return damaged;
}

function changesIn(line: string): readonly Change[] | null {
  const json = checkedText(line);
  if (json === null || !line.includes('"crc32":"')) return null;
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || !('changes' in value) || !Array.isArray(value.changes))
      return null;
    return value.changes;
  } catch {
    return null;
  }
}

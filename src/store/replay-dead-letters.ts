/**
 * Puts dead letters back into the store: after a defect was mended, or a newer version understands what an older did not.
 *
 * A letter goes in under the token that it had as a delivery, and its files are removed after that: a crash in between
 * costs a repeat that the engine recognises. What is refused again stays where it is, with the other letters going on.
 */

import { readFile } from 'node:fs/promises';
import { RogueSmtpError } from '../errors.ts';
import type { StreamName } from '../stream/stream.ts';
import { type KeptLetter, keptLetters, type LettersLeft, removeLetter } from './dead-letters.ts';
import { damageOfBlocks, messageRow } from './second-look.ts';
import type { Engine } from './store.ts';
import { type MessageStream, messageObjection, tokenOf } from './writer.ts';

export interface ReplayedLetters {
  readonly stored: LettersLeft;
  readonly left: LettersLeft;
  /** Why each of those that are left stays, by the name of the letter. */
  readonly reasons: ReadonlyMap<string, string>;
}

/** Throws what is no answer to a letter (the server is away); what was put back by then stays put back. */
export async function replayDeadLetters(engine: Engine, directory: string): Promise<ReplayedLetters> {
  const stored = { letters: 0, rows: 0 };
  const left = { letters: 0, rows: 0 };
  const reasons = new Map<string, string>();
  for (const letter of await keptLetters(directory)) {
    const reason = await putBack(engine, letter);
    const count = reason === null ? stored : left;
    count.letters++;
    count.rows += letter.rows;
    if (reason === null) await removeLetter(directory, letter);
    else reasons.set(letter.name, reason);
  }
  return { stored, left, reasons };
}

/** Null when it went in, else why it did not. */
async function putBack(engine: Engine, letter: KeptLetter): Promise<string | null> {
  try {
    if (letter.extension === 'native') {
      const damage = await damageOfBlocks({ file: letter.file });
      // An engine would be asked in vain, and might end of it.
      if (damage !== null) return damage;
      // The letter of a delivery of flows is named by its token.
      await engine.insertNative('flows', { file: letter.file }, { token: letter.name });
      return null;
    }
    return await putBackMessage(engine, letter);
  } catch (error) {
    if (error instanceof RogueSmtpError && error.engine !== undefined) return error.message;
    throw error;
  }
}

async function putBackMessage(engine: Engine, { name, file }: KeptLetter): Promise<string | null> {
  const match = /^(alerts|incidents)-(\d+)-(\d+)(?:-[0-9a-f]+)?$/.exec(name);
  if (match === null) return 'the name of the file does not tell the stream that it is from';
  const [, stream, partition, offset] = match;
  const value = await readFile(file);
  const table: MessageStream = stream === 'alerts' ? 'alerts' : 'incidents';
  const objection = messageObjection(table, value);
  if (objection !== null) return objection;
  const place = {
    stream: table satisfies StreamName,
    partition: Number(partition),
    firstOffset: Number(offset),
    lastOffset: Number(offset),
  };
  const token = await tokenOf(place, { bytes: [value] });
  await engine.insertJson(table, [messageRow(value)], { token });
  return null;
}

/**
 * Under which name a collector publishes the messages of its spool: the name of the directory, and a part that is new at
 * each start.
 *
 * Consumers take a message once for each name and number, and numbers are positions in the spool. A directory that was
 * copied or restored gives the same numbers to other messages; under one name those would be taken for repeats. What
 * lay in the spool at a start keeps the name under which it may have been sent: a copy has the same messages there. It
 * must never give a message another name than an earlier attempt to send it had.
 */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';

/** Streams that are forwarded from the spool. */
export type SpooledName = 'flows' | 'mail';

/** Long enough that no two spools share one; short, since it travels with every message. */
const BASE_DIGITS = 12;
const LIFE_DIGITS = 6;
/** A collector that starts again and again while no broker answers. */
const MOST_LIVES = 1000;
const NAME_FILE = 'producer';
const LIVES_FILE = 'producer-lives.json';

const offset = z.number().int().nonnegative();
const lifeSchema = z.object({ name: z.string(), from: z.object({ flows: offset, mail: offset }) });
const livesSchema = z.object({ lives: z.array(lifeSchema) });
type Life = z.infer<typeof lifeSchema>;

/** What a spool holds at a start. `from`: the first message that the brokers have not taken. */
export interface SpoolExtent {
  readonly from: number;
  readonly end: number;
}

export interface ProducerLives {
  nameOf(stream: SpooledName, offset: number): string;
  /** The message was published to the spool since the start. */
  isNew(stream: SpooledName, offset: number): boolean;
}

/** Begins a new life. Throws RogueSmtpError `io` where it cannot be kept: a restart would give other names. */
export async function beginLife(
  directory: string,
  extent: Readonly<Record<SpooledName, SpoolExtent>>,
): Promise<ProducerLives> {
  const base = await producerBase(directory);
  const file = join(directory, LIVES_FILE);
  const before = (await readLives(file)) ?? [{ name: base, from: { flows: 0, mail: 0 } }];
  const life: Life = {
    name: `${base}-${randomDigits(LIFE_DIGITS)}`,
    from: { flows: extent.flows.end, mail: extent.mail.end },
  };
  const lives = [...before, life].slice(-MOST_LIVES);
  // Those before one that begins at or before what is still to be sent have nothing to send any more.
  const oldest = lives.findLastIndex(
    ({ from }) => from.flows <= extent.flows.from && from.mail <= extent.mail.from,
  );
  const kept = lives.slice(Math.max(0, oldest));
  await replaceFile(file, withChecksum(JSON.stringify({ lives: kept }))).catch((error: unknown) => {
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error });
  });
  return {
    nameOf: (stream, at) => kept.findLast(({ from }) => from[stream] <= at)?.name ?? base,
    isNew: (stream, at) => at >= life.from[stream],
  };
}

/** The part of a producer's name that stays the same over restarts. */
export function collectorOf(producer: string): string {
  const end = producer.indexOf('-');
  return end < 0 ? producer : producer.slice(0, end);
}

/** Null where nothing was kept, or it is damaged: then what lies in the spool goes by the name alone. */
async function readLives(file: string): Promise<Life[] | null> {
  try {
    const text = checkedText(await readFile(file, 'utf8'));
    return text === null ? null : livesSchema.parse(JSON.parse(text)).lives;
  } catch {
    return null;
  }
}

/** The name of a directory, which is made at the first call. Throws RogueSmtpError `io` where it cannot be kept. */
export async function producerBase(directory: string): Promise<string> {
  const file = join(directory, NAME_FILE);
  const known = await readFile(file, 'utf8').catch(() => '');
  if (/^[0-9a-f]{12}$/.test(known)) return known;
  const name = randomDigits(BASE_DIGITS);
  await replaceFile(file, name).catch((error: unknown) => {
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error });
  });
  return name;
}

const randomDigits = (count: number) => randomUUID().replaceAll('-', '').slice(0, count);

/**
 * The second look at rows that an engine refused: are the bytes at fault, or the server?
 *
 * Most refusals say nothing about the rows: a shard that dies while it sends has the code of a block that is cut (32, 33),
 * a table that lost a column that of a wrong statement (16, 47). So rows are set aside only with proof. For blocks of flows
 * the proof is our own decoder. For JSON messages, whose form was checked before, it is that the engine refuses one message
 * by itself and takes another one. In either case the engine has to refuse twice with the same code, and to take an insert
 * into the same table in between. Whatever is not proven waits in the stream.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { readWide } from '../flow/batch.ts';
import { decodeNative } from '../flow/native.ts';
import { refusesWhatWasSent } from './failures.ts';
import { textOf } from './rows.ts';
import { INSERT_SETTINGS, qualifiedName } from './sql.ts';
import type { Engine } from './store.ts';

/** Flow blocks as they are handed to an engine. */
export type BlockSource = { readonly file: string } | { readonly bytes: readonly Uint8Array[] };

const DAY_MS = 86_400_000;
/** UNKNOWN_TYPE of ClickHouse. */
const UNKNOWN_TYPE = 50;

/**
 * What is wrong with the blocks by our own reading of them, or null when they are sound. `refusal`: what the engine said. A
 * type that we do not know may be one of a newer version, so it counts only where the engine does not know it either.
 */
export async function damageOfBlocks(source: BlockSource, refusal?: RogueSmtpError): Promise<string | null> {
  const buffers = 'file' in source ? [await contentOf(source.file)] : source.bytes;
  for (const bytes of buffers) {
    const damage = damageOf(bytes, refusal?.engine?.code);
    if (damage !== null) return damage;
  }
  return null;
}

function damageOf(bytes: Uint8Array, code: number | undefined): string | null {
  const days = new Set<number>();
  for (let offset = 0; offset < bytes.length; ) {
    const block = decodeNative(bytes, offset);
    if (!block.ok) return /unknown type/.test(block.reason) && code !== UNKNOWN_TYPE ? null : block.reason;
    const { columns, length } = block.batch;
    for (let row = 0; row < length; row++) days.add(Math.floor(readWide(columns.received_at, row) / DAY_MS));
    if (days.size > INSERT_SETTINGS.max_partitions_per_insert_block)
      return `the rows are of more than ${INSERT_SETTINGS.max_partitions_per_insert_block} different days`;
    offset = block.next;
  }
  return null;
}

async function contentOf(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new RogueSmtpError('store', messageOf(error), { cause: error, transient: true });
  }
}

export interface SecondLook {
  readonly engine: Engine;
  readonly database: string;
  readonly table: string;
  /** The insert that was refused, to be tried once more. */
  readonly attempt: () => Promise<void>;
  /** What the engine said at first. */
  readonly refusal: RogueSmtpError;
}

/**
 * Tries once more. Resolves with `stored` when it goes through now, with `refused` when the engine says the same again while
 * it takes what is known to be good. Throws what stands in the way otherwise: the rows have to wait.
 */
export async function lookAgain({
  engine,
  database,
  table,
  attempt,
  refusal,
}: SecondLook): Promise<'stored' | 'refused'> {
  try {
    await attempt();
    return 'stored';
  } catch (error) {
    if (!(error instanceof RogueSmtpError) || error.engine?.code !== refusal.engine?.code) throw error;
    if (error.engine === undefined && !refusesWhatWasSent(error)) throw error;
  }
  if (table === 'flows') await engine.command(emptyInsert(database, table, 'domain', '0'));
  else await insertKnownGood(engine, database, table);
  return 'refused';
}

/** Goes through whenever the table is there and rows may be written to it. */
function emptyInsert(database: string, table: string, column: string, value: string): string {
  return `INSERT INTO ${qualifiedName(database, table)} (${column}) SELECT ${value} WHERE 0`;
}

/**
 * A message that is in the table goes in again, which changes nothing: it replaces itself by its id. A table whose columns
 * no longer fit would refuse it like any other.
 */
async function insertKnownGood(engine: Engine, database: string, table: string): Promise<void> {
  const [known] = await engine.query<{ message: string }>(
    `SELECT message FROM ${qualifiedName(database, table)} ORDER BY stored_at DESC LIMIT 1`,
  );
  if (known === undefined) await engine.command(emptyInsert(database, table, 'message', "''"));
  else {
    const row = messageRow(Buffer.from(known.message));
    const token = `control-${createHash('sha256').update(row).digest('hex')}`;
    await engine.insertJson(table, [row], { token });
  }
}

/** The row of a table of JSON messages: it takes the columns from the message itself. */
export function messageRow(value: Uint8Array): string {
  return JSON.stringify({ message: textOf(value) });
}

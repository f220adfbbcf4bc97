/**
 * The second look at rows that an engine refused: are the bytes at fault, or the server?
 *
 * Most refusals say nothing about the rows: a shard that dies while it sends has the code of a block that is cut (32, 33),
 * a table that lost a column that of a wrong statement (16, 47). So rows are set aside only with proof. For blocks of flows
 * the proof is our own decoder. For JSON messages, whose form was checked before, it is that the engine refuses one message
 * by itself. In either case the engine has to refuse twice with the same code while it takes an insert of no rows into the
 * same table. Whatever is not proven waits in the stream.
 */

import { readFile } from 'node:fs/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { readWide } from '../flow/batch.ts';
import { decodeNative } from '../flow/native.ts';
import { refusesWhatWasSent } from './failures.ts';
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
 * it takes an insert of no rows. Throws what stands in the way otherwise: the rows have to wait.
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
  await engine.command(emptyInsert(database, table));
  return 'refused';
}

/** Goes through whenever the table is there and rows may be written to it. */
function emptyInsert(database: string, table: string): string {
  const column = table === 'flows' ? 'domain' : 'message';
  return `INSERT INTO ${qualifiedName(database, table)} (${column}) SELECT ${table === 'flows' ? '0' : "''"} WHERE 0`;
}

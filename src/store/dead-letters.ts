/**
 * Where rows go that the store did not take for what they are: a directory, bounded, from which a person can put them back.
 *
 * Each refusal is a file with the bytes as they came and one beside it that says why. What is over the bound is only
 * counted, since a flood of damaged rows must not fill the disk that the good ones need. Several processes may look at
 * the directory, and one of them takes letters away (replay-dead-letters.ts), so what lies there is counted from the disk.
 */

import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';

const EXTENSIONS = ['native', 'ndjson'] as const;

export interface DeadLetter {
  /** What names it; characters that do not belong in a file name are replaced. */
  readonly name: string;
  readonly extension: (typeof EXTENSIONS)[number];
  readonly rows: number;
  readonly reason: string;
  readonly content: { readonly file: string } | { readonly bytes: readonly Uint8Array[] };
}

/** What lies in the directory now. */
export interface LettersLeft {
  readonly letters: number;
  readonly rows: number;
}

export interface DeadLetters {
  /**
   * `kept`; `known` when the same letter lies there already, since it came again after a crash; `full` when the bound is
   * reached. Throws `io`, transient, when the disk refuses.
   */
  add(letter: DeadLetter): Promise<'kept' | 'known' | 'full'>;
  /** Counts what lies there. Throws `io`, transient, when the disk refuses. */
  left(): Promise<LettersLeft>;
}

/** A letter on the disk. */
export interface KeptLetter extends Pick<DeadLetter, 'name' | 'extension' | 'rows' | 'reason'> {
  /** The file with the bytes as they came. */
  readonly file: string;
}

/** Of a data directory. */
export function deadLettersDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'dead-letters');
}

/** What lies in the dead letters of a data directory. Throws `io`, transient, when the disk refuses. */
export function lettersLeft(dataDirectory: string): Promise<LettersLeft> {
  return createDeadLetters(deadLettersDirectory(dataDirectory), 0).left();
}

const noteSchema = z.object({ rows: z.number().int().min(0), reason: z.string() });
const NOTE = '.reason.json';

interface Measured extends LettersLeft {
  readonly bytes: number;
  /** Of the directory: whoever adds or removes a file changes it. */
  readonly changedMs: number;
}

export function createDeadLetters(directory: string, maxBytes: number): DeadLetters {
  let known: Measured | null = null;

  async function measure(): Promise<Measured> {
    const { mtimeMs: changedMs } = await stat(directory);
    if (known?.changedMs === changedMs) return known;
    let bytes = 0;
    for (const name of await readdir(directory))
      bytes += (await stat(join(directory, name)).catch(() => ({ size: 0 }))).size;
    const letters = await keptLetters(directory);
    known = {
      bytes,
      changedMs,
      letters: letters.length,
      rows: letters.reduce((sum, { rows }) => sum + rows, 0),
    };
    return known;
  }

  return {
    async add({ name, extension, rows, reason, content }) {
      try {
        await mkdir(directory, { recursive: true, mode: 0o750 });
        const before = await measure();
        const size =
          'file' in content
            ? (await stat(content.file)).size
            : content.bytes.reduce((sum, { length }) => sum + length, 0);
        const base = await freeBase(directory, name, extension, content);
        if (base === null) return 'known';
        if (before.bytes + size > maxBytes) return 'full';
        const file = join(directory, `${base}.${extension}`);
        if ('file' in content) await copyDurably(content.file, file);
        else await writeFile(file, content.bytes, { flush: true });
        const note = `${JSON.stringify({ rows, reason })}\n`;
        await writeFile(join(directory, base + NOTE), note, { flush: true });
        const { mtimeMs: changedMs } = await stat(directory);
        known = {
          bytes: before.bytes + size + note.length,
          changedMs,
          letters: before.letters + 1,
          rows: before.rows + rows,
        };
        return 'kept';
      } catch (error) {
        throw refused(directory, error);
      }
    },
    async left() {
      try {
        const { letters, rows } = await measure();
        return { letters, rows };
      } catch (error) {
        if (isMissing(error)) return { letters: 0, rows: 0 };
        throw refused(directory, error);
      }
    },
  };
}

/** The letters of a directory, in the order of their names; none where there is no directory. */
export async function keptLetters(directory: string): Promise<KeptLetter[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw refused(directory, error);
  });
  const there = new Set(names);
  const letters: KeptLetter[] = [];
  for (const note of names.filter((name) => name.endsWith(NOTE)).sort()) {
    const name = note.slice(0, -NOTE.length);
    const extension = EXTENSIONS.find((each) => there.has(`${name}.${each}`));
    const said = await noteOf(join(directory, note));
    if (extension !== undefined && said !== null)
      letters.push({ name, extension, ...said, file: join(directory, `${name}.${extension}`) });
  }
  return letters;
}

/** The bytes first: a note without them is no letter, while bytes without a note would never be found again. */
export async function removeLetter(directory: string, { name, file }: KeptLetter): Promise<void> {
  try {
    await rm(file, { force: true });
    await rm(join(directory, name + NOTE), { force: true });
  } catch (error) {
    throw refused(directory, error);
  }
}

/**
 * The name without an extension. Null when the same bytes lie there already: they came again after a crash. Other bytes
 * under the same name (another life of the stream) get a name of their own.
 */
async function freeBase(
  directory: string,
  name: string,
  extension: string,
  content: DeadLetter['content'],
): Promise<string | null> {
  const base = name.replace(/[^A-Za-z0-9._-]/g, '_');
  const there = await readFile(join(directory, `${base}.${extension}`)).catch(() => null);
  if (there === null) return base;
  const bytes = 'file' in content ? await readFile(content.file) : Buffer.concat(content.bytes);
  const noted = await noteOf(join(directory, base + NOTE));
  if (there.equals(bytes)) return noted === null ? base : null;
  const other = `${base}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
  return (await noteOf(join(directory, other + NOTE))) === null ? other : null;
}

async function noteOf(file: string): Promise<z.infer<typeof noteSchema> | null> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

/** What is committed afterwards must survive a loss of power. */
async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const handle = await open(to, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}

function refused(directory: string, error: unknown): RogueSmtpError {
  return new RogueSmtpError('io', `dead letters in ${directory}: ${messageOf(error)}`, {
    cause: error,
    transient: true,
  });
}

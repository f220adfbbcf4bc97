/**
 * Access lists as files: the only part of the ACL code that does I/O.
 *
 * A reader of the file (a router that fetches it, a timer that applies it) must never see half a list, so a file is
 * written beside its place, synced and renamed over the old one. Unchanged text is not written at all. What was there
 * before is kept in `.history`, bounded, for a rollback. A target that is a link or a directory is left alone.
 */

import { createHash, randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { copyFile, lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { AclFamily } from './model.ts';

export interface AclPublication {
  /** Made when it is missing. */
  readonly directory: string;
  /** Name of the ACL target. */
  readonly target: string;
  readonly family: AclFamily;
  readonly text: string;
}

export interface Published {
  readonly changed: boolean;
  /** `<directory>/<target>.<family>.txt` */
  readonly file: string;
}

/** Names that stay within their directory, as the configuration demands them. */
const TARGET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const HISTORY = '.history';
/** What is behind the file's name in the history: a target may be called as another's file is, so exactly this. */
const REVISION = /^\d{8}T\d{6}\.\d{3}Z\.[0-9a-f]{8}$/;
/** Earlier texts kept of each file. */
const KEPT = 10;
/** A temporary file this old belongs to a writer that died. */
const STALE_AFTER_MS = 3_600_000;

/** Throws RogueSmtpError `io` when the file cannot be written; its old text is then still there, whole. */
export async function publishAcl(publication: AclPublication): Promise<Published> {
  const { directory, target, family, text } = publication;
  if (!TARGET_NAME.test(target))
    throw new RogueSmtpError('refused', `${JSON.stringify(target)} is not a name for an ACL file`);
  const name = `${target}.${family}.txt`;
  const file = join(directory, name);
  try {
    await mkdir(directory, { recursive: true });
    const old = await currentText(file);
    if (old?.equals(Buffer.from(text))) return { changed: false, file };
    if (old !== null) await keep(directory, name, old);
    await removeStale(directory, name);
    await replace(directory, name, text);
    return { changed: true, file };
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error, transient: true });
  }
}

/** Null when there is no file. Links are not followed: they may lead out of the directory. */
async function currentText(file: string): Promise<Buffer | null> {
  const found = await lstatOrNull(file);
  if (found === null) return null;
  if (!found.isFile()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : found.isDirectory() ? 'a directory' : 'no file';
    throw new RogueSmtpError('io', `${file} is ${what}: it is not written to`);
  }
  return readFile(file);
}

async function replace(directory: string, name: string, text: string): Promise<void> {
  const temporary = join(directory, `${temporaryPrefix(name)}${randomUUID()}`);
  try {
    const handle = await open(temporary, 'wx', 0o644);
    try {
      await handle.writeFile(text);
      // Whatever the umask: routers fetch it through another user's server.
      await handle.chmod(0o644);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, join(directory, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** The rename itself must outlive a power cut. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const temporaryPrefix = (name: string) => `.${name}.tmp-`;

async function removeStale(directory: string, name: string): Promise<void> {
  const before = Date.now() - STALE_AFTER_MS;
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith(temporaryPrefix(name))) continue;
    const path = join(directory, entry);
    const found = await stat(path).catch(() => null);
    if (found !== null && found.mtimeMs < before) await rm(path, { force: true });
  }
}

/** Copies the text in force to the history, named by the time it was written and its content; drops the oldest. */
async function keep(directory: string, name: string, old: Buffer): Promise<void> {
  const history = join(directory, HISTORY);
  const found = await lstatOrNull(history);
  if (found !== null && !found.isDirectory())
    throw new RogueSmtpError('io', `${history} is no directory: earlier lists cannot be kept`);
  await mkdir(history, { recursive: true });
  const written = (await stat(join(directory, name))).mtime.toISOString().replace(/[-:]/g, '');
  const digest = createHash('sha256').update(old).digest('hex').slice(0, 8);
  await copyFile(join(directory, name), join(history, `${name}.${written}.${digest}`));
  const mine = (await readdir(history)).filter((entry) => isRevisionOf(entry, name)).sort();
  for (const entry of mine.slice(0, -KEPT)) await rm(join(history, entry), { force: true });
}

function isRevisionOf(entry: string, name: string): boolean {
  return entry.startsWith(`${name}.`) && REVISION.test(entry.slice(name.length + 1));
}

async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

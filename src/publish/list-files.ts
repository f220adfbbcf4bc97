/**
 * Access lists as files: the only part of the ACL code that does I/O.
 *
 * A reader of the file (a router that fetches it, a timer that applies it) must never see half a list, so a file is
 * written beside its place, synced and renamed over the old one. Unchanged text is not written at all. What was there
 * before is kept in `.history`, bounded, with the rules it was made of, for a rollback. A target that is a link or a directory is left alone.
 */

import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AclFamily } from '../acl/model.ts';
import { revisionOf, statedRevision } from '../acl/revision.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';

export interface AclPublication {
  /** Made when it is missing. */
  readonly directory: string;
  /** Name of the ACL target. */
  readonly target: string;
  readonly family: AclFamily;
  readonly text: string;
  /** Kept beside the text, to be had back with the revision. */
  readonly model?: string;
  /** Taken from the modes of files and directories (`acl.umask`); default 0o027: nothing for others. */
  readonly umask?: number;
}

/** Names a file of a target. */
export type AclFile = Pick<AclPublication, 'directory' | 'target' | 'family'>;

/** A text that is or was published. */
export interface AclRevision {
  /** The one that the text states, and the router shows. */
  readonly revision: string;
  /** Of the whole text: what `revision` does not tell apart, such as remarks. */
  readonly digest: string;
  /** ISO 8601; when the file was written. */
  readonly written_at: string;
  /** Of the file that lies there now. */
  readonly current: boolean;
}

export interface Published {
  readonly changed: boolean;
  /** `<directory>/<target>.<family>.txt` */
  readonly file: string;
  /** The one that the text states. */
  readonly revision: string;
  readonly digest: string;
  /** The text before; null when there was none. */
  readonly previous: string | null;
}

/** Modes of what is made here, whatever the umask of the process: routers fetch through another user's server. */
interface Modes {
  readonly file: number;
  readonly directory: number;
}

const modesOf = (umask = 0o027): Modes => ({ file: 0o666 & ~umask, directory: 0o777 & ~umask });

/** Names that stay within their directory, as the configuration demands them. */
const TARGET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const HISTORY = '.history';
/** What is behind the file's name in the history: a target may be called as another's file is, so exactly this. */
const REVISION_DIGITS = 8;
const REVISION = /^\d{8}T\d{6}\.\d{3}Z\.[0-9a-f]{8}$/;
/** Earlier texts kept of each file. */
const KEPT = 10;
/** A temporary file this old belongs to a writer that died. */
const STALE_AFTER_MS = 3_600_000;

/** Throws RogueSmtpError `io` when the file cannot be written; its old text is then still there, whole. */
export async function publishAcl(publication: AclPublication): Promise<Published> {
  const { directory, text, model } = publication;
  const modes = modesOf(publication.umask);
  const name = fileName(publication);
  const file = join(directory, name);
  try {
    if ((await mkdir(directory, { recursive: true })) !== undefined) await chmod(directory, modes.directory);
    await followModes(directory, name, modes);
    const old = await currentText(file);
    const digest = revisionOf(text);
    const revision = statedRevision(text);
    const previous = old === null ? null : old.toString('utf8');
    if (old?.equals(Buffer.from(text))) {
      if (model !== undefined) await keepModel(directory, name, digest, model, modes);
      return { changed: false, file, revision, digest, previous };
    }
    if (model !== undefined) await keepModel(directory, name, digest, model, modes);
    if (old !== null) await keep(directory, name, old, digest, modes);
    await removeStale(directory, name);
    await replace(directory, name, text, modes);
    return { changed: true, file, revision, digest, previous };
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error, transient: true });
  }
}

function fileName({ target, family }: Pick<AclFile, 'target' | 'family'>): string {
  if (!TARGET_NAME.test(target))
    throw new RogueSmtpError('refused', `${JSON.stringify(target)} is not a name for an ACL file`);
  return `${target}.${family}.txt`;
}

/** Where it lies. Throws RogueSmtpError `refused` for a name that is none for a file. */
export function aclPath(file: AclFile): string {
  return join(file.directory, fileName(file));
}

/** The text that lies there; null when there is none. Throws RogueSmtpError `io`. */
export async function publishedAcl(file: AclFile): Promise<string | null> {
  const text = await currentText(aclPath(file));
  return text === null ? null : text.toString('utf8');
}

/** What is and was published, newest first. */
export async function aclRevisions(file: AclFile): Promise<readonly AclRevision[]> {
  const name = fileName(file);
  const path = join(file.directory, name);
  const current = await currentText(path);
  const history = join(file.directory, HISTORY);
  const kept = await readdir(history).catch(() => []);
  const entries = kept
    .filter((entry) => isRevisionOf(entry, name))
    .sort()
    .reverse();
  const earlier = await Promise.all(
    entries.map(async (entry) => {
      const digest = entry.slice(-REVISION_DIGITS);
      const text = await readFile(join(history, entry)).catch(() => null);
      return {
        // What a damaged text states is not believed.
        revision: text === null || revisionOf(text) !== digest ? digest : statedRevision(text),
        digest,
        written_at: isoOf(entry.slice(name.length + 1, -REVISION_DIGITS - 1)),
        current: false,
      };
    }),
  );
  if (current === null) return earlier;
  const written_at = (await stat(path)).mtime.toISOString();
  const now = { revision: statedRevision(current), digest: revisionOf(current), written_at, current: true };
  return [now, ...earlier];
}

/**
 * Text and rules of a revision that is kept, by the id that its text states or by its digest; of several the newest, and what lies
 * there now first. Null when there is none.
 */
export async function keptRevision(
  file: AclFile,
  revision: string,
): Promise<{ readonly text: string; readonly model: string | null } | null> {
  const name = fileName(file);
  const history = join(file.directory, HISTORY);
  const found = (await aclRevisions(file)).find(
    (one) => one.revision === revision || one.digest === revision,
  );
  if (found === undefined) return null;
  const { digest } = found;
  const entry = (await readdir(history).catch(() => []))
    .filter((one) => isRevisionOf(one, name) && one.endsWith(`.${digest}`))
    .sort()
    .at(-1);
  const current = found.current ? await currentText(join(file.directory, name)) : null;
  const text = current ?? (entry === undefined ? null : await readFile(join(history, entry)));
  // The digest in its name says what was in it.
  if (text === null || revisionOf(text) !== digest) return null;
  const stored = await readFile(join(history, `${name}.${digest}.json`), 'utf8').catch(() => null);
  return { text: text.toString('utf8'), model: stored === null ? null : checkedText(stored) };
}

/** What of a list and its history is damaged, in words; empty when nothing is. */
export async function damagedRevisions(file: AclFile): Promise<string[]> {
  const name = fileName(file);
  const history = join(file.directory, HISTORY);
  const damages: string[] = [];
  for (const entry of await readdir(history).catch(() => [])) {
    const path = join(history, entry);
    if (isRevisionOf(entry, name)) {
      if (revisionOf(await readFile(path)) !== entry.slice(-REVISION_DIGITS))
        damages.push(`${path} is damaged`);
    } else if (modelRevision(entry, name) !== null && checkedText(await readFile(path, 'utf8')) === null)
      damages.push(`${path} is damaged`);
  }
  return damages;
}

/** `20260301T100000.000Z` as ISO 8601. */
function isoOf(compact: string): string {
  return compact.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, '$1-$2-$3:$4:');
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

/** Files of an earlier run, or of another `acl.umask`, get the modes of now; the directory itself is the operator's. */
async function followModes(directory: string, name: string, modes: Modes): Promise<void> {
  const history = join(directory, HISTORY);
  const mine = (await readdir(history).catch(() => [])).filter((entry) => entry.startsWith(`${name}.`));
  if ((await lstatOrNull(history))?.isDirectory()) await followMode(history, modes.directory);
  for (const path of [join(directory, name), ...mine.map((entry) => join(history, entry))])
    if ((await lstatOrNull(path))?.isFile()) await followMode(path, modes.file);
}

async function followMode(path: string, mode: number): Promise<void> {
  if (((await stat(path)).mode & 0o777) !== mode) await chmod(path, mode);
}

async function replace(directory: string, name: string, text: string, modes: Modes): Promise<void> {
  await replaceFile(join(directory, name), text, {
    temporary: join(directory, `${temporaryPrefix(name)}${randomUUID()}`),
    mode: modes.file,
  });
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
async function keep(directory: string, name: string, old: Buffer, next: string, modes: Modes): Promise<void> {
  const history = await historyOf(directory, modes);
  const written = (await stat(join(directory, name))).mtime.toISOString().replace(/[-:]/g, '');
  const digest = revisionOf(old);
  const copy = join(history, `${name}.${written}.${digest}`);
  await copyFile(join(directory, name), copy);
  await chmod(copy, modes.file);
  const mine = (await readdir(history)).filter((entry) => isRevisionOf(entry, name)).sort();
  for (const entry of mine.slice(0, -KEPT)) await rm(join(history, entry), { force: true });
  const wanted = new Set([next, ...mine.slice(-KEPT).map((entry) => entry.slice(-REVISION_DIGITS))]);
  for (const entry of await readdir(history)) {
    const revision = modelRevision(entry, name);
    if (revision !== null && !wanted.has(revision)) await rm(join(history, entry), { force: true });
  }
}

async function historyOf(directory: string, modes: Modes): Promise<string> {
  const history = join(directory, HISTORY);
  const found = await lstatOrNull(history);
  if (found !== null && !found.isDirectory())
    throw new RogueSmtpError('io', `${history} is no directory: earlier lists cannot be kept`);
  if (found === null) {
    await mkdir(history, { recursive: true });
    await chmod(history, modes.directory);
  }
  return history;
}

/** The same text has the same rules, so what is there is right. */
async function keepModel(
  directory: string,
  name: string,
  revision: string,
  model: string,
  modes: Modes,
): Promise<void> {
  const history = await historyOf(directory, modes);
  const kept = `${name}.${revision}.json`;
  if ((await lstatOrNull(join(history, kept))) === null)
    await replace(history, kept, withChecksum(model), modes);
}

function modelRevision(entry: string, name: string): string | null {
  const match = /^([0-9a-f]{8})\.json$/.exec(
    entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : '',
  );
  return match === null ? null : match[1];
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

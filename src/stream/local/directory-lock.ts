/**
 * One process a directory: a lock file that says who holds it, and that a killed holder does not hold for ever.
 *
 * Node has no flock, so the file names the process, and a holder that is gone is recognised by pid and start time (a
 * pid alone is soon used again, in a container nearly at once). It cannot see into another machine or pid namespace:
 * do not share the directory between those.
 */

import { link, readFile, realpath, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../../errors.ts';

export interface DirectoryLock {
  release(): Promise<void>;
}

/** Directories locked by this very process, whose pid says nothing. */
const heldHere = new Set<string>();

/** @throws RogueSmtpError `io` that names the process when the directory is in use, or when it cannot be written. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  try {
    return await acquire(await realpath(directory));
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('io', `cannot lock the directory ${directory}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function acquire(directory: string): Promise<DirectoryLock> {
  if (heldHere.has(directory)) throw inUse(directory, process.pid);
  heldHere.add(directory);
  const file = join(directory, 'lock');
  const own = `${file}.${process.pid}`;
  try {
    await writeFile(own, JSON.stringify({ pid: process.pid, started: await startOf(process.pid) }));
    // A link is there whole or not at all: nobody ever reads a lock that is half written.
    while (!(await linked(own, file))) await clearStale(directory, file);
    await unlink(own);
  } catch (error) {
    heldHere.delete(directory);
    await unlink(own).catch(() => undefined);
    throw error;
  }
  return {
    async release() {
      if (!heldHere.delete(directory)) return;
      await unlink(file).catch(() => undefined);
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Takes the lock of a process that is gone out of the way. */
async function clearStale(directory: string, file: string): Promise<void> {
  const text = await readOrNull(file);
  if (text === null) return;
  const holder = parseHolder(text);
  if (holder !== null && (await isAlive(holder))) throw inUse(directory, holder.pid);
  const aside = `${file}.stale.${process.pid}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  // Another process may have cleared the same lock a moment before and put its own here: give that one back.
  if ((await readOrNull(aside)) !== text) await linked(aside, file);
  await unlink(aside);
}

async function readOrNull(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

interface Holder {
  readonly pid: number;
  /** Start of the process in clock ticks since boot; null where the system does not tell. */
  readonly started: string | null;
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { pid, started } = value as { pid?: unknown; started?: unknown };
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return null;
    return { pid, started: typeof started === 'string' ? started : null };
  } catch {
    return null;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  // Our own pid in a file that this process did not write: an earlier process had the same pid.
  if (holder.pid === process.pid) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (!hasCode(error, 'EPERM')) return false;
  }
  const started = await startOf(holder.pid);
  return holder.started === null || started === null || started === holder.started;
}

/** Field 22 of /proc/PID/stat (proc(5)); the command in field 2 may itself hold spaces and parentheses. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function inUse(directory: string, pid: number): RogueSmtpError {
  return new RogueSmtpError('io', `the directory ${directory} is in use by process ${pid}`);
}

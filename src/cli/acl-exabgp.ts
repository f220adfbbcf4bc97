/**
 * `rogue-smtp acl exabgp TARGET`: run by ExaBGP as a process, it makes ExaBGP's routes follow the files of a target.
 *
 * The files are what the service wrote after all interlocks, and they stay while the service is away. A file that is gone,
 * or that is not a whole list, changes nothing: withdrawing everything would be the wrong answer to a full disk.
 */

import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACL_FAMILIES } from '../acl/model.ts';
import { exabgpHosts } from '../acl/platforms/exabgp.ts';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { replaceFile } from '../files/replace-file.ts';
import { parsePrefix } from '../flow/prefix.ts';
import { fileOf, targetNamed } from '../publish/acl-target.ts';
import { aclPath } from '../publish/list-files.ts';
import { createExabgpFeed } from '../push/exabgp-feed.ts';

const LOOK_MS = 1000;
const ANSWER_MS = 2000;

/** Ends when ExaBGP closes stdin. Throws RogueSmtpError `not_found`, `config` or `io` before anything was announced. */
export async function aclExabgpCommand({ config }: LoadedConfig, name: string): Promise<void> {
  const target = targetNamed(config, name);
  if (target.platform !== 'exabgp')
    throw new RogueSmtpError('config', `the ACL target "${name}" is for ${target.platform}, not for exabgp`);
  const files = ACL_FAMILIES.map((family) => aclPath(fileOf(config, target, family)));
  const stateFile = join(config.data, 'push', `exabgp-${target.name}.json`);
  // process.stdout writes to a pipe synchronously: a reader that stopped would stop this process with it.
  const stdout = createWriteStream('', { fd: 1, autoClose: false });
  stdout.on('error', () => process.exit(0));
  const complain = (text: string) => process.stderr.write(`rogue-smtp: ${text}\n`);
  const feed = createExabgpFeed(await earlierHosts(stateFile), {
    send: (line) => new Promise((resolve) => stdout.write(line, () => resolve())),
    remember: async (hosts) => {
      await mkdir(join(config.data, 'push'), { recursive: true, mode: 0o750 });
      await replaceFile(stateFile, JSON.stringify(hosts));
    },
    complain,
    answerMs: ANSWER_MS,
  });
  const gone = new AbortController();
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => feed.hear(line));
  lines.on('close', () => gone.abort());
  const lists = new Map<string, readonly string[]>();
  const troubles = new Map<string, string>();
  while (!gone.signal.aborted) {
    for (const file of files) {
      const trouble = await readList(file, lists);
      if (trouble !== null && troubles.get(file) !== trouble) complain(trouble);
      if (trouble === null) troubles.delete(file);
      else troubles.set(file, trouble);
    }
    // A family that was never read is not an empty one: what an earlier run announced of it stays.
    if (files.every((file) => lists.has(file))) feed.want([...lists.values()].flat());
    await sleep(LOOK_MS, undefined, { signal: gone.signal }).catch(() => undefined);
  }
}

/** Null when the list is known, else why it stays as it was. */
async function readList(file: string, lists: Map<string, readonly string[]>): Promise<string | null> {
  try {
    const hosts = exabgpHosts(await readFile(file, 'utf8'));
    if (hosts === null) return `${file} is no list for exabgp: the routes stay as they are`;
    lists.set(file, hosts);
    return null;
  } catch (error) {
    return `the routes stay as they are: ${messageOf(error)}`;
  }
}

async function earlierHosts(stateFile: string): Promise<readonly string[]> {
  try {
    const known: unknown = JSON.parse(await readFile(stateFile, 'utf8'));
    // They become commands: nothing but prefixes.
    return Array.isArray(known)
      ? known.filter((host): host is string => typeof host === 'string' && parsePrefix(host).ok)
      : [];
  } catch {
    return [];
  }
}

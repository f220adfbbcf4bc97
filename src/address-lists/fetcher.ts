/**
 * Keeps the copies of the lists that come from URLs, and of the addresses of DNS names: asks for each now and then, and
 * replaces the copy by a good answer.
 *
 * It writes files of the data directory and nothing else; what is in force is the reloader's business, which follows
 * those files. A copy is only ever replaced as a whole, by a list that was read to its end and understood; its time of
 * writing is when the URL or the DNS last confirmed it.
 */

import { utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import {
  copyText,
  type PrefixList,
  type RemoteName,
  type RemoteUrl,
  readHeader,
  readName,
  shownUrl,
} from '../config/lists.ts';
import { messageOf } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { Prefix } from '../flow/prefix.ts';
import type { Logger } from '../logger.ts';
import { type FetchedList, fetchList, type Validators } from './fetch.ts';
import { type NameResolver, resolveName } from './resolve.ts';

export interface ListFetcherDependencies {
  /** Those that the configuration names now, whether or not they are there. */
  readonly lists: () => readonly PrefixList[];
  /** Asks these DNS servers, or those of the machine where there are none. */
  readonly resolver: (servers: readonly string[]) => NameResolver;
  /** A copy has another content. */
  readonly onChange: () => void;
  readonly log: Logger;
  readonly now: () => number;
  /** Longest time for one answer, all redirects and bytes included. */
  readonly timeoutMs?: number;
}

export interface ListFetcher {
  start(): void;
  stop(): Promise<void>;
  /** Why the newest attempt for this copy gave nothing; null when it did, or there was none. */
  problem(file: string): string | null;
  readonly counters: Readonly<Record<FetchedList['kind'], number>>;
}

/** Of one copy. */
interface Attempts {
  readonly askedMs: number;
  readonly dueMs: number;
  readonly problem: string | null;
}

/** What came of one attempt. */
interface Got {
  readonly kind: FetchedList['kind'];
  /** Why nothing came of it; what is there stays. */
  readonly reason?: string;
  /** What of an answer was not taken, though the rest was. */
  readonly partly?: string | null;
  /** When to ask again, where the answer says so, in ms. */
  readonly interval?: number;
  /** Replaces the copy. It is written in our words: of the answer itself there are addresses, and JSON. */
  readonly copy?: { readonly prefixes: readonly Prefix[]; readonly header: object };
}

const WORDS = {
  url: {
    again: 'a list of prefixes can be fetched again',
    missing: 'a list of prefixes cannot be had, and there is no copy',
    failed: 'a list of prefixes cannot be fetched: the last good copy stays',
    partly: 'a part of a list of prefixes is not taken',
  },
  name: {
    again: 'a DNS name can be resolved again',
    missing: 'a DNS name cannot be resolved, and there is no earlier answer',
    failed: 'a DNS name cannot be resolved: the last good answer stays',
    partly: 'a part of the answer for a DNS name is not taken',
  },
} as const;

const LOOK_MS = 1000;
const TIMEOUT_MS = 30_000;
/** A URL that gave nothing is asked again after so long, or its interval where that is shorter. */
const RETRY_MS = 60_000;
const MAX_AT_ONCE = 4;

const validatorsSchema = z.object({ etag: z.string().nullable(), lastModified: z.string().nullable() });

export function createListFetcher(dependencies: ListFetcherDependencies): ListFetcher {
  const { lists, resolver, onChange, log, now, timeoutMs = TIMEOUT_MS } = dependencies;
  const counters = { fresh: 0, unchanged: 0, refused: 0, failed: 0 };
  const attempts = new Map<string, Attempts>();
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | null = null;

  function look(): void {
    const named = lists();
    const files = new Set(named.map(({ file }) => file));
    for (const file of attempts.keys()) if (!files.has(file)) attempts.delete(file);
    for (const list of named) {
      if (list.remote === null || running.has(list.file)) continue;
      if (running.size >= MAX_AT_ONCE) return;
      if (now() < dueMs(list, list.remote.interval)) continue;
      const work = ask(list, list.remote).finally(() => running.delete(list.file));
      running.set(list.file, work);
    }
  }

  function dueMs({ file, missing, writtenMs }: PrefixList, interval: number): number {
    const made = attempts.get(file);
    // A copy that somebody removed is not waited for a whole interval.
    if (missing) return made === undefined ? 0 : made.askedMs + Math.min(interval, RETRY_MS);
    // What was confirmed before a restart need not be asked for at once.
    return made?.dueMs ?? Math.min(writtenMs, now()) + interval;
  }

  async function ask(list: PrefixList, remote: NonNullable<PrefixList['remote']>): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]);
    const got = await (remote.kind === 'url'
      ? fetchOne(list, remote, signal)
      : resolveOne(list, remote, signal));
    if (stopping.signal.aborted) return;
    counters[got.kind]++;
    const failure = got.reason ?? (await keep(list, got.copy));
    const problem = failure ?? got.partly ?? null;
    note(list, remote, problem, failure === null);
    const { interval = remote.interval } = got;
    const wait = failure === null ? interval : Math.min(interval, RETRY_MS);
    attempts.set(list.file, { askedMs: now(), dueMs: now() + wait, problem });
    if (failure === null && got.kind === 'fresh') onChange();
  }

  async function fetchOne(list: PrefixList, { url }: RemoteUrl, signal: AbortSignal): Promise<Got> {
    const fetched = await fetchList(url, list.missing ? null : readValidators(list.file), signal);
    if (fetched.kind !== 'fresh') return fetched;
    return { kind: 'fresh', copy: { prefixes: fetched.prefixes, header: fetched.validators } };
  }

  async function resolveOne(list: PrefixList, remote: RemoteName, signal: AbortSignal): Promise<Got> {
    // As it is now: what is in force may be older, while the configuration has a mistake.
    const known = readName(list.file, remote);
    const resolved = await resolveName(known, resolver(remote.servers), now(), signal);
    if ('reason' in resolved) return resolved;
    const { kind, prefixes, header, partly } = resolved;
    // A TTL that merely runs down is not worth a file.
    const isNews = kind === 'fresh' || !isDeepStrictEqual(header.gone, known.remote.gone);
    return { kind, partly, interval: header.ttl, ...(isNews && { copy: { prefixes, header } }) };
  }

  /** Null, or why the copy could not be kept. Without a new one it is the old one that is confirmed. */
  async function keep({ file }: PrefixList, copy: Got['copy']): Promise<string | null> {
    try {
      if (copy !== undefined) {
        await makeDirectory(dirname(file), 'directory of fetched lists');
        await replaceFile(file, copyText(copy.prefixes, copy.header), {
          temporary: `${file}.${process.pid}.new`,
        });
      }
      const at = now() / 1000;
      await utimes(file, at, at);
      return null;
    } catch (error) {
      return `${file}: ${messageOf(error)}`;
    }
  }

  /** The same trouble is told once. */
  function note(
    { name, missing, file }: PrefixList,
    remote: NonNullable<PrefixList['remote']>,
    problem: string | null,
    isTaken: boolean,
  ): void {
    const before = attempts.get(file)?.problem ?? null;
    if (problem === before) return;
    const fields = remote.kind === 'url' ? { list: name, url: shownUrl(remote.url) } : { name };
    const words = WORDS[remote.kind];
    if (problem === null) log.info(fields, words.again);
    else if (isTaken) log.warn({ ...fields, problem }, words.partly);
    else if (missing) log.error({ ...fields, problem }, words.missing);
    else log.warn({ ...fields, problem }, words.failed);
  }

  return {
    counters,
    problem: (file) => attempts.get(file)?.problem ?? null,
    start() {
      timer = setInterval(look, LOOK_MS);
      timer.unref();
      look();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}

/** Without them a list is asked for as if there were no copy. */
function readValidators(file: string): Validators | null {
  const parsed = validatorsSchema.safeParse(readHeader(file));
  return parsed.success ? parsed.data : null;
}

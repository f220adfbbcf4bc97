/**
 * Lists of prefixes of their own, such as the addresses that a smarthost provider publishes: read with the
 * configuration, and followed like it. What a URL gave lies as a copy in the data directory and is read from there.
 *
 * What such a list says comes from outside, so it is bounded in bytes, entries and width: no list can allow or protect
 * whole continents. A mistake in a file is one of the configuration, with its place; the policy in force stays then. A
 * list from a URL that is not there is missing, which must never be taken for empty.
 */

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import type { Config } from './schema.ts';

export interface PrefixList {
  readonly name: string;
  /** Absolute; of a URL the copy. */
  readonly file: string;
  /** Where it is fetched, and how often in ms; null for a file. */
  readonly remote: { readonly url: string; readonly interval: number } | null;
  /** Without a copy that can be read there are no prefixes, and that is not an empty list. */
  readonly missing: boolean;
  readonly prefixes: readonly Prefix[];
  /** When the file was written or the URL confirmed it, ms since 1970, and from when on it is stale. */
  readonly writtenMs: number;
  readonly staleMs: number;
}

export const MAX_LIST_BYTES = 1_048_576;
/** Of a copy: its validators and its checksum. */
const MAX_COPY_EXTRA = 4096;
const CHECKSUM_LINE = '# crc32 ';
const MAX_ENTRIES = 20_000;
/** In the 128-bit space: an IPv4 /8, an IPv6 /16. */
const WIDEST_IPV4 = 96 + 8;
const WIDEST_IPV6 = 16;

/** Reads all lists. Relative files lie beside the configuration. Throws RogueSmtpError `config` with file and line. */
export function readLists(config: Config, configFile: string | null): PrefixList[] {
  const base = configFile === null ? process.cwd() : dirname(configFile);
  return config.lists.map(({ name, file, url, interval, stale_after }) => {
    if (url !== undefined)
      return readCopy(name, copyFile(config.data, name, url), { url, interval }, stale_after);
    const path = resolve(base, file ?? '');
    const { text, writtenMs } = readBounded(path);
    const prefixes = parseList(path, text);
    return {
      name,
      file: path,
      remote: null,
      missing: false,
      prefixes,
      writtenMs,
      staleMs: writtenMs + stale_after,
    };
  });
}

function readCopy(
  name: string,
  file: string,
  remote: NonNullable<PrefixList['remote']>,
  staleAfter: number,
): PrefixList {
  try {
    const { text, writtenMs } = readBounded(file, MAX_LIST_BYTES + MAX_COPY_EXTRA);
    if (!isIntactCopy(text)) throw new RogueSmtpError('config', `${file} is damaged`);
    const prefixes = parseList(file, text);
    return { name, file, remote, missing: false, prefixes, writtenMs, staleMs: writtenMs + staleAfter };
  } catch {
    // Also one that is damaged: it is fetched anew.
    return { name, file, remote, missing: true, prefixes: [], writtenMs: 0, staleMs: 0 };
  }
}

/** A copy with its checksum as a comment in the last line. `text` ends with a newline. */
export function withListChecksum(text: string): string {
  return `${text}${CHECKSUM_LINE}${crc32(text)}\n`;
}

/** False for a copy that does not say what was written; those of earlier versions have no checksum and are believed. */
export function isIntactCopy(text: string): boolean {
  const at = text.lastIndexOf(CHECKSUM_LINE);
  return at < 0 || text.slice(at + CHECKSUM_LINE.length) === `${crc32(text.slice(0, at))}\n`;
}

/** Another URL is another list: what the one before gave is not used for it. */
function copyFile(data: string, name: string, url: string): string {
  const digest = createHash('sha256').update(url).digest('hex').slice(0, 12);
  return resolve(join(data, 'lists', `${name}.${digest}.txt`));
}

/** A URL as it may be shown: what follows the path may be a token. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * The configuration with the entries of the lists where senders and `block.never` name them. While a list is missing its
 * senders may send anywhere, so that no alert is raised for want of the list; `missingLists` says so.
 */
export function withLists(config: Config, lists: readonly PrefixList[]): Config {
  const missing = new Set(lists.filter((list) => list.missing).map(({ name }) => name));
  const isMissing = (name: string) => missing.has(name);
  const entries = (names: readonly string[]) =>
    names.flatMap((name) => lists.find((list) => list.name === name)?.prefixes ?? []);
  const used = [...config.senders.flatMap(({ to_lists }) => to_lists), ...config.block.never_lists];
  const missingLists = [...new Set(used.filter(isMissing))].sort();
  return {
    ...config,
    senders: config.senders.map((sender) => {
      if (sender.to === 'any' || sender.to_lists.length === 0) return sender;
      if (sender.to_lists.some(isMissing)) return { ...sender, to: 'any' };
      return { ...sender, to: [...sender.to, ...entries(sender.to_lists)] };
    }),
    block: { ...config.block, never: [...config.block.never, ...entries(config.block.never_lists)] },
    ...(missingLists.length > 0 && { missingLists }),
  };
}

function readBounded(
  path: string,
  most = MAX_LIST_BYTES,
): { readonly text: string; readonly writtenMs: number } {
  try {
    const { size, mtimeMs } = statSync(path);
    if (size > most) throw new RogueSmtpError('config', `${path}:1: is larger than ${most} bytes`);
    return { text: readFileSync(path, 'utf8'), writtenMs: mtimeMs };
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('config', `${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * One address or prefix a line; `#` and `;` begin a comment. `source` is where the text is from, for messages. Throws
 * RogueSmtpError `config`.
 */
export function parseList(source: string, text: string): Prefix[] {
  const prefixes: Prefix[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const entry = line.replace(/[#;].*/, '').trim();
    if (entry === '') continue;
    const place = `${source}:${i + 1}`;
    const parsed = parsePrefix(entry.slice(0, 64));
    if (!parsed.ok) throw new RogueSmtpError('config', `${place}: ${parsed.reason}`);
    const { prefix } = parsed;
    if (prefix.length < (entry.includes(':') ? WIDEST_IPV6 : WIDEST_IPV4))
      throw new RogueSmtpError('config', `${place}: ${formatPrefix(prefix)} is too wide for a list`);
    if (prefixes.length >= MAX_ENTRIES)
      throw new RogueSmtpError('config', `${place}: more than ${MAX_ENTRIES} entries`);
    prefixes.push(prefix);
  }
  if (prefixes.length === 0) throw new RogueSmtpError('config', `${source}:1: holds no entry`);
  return prefixes;
}

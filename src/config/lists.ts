/**
 * Lists of prefixes of their own, such as the addresses that a smarthost provider publishes, and the addresses of DNS
 * names: read with the configuration, and followed like it. What a URL or the DNS gave lies as a copy in the data
 * directory and is read from there.
 *
 * What such a list says comes from outside, so it is bounded in bytes, entries and width: no list can allow or protect
 * whole continents. A mistake in a file is one of the configuration, with its place; the policy in force stays then. A
 * list from a URL that is not there, or a name that was never resolved, is missing, which must never be taken for empty.
 */

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { AddressBytes } from '../flow/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import { type NameUse, namesOf, type UsedName, whyNotAddress } from './names.ts';
import type { Config } from './schema.ts';
import { hostnameOf } from './values.ts';

/** A list that is fetched. */
export interface RemoteUrl {
  readonly kind: 'url';
  readonly url: string;
  /** How often, in ms. */
  readonly interval: number;
}

/** The addresses of a DNS name. */
export interface RemoteName extends UsedName {
  readonly kind: 'name';
  /** The TTL of the kept answer, within bounds, in ms. */
  readonly interval: number;
  /** Addresses of the copy that the newest answer did not name, with the time of the last answer that did. */
  readonly gone: Readonly<Record<string, number>>;
  /** `dns.servers` of the configuration that names it. */
  readonly servers: readonly string[];
  /** Why an address of an answer is not taken, or null. */
  readonly refuse: (address: AddressBytes) => string | null;
}

export interface PrefixList {
  /** Of the configuration; of a DNS name the name itself. */
  readonly name: string;
  /** Absolute; of a URL or a DNS name the copy. */
  readonly file: string;
  /** Where it comes from; null for a file. */
  readonly remote: RemoteUrl | RemoteName | null;
  /** Without a copy that can be read there are no prefixes, and that is not an empty list. */
  readonly missing: boolean;
  readonly prefixes: readonly Prefix[];
  /** When the file was written or the URL confirmed it, ms since 1970, and from when on it is stale. */
  readonly writtenMs: number;
  readonly staleMs: number;
}

/** The list of a DNS name. */
export type ResolvedList = PrefixList & { readonly remote: RemoteName };

export const MAX_LIST_BYTES = 1_048_576;
/** Of a copy: its validators and its checksum. */
const MAX_COPY_EXTRA = 4096;
const CHECKSUM_LINE = '# crc32 ';
const MAX_ENTRIES = 20_000;
/** In the 128-bit space: an IPv4 /8, an IPv6 /16. */
const WIDEST_IPV4 = 96 + 8;
const WIDEST_IPV6 = 16;

/** Bounds of a TTL: a server must not be asked all the time, nor a changed address be missed for days. */
export const MIN_TTL_MS = 30_000;
const MAX_TTL_MS = 3_600_000;
/** A name that could not be resolved for so long after its TTL is stale. */
const NAME_STALE_MS = 3_600_000;

const nameHeader = z.object({ ttl: z.number(), gone: z.record(z.string(), z.number()) });
/** Of the first line of a copy of a DNS name. */
export type NameHeader = z.output<typeof nameHeader>;

/** Reads all lists, and the kept answers for DNS names. Relative files lie beside the configuration. Throws RogueSmtpError `config` with file and line. */
export function readLists(config: Config, configFile: string | null): PrefixList[] {
  const base = configFile === null ? process.cwd() : dirname(configFile);
  const lists = config.lists.map(({ name, file, url, interval, stale_after }): PrefixList => {
    if (url !== undefined) {
      const copy = copyFile(config.data, 'lists', name, url);
      return { name, file: copy, remote: { kind: 'url', url, interval }, ...readCopy(copy, stale_after) };
    }
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
  return [...lists, ...namesOf(config).map((used) => nameOf(config, used))];
}

function nameOf(config: Config, { hostname, use }: UsedName): ResolvedList {
  const file = copyFile(config.data, 'names', hostname.slice(0, 100), `${hostname} ${use}`);
  const refuse = (address: AddressBytes) => whyNotAddress(config, use, address);
  return readName(file, { hostname, use, refuse, servers: config.dns.servers });
}

/** The kept answer for a DNS name, but for what must not be taken from it any more. */
export function readName(file: string, name: Omit<RemoteName, 'kind' | 'interval' | 'gone'>): ResolvedList {
  const { hostname, use, refuse, servers } = name;
  const header = nameHeader.safeParse(readHeader(file));
  const { ttl, gone } = header.success ? header.data : { ttl: MIN_TTL_MS, gone: {} };
  const interval = boundTtl(ttl);
  const copy = readCopy(file, interval + NAME_STALE_MS);
  const prefixes = copy.prefixes.filter(({ bytes, length }) => length === 128 && refuse(bytes) === null);
  const remote: RemoteName = { kind: 'name', hostname, use, interval, gone, servers, refuse };
  return { name: hostname, file, remote, ...copy, missing: prefixes.length === 0, prefixes };
}

export const boundTtl = (ms: number): number => Math.min(Math.max(ms, MIN_TTL_MS), MAX_TTL_MS);

/**
 * The list with the time at which its copy was confirmed last. A name is resolved as often as its TTL says, and most
 * answers are no news: nothing else is read again for them.
 */
export function withConfirmation(list: PrefixList): PrefixList {
  if (list.remote?.kind !== 'name' || list.missing) return list;
  const writtenMs = statSync(list.file, { throwIfNoEntry: false })?.mtimeMs ?? list.writtenMs;
  return { ...list, writtenMs, staleMs: list.staleMs - list.writtenMs + writtenMs };
}

type Copy = Pick<PrefixList, 'missing' | 'prefixes' | 'writtenMs' | 'staleMs'>;

function readCopy(file: string, staleAfter: number): Copy {
  try {
    const { text, writtenMs } = readBounded(file, MAX_LIST_BYTES + MAX_COPY_EXTRA);
    if (!isIntactCopy(text)) throw new RogueSmtpError('config', `${file} is damaged`);
    return { missing: false, prefixes: parseList(file, text), writtenMs, staleMs: writtenMs + staleAfter };
  } catch {
    // Also one that is damaged: it is fetched anew.
    return { missing: true, prefixes: [], writtenMs: 0, staleMs: 0 };
  }
}

/** A copy as it is written: what belongs to it as JSON in a comment, its prefixes, and its checksum. */
export function copyText(prefixes: readonly Prefix[], header: object): string {
  return withListChecksum(`# ${JSON.stringify(header)}\n${prefixes.map(formatPrefix).join('\n')}\n`);
}

/** What belongs to a copy; null where it has nothing, or is damaged. */
export function readHeader(file: string): unknown {
  try {
    const { text } = readBounded(file, MAX_LIST_BYTES + MAX_COPY_EXTRA);
    const [first = ''] = text.split('\n', 1);
    return isIntactCopy(text) ? JSON.parse(first.slice(1)) : null;
  } catch {
    return null;
  }
}

/** A copy with its checksum as a comment in the last line. `text` ends with a newline. */
function withListChecksum(text: string): string {
  return `${text}${CHECKSUM_LINE}${crc32(text)}\n`;
}

/** False for a copy that does not say what was written; those of earlier versions have no checksum and are believed. */
export function isIntactCopy(text: string): boolean {
  const at = text.lastIndexOf(CHECKSUM_LINE);
  return at < 0 || text.slice(at + CHECKSUM_LINE.length) === `${crc32(text.slice(0, at))}\n`;
}

/** Another URL is another list: what the one before gave is not used for it. */
function copyFile(data: string, folder: 'lists' | 'names', name: string, source: string): string {
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 12);
  return resolve(join(data, folder, `${name}.${digest}.txt`));
}

/** A URL as it may be shown: what follows the path may be a token. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * The configuration with the entries of the lists where senders and `block.never` name them, and with the addresses of DNS
 * names in place of the names. While a list or a name of `to` is missing its senders may send anywhere, so that no alert is
 * raised for want of it; `missingLists` and `missingNames` say so.
 */
export function withLists(config: Config, all: readonly PrefixList[]): Config {
  const lists = all.filter(({ remote }) => remote?.kind !== 'name');
  const names = namesIn(all);
  const missing = new Set(lists.filter((list) => list.missing).map(({ name }) => name));
  const isMissing = (name: string) => missing.has(name);
  const entries = (wanted: readonly string[]) =>
    wanted.flatMap((name) => lists.find((list) => list.name === name)?.prefixes ?? []);
  const used = [...config.senders.flatMap(({ to_lists }) => to_lists), ...config.block.never_lists];
  const missingLists = [...new Set(used.filter(isMissing))].sort();
  return {
    ...config,
    senders: config.senders.map((one) => {
      const sender = names.resolved(one);
      if (sender.to === 'any' || sender.to_lists.length === 0) return sender;
      if (sender.to_lists.some(isMissing)) return { ...sender, to: 'any' };
      return { ...sender, to: [...sender.to, ...entries(sender.to_lists)] };
    }),
    expected: config.expected.map(names.resolved),
    block: {
      ...config.block,
      never: [...names.addresses(config.block.never, 'any'), ...entries(config.block.never_lists)],
    },
    ...(missingLists.length > 0 && { missingLists }),
    ...(names.missing.length > 0 && { missingNames: names.missing }),
  };
}

/** The answers for DNS names among the lists. */
function namesIn(lists: readonly PrefixList[]) {
  const answers = new Map<string, PrefixList>();
  for (const list of lists)
    if (list.remote?.kind === 'name') answers.set(`${list.remote.hostname} ${list.remote.use}`, list);
  const answerOf = (one: Prefix, use: NameUse) => answers.get(`${hostnameOf(one)} ${use}`);
  const addresses = (prefixes: readonly Prefix[], use: NameUse): Prefix[] =>
    prefixes.flatMap((one) => (hostnameOf(one) === null ? [one] : (answerOf(one, use)?.prefixes ?? [])));
  const isMissing = (one: Prefix) => hostnameOf(one) !== null && (answerOf(one, 'outside')?.missing ?? true);
  return {
    addresses,
    missing: [...new Set([...answers.values()].flatMap((list) => (list.missing ? [list.name] : [])))],
    resolved<T extends { readonly hosts: Prefix[]; readonly to: 'any' | Prefix[] }>(entry: T): T {
      const { hosts, to } = entry;
      const destinations = to === 'any' || to.some(isMissing) ? 'any' : addresses(to, 'outside');
      return { ...entry, hosts: addresses(hosts, 'inside'), to: destinations };
    },
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
 * One address or prefix a line; `#` and `;` begin a comment, so that the text of Spamhaus DROP is such a list. A line may
 * also be a JSON object with the prefix as `cidr`, as in the JSON lines of DROP. `source` is where the text is from, for
 * messages. Throws RogueSmtpError `config`.
 */
export function parseList(source: string, text: string): Prefix[] {
  const prefixes: Prefix[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const fail = (reason: string) => new RogueSmtpError('config', `${source}:${i + 1}: ${reason}`);
    const isJson = line.trimStart().startsWith('{');
    const entry = isJson ? jsonEntry(line) : line.replace(/[#;].*/, '').trim();
    if (entry === null) throw fail('begins like a JSON object, and is none with the text "cidr"');
    if (entry === '') continue;
    const parsed = parsePrefix(entry.slice(0, 64));
    if (!parsed.ok) throw fail(parsed.reason);
    const { prefix } = parsed;
    if (prefix.length < (entry.includes(':') ? WIDEST_IPV6 : WIDEST_IPV4))
      throw fail(`${formatPrefix(prefix)} is too wide for a list`);
    if (prefixes.length >= MAX_ENTRIES) throw fail(`more than ${MAX_ENTRIES} entries`);
    prefixes.push(prefix);
  }
  if (prefixes.length === 0) throw new RogueSmtpError('config', `${source}:1: holds no entry`);
  return prefixes;
}

const jsonLine = z.union([
  z.object({ cidr: z.string().trim().min(1) }),
  // The last line of a DROP file tells its time and terms.
  z.object({ type: z.literal('metadata') }),
]);

/** The prefix of a line of JSON, '' for a line about the list itself, and null for anything else. */
function jsonEntry(line: string): string | null {
  try {
    const parsed = jsonLine.safeParse(JSON.parse(line));
    if (!parsed.success) return null;
    return 'cidr' in parsed.data ? parsed.data.cidr : '';
  } catch {
    return null;
  }
}

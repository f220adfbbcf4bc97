/**
 * Lists of prefixes in files of their own, such as the addresses that a smarthost provider publishes: read with the
 * configuration, and followed like it.
 *
 * What such a file says comes from outside, so it is bounded in bytes, entries and width: no list can allow or protect
 * whole continents. A mistake is one of the configuration, with its place; the policy in force stays then.
 */

import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import type { Config } from './schema.ts';

export interface PrefixList {
  readonly name: string;
  /** Absolute. */
  readonly file: string;
  readonly prefixes: readonly Prefix[];
  /** When the file was written, ms since 1970, and from when on it is stale. */
  readonly writtenMs: number;
  readonly staleMs: number;
}

const MAX_BYTES = 1_048_576;
const MAX_ENTRIES = 20_000;
/** In the 128-bit space: an IPv4 /8, an IPv6 /16. */
const WIDEST_IPV4 = 96 + 8;
const WIDEST_IPV6 = 16;

/** Reads all lists. Relative files lie beside the configuration. Throws RogueSmtpError `config` with file and line. */
export function readLists(config: Config, configFile: string | null): PrefixList[] {
  const base = configFile === null ? process.cwd() : dirname(configFile);
  return config.lists.map(({ name, file, stale_after }) => {
    const path = resolve(base, file);
    const { text, writtenMs } = readBounded(path);
    return { name, file: path, prefixes: parseList(path, text), writtenMs, staleMs: writtenMs + stale_after };
  });
}

/** The configuration with the entries of the lists where senders and `block.never` name them. */
export function withLists(config: Config, lists: readonly PrefixList[]): Config {
  const entries = (names: readonly string[]) =>
    names.flatMap((name) => lists.find((list) => list.name === name)?.prefixes ?? []);
  return {
    ...config,
    senders: config.senders.map((sender) =>
      sender.to === 'any' || sender.to_lists.length === 0
        ? sender
        : { ...sender, to: [...sender.to, ...entries(sender.to_lists)] },
    ),
    block: { ...config.block, never: [...config.block.never, ...entries(config.block.never_lists)] },
  };
}

function readBounded(path: string): { readonly text: string; readonly writtenMs: number } {
  try {
    const { size, mtimeMs } = statSync(path);
    if (size > MAX_BYTES) throw new RogueSmtpError('config', `${path}:1: is larger than ${MAX_BYTES} bytes`);
    return { text: readFileSync(path, 'utf8'), writtenMs: mtimeMs };
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('config', `${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** One address or prefix a line; `#` and `;` begin a comment. */
function parseList(path: string, text: string): Prefix[] {
  const prefixes: Prefix[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const entry = line.replace(/[#;].*/, '').trim();
    if (entry === '') continue;
    const place = `${path}:${i + 1}`;
    const parsed = parsePrefix(entry.slice(0, 64));
    if (!parsed.ok) throw new RogueSmtpError('config', `${place}: ${parsed.reason}`);
    const { prefix } = parsed;
    if (prefix.length < (entry.includes(':') ? WIDEST_IPV6 : WIDEST_IPV4))
      throw new RogueSmtpError('config', `${place}: ${formatPrefix(prefix)} is too wide for a list`);
    if (prefixes.length >= MAX_ENTRIES)
      throw new RogueSmtpError('config', `${place}: more than ${MAX_ENTRIES} entries`);
    prefixes.push(prefix);
  }
  if (prefixes.length === 0) throw new RogueSmtpError('config', `${path}:1: holds no entry`);
  return prefixes;
}

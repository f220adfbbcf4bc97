/**
 * Finds, reads and validates the configuration: file, then environment, then flags, each over the one before.
 *
 * Every mistake is told with its place (file and line, or the variable's name) and what was expected, all of them at
 * once. Values are never repeated in messages of keys that may hold a secret.
 */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isCollection, isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { crossCheck } from './cross-check.ts';
import { readEnvironment, unreadVariables } from './environment.ts';
import { expectationOf } from './expectation.ts';
import { type PrefixList, readLists, withLists } from './lists.ts';
import { type Config, configSchema, httpToken } from './schema.ts';
import { readSecretLine } from './secret.ts';
import { suggestedKeys } from './suggestion.ts';

const DEFAULT_CONFIG_FILES = ['rogue-smtp.yaml', '/etc/rogue-smtp/config.yaml'] as const;

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, absolute; null when there is none and everything is default. */
  readonly file: string | null;
  /** What was in the file; null when there is none. */
  readonly text: string | null;
  /** The lists as they were read; their entries are in the configuration already. */
  readonly lists: readonly PrefixList[];
  /** The same with these lists; absent where none were read. */
  readonly withLists?: (lists: readonly PrefixList[]) => LoadedConfig;
  /** Things that work but are probably not meant. */
  readonly warnings: readonly string[];
  /**
   * Where a key is said: `file:line` of it or of the nearest thing around it that is written, else a variable or flag.
   * A key that stands nowhere has its default.
   */
  readonly placeOf: (path: readonly (string | number)[]) => string;
  /** A chosen instance to ask in place of that of the configuration (`--url`). */
  readonly instance?: ChosenInstance;
  /** Reads the same file, variables and flags again, as they are then. Throws as `loadConfig`. */
  readonly again: () => LoadedConfig;
}

interface ChosenInstance {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token?: string;
}

export interface LoadOptions {
  /** As given with `--config`; it must exist then. */
  readonly file?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Values of flags by path, such as `{'log.level': 'debug'}`. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** Throws RogueSmtpError `config` with one line a mistake. */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const file = findFile(options.file);
  const source = file === null ? null : readSource(file);
  const merged = source === null ? {} : source.value;
  const origins = new Map<string, string>();
  for (const { name, path, value } of readEnvironment(options.environment ?? {}, configSchema)) {
    setPath(merged, path, value);
    origins.set(path.join('.'), `environment variable ${name}`);
  }
  for (const [path, value] of Object.entries(options.flags ?? {})) {
    if (value === undefined) continue;
    setPath(merged, path.split('.'), value);
    origins.set(path, `flag for ${path}`);
  }

  const parsed = configSchema.safeParse(merged);
  if (!parsed.success) {
    const lines = parsed.error.issues.flatMap((issue) => describeIssue(issue, merged, source, origins));
    throw new RogueSmtpError('config', lines.join('\n'));
  }
  const checked = crossCheck(parsed.data);
  if (checked.errors.length > 0) {
    const lines = checked.errors.map(({ path, message }) => `${placeOf(path, source, origins)}: ${message}`);
    throw new RogueSmtpError('config', lines.join('\n'));
  }
  const config = withToken(parsed.data);
  const loadedWith = (lists: readonly PrefixList[]): LoadedConfig => ({
    config: withLists(config, lists),
    file,
    text: source?.text ?? null,
    lists,
    withLists: loadedWith,
    warnings: [...checked.warnings, ...unreadVariables(options.environment ?? {})],
    placeOf: (path) => (isSaid(path, merged) ? placeOf(path, source, origins) : 'by default'),
    again: () => loadConfig({ ...options, file: file ?? undefined }),
  });
  return loadedWith(readLists(config, file));
}

/**
 * With the tokens of `http.token_file` and `http.tokens`: the server, its clients and a reload all ask for `http.token`. Throws
 * RogueSmtpError `config`, without what was read.
 */
export function withToken(config: Config): Config {
  const { http } = config;
  const tokens = http.tokens.map((entry) =>
    entry.token_file === undefined
      ? entry
      : { ...entry, token: tokenOf(entry.token_file, `http.tokens (${entry.name}): token_file`) },
  );
  const twin = tokens.find(({ token }, i) => tokens.findIndex((other) => other.token === token) !== i);
  if (twin !== undefined)
    throw new RogueSmtpError('config', `http.tokens: "${twin.name}" has the token of another entry`);
  const shared = http.token_file === undefined ? {} : { token: tokenOf(http.token_file, 'http.token_file') };
  return { ...config, http: { ...http, tokens, ...shared } };
}

function tokenOf(file: string, key: string): string {
  const token = httpToken.safeParse(readSecretLine(file, key));
  if (!token.success)
    throw new RogueSmtpError('config', `${key}: ${file}: ${token.error.issues[0]?.message ?? ''}`);
  return token.data;
}

export function findFile(given: string | undefined): string | null {
  if (given !== undefined) {
    if (!existsSync(given)) throw new RogueSmtpError('config', `${given}: there is no such file`);
    return resolve(given);
  }
  const found = DEFAULT_CONFIG_FILES.find((candidate) => existsSync(candidate));
  return found === undefined ? null : resolve(found);
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly value: Record<string, unknown>;
  readonly root: Node | null;
  readonly lines: LineCounter;
}

function readSource(file: string): Source {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RogueSmtpError('config', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
  });
  const [first] = document.errors;
  if (first !== undefined) {
    const { line, col } = lines.linePos(first.pos[0]);
    throw new RogueSmtpError('config', `${file}:${line}:${col}: ${first.message}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new RogueSmtpError('config', `${file}: ${messageOf(error)}`);
  }
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) {
    throw new RogueSmtpError('config', `${file}:1: expected sections such as "networks:" and "senders:"`);
  }
  return {
    file,
    text,
    value: (value ?? {}) as Record<string, unknown>,
    root: document.contents,
    lines,
  };
}

export function setPath(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node = target;
  for (const key of path.slice(0, -1)) {
    const next = Object.hasOwn(node, key) ? node[key] : undefined;
    if (typeof next === 'object' && next !== null && !Array.isArray(next)) {
      node = next as Record<string, unknown>;
    } else {
      const made: Record<string, unknown> = Object.create(null);
      node[key] = made;
      node = made;
    }
  }
  node[path.at(-1) ?? ''] = value;
}

type Path = readonly PropertyKey[];

/** False when the first two keys of the path stand neither in the file nor in a variable or flag. */
function isSaid(path: Path, merged: Record<string, unknown>): boolean {
  let node: unknown = merged;
  for (const key of path.slice(0, 2)) {
    if (typeof key !== 'string') return true;
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return false;
    node = Reflect.get(node, key);
  }
  return true;
}

function describeIssue(
  issue: z.core.$ZodIssue,
  merged: unknown,
  source: Source | null,
  origins: ReadonlyMap<string, string>,
): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const meant = suggestedKeys(configSchema, issue.path, key);
      const hint = meant.length === 0 ? '' : `; did you mean ${meant.map((one) => `"${one}"`).join(' or ')}?`;
      return `${placeOf(path, source, origins)}: unknown key "${path.map(String).join('.')}"${hint}`;
    });
  }
  const key = issue.path.map(String).join('.');
  return [
    `${placeOf(issue.path, source, origins)}: ${key === '' ? '' : `${key}: `}${expectationOf(issue, merged)}`,
  ];
}

/** Whether the file has the key itself, with or without a value. */
function isWritten(path: Path, source: Source | null): boolean {
  return path.length > 0 && isCollection(source?.root) && source.root.hasIn(path);
}

/** `file:line` of the value, or of the nearest thing around it that is written; else the variable or flag. */
function placeOf(path: Path, source: Source | null, origins: ReadonlyMap<string, string>): string {
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(path.slice(0, length).map(String).join('.'));
    if (origin !== undefined) return origin;
  }
  // A section that only variables or flags have: the mistake is theirs, also where the file stands beside them.
  const inside = `${path.map(String).join('.')}.`;
  const below = [...origins].find(([key]) => key.startsWith(inside));
  if (below !== undefined && !isWritten(path, source)) return below[1];
  if (source === null) return 'configuration';
  let node: unknown = source.root;
  let offset = source.root?.range?.[0] ?? 0;
  for (const key of path) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(key),
      );
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      node = node.get(key, true);
      if (isScalar(node) || isCollection(node)) offset = node.range?.[0] ?? offset;
    }
  }
  return `${source.file}:${source.lines.linePos(offset).line}`;
}

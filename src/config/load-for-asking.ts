/**
 * The configuration for commands that ask an instance, or look at its data: a mistake in it must not stop them.
 *
 * An operator who releases a host in a hurry may have just broken the file. What is right in it is used, the rest has its
 * default, and the mistake is said. Where the rules of lists are among what is wrong, no list is ever written from it.
 */

import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { readEnvironment } from './environment.ts';
import { findFile, type LoadedConfig, type LoadOptions, loadConfig, setPath, withToken } from './load.ts';
import { namesOf } from './names.ts';
import { type Config, configSchema } from './schema.ts';

/** Sections without which a list would say something else. */
const RULES = ['networks', 'senders', 'expected', 'lists', 'detection', 'block', 'acl'] as const;

export interface AskingConfig extends LoadedConfig {
  /** What is wrong with the file; null when nothing is. */
  readonly mistake: string | null;
}

/** Throws RogueSmtpError `config` only for a file of `--config` that is not there or cannot be read. */
export function loadForAsking(options: LoadOptions): AskingConfig {
  try {
    return { ...loadConfig(options), mistake: null };
  } catch (error) {
    if (!(error instanceof RogueSmtpError)) throw error;
    const file = findFile(options.file);
    return { ...partOf(file, options), mistake: error.message };
  }
}

function partOf(file: string | null, options: LoadOptions): LoadedConfig {
  const merged = file === null ? {} : sectionsOf(file);
  try {
    for (const { path, value } of readEnvironment(options.environment ?? {}, configSchema)) {
      setPath(merged, path, value);
    }
  } catch {
    // The mistake has been said.
  }
  const kept: Record<string, unknown> = {};
  let isWhole = true;
  for (const [name, schema] of Object.entries(configSchema.shape)) {
    const given = Object.hasOwn(merged, name) ? merged[name] : undefined;
    if (given === undefined) continue;
    if (schema.safeParse(given).success) kept[name] = given;
    else if (name === 'http') kept[name] = addressOf(given);
    else if (RULES.some((rule) => rule === name)) isWhole = false;
  }
  const config = tokenFromFile(configSchema.parse(kept));
  return {
    // Lists of prefixes and kept answers for DNS names are not read: what names them may be among what is wrong.
    config:
      isWhole && config.lists.length === 0 && namesOf(config).length === 0
        ? config
        : { ...config, acl: { ...config.acl, targets: [] } },
    file,
    text: null,
    lists: [],
    warnings: [],
    placeOf: () => 'configuration',
    again: () => loadConfig({ ...options, file: file ?? undefined }),
  };
}

/** A file of the token that cannot be read is the mistake that has been said. */
function tokenFromFile(config: Config): Config {
  try {
    return withToken(config);
  } catch {
    return config;
  }
}

function sectionsOf(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RogueSmtpError('config', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    const value: unknown = parseDocument(text, { prettyErrors: false, uniqueKeys: false }).toJS({
      maxAliasCount: 100,
    });
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

/** What of `http` says where the instance is and by which token. */
function addressOf(given: unknown): Record<string, unknown> {
  if (typeof given !== 'object' || given === null) return {};
  return Object.fromEntries(
    Object.entries(configSchema.shape.http.unwrap().shape).flatMap(([name, schema]) => {
      const value: unknown = Reflect.get(given, name);
      return value !== undefined && schema.safeParse(value).success ? [[name, value]] : [];
    }),
  );
}

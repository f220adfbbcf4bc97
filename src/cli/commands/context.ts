/**
 * Where a command gets its configuration from: the files and flags of the command line, or an instance that it asks.
 * What a command needs of it is handed to the function that registers it.
 */

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../../config/load.ts';
import { loadForAsking } from '../../config/load-for-asking.ts';
import { configSchema } from '../../config/schema.ts';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import { printable } from '../table.ts';

/** Flags that every command takes. */
export interface GlobalFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly utc?: boolean;
  readonly config?: string;
  readonly logLevel?: string;
}

export interface CommandContext {
  readonly version: string;
  /** For commands that work by the configuration. Throws RogueSmtpError `config`, or `usage` where --url was given. */
  settings(file?: string): LoadedConfig;
  /** For commands that judge by the configuration without an instance: DNS names that nobody has resolved yet are, once. */
  judgingSettings(file?: string): Promise<LoadedConfig>;
  /** For commands that ask an instance: the one of --url, else that of the configuration, whatever is wrong with it. */
  asking(): LoadedConfig;
}

export function createCommandContext(program: Command, version: string): CommandContext {
  function loadOptions(file?: string): LoadOptions {
    const flags = program.opts<GlobalFlags>();
    return {
      file: file ?? flags.config,
      environment: process.env,
      flags: flags.logLevel === undefined ? {} : { 'log.level': flags.logLevel },
    };
  }

  function settings(file?: string): LoadedConfig {
    if (program.opts<GlobalFlags>().url !== undefined)
      throw new RogueSmtpError(
        'usage',
        '--url is for commands that ask an instance; this one needs a configuration',
      );
    return loadConfig(loadOptions(file));
  }

  async function judgingSettings(file?: string): Promise<LoadedConfig> {
    const { resolveMissing } = await import('../../address-lists/resolve-missing.ts');
    const { loaded, problems } = await resolveMissing(settings(file), Date.now());
    for (const problem of problems) process.stderr.write(`DNS: ${printable(problem)}\n`);
    return loaded;
  }

  function asking(): LoadedConfig {
    const { url, tokenFile } = program.opts<GlobalFlags>();
    if (url === undefined) {
      if (tokenFile !== undefined) throw new RogueSmtpError('usage', '--token-file belongs to --url');
      const { mistake, ...loaded } = loadForAsking(loadOptions());
      if (mistake !== null)
        process.stderr.write(
          `The configuration has a mistake; what is right in it is used.\n${describe(new Error(mistake))}\n`,
        );
      return loaded;
    }
    return {
      config: configSchema.parse({}),
      file: null,
      text: null,
      lists: [],
      warnings: [],
      placeOf: () => 'by default',
      again: () => asking(),
      instance: { url, ...(tokenFile !== undefined && { token: readToken(tokenFile) }) },
    };
  }

  return { version, settings, judgingSettings, asking };
}

function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RogueSmtpError('usage', `--token-file: ${messageOf(error)}`);
  }
  const token = text.replace(/\r?\n$/, '');
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new RogueSmtpError('usage', `--token-file ${file}: expected one line, the token`);
  return token;
}

/** For a terminal: several lines where a configuration has several mistakes, but nothing that moves the cursor. */
export function describe(error: unknown): string {
  return messageOf(error).split('\n').map(printable).join('\n');
}

/** What the options of commands may say, and how their help shows examples. */

import { InvalidArgumentError } from 'commander';
import { duration } from '../../config/values.ts';

/** Text for the end of a command's help; each command without the name of the program. */
export function examples(...commands: readonly string[]): string {
  return `\nExample${commands.length === 1 ? '' : 's'}:\n${commands.map((command) => `  rogue-smtp ${command}`).join('\n')}`;
}

export function instanceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  )
    throw new InvalidArgumentError('expected a URL such as http://127.0.0.1:9025.');
  return text.replace(/\/+$/, '');
}

export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new InvalidArgumentError('expected 1 to 100000.');
  return value;
}

export function durationOption(text: string): number {
  const parsed = duration.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError('expected a duration such as 24h.');
  return parsed.data;
}

export function portNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('expected 1 to 65535.');
  return value;
}

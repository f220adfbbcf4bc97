/**
 * Secrets that lie in files of their own or in the environment, so that the configuration can be shown to anyone.
 *
 * Read when they are needed, never kept in the configuration. No message holds what was read.
 */

import { readFileSync } from 'node:fs';
import { messageOf, RogueSmtpError } from '../errors.ts';

/** The file as it is. `key` is the key of the configuration that names it. Throws RogueSmtpError `config`. */
export function readSecret(file: string, key: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new RogueSmtpError('config', `${key}: ${messageOf(error)}`, { cause: error });
  }
}

/** The one line of a file, without its end. Throws as `readSecret`. */
export function readSecretLine(file: string, key: string): string {
  return readSecret(file, key).replace(/\r?\n$/, '');
}

/**
 * What a ClickHouse server is and lets its user do: its version, and the setting `readonly` of the user's profile.
 *
 * Pure, but for the question. Profiles for reading refuse settings in a request: with 1 all of them, with 2 a change of
 * `readonly`. What a request may carry follows from that, so that whoever may only read can read.
 */

import { RogueSmtpError } from '../errors.ts';

export interface ServerProfile {
  /** Such as `24.8.4.13`; null where the server does not tell. */
  readonly version: string | null;
  /** 0: may write. 1: only reads, and takes no settings. 2: only reads. */
  readonly readonly: 0 | 1 | 2;
}

/** The first long-term version that lets a request choose its role (24.4), which a wall around SQL of users needs. */
export const LEAST_VERSION = '24.8';

/** Until a server has told. */
export const UNKNOWN_PROFILE: ServerProfile = { version: null, readonly: 0 };

/** Text of a result in TabSeparated, of one row. `ask` may carry no settings. A server that does not tell is taken as it is. */
export async function askProfile(ask: (sql: string) => Promise<string>): Promise<ServerProfile> {
  try {
    return profileOf(await ask("SELECT version(), getSetting('readonly')"));
  } catch (error) {
    if (!(error instanceof RogueSmtpError) || error.engine === undefined) throw error;
    // Servers before 20.6 do not know the function; they know their version.
    return profileOf(await ask('SELECT version()').catch(() => ''));
  }
}

function profileOf(line: string): ServerProfile {
  const [version = '', readonly = '0'] = line.trim().split('\t');
  return {
    version: /^\d+\.\d+(\.\d+)*/.exec(version)?.[0] ?? null,
    readonly: readonly === '1' ? 1 : readonly === '2' ? 2 : 0,
  };
}

/** Throws `store`, transient, since the server may be upgraded, for a version that is known and too old. */
export function requireVersion({ version }: ServerProfile): void {
  if (version === null || !isOlder(version, LEAST_VERSION)) return;
  throw new RogueSmtpError(
    'store',
    `this ClickHouse server is of version ${version}; ${LEAST_VERSION} or later is needed`,
    { transient: true },
  );
}

/** By the numbers that `than` has. */
function isOlder(version: string, than: string): boolean {
  const numbers = version.split('.').map(Number);
  for (const [i, wanted] of than.split('.').map(Number).entries()) {
    const number = numbers[i] ?? 0;
    if (number !== wanted) return number < wanted;
  }
  return false;
}

/** Of our settings of a read those that the profile takes. */
export function takenBy<Value>(
  { readonly }: ServerProfile,
  settings: Readonly<Record<string, Value>>,
): Record<string, Value> {
  if (readonly === 1) return {};
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => readonly === 0 || name !== 'readonly'),
  );
}

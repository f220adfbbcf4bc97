/**
 * An SSH connection to a router, as far as a push needs one.
 *
 * The router's host key is pinned: one that is not configured is refused before anything secret is sent. Every wait ends.
 * Nothing here logs, and no error holds a password or a key.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { Client, type ClientChannel } from 'ssh2';
import type { PushSettings } from '../config/schema.ts';
import { readSecret, readSecretLine } from '../config/secret.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { elapsed, firstOf, type Source, settled } from '../waiting.ts';
import { DeviceError } from './report.ts';

export interface SshConnection {
  /** A terminal that is wide enough for no line to be folded. */
  shell(): Promise<ClientChannel>;
  subsystem(name: string): Promise<ClientChannel>;
  close(): void;
}

const TERMINAL = { term: 'vt100', cols: 500, rows: 1000, width: 0, height: 0 } as const;
const KEEPALIVE_MS = 5000;

/**
 * Throws DeviceError: not transient for a host key that is not the pinned one, and for a refused password. Throws
 * RogueSmtpError `config` when a secret cannot be read.
 */
export async function connectSsh(settings: PushSettings, signal: AbortSignal): Promise<SshConnection> {
  const credentials = credentialsOf(settings);
  signal.throwIfAborted();
  const client = new Client();
  let seen: string | null = null;
  let end: DeviceError | null = null;
  const onEnd = new Set<(error: DeviceError) => void>();
  const fail = (error: DeviceError) => {
    end ??= error;
    for (const listener of [...onEnd]) listener(end);
  };
  const ended: Source<never> = (_, reject) => {
    if (end !== null) reject(end);
    else onEnd.add(reject);
    return () => onEnd.delete(reject);
  };
  const onAbort = () => {
    fail(new DeviceError(messageOf(signal.reason)));
    client.destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  client.on('error', (error) => fail(describe(error, seen, settings)));
  client.on('close', () => {
    signal.removeEventListener('abort', onAbort);
    fail(new DeviceError('the device closed the connection'));
  });
  const within = <T>(what: string, wait: Promise<T>): Promise<T> =>
    firstOf<T>(settled(wait), ended, (_, reject) =>
      elapsed(settings.timeout, undefined, { ref: false })(
        () => reject(new DeviceError(`${what}: no answer within ${settings.timeout / 1000} s`)),
        reject,
      ),
    );
  const opened = (
    what: string,
    open: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ) =>
    within(
      what,
      new Promise<ClientChannel>((resolve, reject) => {
        open((error, channel) =>
          error === undefined || error === null
            ? resolve(channel)
            : reject(new DeviceError(`${what}: ${messageOf(error)}`)),
        );
      }),
    );
  try {
    await within(
      `SSH to ${settings.host}`,
      new Promise<void>((resolve) => {
        client.once('ready', resolve);
        // One short line at a time: waiting to fill packets costs 40 ms for each.
        client.on('connect', () => client.setNoDelay(true));
        client.connect({
          host: settings.host,
          port: settings.port,
          username: settings.username,
          ...credentials,
          hostVerifier: (key: Buffer) => {
            seen = fingerprint(key);
            return isPinned(seen, settings.host_key);
          },
          readyTimeout: settings.timeout,
          keepaliveInterval: KEEPALIVE_MS,
          keepaliveCountMax: 3,
        });
      }),
    );
  } catch (error) {
    client.destroy();
    throw error;
  }
  return {
    shell: () => opened('a terminal', (done) => client.shell(TERMINAL, done)),
    subsystem: (name) => opened(`the subsystem ${name}`, (done) => client.subsys(name, done)),
    close: () => client.end(),
  };
}

/** As ssh-keygen -l shows it. */
function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function isPinned(seen: string, pinned: readonly string[]): boolean {
  const known = Buffer.from(seen);
  return pinned.some((one) => one.length === seen.length && timingSafeEqual(Buffer.from(one), known));
}

function describe(
  error: Error & { level?: string },
  seen: string | null,
  settings: PushSettings,
): DeviceError {
  if (seen !== null && !isPinned(seen, settings.host_key)) {
    return new DeviceError(
      `the host key of ${settings.host} is ${seen}, which is not one of push.host_key: nothing was sent. ` +
        'Ask whoever runs the router whether it was changed',
      { transient: false },
    );
  }
  if (error.level === 'client-authentication')
    return new DeviceError(`${settings.host} does not accept the credentials of ${settings.username}`, {
      transient: false,
    });
  return new DeviceError(`SSH to ${settings.host}: ${messageOf(error)}`);
}

function credentialsOf(
  settings: PushSettings,
): { password: string } | { privateKey: string; passphrase?: string } {
  if (settings.key_file !== undefined) {
    return {
      privateKey: readSecret(settings.key_file, 'push.key_file'),
      ...(settings.passphrase_file !== undefined && {
        passphrase: readSecretLine(settings.passphrase_file, 'push.passphrase_file'),
      }),
    };
  }
  return { password: secretOf(settings.password_file, settings.password_env, 'push.password') };
}

/** Throws RogueSmtpError `config` when it is neither in the file nor in the variable. */
export function secretOf(file: string | undefined, variable: string | undefined, key: string): string {
  if (file !== undefined) return readSecretLine(file, `${key}_file`);
  const value = variable === undefined ? undefined : process.env[variable];
  if (value === undefined || value === '')
    throw new RogueSmtpError('config', `${key}_env: the variable ${variable ?? ''} is not set`);
  return value;
}

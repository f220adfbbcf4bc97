/**
 * TLS by files, read again when they change, so that a renewed certificate needs no restart.
 *
 * Certificate and key are written one after the other: a pair that does not fit is left until it does, and the old one stays.
 */

import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { messageOf, RogueSmtpError } from '../errors.ts';

export interface TlsFiles {
  readonly cert_file: string;
  readonly key_file: string;
}

interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface TlsSource {
  /** The pair as it is now. Throws RogueSmtpError `config`, naming the key. */
  read(): TlsPair;
  /** The pair if the files changed since it was read and belong together; else null. */
  changed(): TlsPair | null;
}

export function createTlsSource(files: TlsFiles): TlsSource {
  let seen = '';

  const marks = (): string =>
    [files.cert_file, files.key_file]
      .map((file) => {
        const stats = statSync(file, { throwIfNoEntry: false });
        return stats === undefined ? 'none' : `${stats.ino} ${stats.mtimeMs} ${stats.size}`;
      })
      .join(' ');

  function read(): TlsPair {
    const before = marks();
    const pair = {
      cert: fileOf(files.cert_file, 'http.tls.cert_file'),
      key: fileOf(files.key_file, 'http.tls.key_file'),
    };
    try {
      createSecureContext(pair);
    } catch (error) {
      throw new RogueSmtpError(
        'config',
        `http.tls: the certificate and the key cannot be used: ${messageOf(error)}`,
      );
    }
    seen = before;
    return pair;
  }

  return {
    read,
    changed() {
      if (marks() === seen) return null;
      try {
        return read();
      } catch {
        return null;
      }
    },
  };
}

function fileOf(file: string, key: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new RogueSmtpError('config', `${key}: ${messageOf(error)}`, { cause: error });
  }
}

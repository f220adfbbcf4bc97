/** The log: JSON lines on stderr, readable lines when stderr is a terminal. Secrets are never handed to it. */

import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from './config/schema.ts';

export type { Logger };

export function createLogger(level: Config['log']['level']): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!process.stderr.isTTY) {
    const destination = pino.destination({ dest: 2, sync: true });
    // A log that cannot be written (its disk is full, its reader is gone) is no reason to stop receiving.
    destination.on('error', () => undefined);
    return pino(options, destination);
  }
  return pino(
    options,
    pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' }),
  );
}

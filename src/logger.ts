/** The log: JSON lines on stderr, readable lines when stderr is a terminal. Secrets are never handed to it. */

import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from './config/schema.ts';

export type { Logger };

export function createLogger(level: Config['log']['level']): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Names instead of pino's numbers: people and log systems filter by them.
    formatters: { level: (label: string) => ({ level: label }), log: bounded },
  };
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

/** Answers of servers and what strangers send may hold a whole message. */
const MAX_FIELD = 2000;

/** Texts of a line as they are, or their beginning. */
function bounded(fields: Record<string, unknown>): Record<string, unknown> {
  const isLong = (value: unknown): value is string => typeof value === 'string' && value.length > MAX_FIELD;
  if (!Object.values(fields).some(isLong)) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      isLong(value) ? `${value.slice(0, MAX_FIELD)}... (${value.length} characters)` : value,
    ]),
  );
}

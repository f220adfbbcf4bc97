/** Chooses the engine by the configuration: a ClickHouse server when it has a URL, else the embedded one. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { readSecret, readSecretLine } from '../config/secret.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createEmbeddedEngine } from './embedded/engine.ts';
import { createServerEngine } from './server.ts';
import type { Engine } from './store.ts';

const embeddedDirectory = (config: Config) => join(config.data, 'store');

/** Throws RogueSmtpError `config` when a file that the configuration names cannot be read. */
export function createEngine(config: Config, log: Logger): Engine {
  if (config.clickhouse.url === '') {
    return createEmbeddedEngine({
      directory: embeddedDirectory(config),
      database: config.clickhouse.database,
      log,
    });
  }
  const { password_file: passwordFile, ca_file: caFile, ...given } = config.clickhouse;
  return createServerEngine({
    ...given,
    ...(passwordFile !== undefined && { password: readSecretLine(passwordFile, 'clickhouse.password_file') }),
    ...(caFile !== undefined && { ca: readSecret(caFile, 'clickhouse.ca_file') }),
    log,
  });
}

/** The engine of a process that has none, such as a collector: every question is answered with where to ask. */
export function createAbsentEngine(): Engine {
  const refuse = () =>
    Promise.reject(
      new RogueSmtpError(
        'unavailable',
        'this process has no store: ask one that runs the role store, or set clickhouse.url',
      ),
    );
  return {
    start: refuse,
    command: refuse,
    query: refuse,
    queryBytes: refuse,
    insertNative: refuse,
    insertJson: refuse,
    walls: refuse,
    stop: async () => undefined,
  };
}

/** False when there is certainly nothing to be read: the embedded engine never ran in this data directory. */
export function storeExists(config: Config): boolean {
  return config.clickhouse.url !== '' || existsSync(embeddedDirectory(config));
}

/**
 * Where the answers of the reading commands come from: a running instance if one answers at the configured address,
 * else the store itself (a server, or the data directory that a stopped instance or `replay --data` left).
 */

import type { ReadModel } from '../api/read-model.ts';
import { createStoredModel } from '../api/stored-read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { migrate } from '../store/migrate.ts';
import { createEngine, storeExists } from '../store/open-engine.ts';
import { type Client, createClient } from './client.ts';

/** Calls `use` with a model, and with the client when a running instance answers. */
export async function withModel<Result>(
  loaded: LoadedConfig,
  use: (model: ReadModel, client: Client | null) => Promise<Result>,
): Promise<Result> {
  const client = createClient(loaded);
  if (await client.isUp()) return use(client, client);
  if (!storeExists(loaded.config)) {
    throw new RogueSmtpError(
      'unavailable',
      `no running instance answers, and there is no data in ${loaded.config.data}; start one with: rogue-smtp run`,
    );
  }
  const engine = createEngine(loaded.config, createLogger(loaded.config.log.level));
  try {
    await engine.start();
    // Data that an earlier version left, or that nothing was ever written to, has its tables to come.
    if (loaded.config.clickhouse.url === '') await migrate(engine, loaded.config.clickhouse);
    return await use(
      createStoredModel(engine, () => loaded.config),
      null,
    );
  } finally {
    await engine.stop();
  }
}

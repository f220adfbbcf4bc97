/**
 * Where the answers of the reading commands come from: a running instance if one answers at the configured address,
 * else the store itself (a server, or the data directory that a stopped instance or `replay --data` left).
 */

import type { ReadModel } from '../api/read-model.ts';
import { createListedModel, createStoredModel } from '../api/stored-read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { type ListsAtRest, readListsAtRest } from '../publish/offline-desk.ts';
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
    const lists = await listsOrNote(loaded);
    const config = () => loaded.config;
    const model =
      lists === null
        ? createStoredModel(engine, config)
        : createListedModel(engine, config, {
            blocked: () => lists.blocked,
            exempt: lists.exempt,
            blocks: async () => lists.rows,
            decisionAbout: lists.decisionAbout,
          });
    return await use(model, null);
  } finally {
    await engine.stop();
  }
}

/** What is in the store can be shown without it. With a broker that would take long where it does not answer. */
async function listsOrNote(loaded: LoadedConfig): Promise<ListsAtRest | null> {
  const note = (why: string) =>
    void process.stderr.write(
      `The lists and decisions that no detector has taken yet are not shown: ${why}\n`,
    );
  if (loaded.config.kafka.brokers.length > 0) {
    note('no running instance answers');
    return null;
  }
  try {
    return await readListsAtRest(loaded, createLogger('error'));
  } catch (error) {
    note(messageOf(error));
    return null;
  }
}

/**
 * Fills a rollup that an upgrade adds from the rows that are stored already.
 *
 * A materialised view sees only what is inserted after it. So before one is created over a table with rows, its SELECT is run
 * once over them, partition by partition so that memory stays bounded, each under a token: an upgrade that was killed and
 * starts again adds nothing twice. To be run while nothing is written, as migrations are.
 */

import { insertSettings, quoteName, quoteText } from './sql.ts';
import type { Engine } from './store.ts';

const VIEW =
  /^CREATE MATERIALIZED VIEW IF NOT EXISTS `\w+`\.\w+ TO (`(\w+)`\.(\w+)) AS\s+([\s\S]*?)\bFROM `\w+`\.(\w+)\b([\s\S]*)$/;

/** Does nothing for a statement that is no such view. `prefix` tells the tokens of one migration from another's. */
export async function backfill(engine: Engine, statement: string, prefix: string): Promise<void> {
  const match = VIEW.exec(statement);
  if (match === null) return;
  const [, target, database, table, columns, source, rest] = match;
  const parts = await engine.query<{ partition_id: string }>(
    'SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = {database:String} AND table = {source:String} ORDER BY partition_id',
    { params: { database, source } },
  );
  if (parts.length === 0) return;
  const names = await engine.query<{ name: string }>(
    `DESCRIBE TABLE (${columns} FROM ${quoteName(database)}.${source}${rest})`,
  );
  const list = names.map(({ name }) => quoteName(name)).join(', ');
  for (const { partition_id: partition } of parts) {
    const from = `(SELECT * FROM ${quoteName(database)}.${source} WHERE _partition_id = ${quoteText(partition)}) AS ${source}`;
    const token = `${prefix}-${table}-${partition}`;
    await engine.command(
      `INSERT INTO ${target} (${list}) ${insertSettings(token)} ${columns} FROM ${from}${rest}`,
    );
  }
}

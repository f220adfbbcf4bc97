/**
 * The same migrations on a ClickHouse cluster: every statement `ON CLUSTER`, tables replicated, and where sharded a local
 * table on each shard with a Distributed one under the name that everybody uses.
 *
 * The files stay what they are (an applied one must not change), so statements are rewritten by the shapes they have; one
 * of another shape is an error here, not a table that exists on one node only. Nothing here runs anything.
 */

import { RogueSmtpError } from '../errors.ts';
import { quoteName } from './sql.ts';

export interface Cluster {
  /** As in `remote_servers` of the servers, which also have the macros `shard` and `replica`. */
  readonly name: string;
  readonly sharded: boolean;
}

/**
 * Which shard a row goes to. A function of the row alone: an insert that is repeated must be split in the same way, or the
 * token would hide rows. All revisions of an incident meet on one shard, where they replace each other.
 */
const SHARD_OF: Readonly<Record<string, string>> = {
  flows: 'cityHash64(least(src_addr, dst_addr), greatest(src_addr, dst_addr))',
  incidents: 'cityHash64(incident_id)',
  alerts: 'cityHash64(alert_id)',
  exporters: 'cityHash64(exporter)',
};

const LOCAL = '_local';

/** The name under which a table holds its own rows. */
export function storedName(table: string, cluster: Cluster | undefined): string {
  return cluster?.sharded === true ? `${table}${LOCAL}` : table;
}

/** ` ON CLUSTER name`, or nothing. */
export function onCluster(cluster: Cluster | undefined): string {
  return cluster === undefined ? '' : ` ON CLUSTER ${quoteName(cluster.name)}`;
}

/** What is to be run for a statement of a migration: itself without a cluster. Throws `store` for an unknown shape. */
export function statementsFor(statement: string, cluster: Cluster | undefined): string[] {
  if (cluster === undefined) return [statement];
  const match =
    /^(CREATE TABLE IF NOT EXISTS|CREATE MATERIALIZED VIEW IF NOT EXISTS|CREATE VIEW IF NOT EXISTS|ALTER TABLE) (`\w+`)\.(\w+)([\s\S]*)$/.exec(
      statement,
    );
  if (match === null)
    throw new RogueSmtpError(
      'store',
      `this statement cannot be run on a cluster: ${statement.slice(0, 100)}`,
    );
  const [, head, database, name, rest] = match;
  const on = onCluster(cluster);
  const own = `${database}.${storedName(name, cluster)}`;
  switch (head) {
    case 'CREATE TABLE IF NOT EXISTS': {
      const local = `${head} ${own}${on}${replicated(rest)}`;
      return cluster.sharded ? [local, distributed(database, name, cluster)] : [local];
    }
    case 'CREATE MATERIALIZED VIEW IF NOT EXISTS':
      return [`${head} ${database}.${name}${on}${cluster.sharded ? toLocal(rest, database) : rest}`];
    case 'CREATE VIEW IF NOT EXISTS':
      return [`${head} ${database}.${name}${on}${rest}`];
    default:
      return cluster.sharded
        ? [`${head} ${own}${on}${rest}`, `${head} ${database}.${name}${on}${rest}`]
        : [`${head} ${own}${on}${rest}`];
  }
}

/** Path and replica name are the defaults of the server: /clickhouse/tables/{uuid}/{shard} and {replica}. */
function replicated(definition: string): string {
  if (!/\nENGINE = (?:Replacing|Aggregating)?MergeTree\b/.test(definition))
    throw new RogueSmtpError('store', 'a table of a migration has an engine that cannot be replicated');
  return definition
    .replace(/\nENGINE = (\w*MergeTree)\b/, '\nENGINE = Replicated$1')
    .replace(
      /\bnon_replicated_deduplication_window = (\d+)/,
      'replicated_deduplication_window = $1, replicated_deduplication_window_seconds = 604800',
    );
}

function distributed(database: string, name: string, cluster: Cluster): string {
  const key = Object.hasOwn(SHARD_OF, name) ? `, ${SHARD_OF[name]}` : '';
  return (
    `CREATE TABLE IF NOT EXISTS ${database}.${name}${onCluster(cluster)} AS ${database}.${name}${LOCAL}\n` +
    `ENGINE = Distributed(${quoteName(cluster.name)}, ${database}, ${quoteName(`${name}${LOCAL}`)}${key})`
  );
}

/** A materialised view works on its own shard, from the local table to the local table. */
function toLocal(rest: string, database: string): string {
  return rest.replace(
    new RegExp(`\\b(TO|FROM) ${database}\\.(\\w+)`, 'g'),
    (_whole, word: string, table: string) => `${word} ${database}.${table}${LOCAL}`,
  );
}

/** Where the applied migrations are written down: one table for all nodes, whatever their shard. */
export function migrationsEngine(database: string, cluster: Cluster | undefined): string {
  if (cluster === undefined) return 'ReplacingMergeTree(applied_at)';
  return `ReplicatedReplacingMergeTree('/clickhouse/tables/${database}/schema_migrations', '{shard}-{replica}', applied_at)`;
}

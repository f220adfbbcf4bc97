import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { type Cluster, statementsFor } from '../../src/store/cluster.ts';
import { loadMigrations, migrate, render, statementsOf } from '../../src/store/migrate.ts';
import type { Engine } from '../../src/store/store.ts';
import {
  chdbInstalled,
  DATABASE,
  flowBatch,
  openTestStore,
  RETENTION,
  type TestStore,
  withoutChdb,
} from './fixture.ts';

const REPLICATED: Cluster = { name: 'mail', sharded: false };
const SHARDED: Cluster = { name: 'mail', sharded: true };

/** An engine that remembers statements, with tables of the given engine. */
function recording(engineOfFlows?: string) {
  const commands: string[] = [];
  const engine: Engine = {
    start: async () => undefined,
    stop: async () => undefined,
    command: async (sql) => {
      commands.push(sql);
    },
    query: async <Row>(sql: string) =>
      (engineOfFlows !== undefined && sql.includes("name = 'flows'")
        ? [{ name: 'flows', engine: engineOfFlows }]
        : []) as Row[],
    queryBytes: async () => new Uint8Array(),
    insertNative: async () => undefined,
    walls: async () => [],
    insertJson: async () => undefined,
  };
  return { engine, commands };
}

async function commandsOn(cluster: Cluster): Promise<string[]> {
  const { engine, commands } = recording();
  await migrate(engine, { database: DATABASE, retention: RETENTION, cluster });
  return commands.filter((sql) => !sql.startsWith('INSERT'));
}

describe('migrations on a cluster', () => {
  test.each([REPLICATED, SHARDED])(
    'are run on all of its nodes, and every table is replicated: %o',
    async (cluster) => {
      const commands = await commandsOn(cluster);
      for (const sql of commands) expect(sql).toMatch(/^(CREATE|ALTER) [A-Z ]+ \S+ ON CLUSTER `mail`/);
      const tables = commands.filter((sql) => sql.startsWith('CREATE TABLE') && !sql.includes('Distributed'));
      expect(tables).toHaveLength(8);
      for (const sql of tables) {
        expect(sql).toMatch(/ENGINE = Replicated(Replacing|Aggregating)?MergeTree/);
        expect(sql).not.toContain('non_replicated');
      }
    },
  );

  test('with shards have a table on each and one above them, and views that stay on their shard', async () => {
    const commands = (await commandsOn(SHARDED)).join(';\n');
    for (const table of ['flows', 'mail_sessions', 'mail_5m', 'incidents', 'alerts', 'blocks', 'exporters'])
      expect(commands).toContain(
        `CREATE TABLE IF NOT EXISTS \`${DATABASE}\`.${table} ON CLUSTER \`mail\` AS \`${DATABASE}\`.${table}_local\nENGINE = Distributed(\`mail\`, \`${DATABASE}\`, \`${table}_local\``,
      );
    expect(commands).toMatch(
      /mail_sessions_from_flows ON CLUSTER `mail` TO `rogue_smtp`\.mail_sessions_local AS/,
    );
    expect(commands).not.toMatch(/_from_\w+[^;]*FROM `rogue_smtp`\.\w+(?<!_local)\n/);
    expect(commands).toMatch(/offenders ON CLUSTER `mail` AS[^;]*FROM `rogue_smtp`\.incidents FINAL/);
  });

  test('know how a column is added, and refuse what they do not know', () => {
    const sql = 'ALTER TABLE `d`.flows ADD COLUMN x UInt8';
    expect(statementsFor(sql, SHARDED)).toEqual([
      'ALTER TABLE `d`.flows_local ON CLUSTER `mail` ADD COLUMN x UInt8',
      'ALTER TABLE `d`.flows ON CLUSTER `mail` ADD COLUMN x UInt8',
    ]);
    expect(statementsFor(sql, undefined)).toEqual([sql]);
    expect(() => statementsFor('OPTIMIZE TABLE `d`.flows', SHARDED)).toThrow(/cannot be run on a cluster/);
    expect(() => statementsFor('CREATE TABLE IF NOT EXISTS `d`.x (a Int8)\nENGINE = Log', SHARDED)).toThrow(
      /cannot be replicated/,
    );
  });

  test('are refused over tables that were made for another kind of server', async () => {
    for (const [there, cluster] of [
      ['MergeTree', REPLICATED],
      ['ReplicatedMergeTree', SHARDED],
      ['ReplicatedMergeTree', undefined],
      ['Distributed', REPLICATED],
    ] as const) {
      const { engine } = recording(there);
      await expect(
        migrate(engine, { database: DATABASE, retention: RETENTION, cluster }),
      ).rejects.toMatchObject({ code: 'config', message: expect.stringContaining(there) });
    }
    const { engine } = recording('SharedMergeTree');
    await migrate(engine, { database: DATABASE, retention: RETENTION });
  });
});

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'the engine, about a cluster' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
  }, 60_000);
  afterAll(() => store?.close());

  test.each([REPLICATED, SHARDED])('reads every statement of the migrations: %o', async (cluster) => {
    const commands = await commandsOn(cluster);
    for (const sql of commands) {
      const [row] = await store.engine.query<{ text: string }>('SELECT formatQuery({sql:String}) AS text', {
        params: { sql },
      });
      expect(row?.text, sql).toContain('ON CLUSTER mail');
    }
  });

  test('computes the shard of a row, the same for both directions of a session', async () => {
    const to = { src: '10.0.0.5', dst: '198.51.100.7', srcPort: 4000, dstPort: 25 };
    const back = { src: to.dst, dst: to.src, srcPort: 25, dstPort: 4000 };
    const at = Date.UTC(2026, 2, 1);
    const block = encodeNative(flowBatch([to, back].map((flow) => ({ ...flow, at }))));
    await store.engine.insertNative('flows', { bytes: [block] }, { token: 't' });
    let keys = 0;
    for (const { text } of await loadMigrations())
      for (const statement of statementsOf(render(text, { database: DATABASE, retention: RETENTION })))
        for (const sql of statementsFor(statement, SHARDED)) {
          const match = /\.(\w+) ON CLUSTER [\s\S]*ENGINE = Distributed\([^,]+, [^,]+, [^,]+, (.*)\)$/.exec(
            sql,
          );
          if (match === null) continue;
          keys++;
          const [row] = await store.engine.query<{ n: number }>(
            `SELECT uniqExact(${match[2]}) AS n FROM ${match[1]}`,
          );
          expect(row?.n, match[1]).toBe(match[1] === 'flows' || match[1] === 'exporters' ? 1 : 0);
        }
    expect(keys).toBe(4);
  });
});

/** From every earlier schema, with rows in it, to the newest: the store is then as if it had been new all the time. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { createEmbeddedEngine, type EmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { loadMigrations, type Migration, migrate } from '../../src/store/migrate.ts';
import {
  alertMessage,
  chdbInstalled,
  DATABASE,
  DAY_MS,
  flowBatch,
  incidentMessage,
  RETENTION,
  silentLog,
  withoutChdb,
} from './fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);
const migrations = await loadMigrations();
const options = { database: DATABASE, retention: RETENTION };

/** Two days, so that there are two partitions; both directions, and a flow that is no mail. */
function flows(day: number) {
  const at = NOW + day * DAY_MS;
  return encodeNative(
    flowBatch([
      { at, src: '10.0.0.5', dst: '198.51.100.7', srcPort: 4000, dstPort: 25, packets: 12, bytes: 3000 },
      {
        at: at + 5,
        src: '198.51.100.7',
        dst: '10.0.0.5',
        srcPort: 25,
        dstPort: 4000,
        packets: 10,
        bytes: 900,
      },
      { at: at + 9, src: '10.0.0.6', dst: '2001:db8::25', srcPort: 4001, dstPort: 587, packets: 3 },
      { at: at + 10, src: '10.0.0.6', dst: '198.51.100.9', srcPort: 4002, dstPort: 443, packets: 99 },
    ]),
  );
}

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'an upgrade' : withoutChdb, () => {
  const directories: string[] = [];
  const engines: EmbeddedEngine[] = [];
  let fresh: Record<string, unknown>;

  /** A store of the given migrations; its rows go in as far as it has tables for them, then it is upgraded. */
  async function storeFrom(known: readonly Migration[]): Promise<EmbeddedEngine> {
    const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-upgrade-'));
    directories.push(directory);
    const engine = createEmbeddedEngine({ directory, database: DATABASE, log: silentLog });
    engines.push(engine);
    await engine.start();
    await migrate(engine, options, known);
    for (const day of [0, 1])
      await engine.insertNative('flows', { bytes: [flows(day)] }, { token: `f${day}` });
    const messages = async () => {
      const rows = (values: readonly object[]) =>
        values.map((value) => JSON.stringify({ message: JSON.stringify(value) }));
      await engine.insertJson('alerts', rows([alertMessage()]), { token: 'a' });
      const revisions = [1, 2].map((revision) => incidentMessage({ revision, sessions: revision }));
      await engine.insertJson('incidents', rows(revisions), { token: 'i' });
    };
    const couldTakeMessages = known.some(({ name }) => name === 'incidents');
    if (couldTakeMessages) await messages();
    const before = known.length;
    expect(await migrate(engine, options)).toEqual(migrations.slice(before).map(({ name }) => name));
    if (!couldTakeMessages) await messages();
    return engine;
  }

  async function contentOf(engine: EmbeddedEngine): Promise<Record<string, unknown>> {
    const ask = (sql: string) => engine.query(sql);
    return {
      flows: await ask('SELECT * EXCEPT stored_at FROM flows ORDER BY ALL'),
      sessions: await ask(
        `SELECT hour, client, server, server_port, client_port, min(first_seen) AS f, max(last_seen) AS l, sum(records) AS r,
          sum(packets_to_server) AS ps, sum(bytes_to_client) AS bc, groupBitOr(flags_to_server) AS fl,
          groupUniqArrayArray(exporters) AS e
        FROM mail_sessions GROUP BY 1, 2, 3, 4, 5 ORDER BY ALL`,
      ),
      rollup: await ask(
        `SELECT bucket, client, server_port, sum(records) AS r, sum(bytes_to_server) AS b,
          uniqCombinedMerge(12)(servers) AS s, uniqCombinedMerge(12)(connections) AS c
        FROM mail_5m GROUP BY 1, 2, 3 ORDER BY ALL`,
      ),
      exporters: await ask(
        'SELECT exporter, domain, version, sum(flows_stored) AS f, min(first_seen) AS a, max(last_seen) AS z FROM exporters GROUP BY 1, 2, 3 ORDER BY ALL',
      ),
      alerts: await ask('SELECT * EXCEPT stored_at FROM alerts FINAL ORDER BY ALL'),
      incidents: await ask('SELECT * EXCEPT stored_at FROM incidents FINAL ORDER BY ALL'),
      blocks: await ask('SELECT * EXCEPT stored_at FROM blocks FINAL ORDER BY ALL'),
      offenders: await ask('SELECT * FROM offenders'),
    };
  }

  beforeAll(async () => {
    fresh = await contentOf(await storeFrom(migrations));
  }, 60_000);
  afterAll(async () => {
    for (const engine of engines) await engine.stop();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  test('starts from a store that holds what this test is about', () => {
    expect(fresh.flows).toHaveLength(8);
    expect(fresh.sessions).toHaveLength(4);
    expect(fresh.rollup).toHaveLength(4);
    expect(fresh.exporters).toMatchObject([{ f: 8 }]);
    expect([fresh.alerts, fresh.incidents, fresh.blocks, fresh.offenders]).toMatchObject(
      Array(4).fill([expect.anything()]),
    );
  });

  test.each(migrations.slice(0, -1).map(({ number, name }) => [number, name] as const))(
    'from version %i (%s) keeps every row, and the tables that are new are filled from those that were there',
    async (version) => {
      expect(await contentOf(await storeFrom(migrations.slice(0, version)))).toEqual(fresh);
    },
    60_000,
  );

  test('that was killed half-way and starts again adds nothing twice', async () => {
    const engine = await storeFrom(migrations.slice(0, 1));
    // As if it had ended before it could write down what it had done, with one view still to be made.
    await engine.command(`TRUNCATE TABLE ${DATABASE}.schema_migrations`);
    await engine.command(`DROP TABLE ${DATABASE}.mail_5m_from_flows`);
    await engine.command(
      `INSERT INTO ${DATABASE}.schema_migrations (number, name, checksum) SELECT 1, 'flows', '${migrations[0]?.checksum}'`,
    );
    await migrate(engine, options);
    expect(await contentOf(engine)).toEqual(fresh);
  }, 60_000);
});

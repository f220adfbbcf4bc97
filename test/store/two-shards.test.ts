/**
 * Our queries and those of the cookbook on Distributed tables over two shards, as far as one engine can be two: both shards are
 * this engine, so rows are there twice, but what the engine refuses of distributed queries (code 288: a subquery that is
 * distributed inside one that is) it refuses here as on servers.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { statementsFor } from '../../src/store/cluster.ts';
import { mailSight } from '../../src/store/mail-sight.ts';
import { loadMigrations, render, statementsOf } from '../../src/store/migrate.ts';
import * as queries from '../../src/store/queries.ts';
import { senderHours } from '../../src/store/sender-hours.ts';
import type { Engine } from '../../src/store/store.ts';
import { type RawEngine, startRawEngine } from '../support/raw-engine.ts';
import { storeOn } from '../support/sql-grants.ts';
import { chdbInstalled, DATABASE, RETENTION, withoutChdb } from './fixture.ts';

const CLUSTER = { name: 'main', sharded: true };
const SHARD = '<shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>';
const CONFIG = `<tcp_port>9000</tcp_port><remote_servers><main>${SHARD}${SHARD}</main></remote_servers>`;
const USERS = `<clickhouse>
  <profiles><default/></profiles>
  <users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users>
  <quotas><default/></quotas>
</clickhouse>`;

const cookbook = [
  ...readFileSync(new URL('../../schemas/clickhouse/README.md', import.meta.url), 'utf8').matchAll(
    /^### (.+)\n[\s\S]*?```sql\n([\s\S]*?)```/gm,
  ),
].map(([, title, sql]) => ({ title, sql }));

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'on two shards' : withoutChdb, () => {
  let raw: RawEngine;
  let engine: Engine;
  beforeAll(async () => {
    raw = startRawEngine(USERS, CONFIG);
    engine = storeOn(raw, DATABASE);
    await engine.command(`CREATE DATABASE ${DATABASE}`);
    const rendered = (await loadMigrations()).flatMap(({ text }) =>
      statementsOf(render(text, { database: DATABASE, retention: RETENTION })),
    );
    // One engine has no other nodes and no Keeper.
    for (const sql of rendered.flatMap((statement) => statementsFor(statement, CLUSTER)))
      await engine.command(sql.replace(' ON CLUSTER `main`', '').replace('ENGINE = Replicated', 'ENGINE = '));
    await engine.command(`USE ${DATABASE}`);
    await engine.command(
      `INSERT INTO flows_local (received_at, src_addr, dst_addr, src_port, dst_port, protocol) VALUES (now64(3), '::ffff:192.0.2.55', '::ffff:198.51.100.1', 5000, 25, 6)`,
    );
  }, 60_000);
  afterAll(() => raw?.stop());

  test('both shards are asked', async () => {
    expect(await engine.query('SELECT count() AS n FROM flows')).toEqual([{ n: 2 }]);
    await expect(
      engine.query('SELECT count() AS n FROM flows WHERE src_port IN (SELECT src_port FROM flows)'),
    ).rejects.toThrow('Code: 288');
  });

  test.each(cookbook)('$title', async ({ sql }) => {
    await engine.query(sql);
  });

  test('what the program asks', async () => {
    const { internal } = configSchema.parse({}).networks;
    const span = { from: '2026-03-01T00:00:00Z', to: '2036-03-02T00:00:00Z' };
    await queries.offenders(engine);
    await queries.alerts(engine, { limit: 10, host: '192.0.2.55', since: span.from });
    await queries.alertsOfIncident(engine, 'i');
    await queries.incident(engine, 'i');
    await queries.newestIncidents(engine);
    expect(
      await queries.evidence(engine, { host: '192.0.2.55', site: '', sites: [], ...span, limit: 10 }),
    ).toHaveLength(2);
    await queries.exporters(engine);
    await mailSight(engine, configSchema.parse({}));
    // Sites that go by VRF are told apart by the flows.
    for (const sites of [[], [{ name: 'x', vrf: 1 }]]) {
      await queries.inventory(engine, { internal, sites });
      await senderHours(engine, { senders: internal, internal, sites, sinceMs: 0 });
    }
  });
});

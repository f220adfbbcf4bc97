/**
 * The rights of schemas/clickhouse/grants.sql, each role with its own alone: it does its work, and nothing else.
 *
 * As in reader-sql.test.ts the grants come word by word into a users file of chDB, whose check of grants is the server's.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { mailSight } from '../../src/store/mail-sight.ts';
import { migrate, pendingChanges, statementsOf } from '../../src/store/migrate.ts';
import * as queries from '../../src/store/queries.ts';
import { askRules } from '../../src/store/readonly-sql.ts';
import { senderHours } from '../../src/store/sender-hours.ts';
import { RETENTION } from '../store/fixture.ts';
import { type RawEngine, startRawEngine } from '../support/raw-engine.ts';
import { grantsIn, roleElement, storeOn } from '../support/sql-grants.ts';

const DATABASE = 'rogue_smtp';
const ROLES = ['migrate', 'store', 'collect', 'serve'].map((role) => `rogue_smtp_${role}`);
const statements = statementsOf(
  readFileSync(new URL('../../schemas/clickhouse/grants.sql', import.meta.url), 'utf8'),
);
const options = { database: DATABASE, retention: RETENTION };

const USERS = `<clickhouse>
  <profiles><default/></profiles>
  <roles>${ROLES.map((role) => roleElement(statements, role)).join('')}</roles>
  <users>
    <default>
      <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
      <grants>${ROLES.map((role) => `<query>GRANT ${role}</query>`).join('')}</grants>
    </default>
  </users>
  <quotas><default/></quotas>
</clickhouse>
`;

const NOW = Date.UTC(2026, 2, 1);
const FLOW = `INSERT INTO ${DATABASE}.flows (received_at, src_addr, dst_addr, src_port, dst_port, protocol) VALUES ('2026-03-01 10:00:00', '::ffff:10.0.0.1', '::ffff:192.0.2.1', 5000, 25, 6)`;
const INCIDENT = `INSERT INTO ${DATABASE}.incidents (message) VALUES ('{"incident_id":"i","host":"10.0.0.1","block":{"state":"published"},"first_seen":"2026-03-01T10:00:00Z","last_seen":"2026-03-01T10:00:00Z","opened_at":"2026-03-01T10:00:00Z","updated_at":"2026-03-01T10:00:00Z"}')`;
const ALERT = `INSERT INTO ${DATABASE}.alerts (message) VALUES ('{"emitted_at":"2026-03-01T10:00:00Z"}')`;
const EXPORTER = `INSERT INTO ${DATABASE}.exporters (exporter, domain, version) VALUES ('::ffff:10.0.0.9', 0, 9)`;
const CREATE = `CREATE TABLE ${DATABASE}.other (x Int8) ENGINE = MergeTree ORDER BY x`;
const ALTER = `ALTER TABLE ${DATABASE}.flows ADD COLUMN IF NOT EXISTS other UInt8`;

describe('schemas/clickhouse/grants.sql', () => {
  let engine: RawEngine;
  beforeAll(async () => {
    engine = startRawEngine(USERS);
    await engine.ask(`SET ROLE ${ROLES[0]}`);
    await migrate(storeOn(engine, DATABASE), options);
    await engine.ask(`USE ${DATABASE}`);
  }, 60_000);
  afterAll(() => engine.stop());

  const as = async (role: string) => {
    expect((await engine.ask(`SET ROLE rogue_smtp_${role}`)).ok).toBe(true);
    return storeOn(engine, DATABASE);
  };
  const goes = async (sql: string) => expect(await engine.ask(sql), sql).toMatchObject({ ok: true });
  const refused = async (...all: string[]) => {
    for (const sql of all)
      expect(await engine.ask(sql), sql).toMatchObject({
        ok: false,
        text: expect.stringMatching(/ACCESS_DENIED|Not enough privileges/),
      });
  };
  const everythingRead = async (store: ReturnType<typeof storeOn>) => {
    const internal = configSchema.parse({}).networks.internal;
    await askRules(async (sql) =>
      (await store.query(sql)).map((row) => Object.values(row as object)[0]).join('\n'),
    );
    await queries.offenders(store);
    await queries.alerts(store, { limit: 10, host: '10.0.0.1', since: '2026-03-01T00:00:00Z' });
    await queries.alertsOfIncident(store, 'i');
    await queries.incident(store, 'i');
    await queries.newestIncidents(store);
    const span = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z' };
    await queries.evidence(store, { host: '10.0.0.1', site: '', sites: [], ...span, limit: 10 });
    await queries.exporters(store);
    await mailSight(store, configSchema.parse({}));
    // Sites that go by VRF are told apart by the flows.
    for (const sites of [[], [{ name: 'x', vrf: 1 }]]) {
      await queries.inventory(store, { internal, sites });
      await senderHours(store, { senders: internal, internal, sites, sinceMs: NOW });
    }
  };

  test('has a part for each role, and parses', async () => {
    for (const role of ROLES) expect(grantsIn(statements, role).length, role).toBeGreaterThan(2);
    for (const sql of statements) await goes(`SELECT formatQuery('${sql.replaceAll("'", "\\'")}') AS text`);
  });

  test('store: finds nothing to migrate, inserts, looks a second time, and reads; it creates and alters nothing', async () => {
    const store = await as('store');
    expect(await pendingChanges(store, options)).toEqual({ migrations: [], retention: [], canStore: true });
    expect(await migrate(store, options)).toEqual([]);
    for (const sql of [FLOW, ALERT, INCIDENT]) await goes(sql);
    await goes(`INSERT INTO ${DATABASE}.flows (domain) SELECT 0 WHERE 0`);
    expect(await store.query(`SELECT count() AS n FROM ${DATABASE}.mail_sessions`)).toMatchObject([{ n: 1 }]);
    await everythingRead(store);
    await refused(CREATE, ALTER, 'CREATE DATABASE other', `DROP TABLE ${DATABASE}.flows`, EXPORTER);
  });

  test('collect: writes the account of the exporters, and reads nothing of ours', async () => {
    await as('collect');
    await goes(EXPORTER);
    await goes('SELECT 1');
    await refused(FLOW, ALERT, CREATE, ALTER, `SELECT count() FROM ${DATABASE}.flows`);
  });

  test('serve: reads, and writes nothing', async () => {
    await everythingRead(await as('serve'));
    await refused(FLOW, ALERT, INCIDENT, EXPORTER, CREATE, ALTER, `TRUNCATE TABLE ${DATABASE}.flows`);
  });

  test('migrate: has made the tables, and changes the retention', async () => {
    const store = await as('migrate');
    await migrate(store, { ...options, retention: { ...RETENTION, flows: RETENTION.flows + 1000 } });
    await refused('CREATE DATABASE other', "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')");
  });
});

/** What the page asks of the store, on the embedded engine with a day that is known row by row. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { type ExploreQuery, explore } from '../../src/store/explore.ts';
import { destinationsOf, pastBlocks, pastIncidents } from '../../src/store/host-account.ts';
import { heardSpans, hostSparks, mailSeries } from '../../src/store/mail-series.ts';
import { prefix } from '../support/acl-requests.ts';
import {
  chdbInstalled,
  type FlowRow,
  flowBatch,
  incidentMessage,
  openTestStore,
  type TestStore,
  withoutChdb,
} from './fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const iso = (ms: number) => new Date(ms).toISOString();
const MX = '10.0.0.25';
const BOT = '10.0.0.66';
const PRINTER = '10.0.0.9';

const flow = (src: string, dst: string, srcPort: number, at: number, port = 25): FlowRow => ({
  at,
  src,
  dst,
  srcPort,
  dstPort: port,
  packets: 10,
  bytes: 2000,
  exporter: '192.0.2.1',
  sequence: srcPort,
});

const flows: FlowRow[] = [
  // Three a minute of the bot for ten minutes.
  ...Array.from({ length: 30 }, (_, i) =>
    flow(BOT, `203.0.113.${i + 1}`, 50_000 + i, NOW + Math.floor(i / 3) * MINUTE_MS),
  ),
  // The mail server, once in each of two hours.
  flow(MX, '198.51.100.1', 40_001, NOW),
  flow(MX, '198.51.100.1', 40_002, NOW + HOUR_MS),
  // Neither: to an internal relay, and a submission that is no mail here.
  flow(PRINTER, MX, 41_000, NOW + 2 * MINUTE_MS),
  flow(PRINTER, '198.51.100.2', 41_001, NOW, 587),
];

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'what the page asks of the store' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
    await store.engine.insertNative('flows', { bytes: [encodeNative(flowBatch(flows))] }, { token: 'f' });
    await store.engine.insertJson(
      'incidents',
      [
        incidentMessage({ host: BOT, first_seen: iso(NOW), last_seen: iso(NOW + 9 * MINUTE_MS) }),
        incidentMessage({
          incident_id: 'older',
          host: BOT,
          opened_at: iso(NOW - 48 * HOUR_MS),
          first_seen: iso(NOW - 48 * HOUR_MS),
          last_seen: iso(NOW - 47 * HOUR_MS),
        }),
      ].map((value) => JSON.stringify({ message: JSON.stringify(value) })),
      { token: 'i' },
    );
  }, 60_000);
  afterAll(() => store?.close());

  const asked = { fromMs: NOW, toMs: NOW + 2 * HOUR_MS, ports: [25], senders: [prefix(MX)], grouped: false };

  test('sessions by minute: of senders, of hosts with an incident, of others', async () => {
    const rows = await mailSeries(store.engine, { ...asked, stepS: 60 });
    expect(rows.slice(0, 3)).toEqual([
      { at: NOW / 1000, authorised: 1, rogue: 3, other: 0 },
      { at: NOW / 1000 + 60, authorised: 0, rogue: 3, other: 0 },
      { at: NOW / 1000 + 120, authorised: 0, rogue: 3, other: 1 },
    ]);
    expect(rows.reduce((sum, { rogue }) => sum + rogue, 0)).toBe(30);
  });

  test('the same from the rollup, in longer buckets, of one host, and of hosts that are a /64', async () => {
    expect(await mailSeries(store.engine, { ...asked, stepS: 3600 })).toEqual([
      { at: NOW / 1000, authorised: 1, rogue: 30, other: 1 },
      { at: (NOW + HOUR_MS) / 1000, authorised: 1, rogue: 0, other: 0 },
    ]);
    expect(
      await mailSeries(store.engine, { ...asked, stepS: 300, host: prefix(BOT), grouped: true }),
    ).toEqual([
      { at: NOW / 1000, authorised: 0, rogue: 15, other: 0 },
      { at: NOW / 1000 + 300, authorised: 0, rogue: 15, other: 0 },
    ]);
  });

  test('sparks by hour, and when routers were heard', async () => {
    const { fromMs, toMs, ports } = asked;
    expect(await hostSparks(store.engine, { fromMs, toMs, ports, hosts: [BOT, 'no address'] })).toEqual([
      { host: `::ffff:${BOT}`, at: NOW / 1000, sessions: 30 },
    ]);
    const [[from, to]] = await heardSpans(store.engine, fromMs);
    expect([from, to]).toEqual([NOW - 90_000, NOW + HOUR_MS + 90_000]);
  });

  test('a host: its destinations, incidents and blocks', async () => {
    const found = await destinationsOf(store.engine, { ...asked, host: prefix(BOT) });
    expect(found).toHaveLength(30);
    expect(found[0]).toEqual({
      address: '203.0.113.1',
      sessions: 1,
      packets: 10,
      bytes: 2000,
      first_seen: iso(NOW),
      last_seen: iso(NOW),
    });
    expect(
      (await pastIncidents(store.engine, { host: BOT, site: '' })).map((one) => one.incident_id),
    ).toEqual(['inc-1', 'older']);
    expect(await pastIncidents(store.engine, { host: BOT, site: 'elsewhere' })).toEqual([]);
    expect(await pastBlocks(store.engine, { host: BOT, site: '' })).toHaveLength(2);
  });

  async function all(query: ExploreQuery): Promise<readonly (readonly unknown[])[]> {
    const rows: (readonly unknown[])[] = [];
    let after: ExploreQuery['after'];
    for (let page = 0; page < 100; page++) {
      const found = await explore(store.engine, { ...query, after });
      rows.push(...found.rows);
      if (found.last === null) return rows;
      after = found.last;
    }
    throw new Error('the pages have no end');
  }

  test.each([['sessions'], ['flows']] as const)(
    '%s page by page are each row once, the newest first',
    async (table) => {
      const query = { table, fromMs: NOW - HOUR_MS, toMs: NOW + 3 * HOUR_MS, limit: 7 };
      const rows = await all(query);
      expect(rows).toHaveLength(flows.length);
      expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(flows.length);
      const times = rows.map(([at]) => String(at));
      expect(times).toEqual([...times].sort().reverse());
      expect(await all({ ...query, limit: 1000 })).toEqual(rows);
    },
  );

  test('filters choose, the statement shown gives the same rows, and a foreign cursor is the first page', async () => {
    const base = { fromMs: NOW, toMs: NOW + HOUR_MS, limit: 100 };
    const count = async (query: Partial<ExploreQuery>) =>
      (await explore(store.engine, { table: 'sessions', ...base, ...query })).rows.length;
    expect(await count({ host: prefix(MX) })).toBe(2);
    expect(await count({ client: prefix(MX) })).toBe(1);
    expect(await count({ server: prefix('203.0.113.0/28') })).toBe(15);
    expect(await count({ port: 587 })).toBe(1);
    expect(await count({ exporter: prefix('192.0.2.2') })).toBe(0);
    expect(await count({ table: 'flows', exporter: prefix('192.0.2.0/24'), port: 25 })).toBe(32);
    expect(await count({ after: ["') OR 1=1 --", 'x', 'y', 1, 2] })).toBe(33);
    const shown = await explore(store.engine, { table: 'sessions', ...base, host: prefix(BOT) });
    expect(await store.engine.query(shown.sql, { readonly: true })).toHaveLength(shown.rows.length);
  });
});

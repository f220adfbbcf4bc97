/** The queries of schemas/clickhouse/README.md, each run as it stands there, as a user, on a store where the answer is known. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { parseRows } from '../../src/store/rows.ts';
import {
  alertMessage,
  chdbInstalled,
  flowBatch,
  incidentMessage,
  openTestStore,
  type TestStore,
  withoutChdb,
} from './fixture.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The beginning of a quarter of an hour, so that no rollup is split by when the test runs. */
const NOW = Math.floor(Date.now() / (15 * MINUTE)) * 15 * MINUTE;
const SUSPECT = '192.0.2.55';
/** Early enough that all that follows is past, and late enough for "within a day". */
const BEGAN = NOW - 6 * HOUR;

const iso = (ms: number) => new Date(ms).toISOString();

/** What each query gives: rows in full, or what must be in them. */
const ANSWERS: Readonly<Record<string, (rows: readonly Record<string, unknown>[]) => void>> = {
  'Offenders of today': (rows) =>
    expect(rows).toMatchObject([{ host: SUSPECT, grade: 'bulk', state: 'open', block_state: 'published' }]),
  'First contact': (rows) =>
    expect(rows).toEqual([
      { host: '::ffff:192.0.2.55', first_contact: iso(BEGAN), servers: 4, sessions: 5 },
      { host: '::ffff:192.0.2.77', first_contact: iso(BEGAN + HOUR), servers: 1, sessions: 1 },
    ]),
  'What the detector said about a host': (rows) =>
    expect(rows).toMatchObject([
      { kind: 'opened', reasons: ['"a session of 20 packets"'] },
      { kind: 'escalated', grade: 'bulk' },
    ]),
  'Blocks, and how long they lasted': (rows) =>
    expect(rows).toMatchObject([{ host: SUSPECT, state: 'published', since: iso(BEGAN + HOUR) }]),
  'Fan-out over time': (rows) =>
    expect(rows.map(({ time, distinct_servers, sessions }) => [time, distinct_servers, sessions])).toEqual([
      [iso(BEGAN).replace('.000', ''), 3, 3],
      [iso(BEGAN + 2 * HOUR).replace('.000', ''), 2, 2],
    ]),
  'Whom it wrote to': (rows) => {
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatchObject({ to: '::ffff:198.51.100.1', port: 25, sessions: 2, answered: 1 });
    expect(rows.at(-1)).toMatchObject({ to: '::ffff:198.51.100.3', answered: 0 });
  },
  'How large its mails were': (rows) =>
    expect(rows).toEqual([
      { at_least: 32, sessions: 1 },
      { at_least: 2048, sessions: 3 },
      { at_least: 8192, sessions: 1 },
    ]),
  'Who else talked to the same destinations': (rows) =>
    expect(rows).toEqual([{ host: '::ffff:192.0.2.77', shared: 1, sessions: 1, first: iso(BEGAN + HOUR) }]),
  'What else it talked to before its first mail': (rows) =>
    expect(rows).toMatchObject([{ to: '::ffff:203.0.113.66', protocol: 6, dst_port: 8443, octets: 5000 }]),
  'Who came to it before its first mail': (rows) =>
    expect(rows).toMatchObject([{ visitor: '::ffff:192.0.2.99', dst_port: 445, records: 1 }]),
  'Mail after the block': (rows) =>
    expect(rows).toEqual([
      { blocked: SUSPECT, to: '::ffff:198.51.100.1', first_after: iso(BEGAN + 2 * HOUR), sessions: 1 },
      { blocked: SUSPECT, to: '::ffff:198.51.100.4', first_after: iso(BEGAN + 2 * HOUR), sessions: 1 },
    ]),
  'What routers denied': (rows) =>
    expect(rows).toMatchObject([{ host: '::ffff:192.0.2.88', router: '::ffff:10.255.0.1', denied: 1 }]),
  'Other ways to hand in mail': (rows) =>
    expect(rows).toMatchObject([{ host: '::ffff:192.0.2.60', port: 587, servers: 1, sessions: 1 }]),
  'Coverage per exporter': (rows) => {
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ router: '::ffff:10.255.0.2', version: 9, lost: 0, rates: [1] });
    expect(rows[1]).toMatchObject({ router: '::ffff:10.255.0.1', lost: 30, rates: [1, 100] });
    expect(Number(rows[1]?.lost_share)).toBeCloseTo(30 / (30 + Number(rows[1]?.stored)), 3);
  },
  'Gaps of an exporter': (rows) => {
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row).toMatchObject({ router: '::ffff:10.255.0.2', records: 0, usual: 10 });
    expect(rows).toHaveLength(2);
  },
  'What is alerted about coverage': (rows) =>
    expect(rows).toMatchObject([{ cause: 'sequence_loss', lost: 30, routers: [expect.any(String)] }]),
  'Rows and disk': (rows) =>
    expect(rows.map(({ table }) => table)).toEqual(
      expect.arrayContaining(['flows', 'mail_sessions', 'incidents']),
    ),
};

const PAGE = readFileSync(new URL('../../schemas/clickhouse/README.md', import.meta.url), 'utf8');
const QUERIES = [...PAGE.matchAll(/^### (.+)\n[^#]*?```sql\n([\s\S]*?)```/gm)].map(
  ([, title = '', sql = '']) => [title, sql] as const,
);

describe('the cookbook', () => {
  test('has a known answer for each of its queries, and each has a title', () => {
    expect(QUERIES.map(([title]) => title).sort()).toEqual(Object.keys(ANSWERS).sort());
    expect(PAGE.match(/```sql/g)).toHaveLength(QUERIES.length);
  });
});

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'a query of the cookbook' : withoutChdb, () => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore();
    const { engine } = store;
    const exporter = '10.255.0.1';
    const both = (at: number, server: string, srcPort: number, bytes: number, answered = true) => [
      { at, src: SUSPECT, dst: server, srcPort, dstPort: 25, packets: 12, bytes, exporter },
      ...(answered
        ? [
            {
              at: at + 1,
              src: server,
              dst: SUSPECT,
              srcPort: 25,
              dstPort: srcPort,
              packets: 9,
              bytes: 700,
              exporter,
            },
          ]
        : []),
    ];
    const other = (at: number, src: string, dst: string, dstPort: number, more: object = {}) => ({
      at,
      src,
      dst,
      srcPort: 50_000,
      dstPort,
      exporter,
      ...more,
    });
    const batch = flowBatch([
      ...both(BEGAN, '198.51.100.1', 40_000, 3000),
      ...both(BEGAN, '198.51.100.2', 40_001, 3100),
      { ...both(BEGAN, '198.51.100.3', 40_002, 60, false)[0]!, flags: 2 },
      ...both(BEGAN + 2 * HOUR, '198.51.100.1', 40_003, 9000),
      ...both(BEGAN + 2 * HOUR, '198.51.100.4', 40_004, 3200),
      // A declared client of old that everybody shares a provider with, and one that shares a rare server.
      other(NOW - 40 * HOUR, '192.0.2.60', '198.51.100.1', 25),
      other(NOW - 40 * HOUR, '192.0.2.61', '198.51.100.1', 25),
      other(NOW - 40 * HOUR, '192.0.2.62', '198.51.100.1', 25),
      other(BEGAN + HOUR, '192.0.2.77', '198.51.100.2', 25),
      other(BEGAN + HOUR, '192.0.2.60', '198.51.100.30', 587),
      // Before it began.
      other(BEGAN - 10 * MINUTE, SUSPECT, '203.0.113.66', 8443, { bytes: 5000 }),
      other(BEGAN - 2 * HOUR, '192.0.2.99', SUSPECT, 445),
      // Denied; its forwarding status is set below.
      other(BEGAN + HOUR, '192.0.2.88', '198.51.100.1', 25),
    ]);
    // Nobody who was denied talked to anyone, so that this one is no mail session of a new host: not TCP to the views.
    const denied = batch.length - 1;
    batch.columns.forwarding[denied] = 0x80;
    batch.columns.protocol[denied] = 17;
    batch.columns.sampling_rate[0] = 100;
    // Another router: ten records each quarter of an hour, but for two.
    const steady = [0, 1, 2, 5, 6, 7, 8].flatMap((quarter) =>
      Array.from({ length: 10 }, (_, i) => ({
        at: BEGAN - 3 * HOUR + quarter * 15 * MINUTE + i * 1000,
        src: '192.0.2.3',
        dst: '203.0.113.3',
        srcPort: 1000 + i,
        dstPort: 443,
        exporter: '10.255.0.2',
      })),
    );
    await engine.insertNative('flows', { bytes: [encodeNative(batch)] }, { token: 'one' });
    await engine.insertNative('flows', { bytes: [encodeNative(flowBatch(steady))] }, { token: 'two' });
    const messages = (values: readonly object[]) =>
      values.map((value) => JSON.stringify({ message: JSON.stringify(value) }));
    const seen = { host: SUSPECT, first_seen: iso(BEGAN), last_seen: iso(Date.now()) };
    await engine.insertJson(
      'incidents',
      messages([
        incidentMessage({
          ...seen,
          grade: 'bulk',
          opened_at: iso(BEGAN),
          block: { state: 'published', reason: 'grade', since: iso(BEGAN + HOUR), until: iso(NOW + HOUR) },
        }),
        incidentMessage({
          incident_id: 'old',
          host: '192.0.2.9',
          last_seen: iso(NOW - 72 * HOUR),
          block: NONE,
        }),
      ]),
      { token: 'i' },
    );
    await engine.insertJson(
      'alerts',
      messages([
        alertMessage({ ...seen, alert_id: 'a1', emitted_at: iso(BEGAN) }),
        alertMessage({ ...seen, alert_id: 'a2', kind: 'escalated', grade: 'bulk', emitted_at: iso(NOW) }),
        alertMessage({
          alert_id: 'c1',
          kind: 'coverage',
          host: '',
          incident_id: '',
          grade: null,
          coverage: { cause: 'sequence_loss', exporters: 1, lost: 30 },
          emitted_at: iso(NOW),
        }),
      ]),
      { token: 'a' },
    );
    // The collector wrote its account twice in a run.
    const account = (lost: number) =>
      JSON.stringify({
        exporter: '::ffff:10.255.0.1',
        version: 9,
        run: iso(BEGAN).slice(0, 23).replace('T', ' '),
        first_seen: iso(BEGAN).slice(0, 23).replace('T', ' '),
        last_seen: iso(NOW).slice(0, 23).replace('T', ' '),
        sequence_lost: lost,
        stored_at: Math.floor(NOW / 1000),
      });
    for (const lost of [10, 30]) await engine.insertJson('exporters', [account(lost)], { token: `e${lost}` });
  }, 60_000);
  afterAll(() => store?.close());

  test.each(QUERIES)('%s', async (title, sql) => {
    const bytes = await store.engine.queryBytes(sql, 'JSONCompact', {
      readonly: true,
      request: { params: {}, settings: { date_time_output_format: 'iso' } },
    });
    ANSWERS[title]?.(parseRows(bytes));
  });
});

const NONE = { state: 'none', reason: '', since: null, until: null } as const;

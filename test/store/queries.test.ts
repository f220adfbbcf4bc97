import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noUnread } from '../../src/decode/packet/walk.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { type Prefix, parsePrefix } from '../../src/flow/prefix.ts';
import { recordExporters } from '../../src/store/exporters.ts';
import { migrate } from '../../src/store/migrate.ts';
import * as queries from '../../src/store/queries.ts';
import {
  alertMessage,
  chdbInstalled,
  DATABASE,
  DAY_MS,
  type FlowRow,
  flowBatch,
  incidentMessage,
  openTestStore,
  RETENTION,
  type TestStore,
  withoutChdb,
} from './fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);
const HOUR_MS = 3_600_000;
const ANYWHERE = { site: '', sites: [] };
const iso = (ms: number) => new Date(ms).toISOString();

function prefixes(...texts: string[]): Prefix[] {
  return texts.map((text) => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.prefix;
  });
}

/** A connection as two records, one a direction. */
function session(client: string, server: string, port: number, clientPort: number, at: number): FlowRow[] {
  return [
    { at, src: client, dst: server, srcPort: clientPort, dstPort: port, packets: 12, bytes: 3000 },
    { at: at + 5, src: server, dst: client, srcPort: port, dstPort: clientPort, packets: 10, bytes: 900 },
  ];
}

const flows: FlowRow[] = [
  // The mail server: outside hosts come to it, and it sends.
  ...session('198.51.100.1', '10.0.0.25', 25, 40001, NOW),
  ...session('198.51.100.2', '10.0.0.25', 25, 40002, NOW),
  ...session('10.0.0.25', '203.0.113.1', 25, 50001, NOW + HOUR_MS),
  // A relay: internal hosts hand it mail, and it sends.
  ...['10.0.1.1', '10.0.1.2', '10.0.1.3'].flatMap((client, i) =>
    session(client, '10.0.0.26', 587, 41000 + i, NOW),
  ),
  ...session('10.0.0.26', '203.0.113.2', 25, 50002, NOW),
  // A bot: many destinations, nobody comes to it; one scan of its port 25 is refused by a reset.
  ...Array.from({ length: 30 }, (_, i) =>
    session('10.0.0.66', `203.0.113.${100 + i}`, 25, 51000 + i, NOW),
  ).flat(),
  {
    at: NOW,
    src: '198.51.100.9',
    dst: '10.0.0.66',
    srcPort: 42000,
    dstPort: 25,
    packets: 1,
    bytes: 40,
    flags: 2,
  },
  {
    at: NOW,
    src: '10.0.0.66',
    dst: '198.51.100.9',
    srcPort: 25,
    dstPort: 42000,
    packets: 1,
    bytes: 40,
    flags: 0x14,
  },
  // A laptop that submits.
  ...session('fd00::7', '2001:db8::587', 587, 52000, NOW),
  // Not mail: web from an ephemeral port 2525, and UDP.
  { at: NOW, src: '10.0.0.77', dst: '203.0.113.80', srcPort: 2525, dstPort: 443 },
  { at: NOW, src: '10.0.0.78', dst: '203.0.113.80', srcPort: 40000, dstPort: 25, protocol: 17 },
];

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'queries on a small known data set' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
    const { engine } = store;
    await engine.insertNative('flows', { bytes: [encodeNative(flowBatch(flows))] }, { token: 'flows' });
    const message = (value: object) => JSON.stringify({ message: JSON.stringify(value) });
    await engine.insertJson(
      'incidents',
      [
        incidentMessage({ revision: 1 }),
        incidentMessage({
          revision: 3,
          grade: 'bulk',
          sessions: 30,
          state: 'closed',
          closed_at: iso(NOW + HOUR_MS),
        }),
        incidentMessage({ revision: 2, sessions: 9 }),
        incidentMessage({
          incident_id: 'inc-2',
          host: '10.0.0.6',
          block: { state: 'none', reason: '', since: null, until: null },
        }),
        incidentMessage({ incident_id: 'inc-0', opened_at: iso(NOW - DAY_MS), revision: 9, sessions: 1 }),
      ].map(message),
      { token: 'incidents' },
    );
    await engine.insertJson(
      'alerts',
      [
        alertMessage({ alert_id: 'a1' }),
        alertMessage({ alert_id: 'a2', kind: 'escalated', emitted_at: iso(NOW + 1000) }),
        alertMessage({ alert_id: 'a3', host: '10.0.0.6', incident_id: 'inc-2', emitted_at: iso(NOW + 2000) }),
      ].map(message),
      { token: 'alerts-1' },
    );
    // The detector computed it again after a restart.
    await engine.insertJson(
      'alerts',
      [message(alertMessage({ alert_id: 'a2', kind: 'escalated', emitted_at: iso(NOW + 1000) }))],
      { token: 'alerts-2' },
    );
  }, 60_000);
  afterAll(() => store?.close());

  test('offenders: one row a host, its newest incident in the newest revision', async () => {
    const rows = await queries.offenders(store.engine);
    expect(
      rows.map(({ host, incident_id, state, grade, sessions, block_state }) => ({
        host,
        incident_id,
        state,
        grade,
        sessions,
        block_state,
      })),
    ).toEqual([
      {
        host: '10.0.0.6',
        incident_id: 'inc-2',
        state: 'open',
        grade: 'conversed',
        sessions: 3,
        block_state: 'none',
      },
      {
        host: '10.0.0.5',
        incident_id: 'inc-1',
        state: 'closed',
        grade: 'bulk',
        sessions: 30,
        block_state: 'proposed',
      },
    ]);
    expect(rows[0]).toMatchObject({
      first_seen: iso(NOW),
      bytes: 9000,
      destinations: 2,
      flags: ['half_seen'],
      block_until: null,
    });
  });

  test('alerts: the newest so many, oldest first, each once', async () => {
    const ids = async (query: queries.AlertsQuery) =>
      (await queries.alerts(store.engine, query)).map(({ alert_id }) => alert_id);
    expect(await ids({ limit: 10 })).toEqual(['a1', 'a2', 'a3']);
    expect(await ids({ limit: 2 })).toEqual(['a2', 'a3']);
    expect(await ids({ limit: 10, host: '10.0.0.5' })).toEqual(['a1', 'a2']);
    expect(await ids({ limit: 10, since: iso(NOW + 1000) })).toEqual(['a2', 'a3']);
    expect(await ids({ limit: 10, host: "' OR 1 --" })).toEqual([]);
    expect((await queries.alertsOfIncident(store.engine, 'inc-1')).map(({ kind }) => kind)).toEqual([
      'opened',
      'escalated',
    ]);
  });

  test('incident: by id or by host, whole as it was emitted', async () => {
    expect(await queries.incident(store.engine, 'inc-1')).toMatchObject({ revision: 3, resume: { a: 1 } });
    expect(await queries.incident(store.engine, '10.0.0.5')).toMatchObject({
      incident_id: 'inc-1',
      revision: 3,
    });
    expect(await queries.incident(store.engine, 'nobody')).toBe(null);
    expect(
      (await queries.newestIncidents(store.engine)).map(({ incident_id, revision }) => [
        incident_id,
        revision,
      ]),
    ).toEqual([
      ['inc-1', 3],
      ['inc-2', 1],
    ]);
  });

  test('blocks keep every state that a block was in', async () => {
    expect(
      await store.engine.query(
        'SELECT host, incident_id, state, revision FROM blocks FINAL ORDER BY incident_id',
      ),
    ).toEqual([
      { host: '10.0.0.5', incident_id: 'inc-0', state: 'proposed', revision: 9 },
      { host: '10.0.0.5', incident_id: 'inc-1', state: 'proposed', revision: 3 },
    ]);
  });

  test('evidence: the records of a host on mail ports, both directions', async () => {
    const rows = await queries.evidence(store.engine, {
      host: '10.0.0.66',
      ...ANYWHERE,
      from: iso(NOW),
      to: iso(NOW + 10),
      limit: 1000,
    });
    expect(rows.length).toBe(62);
    expect(rows[0]).toMatchObject({
      exporter: '192.0.2.1',
      version: 'v9',
      received_at: iso(NOW),
      tcp_flags: 0x1b,
      start: iso(NOW - 2000),
      end: null,
      forwarding: null,
    });
    expect(rows.some((row) => row.src_addr === '10.0.0.66' && row.dst_port === 25)).toBe(true);
    expect(rows.some((row) => row.dst_addr === '10.0.0.66' && row.src_port === 25)).toBe(true);
    const ask = async (query: Partial<queries.EvidenceQuery>) =>
      (
        await queries.evidence(store.engine, {
          host: '10.0.0.66',
          ...ANYWHERE,
          from: iso(NOW),
          to: iso(NOW + 10),
          limit: 1000,
          ...query,
        })
      ).length;
    expect(await ask({ limit: 5 })).toBe(5);
    expect(await ask({ from: iso(NOW + 11), to: iso(NOW + 20) })).toBe(0);
    expect(await ask({ host: '10.0.0.77' })).toBe(0);
    expect(await ask({ host: 'fd00::/64' })).toBe(2);
    expect(await ask({ host: 'not an address' })).toBe(0);
  });

  test('mail sessions: one row a connection, both directions together, nothing that is not mail', async () => {
    expect(
      await store.engine.query(
        `SELECT server, server_port, client_port, packets_to_server, bytes_to_server, packets_to_client, bytes_to_client, flags_to_server, records
        FROM mail_sessions FINAL WHERE client = toIPv6('198.51.100.1')`,
      ),
    ).toEqual([
      {
        server: '::ffff:10.0.0.25',
        server_port: 25,
        client_port: 40001,
        packets_to_server: 12,
        bytes_to_server: 3000,
        packets_to_client: 10,
        bytes_to_client: 900,
        flags_to_server: 0x1b,
        records: 2,
      },
    ]);
    expect(
      await store.engine.query(
        "SELECT count() AS n FROM mail_sessions WHERE client IN (toIPv6('10.0.0.77'), toIPv6('10.0.0.78'), toIPv6('203.0.113.80'))",
      ),
    ).toEqual([{ n: 0 }]);
    expect(
      await store.engine.query(
        "SELECT uniqCombinedMerge(12)(servers) AS servers, uniqCombinedMerge(12)(connections) AS connections FROM mail_5m WHERE client = toIPv6('10.0.0.66')",
      ),
    ).toEqual([{ servers: 30, connections: 30 }]);
  });

  test('inventory: tells the mail server and the relay from the bot', async () => {
    const rows = await queries.inventory(store.engine, {
      sites: [],
      internal: prefixes('10.0.0.0/8', 'fc00::/7'),
    });
    const by = new Map(rows.map((row) => [row.host, row]));
    expect([...by.keys()].sort()).toEqual(['10.0.0.25', '10.0.0.26', '10.0.0.66', 'fd00::7']);
    expect(by.get('10.0.0.25')).toMatchObject({
      likely_mail_server: true,
      sessions_in: 2,
      sources_in: 2,
      sessions_out: 1,
      destinations: 1,
      bytes_out: 3000,
      first_seen: iso(NOW),
      last_seen: iso(NOW + HOUR_MS + 5),
    });
    expect(by.get('10.0.0.25')!.reasons).toEqual(['answers SMTP from 2 hosts outside']);
    expect(by.get('10.0.0.26')).toMatchObject({
      likely_mail_server: true,
      internal_clients: 3,
      reasons: ['takes mail from 3 internal hosts and sends outside'],
    });
    expect(by.get('10.0.0.66')).toMatchObject({
      likely_mail_server: false,
      sessions_out: 30,
      destinations: 30,
      sessions_in: 0,
      reasons: ['only sends; nobody was seen handing it mail'],
    });
    expect(by.get('fd00::7')).toMatchObject({
      likely_mail_server: false,
      sessions_out: 0,
      submission_out: 1,
    });
    expect(rows.every(({ site }) => site === '')).toBe(true);
    expect(await queries.inventory(store.engine, { sites: [], internal: [] })).toEqual([]);
    expect(
      (
        await queries.inventory(store.engine, {
          sites: [],
          internal: prefixes('10.0.0.0/8'),
          since: iso(NOW + HOUR_MS),
        })
      ).map(({ host }) => host),
    ).toEqual(['10.0.0.25']);
  });

  test('exporters: stored flows and the counters of every run, however often they are written', async () => {
    const now = Date.now();
    const state = {
      address: parseAddress('192.0.2.1')!,
      domain: 0,
      version: 'v9' as const,
      datagrams: 10,
      flows: 90,
      sequenceLost: 3,
      sequenceReordered: 1,
      sequenceResets: 0,
      sequenceUnknown: 0,
      agent: null,
      exportProcesses: 1,
      counting: 'datagrams' as const,
      sequenceLostBefore: 0,
      lastSeenMs: now + 50_000,
      clockSkewMs: -1500.4,
      samplingRates: new Set([1, 1000]),
      templates: 2,
      unread: { ...noUnread(), cut: 2, unknown_protocol: 4, not_ip: 9 },
      outMeaning: 'reverse' as const,
      templatesRedefined: 0,
    };
    const { engine } = store;
    await recordExporters(engine, [state], { runStartedAtMs: now, nowMs: now + 60_000 });
    await recordExporters(engine, [{ ...state, sequenceLost: 5, flows: 100 }], {
      runStartedAtMs: now,
      nowMs: now + 120_000,
    });
    await recordExporters(engine, [{ ...state, sequenceLost: 5, flows: 100 }], {
      runStartedAtMs: now,
      nowMs: now + 120_000,
    });
    await recordExporters(engine, [{ ...state, sequenceLost: 1, flows: 7, clockSkewMs: null }], {
      runStartedAtMs: now + DAY_MS,
      nowMs: now + DAY_MS + 60_000,
    });
    await recordExporters(engine, [], { runStartedAtMs: now, nowMs: now });
    expect(await queries.exporters(engine)).toEqual([
      {
        exporter: '192.0.2.1',
        domain: 0,
        version: 'v9',
        first_seen: iso(NOW),
        last_seen: iso(now + 50_000),
        flows_stored: flows.length,
        flows: 107,
        datagrams: 20,
        sequence_lost: 6,
        sequence_reordered: 2,
        sequence_resets: 0,
        sequence_unknown: 0,
        counting: 'datagrams',
        sampling_rates: [1, 1000],
        clock_skew_ms: -1500,
        unread: 12,
        unread_reasons: ['cut', 'unknown_protocol'],
        out_counters: 'reverse',
      },
    ]);
  });

  test('migrating again changes nothing, and another retention reaches the tables', async () => {
    const { engine } = store;
    expect(await migrate(engine, { database: DATABASE, retention: RETENTION })).toEqual([]);
    expect(
      await migrate(engine, { database: DATABASE, retention: { ...RETENTION, flows: 7 * DAY_MS } }),
    ).toEqual([]);
    const [{ engine_full }] = await engine.query<{ engine_full: string }>(
      "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'flows'",
    );
    expect(engine_full).toContain('TTL stored_at + toIntervalSecond(604800)');
    expect(await engine.query('SELECT count() AS n FROM schema_migrations FINAL')).toEqual([{ n: 6 }]);
    expect(await engine.query('SELECT count() AS n FROM flows')).toEqual([{ n: flows.length }]);
  });
});

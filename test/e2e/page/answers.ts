/** Answers of the API for tests of the page alone: typed as the API has them, with whatever a test wants in the fields. */

import type { z } from 'zod';
import type {
  BlocksAnswer,
  blockRow,
  CoverageAnswer,
  ExploreAnswer,
  ExporterLine,
  HealthAnswer,
  HostAnswer,
  HostRow,
  HostsAnswer,
  OverviewAnswer,
  SeriesAnswer,
  SessionAnswer,
  WhatIfAnswer,
} from '../../../src/http/api/schemas.ts';

const MINUTE_MS = 60_000;
const at = (agoMs: number): string => new Date(Date.now() - agoMs).toISOString();

export const session: SessionAnswer = {
  name: 'local',
  role: 'admin',
  by: 'open',
  csrf: null,
  expires_at: null,
};

export function hostRow(changes: Partial<HostRow> = {}): HostRow {
  return {
    host: '10.2.8.102',
    site: '',
    incident_id: 'inc-1',
    state: 'open',
    standing: 'blocked',
    grade: 'conversed',
    flags: [],
    first_seen: at(90 * MINUTE_MS),
    last_seen: at(MINUTE_MS),
    sessions: 41,
    attempts: 2,
    destinations: 38,
    destinations_exact: true,
    packets: 900,
    bytes: 1_230_000,
    ports: [25],
    recurrence: 0,
    reason: '41 sessions to 38 servers carried more than a greeting can; the largest sent 84 kB',
    block: {
      state: 'published',
      reason: 'the grade is conversed',
      since: at(80 * MINUTE_MS),
      until: at(-600 * MINUTE_MS),
    },
    listed_at: at(80 * MINUTE_MS),
    held_since: null,
    spark: Array.from({ length: 24 }, (_, i) => (i < 3 ? null : i > 20 ? i - 18 : 0)),
    identity: { name: 'pc-42', mac: '00:1b:21:0a:0b:0c', owner: 'Sales', since: at(90 * MINUTE_MS) },
    ...changes,
  };
}

export const waitingRow = (changes: Partial<HostRow> = {}): HostRow =>
  hostRow({
    host: '10.2.9.7',
    incident_id: 'inc-2',
    standing: 'waiting',
    block: {
      state: 'held',
      reason: 'probably a mail server: it takes mail from 3 hosts outside',
      since: null,
      until: null,
    },
    listed_at: null,
    ...changes,
  });

export function exporter(changes: Partial<ExporterLine> = {}): ExporterLine {
  return {
    exporter: '192.0.2.1',
    domain: 0,
    version: 'v9',
    state: 'ok',
    first_seen: at(3000 * MINUTE_MS),
    last_seen: at(1000),
    silent_s: 1,
    rates: Array.from({ length: 60 }, (_, i) => 38_000 + 4000 * Math.sin(i / 5)),
    flows_per_s: 41_000,
    datagrams_per_s: 1400,
    flows: 4_000_000,
    datagrams: 140_000,
    flows_stored: 4_000_000,
    lost: 20,
    lost_last_hour: 2,
    loss: 0.0002,
    unknown_gaps: 0,
    reordered: 1,
    resets: 0,
    counting: 'flows',
    sampling: [1],
    templates: 3,
    clock_skew_ms: 20,
    unread: 0,
    unread_reasons: [],
    ...changes,
  };
}

const routers = [
  exporter(),
  exporter({ exporter: '192.0.2.2', sampling: [1000], version: 'IPFIX' }),
  exporter({
    exporter: '192.0.2.3',
    state: 'silent',
    silent_s: 240,
    rates: [],
    flows_per_s: 0,
    counting: 'nothing',
    clock_skew_ms: -90_000,
  }),
];

export function overview(changes: Partial<OverviewAnswer> = {}): OverviewAnswer {
  return {
    now: at(0),
    version: '0.1.0',
    mode: 'propose',
    senders: 2,
    open: 4,
    by_grade: { attempted: 1, connected: 0, conversed: 2, bulk: 1 },
    blocked: 2,
    waiting: 1,
    watching: 1,
    passing: 0,
    coverage: {
      exporters: 3,
      reporting: 2,
      silent: [{ exporter: '192.0.2.3', last_seen: at(240_000), silent_s: 240 }],
      sampled: [{ exporter: '192.0.2.2', rate: 1000 }],
      lost_last_hour: 2,
      loss: 0.0002,
      kernel_drops_last_hour: 0,
      unread: [],
    },
    heard: {
      datagrams: 140_000,
      flows: 4_000_000,
      since: at(3000 * MINUTE_MS),
      listen: ['0.0.0.0:2055', '0.0.0.0:4739'],
    },
    waits: [waitingRow()],
    routers,
    troubles: [],
    ...changes,
  };
}

export const emptyOverview = (): OverviewAnswer =>
  overview({
    open: 0,
    by_grade: { attempted: 0, connected: 0, conversed: 0, bulk: 0 },
    blocked: 0,
    waiting: 0,
    watching: 0,
    coverage: {
      exporters: 0,
      reporting: 0,
      silent: [],
      sampled: [],
      lost_last_hour: null,
      loss: null,
      kernel_drops_last_hour: null,
      unread: [],
    },
    heard: { datagrams: 0, flows: 0, since: at(MINUTE_MS), listen: ['0.0.0.0:2055'] },
    waits: [],
    routers: [],
  });

export function series(): SeriesAnswer {
  const stepS = 900;
  const end = Math.floor(Date.now() / 1000 / stepS) * stepS;
  const times = Array.from({ length: 96 }, (_, i) => end - (95 - i) * stepS);
  const gap = (i: number) => i > 30 && i < 37;
  return {
    from: new Date((times[0] ?? 0) * 1000).toISOString(),
    to: new Date(end * 1000).toISOString(),
    step_s: stepS,
    unit: 'sessions',
    times,
    authorised: times.map((_, i) => (gap(i) ? null : Math.round(300 + 120 * Math.sin(i / 9) + (i % 5) * 12))),
    rogue: times.map((_, i) => (gap(i) ? null : i > 80 ? 60 + (i % 7) * 30 : 0)),
    other: times.map((_, i) => (gap(i) ? null : 20)),
    sampled: [],
    marks: [
      {
        at: at(225 * MINUTE_MS),
        kind: 'opened',
        host: '10.2.8.102',
        incident_id: 'inc-1',
        grade: 'attempted',
        text: 'opened',
      },
      {
        at: at(200 * MINUTE_MS),
        kind: 'escalated',
        host: '10.2.8.102',
        incident_id: 'inc-1',
        grade: 'conversed',
        text: 'escalated',
      },
    ],
  };
}

export const hosts = (rows?: readonly HostRow[]): HostsAnswer => {
  const all = rows ?? [
    hostRow({
      grade: 'bulk',
      host: '10.2.8.17',
      incident_id: 'inc-0',
      standing: 'passing',
      flags: ['not_effective'],
    }),
    hostRow(),
    waitingRow(),
    hostRow({
      host: '2001:db8:1::55',
      incident_id: 'inc-3',
      grade: 'attempted',
      standing: 'watching',
      sessions: 0,
      bytes: 120,
      destinations: 3,
      block: { state: 'none', reason: 'the grade is below conversed', since: null, until: null },
    }),
    hostRow({ host: '10.2.8.9', incident_id: 'inc-4', standing: 'closed', state: 'closed' }),
  ];
  return { hosts: [...all], total: all.length, next_cursor: null };
};

const diff = {
  added: 1,
  removed: 0,
  lines: [
    { kind: 'hunk' as const, text: '@@ -3,2 +3,3 @@' },
    { kind: 'same' as const, text: ' deny tcp host 10.2.8.102 any eq 25' },
    { kind: 'added' as const, text: ' deny tcp host 10.2.9.7 any eq 25' },
    { kind: 'same' as const, text: ' permit ip any any' },
  ],
  refused: null,
};

export function host(changes: Partial<HostAnswer> = {}): HostAnswer {
  const row = hostRow();
  return {
    host: row.host,
    site: '',
    identity: { name: 'pc-42', mac: '00:1b:21:0a:0b:0c', owner: 'Sales', since: row.first_seen },
    row,
    reasons: [row.reason, 'certificates from 31 servers, no resets'],
    missing: ['replies on edge-2 are not exported'],
    sampling: [1],
    time_to_block_ms: 1900,
    alerts: series().marks,
    incidents: [
      {
        incident_id: 'inc-1',
        state: 'open',
        grade: 'conversed',
        opened_at: at(90 * MINUTE_MS),
        closed_at: null,
        first_seen: at(90 * MINUTE_MS),
        last_seen: at(MINUTE_MS),
        sessions: 41,
        attempts: 2,
        destinations: 38,
        bytes: 1_230_000,
        block_state: 'published',
        block_reason: 'the grade is conversed',
      },
    ],
    blocks: [],
    decisions: [
      { at: at(50 * MINUTE_MS), by: 'anna', what: 'approve', why: 'agreed with the owner', host: row.host },
    ],
    evidence: Array.from({ length: 40 }, (_, i) => ({
      received_at: at(i * 61_000),
      exporter: '192.0.2.1',
      domain: 0,
      version: 'v9',
      sequence: 1000 + i,
      record: 1,
      src_addr: row.host,
      src_port: 40_000 + i,
      dst_addr: `198.51.100.${i}`,
      dst_port: 25,
      packets: 20,
      bytes: 12_000 + i,
      tcp_flags: 27,
      start: null,
      end: null,
      in_if: 3,
      out_if: 7,
      sampling_rate: 1,
      forwarding: null,
    })),
    destinations: Array.from({ length: 38 }, (_, i) => ({
      address: `198.51.100.${i}`,
      sessions: 3,
      packets: 60,
      bytes: 30_000,
      first_seen: at(90 * MINUTE_MS),
      last_seen: at(MINUTE_MS),
    })),
    routers: [
      { exporter: '192.0.2.1', domain: 0, interface: 3, passing: false },
      { exporter: '192.0.2.2', domain: 0, interface: 12, passing: true },
    ],
    timeline: series(),
    policy: {
      version: '0123abcd',
      internal: true,
      sender: { kind: 'none', name: '', owner: '' },
      expected: null,
      never_blocked: false,
      nat: false,
      says: ['It is in networks.internal.', 'No entry of senders names it.'],
    },
    declare: {
      sender: 'senders:\n  - { name: mail-1, hosts: ["10.2.8.102"], owner: "", reason: "" }\n',
      expected:
        'expected:\n  - { name: check-1, hosts: ["10.2.8.102"], does: check, owner: "", reason: "" }\n',
    },
    sql: "SELECT * FROM flows WHERE src_addr = toIPv6('10.2.8.102') ORDER BY received_at",
    ...changes,
  };
}

export const whatIf = (): WhatIfAnswer => ({
  host: '10.2.9.7',
  site: '',
  action: 'approve',
  allowed: true,
  refused: null,
  says: ['10.2.9.7 comes into 2 lists at once, for 24 hours after its last session.'],
  lists: [
    { target: 'edge', family: '4', platform: 'cisco-ios', diff },
    { target: 'firewall', family: '4', platform: 'nftables', diff },
  ],
  cuts: { destinations: 12, sessions: 80 },
});

const list = {
  target: 'edge',
  family: '4' as const,
  kind: 'offenders' as const,
  platform: 'cisco-ios' as const,
  revisions: [
    { revision: '1a2b3c4d', digest: 'x', written_at: at(20 * MINUTE_MS), current: true },
    { revision: '0a0b0c0d', digest: 'y', written_at: at(90 * MINUTE_MS), current: false },
  ],
  pin: null,
  trouble: null,
  interface: 'GigabitEthernet0/1',
  site: null,
  entries: 1,
  refused: null,
  left_out: [],
  diff,
};
export const listText = {
  ...list,
  text: 'ip access-list extended ROGUE-SMTP\n deny tcp host 10.2.8.102 any eq 25\n permit ip any any\n',
};

function blockOf(row: HostRow): z.infer<typeof blockRow> {
  const { host: name, site, incident_id, grade, last_seen, block, listed_at, held_since } = row;
  return {
    ...{ host: name, site, incident_id, grade, last_seen, block, listed_at, held_since },
    by_hand: false,
    listed: listed_at !== null,
    pending: null,
    waiting: row.standing === 'waiting',
    time_to_block_ms: 1900,
  };
}

export const blocks = (rows: readonly HostRow[] = [waitingRow(), hostRow()]): BlocksAnswer => ({
  mode: 'propose',
  hosts: rows.map(blockOf),
  waiting: rows.filter(({ standing }) => standing === 'waiting').length,
  blocked: rows.filter(({ standing }) => standing === 'blocked').length,
  lists: [list, { ...list, family: '6', entries: 0 }],
  effect: [{ exporter: '192.0.2.2', domain: 0, interface: 12, hosts: ['10.2.8.17'] }],
  troubles: [],
});

export const coverage = (): CoverageAnswer => ({
  exporters: routers,
  findings: [
    {
      kind: 'silent',
      severity: 'critical',
      exporter: '192.0.2.3',
      text: 'has sent nothing for 4 minutes.',
      advice: 'Look at the router and at the path of UDP 2055.',
    },
    {
      kind: 'sampled',
      severity: 'info',
      exporter: '192.0.2.2',
      text: 'looks at 1 packet in 1000. Short mails are missed.',
      advice: 'Export TCP 25 unsampled where the router can.',
    },
  ],
  sight: {
    flows: 12_000,
    ignored: { foreign: 40 },
    strangers: ['203.0.113.9'],
    says: ['Not judged: 40 of 12000 mail flows: neither end is in networks.internal.'],
  },
  refused: [{ exporter: '198.51.100.77', datagrams: 12 }],
});

export const explore = (): ExploreAnswer => ({
  table: 'sessions',
  columns: [
    { name: 'began', type: 'time' },
    { name: 'client', type: 'address' },
    { name: 'server', type: 'address' },
    { name: 'server_port', type: 'number' },
    { name: 'bytes', type: 'number' },
    { name: 'exporters', type: 'list' },
  ],
  rows: Array.from({ length: 60 }, (_, i) => [
    at(i * 30_000),
    '10.2.8.102',
    `198.51.100.${i}`,
    25,
    1200 * i,
    ['192.0.2.1', '192.0.2.2'],
  ]),
  next_cursor: null,
  sql: "SELECT began, client, server FROM mail_sessions WHERE client = toIPv6('10.2.8.102') ORDER BY began DESC LIMIT 200",
});

export const inventory = () => [
  {
    host: '10.2.9.7',
    site: '',
    likely_mail_server: true,
    reasons: ['3 hosts outside connect to it', '12 internal hosts hand it mail'],
    sessions_out: 400,
    destinations: 120,
    sessions_in: 80,
    first_seen: at(3000 * MINUTE_MS),
    last_seen: at(MINUTE_MS),
    sender: null,
    news: 'new',
  },
  {
    host: '10.2.8.102',
    site: '',
    likely_mail_server: false,
    reasons: ['sends only, never receives'],
    sessions_out: 41,
    destinations: 38,
    sessions_in: 0,
    first_seen: at(90 * MINUTE_MS),
    last_seen: at(MINUTE_MS),
    sender: null,
    news: null,
  },
];

export const health = (): HealthAnswer => ({
  version: '0.1.0',
  node: 'v20.20.2',
  started_at: at(3000 * MINUTE_MS),
  now: at(0),
  ready: true,
  troubles: [],
  config_file: '/etc/rogue-smtp.yaml',
  policy: { version: '0123abcd', loaded_at: at(3000 * MINUTE_MS), error: null, need_restart: [], lists: [] },
  walls: [
    { stands: true, text: 'The text of a statement is checked before it runs.' },
    { stands: true, text: 'The engine runs in a confined process.' },
  ],
  store: { kind: 'embedded', database: 'rogue_smtp', set_aside: 0 },
  streams: { kind: 'embedded', waiting_bytes: 15_000, dropped: 0 },
  disk: { path: '/var/lib/rogue-smtp', free_bytes: 4e11, size_bytes: 1e12 },
  memory: { rss_bytes: 4e8, heap_bytes: 8e7 },
  lost: { kernel_drops: 0, not_decoded: 2, not_kept: 0 },
  config: { block: { mode: 'propose' }, http: { token: '(hidden)' } },
});

export const auditLog = () => [
  { at: at(50 * MINUTE_MS), by: 'anna', what: 'approve', why: 'agreed with the owner', host: '10.2.8.102' },
  {
    at: at(49 * MINUTE_MS),
    by: 'detector',
    what: 'publish',
    why: 'approved by anna',
    target: 'edge',
    family: '4',
    revision: '1a2b3c4d',
    added: ['10.2.8.102'],
  },
];

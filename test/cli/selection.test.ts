import { describe, expect, it } from 'vitest';
import { offendersTable } from '../../src/cli/reports.ts';
import { csv, type Selection, type Sort, selectOffenders } from '../../src/cli/selection.ts';
import { NARROW, shortTime, zoneName } from '../../src/cli/table.ts';
import type { OffenderRow } from '../../src/store/queries.ts';
import { prefix } from '../support/acl-requests.ts';

const row = (host: string, more: Partial<OffenderRow> = {}): OffenderRow => ({
  host,
  site: '',
  state: 'open',
  grade: 'conversed',
  flags: [],
  sessions: 10,
  attempts: 0,
  destinations: 3,
  packets: 100,
  bytes: 1_000_000,
  first_seen: '2026-03-01T10:00:00.000Z',
  last_seen: '2026-03-01T11:00:00.000Z',
  first_packet: '2026-03-01T09:00:00.000Z',
  last_packet: '',
  ports: [25],
  block_state: 'published',
  block_reason: '',
  block_until: null,
  recurrence: 0,
  incident_id: '0123456789abcdef01234567',
  ...more,
});

const ROWS = [
  row('10.0.0.9', { grade: 'attempted', sessions: 900 }),
  row('10.0.0.10', { grade: 'bulk', state: 'closed', block_state: 'expired' }),
  row('10.0.0.2', { grade: 'bulk', site: 'a', last_seen: '2026-03-02T11:00:00.000Z' }),
  row('2001:db8:1::/64', { bytes: 9_000_000 }),
];
const hosts = (wanted: Selection, sort?: Sort) => selectOffenders(ROWS, wanted, sort).map(({ host }) => host);

describe('the offenders that are asked for', () => {
  it('come worst first, or by another key', () => {
    expect(hosts({})).toEqual(['10.0.0.2', '2001:db8:1::/64', '10.0.0.9', '10.0.0.10']);
    expect(hosts({}, 'host')).toEqual(['10.0.0.2', '10.0.0.9', '10.0.0.10', '2001:db8:1::/64']);
    expect(hosts({}, 'sent')[0]).toBe('2001:db8:1::/64');
    expect(hosts({}, 'sessions')[0]).toBe('10.0.0.9');
    expect(hosts({}, 'last')[0]).toBe('10.0.0.2');
  });

  it('are those of a grade, site, state, address or prefix', () => {
    expect(hosts({ grade: 'bulk' })).toEqual(['10.0.0.2', '10.0.0.10']);
    expect(hosts({ site: 'a' })).toEqual(['10.0.0.2']);
    expect(hosts({ state: 'closed' })).toEqual(['10.0.0.10']);
    expect(hosts({ state: 'expired' })).toEqual(['10.0.0.10']);
    expect(hosts({ host: prefix('10.0.0.9') })).toEqual(['10.0.0.9']);
    expect(hosts({ host: prefix('10.0.0.8/29') }, 'host')).toEqual(['10.0.0.9', '10.0.0.10']);
    expect(hosts({ host: prefix('2001:db8::/32') })).toEqual(['2001:db8:1::/64']);
  });

  it('are those that were active in a time, by receipt or by their packets', () => {
    const at = (text: string) => Date.parse(text);
    expect(hosts({ since: at('2026-03-02T00:00:00Z') })).toEqual(['10.0.0.2']);
    expect(hosts({ until: at('2026-03-01T09:30:00Z') })).toHaveLength(4);
    expect(hosts({ until: at('2026-03-01T08:00:00Z') })).toEqual([]);
  });
});

describe('the table', () => {
  it('has 80 columns at most, the mail port always, and everything when it may be wide', () => {
    const rows = [
      ...ROWS,
      row('192.168.100.200', { ports: [25, 587], grade: 'connected', block_state: 'published' }),
    ];
    const narrow = offendersTable(rows, NARROW);
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(NARROW);
    expect(narrow).toContain('25,587');
    expect(narrow).toContain('LAST SEEN');
    const wide = offendersTable(rows);
    for (const title of ['FIRST SEEN', 'FIRST PACKET', 'LAST PACKET', 'INCIDENT'])
      expect(wide).toContain(title);
  });

  it('shows times in the zone of the process, those without a zone as UTC', () => {
    const before = process.env.TZ;
    try {
      process.env.TZ = 'Asia/Kolkata';
      expect(shortTime('2026-03-01T10:00:00.123Z')).toBe('2026-03-01 15:30:00');
      expect(shortTime('2026-03-01 10:00:00.123')).toBe('2026-03-01 15:30:00');
      expect(zoneName(0)).toBe('UTC+05:30');
      process.env.TZ = 'UTC';
      expect(shortTime('2026-03-01T10:00:00.123Z')).toBe('2026-03-01 10:00:00');
      expect(zoneName(0)).toBe('UTC');
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
  });
});

describe('CSV', () => {
  it('quotes what it must, and makes no formula of what came from the network', () => {
    expect(
      csv(
        ['a', 'b'],
        [
          ['x,"y"', 1],
          ['=1+1', null],
          ['two\nlines', -5],
        ],
      ),
    ).toBe('a,b\n"x,""y""",1\n\'=1+1,\n"two\nlines",-5\n');
  });
});

import { describe, expect, it } from 'vitest';
import { withNews } from '../../src/api/inventory-news.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { InventoryRow } from '../../src/store/queries.ts';

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;
const { senders } = configSchema.parse({
  senders: [
    { name: 'mail', hosts: ['10.0.0.25', '10.0.0.26'] },
    { name: 'lab', hosts: ['10.9.0.0/24'] },
    { name: 'gone', hosts: ['10.0.0.27'], until: '2026-01-01T00:00:00Z' },
  ],
});
const row = (host: string, firstDays: number, lastDays: number, site = ''): InventoryRow => ({
  host,
  site,
  likely_mail_server: false,
  reasons: [],
  sessions_out: 1,
  destinations: 1,
  hours_out: 1,
  packets_out: 1,
  bytes_out: 1,
  sessions_in: 0,
  sources_in: 0,
  internal_clients: 0,
  submission_out: 0,
  first_seen: new Date(NOW - firstDays * DAY).toISOString(),
  last_seen: new Date(NOW - lastDays * DAY).toISOString(),
});
const news = (rows: InventoryRow[]) =>
  withNews(rows, senders, NOW).map(({ host, sender, news: what }) => [host, sender, what]);

describe('the inventory beside a policy', () => {
  it('names new talkers, allowed senders that have gone quiet, and those never seen', () => {
    expect(
      news([
        row('10.0.0.25', 60, 9),
        row('10.9.0.4', 2, 1),
        row('10.0.0.66', 3, 0),
        row('10.0.0.67', 30, 20),
      ]),
    ).toEqual([
      ['10.0.0.25', 'mail', 'quiet'],
      ['10.9.0.4', 'lab', null],
      ['10.0.0.66', null, 'new'],
      ['10.0.0.67', null, null],
      ['10.0.0.26', 'mail', 'never_seen'],
    ]);
  });

  it('calls nobody new while the store itself is', () => {
    expect(news([row('10.0.0.66', 3, 0)])[0]).toEqual(['10.0.0.66', null, null]);
  });

  it('tells equal addresses of two sites apart', () => {
    const sited = configSchema.parse({
      networks: {
        sites: [
          { name: 'north', vrf: 1 },
          { name: 'south', vrf: 2 },
        ],
      },
      senders: [
        { name: 'mail', hosts: ['10.0.0.25'], sites: ['north'] },
        { name: 'relay', hosts: ['10.0.0.26'], sites: ['north', 'south'] },
        { name: 'all', hosts: ['10.0.0.27'] },
      ],
    }).senders;
    const rows = [
      row('10.0.0.25', 60, 0, 'north'),
      row('10.0.0.25', 60, 0, 'south'),
      row('10.0.0.26', 60, 0, 'south'),
      row('10.0.0.27', 60, 0, 'south'),
    ];
    expect(
      withNews(rows, sited, NOW).map(({ host, site, sender, news: what }) => [host, site, sender, what]),
    ).toEqual([
      ['10.0.0.25', 'north', 'mail', null],
      ['10.0.0.25', 'south', null, null],
      ['10.0.0.26', 'south', 'relay', null],
      ['10.0.0.27', 'south', 'all', null],
      ['10.0.0.26', 'north', 'relay', 'never_seen'],
    ]);
  });

  it('takes no sender whose permission has ended for one', () => {
    expect(news([row('10.0.0.27', 60, 30)])[0]).toEqual(['10.0.0.27', null, null]);
  });
});

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
const row = (host: string, firstDays: number, lastDays: number): InventoryRow => ({
  host,
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

  it('takes no sender whose permission has ended for one', () => {
    expect(news([row('10.0.0.27', 60, 30)])[0]).toEqual(['10.0.0.27', null, null]);
  });
});

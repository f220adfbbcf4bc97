/**
 * What is new in the inventory beside a policy that is in force: hosts that began to talk SMTP, and allowed senders that
 * have gone quiet or were never seen.
 *
 * Pure; for a person to look at, never a permission or a block. A store that began only lately knows no past, so nobody
 * is called new by it.
 */

import type { SenderConfig } from '../config/schema.ts';
import { coveringEach } from '../detect/expected.ts';
import { formatAddress, parseAddress } from '../flow/address.ts';
import { createPrefixTable } from '../flow/prefix.ts';
import type { InventoryRow } from '../store/queries.ts';

const DAY_MS = 86_400_000;
/** Seen first within so long is new; not seen for so long is quiet. */
const NEWS_MS = 7 * DAY_MS;

/** The rows with `sender` and `news`, and a row for each single address that may send and is in none of them. */
export function withNews(
  rows: readonly InventoryRow[],
  senders: readonly SenderConfig[],
  nowMs: number,
): InventoryRow[] {
  const inForce = senders.filter(({ until }) => until === undefined || nowMs < Date.parse(until));
  const named = coveringEach(inForce, inForce);
  const table = createPrefixTable(named.map(({ prefix }) => prefix));
  const isAt = ({ sites }: SenderConfig, site: string) => sites === undefined || sites.includes(site);
  const oldestMs = rows.reduce((ms, row) => Math.min(ms, Date.parse(row.first_seen)), nowMs);
  const knowsPast = nowMs - oldestMs > 2 * NEWS_MS;
  const seen = rows.map((row): InventoryRow => {
    const bytes = parseAddress(row.host);
    const at = bytes === null ? -1 : table.lookup(bytes);
    const sender = at < 0 ? null : (named[at].items.find((one) => isAt(one, row.site))?.name ?? null);
    const isQuiet = sender !== null && nowMs - Date.parse(row.last_seen) > NEWS_MS;
    const isNew = sender === null && knowsPast && nowMs - Date.parse(row.first_seen) < NEWS_MS;
    return { ...row, sender, news: isQuiet ? 'quiet' : isNew ? 'new' : null };
  });
  const known = new Set(rows.flatMap(({ host, site }) => [host, `${host}@${site}`]));
  const unseen = inForce.flatMap(({ name, hosts, sites }) =>
    hosts
      .filter(({ length }) => length === 128)
      .flatMap(({ bytes }) => {
        const host = formatAddress(bytes);
        if (sites === undefined) return known.has(host) ? [] : [neverSeen(host, '', name)];
        return sites
          .filter((site) => !known.has(`${host}@${site}`))
          .map((site) => neverSeen(host, site, name));
      }),
  );
  return [...seen, ...unseen];
}

function neverSeen(host: string, site: string, sender: string): InventoryRow {
  return {
    host,
    site,
    likely_mail_server: false,
    reasons: ['may send, and was never seen talking SMTP'],
    sessions_out: 0,
    destinations: 0,
    hours_out: 0,
    packets_out: 0,
    bytes_out: 0,
    sessions_in: 0,
    sources_in: 0,
    internal_clients: 0,
    submission_out: 0,
    first_seen: '',
    last_seen: '',
    sender,
    news: 'never_seen',
  };
}

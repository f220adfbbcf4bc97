/**
 * What is new in the inventory beside a policy that is in force: hosts that began to talk SMTP, and allowed senders that
 * have gone quiet or were never seen.
 *
 * Pure; for a person to look at, never a permission or a block. A store that began only lately knows no past, so nobody
 * is called new by it.
 */

import type { SenderConfig } from '../config/schema.ts';
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
  const named = inForce.flatMap(({ name, hosts }) => hosts.map((host) => ({ name, host })));
  const table = createPrefixTable(named.map(({ host }) => host));
  const oldestMs = rows.reduce((ms, row) => Math.min(ms, Date.parse(row.first_seen)), nowMs);
  const knowsPast = nowMs - oldestMs > 2 * NEWS_MS;
  const seen = rows.map((row): InventoryRow => {
    const bytes = parseAddress(row.host);
    const at = bytes === null ? -1 : table.lookup(bytes);
    const sender = at < 0 ? null : named[at].name;
    const isQuiet = sender !== null && nowMs - Date.parse(row.last_seen) > NEWS_MS;
    const isNew = sender === null && knowsPast && nowMs - Date.parse(row.first_seen) < NEWS_MS;
    return { ...row, sender, news: isQuiet ? 'quiet' : isNew ? 'new' : null };
  });
  const known = new Set(rows.map(({ host }) => host));
  const unseen = named
    .filter(({ host }) => host.length === 128 && !known.has(formatAddress(host.bytes)))
    .map(({ name, host }) => neverSeen(formatAddress(host.bytes), name));
  return [...seen, ...unseen];
}

function neverSeen(host: string, sender: string): InventoryRow {
  return {
    host,
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

/**
 * The coverage statement: what was looked at, in words, to stand beside every list of offenders.
 *
 * An empty list means little when an exporter is silent, records were lost, or one packet in a thousand was looked at.
 * It must never sound better than what is known.
 */

import type { Config } from '../config/schema.ts';
import { isWithoutRow, unreadInWords } from '../detect/coverage.ts';
import { sessionsToBeSeen } from '../detect/sampled-dialogue.ts';
import type { Alert } from '../messages/alert.ts';
import type { ExporterRow } from '../store/queries.ts';
import { shortTime, zoneName } from './table.ts';

/** Lines of text. `alerts` are those of the last day, of any kind. */
export function describeCoverage(
  exporters: readonly ExporterRow[],
  alerts: readonly Alert[],
  config: Config['coverage'],
  nowMs: number,
): string[] {
  if (exporters.length === 0)
    return ['No router has exported anything yet: this says nothing about the network.'];
  const lost = exporters.reduce((sum, row) => sum + Number(row.sequence_lost), 0);
  /** By address: an exporter with several domains or versions is one. */
  const lastSeen = new Map<string, number>();
  for (const { exporter, last_seen } of exporters)
    lastSeen.set(exporter, Math.max(lastSeen.get(exporter) ?? 0, parseUtc(last_seen)));
  const lines = [
    `Seen through ${lastSeen.size} exporter(s); ${lost} lost flows or datagrams by their sequence numbers.`,
  ];
  for (const { exporter, domain, sequence_unknown: unknown } of exporters) {
    if (Number(unknown ?? 0) > 0)
      lines.push(
        `An unknown number was lost of ${exporter} domain ${domain}: its sequence numbers jumped ${unknown} time(s) by more than it can have sent.`,
      );
  }
  const uncounted = [
    ...new Set(exporters.filter(({ counting }) => counting === 'nothing').map((row) => row.exporter)),
  ];
  if (uncounted.length > 0)
    lines.push(`Losses are not known of ${uncounted.join(', ')}: the sequence numbers never change.`);
  for (const [exporter, lastMs] of lastSeen) {
    if (nowMs - lastMs >= config.silent_after)
      lines.push(
        `Nothing from ${exporter} since ${shortTime(new Date(lastMs).toISOString())} (${zoneName(lastMs)}).`,
      );
  }
  for (const row of exporters) {
    const unread = Number(row.unread ?? 0);
    if (unread === 0) continue;
    const reasons = row.unread_reasons ?? [];
    const records = isWithoutRow(reasons)
      ? `${unread} records or sets of records, beside ${row.flows} records,`
      : `${unread} of ${row.flows} records`;
    lines.push(
      `Not read: ${records} of ${row.exporter} domain ${row.domain} ${unreadInWords(reasons)}. Mail in them is not seen.`,
    );
  }
  const rate = Math.max(0, ...exporters.flatMap(({ sampling_rates }) => sampling_rates));
  if (rate > 1) {
    lines.push(
      `Sampling up to 1:${rate}: a host is seen with 95 % probability only after about ${sessionsToBeSeen(rate)} mails.`,
    );
  }
  const gaps = alerts.filter(({ kind }) => kind === 'coverage');
  const newest = gaps.at(-1);
  if (newest !== undefined)
    lines.push(`${gaps.length} coverage alert(s) in the last day, the newest: ${newest.reasons.join('; ')}.`);
  return lines;
}

/** Whether so much of an exporter's traffic could not be read that an empty list says nothing about it. */
export function isBlind(exporters: readonly ExporterRow[], config: Config['coverage']): boolean {
  return exporters.some(({ unread, flows }) => {
    const count = Number(unread ?? 0);
    return count > 0 && count >= config.loss * Number(flows);
  });
}

/** The store's times carry no zone: they are UTC. */
function parseUtc(text: string): number {
  return Date.parse(/[Zz]|[+-]\d\d:\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
}

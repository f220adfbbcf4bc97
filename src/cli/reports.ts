/**
 * The commands that show what is known: offenders, alerts, inventory, one incident, SQL.
 *
 * A table on a terminal, NDJSON with `--json`. Where the answer is "nothing", what was seen is said beside it, since an
 * empty list means little when no router exports.
 */

import type { ReadModel } from '../api/read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { describeMailSight } from '../detect/mail-sight.ts';
import { policyGaps } from '../detect/policy-gaps.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Alert } from '../messages/alert.ts';
import type { OffenderRow } from '../store/queries.ts';
import { splitFormat } from '../store/readonly-sql.ts';
import type { Client } from './client.ts';
import { describeCoverage, isBlind } from './coverage.ts';
import { describeExpected, proposeExpected } from './expected-proposals.ts';
import { withModel } from './model.ts';
import { formatBytes, formatTable, printable, shortTime } from './table.ts';

export interface ReportStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Gaps of the last day are told beside the offenders. */
const GAPS_WITHIN_MS = 86_400_000;
const MAX_GAPS = 10_000;

interface JsonFlag {
  readonly json?: boolean;
}

export async function offendersCommand(
  loaded: LoadedConfig,
  flags: JsonFlag,
  streams: ReportStreams,
): Promise<number> {
  return withModel(loaded, async (model, client) => {
    const rows = await model.offenders();
    const seen = await coverage(model, client, loaded.config);
    if (flags.json) writeJson(streams, rows);
    else {
      streams.stdout.write(rows.length === 0 ? NONE[seen.verdict] : offendersTable(rows));
      streams.stderr.write(seen.text);
    }
    if (seen.verdict !== 'nothing') return 0;
    if (flags.json) streams.stderr.write(seen.text);
    return 1;
  });
}

/** What an empty list means, by how much was looked at. */
const NONE = {
  all: 'No offenders.\n',
  part: 'Nobody was found in what could be read, but addresses of a part of the traffic could not be read.\n',
  nothing: 'Nothing could be judged, so it is not known whether there are offenders.\n',
} as const;

export function offendersTable(rows: readonly OffenderRow[]): string {
  return formatTable<OffenderRow>(
    [
      { title: 'HOST', value: (row) => row.host },
      { title: 'STATE', value: (row) => row.state },
      { title: 'GRADE', value: (row) => row.grade },
      { title: 'SESSIONS', value: (row) => row.sessions, align: 'right' },
      { title: 'ATTEMPTS', value: (row) => row.attempts, align: 'right' },
      { title: 'DESTS', value: (row) => row.destinations, align: 'right' },
      { title: 'SENT', value: (row) => formatBytes(Number(row.bytes)), align: 'right' },
      { title: 'FIRST SEEN', value: (row) => shortTime(row.first_seen) },
      { title: 'LAST SEEN', value: (row) => shortTime(row.last_seen) },
      { title: 'BLOCK', value: (row) => row.block_state },
      { title: 'INCIDENT', value: (row) => row.incident_id },
    ],
    rows,
  );
}

/** What was looked at, so that an empty list is not mistaken for a clean network. */
async function coverage(
  model: ReadModel,
  client: Client | null,
  config: Config,
): Promise<{ readonly text: string; readonly verdict: keyof typeof NONE }> {
  const nowMs = Date.now();
  const since = new Date(nowMs - GAPS_WITHIN_MS).toISOString();
  const [exporters, alerts, status, sight] = await Promise.all([
    model.exporters(),
    model.alerts({ limit: MAX_GAPS, since }),
    client?.status(),
    model.sight(),
  ]);
  const { isBlind: isStrange, lines: judged } = describeMailSight(sight);
  const gaps = policyGaps(config, nowMs);
  const lines = [
    ...judged,
    ...gaps.map(({ text }) => `Configuration: ${text}.`),
    ...describeCoverage(exporters, alerts, config.coverage, nowMs),
  ];
  if (status !== undefined && Object.values(status.lost).some((n) => n > 0)) {
    const { kernel_drops, not_decoded, not_kept } = status.lost;
    lines.push(
      `Since ${shortTime(status.started_at)}: ${kernel_drops} datagrams dropped by the kernel, ${not_decoded} not decoded, ${not_kept} flows refused by the spool (/metrics has the reasons).`,
    );
  }
  const blind = isStrange || exporters.length === 0 || gaps.some(({ kind }) => kind === 'blind');
  return {
    text: lines.map((line) => `${line}\n`).join(''),
    verdict: blind ? 'nothing' : isBlind(exporters, config.coverage) ? 'part' : 'all',
  };
}

export async function alertsCommand(
  loaded: LoadedConfig,
  flags: JsonFlag & { readonly follow?: boolean; readonly limit: number },
  streams: ReportStreams,
): Promise<void> {
  const show = (alert: Alert) =>
    streams.stdout.write(`${flags.json ? JSON.stringify(alert) : describeAlert(alert)}\n`);
  await withModel(loaded, async (model, client) => {
    if (!flags.follow) {
      const alerts = await model.alerts({ limit: flags.limit });
      for (const alert of alerts) show(alert);
      if (alerts.length > 0 || flags.json) return;
      streams.stdout.write('No alerts.\n');
      streams.stderr.write((await coverage(model, client, loaded.config)).text);
      return;
    }
    if (client === null)
      throw new RogueSmtpError(
        'unavailable',
        'no running instance answers: --follow needs one; start it with: rogue-smtp run',
      );
    // Subscribed before the past is read, so that no alert falls in between; ids tell what was shown already.
    const live = await client.follow(new AbortController().signal);
    const shown = new Set<string>();
    for (const alert of await model.alerts({ limit: flags.limit })) {
      shown.add(alert.alert_id);
      show(alert);
    }
    for await (const alert of live) if (!shown.has(alert.alert_id)) show(alert);
    throw new RogueSmtpError('unavailable', 'the service has ended');
  });
}

/** One line a person can read. */
export function describeAlert(alert: Alert): string {
  if (alert.grade === null)
    return printable(`${shortTime(alert.emitted_at)} ${alert.kind}: ${alert.reasons.join('; ')}`);
  const evidence =
    alert.sessions > 0
      ? `${alert.sessions} session(s) with ${alert.destinations.count} destination(s), ${formatBytes(alert.bytes)} sent`
      : `${alert.attempts} attempt(s) at ${alert.destinations.count} destination(s)`;
  return printable(
    `${shortTime(alert.emitted_at)} ${alert.kind} ${alert.host} ${alert.grade}: ${evidence}; block ${alert.block.state}` +
      `${alert.block.reason === '' ? '' : ` (${alert.block.reason})`}`,
  );
}

const CHANGES: Readonly<Record<string, string>> = {
  new: 'new this week',
  quiet: 'quiet for a week',
  never_seen: 'never seen',
};

export async function inventoryCommand(
  loaded: LoadedConfig,
  flags: JsonFlag,
  streams: ReportStreams,
): Promise<void> {
  await withModel(loaded, async (model, client) => {
    const rows = await model.inventory();
    if (flags.json) return writeJson(streams, rows);
    if (rows.length === 0) streams.stdout.write('No internal host has been seen talking SMTP.\n');
    else {
      streams.stdout.write(
        formatTable(
          [
            { title: 'HOST', value: (row) => row.host },
            { title: 'MAIL SERVER?', value: (row) => (row.likely_mail_server ? 'likely' : '') },
            { title: 'SENDER', value: (row) => row.sender ?? '' },
            { title: 'CHANGE', value: (row) => CHANGES[row.news ?? ''] ?? '' },
            { title: 'OUT', value: (row) => row.sessions_out, align: 'right' },
            { title: 'DESTS', value: (row) => row.destinations, align: 'right' },
            { title: 'IN', value: (row) => row.sessions_in, align: 'right' },
            {
              title: 'FIRST SEEN',
              value: (row) => (row.first_seen === '' ? '-' : shortTime(row.first_seen)),
            },
            { title: 'LAST SEEN', value: (row) => (row.last_seen === '' ? '-' : shortTime(row.last_seen)) },
            { title: 'WHY', value: (row) => row.reasons.join('; ') },
          ],
          rows,
        ),
      );
      const likely = rows.filter((row) => row.likely_mail_server);
      if (loaded.config.senders.length === 0 && likely.length > 0) {
        streams.stdout.write(
          `\nNo senders are configured, so nothing is ever blocked. If these are your mail servers, add:\n\nsenders:\n${likely
            .map((row, i) => `  - { name: mail-${i + 1}, hosts: [${JSON.stringify(row.host)}] }\n`)
            .join('')}`,
        );
      }
    }
    streams.stdout.write(describeExpected(proposeExpected(await model.offenders())));
    streams.stderr.write((await coverage(model, client, loaded.config)).text);
  });
}

export async function incidentCommand(
  loaded: LoadedConfig,
  id: string,
  flags: JsonFlag,
  streams: ReportStreams,
): Promise<void> {
  await withModel(loaded, async (model) => {
    const report = await model.incident(id);
    if (flags.json) {
      streams.stdout.write(`${JSON.stringify(report)}\n`);
      return;
    }
    const { incident, alerts, evidence } = report;
    const lines = [
      `Incident ${incident.incident_id}: ${incident.host}${incident.site === '' ? '' : ` at ${incident.site}`}, ${incident.state}`,
      `  grade ${incident.grade}${incident.flags.length === 0 ? '' : ` (${incident.flags.join(', ')})`}`,
      `  ${incident.sessions} session(s), ${incident.attempts} attempt(s) at ${incident.destinations.exact ? '' : 'at least '}${incident.destinations.count} destination(s), ${formatBytes(incident.bytes)} sent in ${incident.packets} packets`,
      `  from ${shortTime(incident.first_seen)} to ${shortTime(incident.last_seen)}`,
      ...incident.reasons.map((reason) => `  because ${reason}`),
      ...incident.missing.map((missing) => `  missing evidence: ${missing}`),
      `  block ${incident.block.state}: ${incident.block.reason}`,
      ...(incident.block.effect === undefined ? [] : [`  block ${incident.block.effect.reason}`]),
      ...(report.listed === undefined
        ? []
        : [
            `  in the lists since ${shortTime(report.listed.at)}, ${(report.listed.time_to_block_ms / 1000).toFixed(1)} s after the first record`,
          ]),
      `  seen by ${incident.exporters.map(({ address, interface: port }) => `${address} interface ${port}`).join(', ')}`,
      `  policy ${incident.policy_version}`,
      '',
      'Destinations:',
      ...incident.destinations.top.map(
        ({ address, sessions, bytes }) => `  ${address}  ${sessions} session(s)  ${formatBytes(bytes)}`,
      ),
      '',
      'Alerts:',
      ...alerts.map((alert) => `  ${describeAlert(alert)}`),
      '',
      'Flow records behind it:',
    ];
    streams.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''));
    streams.stdout.write(
      formatTable(
        [
          { title: 'RECEIVED', value: (row) => shortTime(row.received_at) },
          { title: 'EXPORTER', value: (row) => row.exporter },
          { title: 'DOMAIN', value: (row) => row.domain, align: 'right' },
          { title: 'SEQUENCE', value: (row) => `${row.sequence}/${row.record}`, align: 'right' },
          { title: 'FROM', value: (row) => `${row.src_addr} ${row.src_port}` },
          { title: 'TO', value: (row) => `${row.dst_addr} ${row.dst_port}` },
          { title: 'PACKETS', value: (row) => row.packets, align: 'right' },
          { title: 'BYTES', value: (row) => row.bytes, align: 'right' },
          { title: 'FLAGS', value: (row) => (row.tcp_flags === null ? '-' : tcpFlagLetters(row.tcp_flags)) },
        ],
        evidence,
      ),
    );
  });
}

export async function queryCommand(
  loaded: LoadedConfig,
  sql: string,
  flags: { readonly format: string },
  streams: ReportStreams,
): Promise<void> {
  await withModel(loaded, async (model) => {
    const given = splitFormat(sql);
    streams.stdout.write(await model.query({ sql: given.sql, format: given.format ?? flags.format }));
  });
}

function writeJson(streams: ReportStreams, rows: readonly unknown[]): void {
  for (const row of rows) streams.stdout.write(`${JSON.stringify(row)}\n`);
}

const FLAG_LETTERS = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];

/** Flags as nfdump prints them, `.AP.SF` turned around: the letters of the bits that are set, low bit first. */
function tcpFlagLetters(flags: number): string {
  const letters = FLAG_LETTERS.filter((_, bit) => (flags & (1 << bit)) !== 0).join('');
  return letters === '' ? '.' : letters;
}

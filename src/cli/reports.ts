/**
 * The commands that show what is known: offenders, alerts, inventory, one incident, SQL.
 *
 * A table on a terminal, NDJSON with `--json`. Where the answer is "nothing", what was seen is said beside it, since an
 * empty list means little when no router exports.
 */

import type { OffenderRow, ReadModel } from '../api/read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { describeMailSight } from '../detect/mail-sight.ts';
import { policyGaps } from '../detect/policy-gaps.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Alert } from '../messages/alert.ts';
import type { DecisionInForce } from '../publish/desk.ts';
import { lettersLeft } from '../store/dead-letters.ts';
import type { InventoryRow } from '../store/queries.ts';
import { splitFormat } from '../store/readonly-sql.ts';
import type { Client } from './client.ts';
import { describeCoverage, isBlind } from './coverage.ts';
import { atSite, describeExpected, proposeExpected } from './expected-proposals.ts';
import { followAlerts } from './follow-alerts.ts';
import { withModel } from './model.ts';
import {
  csv,
  type Selection,
  type Sort,
  selectAlerts,
  selectOffenders,
  worstAlertsFirst,
} from './selection.ts';
import { formatBytes, formatTable, NARROW, printable, shortTime, zoneName } from './table.ts';

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

export interface OffendersFlags extends JsonFlag, Selection {
  readonly csv?: boolean;
  readonly wide?: boolean;
  readonly sort?: Sort;
}

export interface AlertsFlags extends JsonFlag, Selection {
  readonly csv?: boolean;
  readonly follow?: boolean;
  readonly sort?: 'time' | 'grade';
  readonly limit: number;
}

export async function offendersCommand(
  loaded: LoadedConfig,
  flags: OffendersFlags,
  streams: ReportStreams,
): Promise<number> {
  return withModel(loaded, async (model, client) => {
    const all = await model.offenders();
    const rows = selectOffenders(all, flags, flags.sort);
    const seen = await coverage(model, client, loaded.config);
    if (flags.json) writeJson(streams, rows);
    else if (flags.csv) streams.stdout.write(offendersCsv(rows));
    else {
      const hidden = all.length - rows.length;
      streams.stdout.write(
        rows.length > 0
          ? offendersTable(rows, flags.wide ? undefined : NARROW)
          : hidden > 0
            ? `None of ${hidden} offender(s) is selected.\n`
            : NONE[seen.verdict],
      );
      if (rows.length > 0) streams.stdout.write(`Times are in ${zoneName(Date.now())}.\n`);
      streams.stderr.write(seen.text);
    }
    if (seen.verdict !== 'nothing') return 0;
    if (flags.json || flags.csv) streams.stderr.write(seen.text);
    return 1;
  });
}

/** What an empty list means, by how much was looked at. */
const NONE = {
  all: 'No offenders.\n',
  part: 'Nobody was found in what could be read, but addresses of a part of the traffic could not be read.\n',
  nothing: 'Nothing could be judged, so it is not known whether there are offenders.\n',
} as const;

/** `width`: of the terminal; absent: all columns are shown. */
export function offendersTable(rows: readonly OffenderRow[], width?: number): string {
  const sites = rows.some(({ site }) => site !== '');
  return formatTable<OffenderRow>(
    [
      { title: 'HOST', value: (row) => row.host },
      ...(sites ? [{ title: 'SITE', value: (row: OffenderRow) => row.site }] : []),
      { title: 'STATE', value: (row) => row.state, expendable: 3 },
      { title: 'GRADE', value: (row) => row.grade },
      { title: 'PORT', value: (row) => (row.ports ?? []).join(',') },
      { title: 'SESSIONS', value: (row) => row.sessions, align: 'right', expendable: 1 },
      { title: 'ATTEMPTS', value: (row) => row.attempts, align: 'right', expendable: 5 },
      { title: 'DESTS', value: (row) => row.destinations, align: 'right', expendable: 2 },
      { title: 'SENT', value: (row) => formatBytes(Number(row.bytes)), align: 'right', expendable: 4 },
      { title: 'FIRST SEEN', value: (row) => shortTime(row.first_seen), expendable: 6 },
      { title: 'LAST SEEN', value: (row) => shortTime(row.last_seen) },
      { title: 'FIRST PACKET', value: (row) => packetTime(row.first_packet), expendable: 8 },
      { title: 'LAST PACKET', value: (row) => packetTime(row.last_packet), expendable: 9 },
      { title: 'BLOCK', value: blockOf },
      { title: 'INCIDENT', value: (row) => row.incident_id, expendable: 7 },
    ],
    rows,
    width,
  );
}

/** A decision that no detector has acted on yet stands beside the block, which is not what it says. */
const blockOf = ({ block_state, pending }: OffenderRow) =>
  pending === undefined || pending === null ? block_state : `${block_state} (${pending.action} pending)`;

/** A record that does not tell has '-'. */
const packetTime = (text: string | null | undefined) =>
  text === undefined || text === null || text === '' ? '-' : shortTime(text);

function offendersCsv(rows: readonly OffenderRow[]): string {
  const columns = [
    'host',
    'site',
    'state',
    'grade',
    'ports',
    'sessions',
    'attempts',
    'destinations',
    'packets',
    'bytes',
    'first_seen',
    'last_seen',
    'first_packet',
    'last_packet',
    'block_state',
    'block_reason',
    'block_until',
    'recurrence',
    'incident_id',
    'listed',
    'pending',
  ] as const;
  const cell = (row: OffenderRow, name: (typeof columns)[number]) => {
    if (name === 'ports') return (row.ports ?? []).join(' ');
    if (name === 'listed') return row.listed === undefined ? '' : row.listed ? 'yes' : 'no';
    return name === 'pending' ? (row.pending?.action ?? '') : (row[name] ?? null);
  };
  return csv(
    columns,
    rows.map((row) => columns.map((name) => cell(row, name))),
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
  const [exporters, alerts, status, sight, setAside] = await Promise.all([
    model.exporters(),
    model.alerts({ limit: MAX_GAPS, since }),
    client?.status(),
    model.sight(),
    // Without an instance the data directory is the one to look at.
    client === null ? lettersLeft(config.data) : null,
  ]);
  const { isBlind: isStrange, lines: judged } = describeMailSight(sight);
  const gaps = policyGaps(config, nowMs);
  const lines = [
    ...judged,
    ...gaps.map(({ text }) => `Configuration: ${text}.`),
    ...describeCoverage(exporters, alerts, config.coverage, nowMs),
  ];
  const rowsAside = status?.lost.set_aside ?? setAside?.rows ?? 0;
  if (rowsAside > 0)
    lines.push(
      `Lost to the store so far: ${rowsAside} damaged rows lie in dead-letters or were dropped there; rogue-smtp store replay-dead-letters puts back what can be.`,
    );
  if (status !== undefined) {
    const { kernel_drops, not_decoded, not_kept } = status.lost;
    if (kernel_drops + not_decoded + not_kept > 0)
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
  flags: AlertsFlags,
  streams: ReportStreams,
): Promise<void> {
  const show = (alert: Alert) =>
    streams.stdout.write(`${flags.json ? JSON.stringify(alert) : describeAlert(alert)}\n`);
  const { grade, site, state, host, since, until } = flags;
  const isFiltered = [grade, site, state, host, since, until].some((one) => one !== undefined);
  // What is filtered out must not use up the places of what is asked for.
  const asked = isFiltered ? MAX_ALERTS : flags.limit;
  await withModel(loaded, async (model, client) => {
    if (!flags.follow) {
      const found = selectAlerts(await model.alerts({ limit: asked }), flags).slice(-flags.limit);
      const alerts = flags.sort === 'grade' ? [...found].sort(worstAlertsFirst) : found;
      if (flags.csv) streams.stdout.write(alertsCsv(alerts));
      else if (!flags.json && alerts.length > 0)
        streams.stderr.write(`Times are in ${zoneName(Date.now())}.\n`);
      if (!flags.csv) for (const alert of alerts) show(alert);
      if (alerts.length > 0 || flags.json || flags.csv) return;
      streams.stdout.write('No alerts.\n');
      streams.stderr.write((await coverage(model, client, loaded.config)).text);
      return;
    }
    if (client === null)
      throw new RogueSmtpError(
        'unavailable',
        'no running instance answers: --follow needs one; start it with: rogue-smtp run',
      );
    const { signal } = new AbortController();
    await followAlerts({
      client,
      limit: asked,
      show: (alerts, isNew) => {
        const selected = selectAlerts(alerts, flags);
        for (const alert of isNew ? selected : selected.slice(-flags.limit)) show(alert);
      },
      say: (text) => streams.stderr.write(`${printable(text)}\n`),
      signal,
    });
  });
}

/** As many as the API gives at once. */
const MAX_ALERTS = 100_000;

function alertsCsv(alerts: readonly Alert[]): string {
  return csv(
    'emitted_at,kind,host,site,grade,ports,sessions,attempts,destinations,bytes,first_seen,last_seen,first_packet,last_packet,block_state,block_reason,reasons,alert_id,incident_id'.split(
      ',',
    ),
    alerts.map((alert) => [
      alert.emitted_at,
      alert.kind,
      alert.host,
      alert.site,
      alert.grade,
      alert.ports.join(' '),
      alert.sessions,
      alert.attempts,
      alert.destinations.count,
      alert.bytes,
      alert.first_seen,
      alert.last_seen,
      alert.first_packet ?? null,
      alert.last_packet ?? null,
      alert.block.state,
      alert.block.reason,
      alert.reasons.join('; '),
      alert.alert_id,
      alert.incident_id,
    ]),
  );
}

/** The ports that are not 25 alone, which needs no saying. */
const portsOf = ({ ports }: Alert) =>
  ports.length === 0 || ports.join() === '25' ? '' : ` port ${ports.join(', ')}`;

/** One line a person can read. */
export function describeAlert(alert: Alert): string {
  if (alert.grade === null)
    return printable(`${shortTime(alert.emitted_at)} ${alert.kind}: ${alert.reasons.join('; ')}`);
  const evidence =
    alert.sessions > 0
      ? `${alert.sessions} session(s) with ${alert.destinations.count} destination(s), ${formatBytes(alert.bytes)} sent`
      : `${alert.attempts} attempt(s) at ${alert.destinations.count} destination(s)`;
  return printable(
    `${shortTime(alert.emitted_at)} ${alert.kind} ${alert.host}${alert.site === '' ? '' : ` (${alert.site})`} ${alert.grade}${portsOf(alert)}: ${evidence}; block ${alert.block.state}` +
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
      const sites = rows.some(({ site }) => site !== '');
      streams.stdout.write(
        formatTable(
          [
            { title: 'HOST', value: (row) => row.host },
            ...(sites ? [{ title: 'SITE', value: (row: InventoryRow) => row.site }] : []),
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
            .map(
              (row, i) =>
                `  - { name: mail-${i + 1}, hosts: [${JSON.stringify(row.host)}]${atSite(row.site)} }\n`,
            )
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
      `  ports ${incident.ports.join(', ')}`,
      `  received from ${shortTime(incident.first_seen)} to ${shortTime(incident.last_seen)} ${zoneName(Date.now())}`,
      `  packets from ${packetTime(incident.first_packet)} to ${packetTime(incident.last_packet)}, by the exporters' clocks`,
      ...incident.reasons.map((reason) => `  because ${reason}`),
      ...incident.missing.map((missing) => `  missing evidence: ${missing}`),
      `  block ${incident.block.state}: ${incident.block.reason}`,
      ...(report.decision === undefined
        ? []
        : [`  ${describeDecision(report.decision, report.pending !== undefined)}`]),
      ...(incident.block.effect === undefined ? [] : [`  block ${incident.block.effect.reason}`]),
      ...(report.listed === undefined
        ? []
        : [
            `  in the lists since ${shortTime(report.listed.at)}${report.listed.time_to_block_ms === null ? ', of an earlier revision that is held' : `, ${(report.listed.time_to_block_ms / 1000).toFixed(1)} s after the first record`}`,
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
          { title: 'FIRST PACKET', value: (row) => packetTime(row.start) },
          { title: 'LAST PACKET', value: (row) => packetTime(row.end) },
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

function describeDecision({ action, by, reason, decided_at, until }: DecisionInForce, isPending: boolean) {
  const end = until === null ? '' : ` until ${shortTime(until)}`;
  const why = reason === '' ? '' : `: ${reason}`;
  const state = isPending ? ' (pending: no detector has acted on it yet)' : '';
  return `decided at ${shortTime(decided_at)} by ${by}: ${action}${end}${why}${state}`;
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

/** NDJSON. */
export function writeJson(streams: ReportStreams, rows: readonly unknown[]): void {
  for (const row of rows) streams.stdout.write(`${JSON.stringify(row)}\n`);
}

const FLAG_LETTERS = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];

/** Flags as nfdump prints them, `.AP.SF` turned around: the letters of the bits that are set, low bit first. */
function tcpFlagLetters(flags: number): string {
  const letters = FLAG_LETTERS.filter((_, bit) => (flags & (1 << bit)) !== 0).join('');
  return letters === '' ? '.' : letters;
}

/**
 * `rogue-smtp status`: is it working, in one screen, and what is wrong if it is not.
 *
 * It asks a running instance. Exit code 1 when the instance is not ready, or decodes nothing though it should.
 */

import { collectionTroubles, formatSpan } from '../api/collection.ts';
import type { Status } from '../api/read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { describeMailSight, type MailSight } from '../detect/mail-sight.ts';
import type { AclOverview } from '../publish/desk.ts';
import { type Client, runningClient } from './client.ts';
import type { ReportStreams } from './reports.ts';
import { printable, shortTime, zoneName } from './table.ts';

/** Routers send templates and flows within a minute as a rule; before that nothing is wrong. */
const FIRST_FLOW_MS = 60_000;

/** Everything that `status` shows, and `--json` prints. */
export interface StatusReport {
  readonly state: 'working' | 'idle' | 'trouble';
  /** What is wrong, sentences; the most important first. */
  readonly troubles: readonly string[];
  readonly status: Status;
  /** Null where the process has no lists or they are still being read. */
  readonly blocks: { readonly listed: number; readonly waiting: number } | null;
}

/** Throws RogueSmtpError `unavailable` where no instance answers. */
export async function askStatus(client: Client): Promise<StatusReport> {
  const [status, notReady, sight, overview] = await Promise.all([
    client.status(),
    client.notReady(),
    client.sight().catch((): MailSight | null => null),
    client.acl.overview().catch((): AclOverview | null => null),
  ]);
  return statusReport(status, notReady, sight, overview);
}

/** Pure: what the answers of an instance come to. */
export function statusReport(
  status: Status,
  notReady: string | null,
  sight: MailSight | null,
  overview: AclOverview | null,
): StatusReport {
  const { collection, policy, started_at } = status;
  const judged = sight === null ? null : describeMailSight(sight);
  const upMs = collection === undefined ? 0 : Date.parse(collection.at) - Date.parse(started_at);
  const receiving = collection === undefined ? [] : collectionTroubles(collection, upMs);
  const lists = overview?.targets.flatMap(({ target, family, trouble }) =>
    trouble === null ? [] : [`List ${target}.${family}: ${trouble}`],
  );
  const isDeaf = collection !== undefined && status.flows === 0 && upMs >= FIRST_FLOW_MS;
  const troubles = [
    ...(notReady === null ? [] : [`The instance is ${notReady}`]),
    ...(policy.error === null ? [] : [`The configuration file is not in force: ${policy.error}`]),
    ...receiving,
    ...(judged?.lines ?? []),
    ...(lists ?? []),
    ...(policy.need_restart.length === 0
      ? []
      : [`Changed keys wait for a restart: ${policy.need_restart.join(', ')}`]),
  ];
  const isTrouble = notReady !== null || policy.error !== null || isDeaf || judged?.isBlind === true;
  return {
    state: isTrouble
      ? 'trouble'
      : collection !== undefined && collection.flows_per_second === 0
        ? 'idle'
        : 'working',
    troubles,
    status,
    blocks:
      overview === null
        ? null
        : {
            listed: overview.hosts.filter(({ listed }) => listed).length,
            waiting: overview.hosts.filter(({ waiting }) => waiting).length,
          },
  };
}

const HEADLINE: Readonly<Record<StatusReport['state'], string>> = {
  working: 'working',
  idle: 'ready, but no flow is coming in',
  trouble: 'NOT WORKING as it should, see below',
};

/** Lines of text for a terminal. */
export function describeStatus({ state, troubles, status, blocks }: StatusReport): string[] {
  const { collection, lost, policy } = status;
  const dropped = Object.entries(collection?.not_decoded ?? {})
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ');
  const lines: (readonly [string, string])[] = [
    ['state', HEADLINE[state]],
    [
      'version',
      `${status.version}, running since ${shortTime(status.started_at)} ${zoneName(Date.parse(status.started_at))}`,
    ],
    ['configuration', status.config_file ?? 'no file: everything is default'],
    ['policy', `${policy.version}, ${status.senders} sender(s), block.mode ${status.block_mode}`],
    ...(collection === undefined
      ? [['receives', 'nothing: this process does not collect'] as const]
      : [
          [
            'receives',
            `${collection.flows_per_second} flows/s in ${collection.datagrams_per_second} datagrams/s from ${new Set(collection.exporters.map(({ exporter }) => exporter)).size} exporter(s), over the last ${formatSpan(collection.rate_seconds * 1000)}`,
          ] as const,
          [
            'listens on',
            collection.listeners.map(({ name, datagrams }) => `${name} (${datagrams} datagrams)`).join(', '),
          ] as const,
          [
            'since start',
            `${status.flows} flows in ${status.datagrams} datagrams, ${collection.mail_flows} flows on mail ports`,
          ] as const,
        ]),
    [
      'lost',
      `${lost.kernel_drops} datagrams in the kernel, ${lost.not_decoded} not decoded${dropped === '' ? '' : ` (${dropped})`}, ${lost.not_kept} flows not kept, ${lost.set_aside ?? 0} rows set aside`,
    ],
    [
      'incidents',
      `${status.open_incidents} open${blocks === null ? '' : `; ${blocks.listed} host(s) in the lists, ${blocks.waiting} waiting for approval`}`,
    ],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    ...lines.map(([name, text]) => printable(`${name.padEnd(width)}  ${text}`)),
    ...troubles.map((text) => printable(`! ${text}`)),
  ];
}

/** Exit code: 1 when it does not work as it should. Throws RogueSmtpError `unavailable` where no instance answers. */
export async function statusCommand(
  loaded: LoadedConfig,
  flags: { readonly json?: boolean },
  streams: Pick<ReportStreams, 'stdout'>,
): Promise<number> {
  const client = await runningClient(loaded);
  const report = await askStatus(client);
  streams.stdout.write(
    flags.json
      ? `${JSON.stringify(report)}\n`
      : describeStatus(report)
          .map((line) => `${line}\n`)
          .join(''),
  );
  return report.state === 'trouble' ? 1 : 0;
}

/** The commands that tell what is known: offenders, alerts, incidents, and SQL. */

import { type Command, Option } from 'commander';
import { LETTERS } from '../incident-letter.ts';
import type { LetterFlags } from '../letter.ts';
import type { RelayCheckFlags } from '../relay-check.ts';
import type { AlertsFlags, OffendersFlags } from '../reports.ts';
import { SORTS, selectionOptions } from '../selection.ts';
import type { TraceFlags } from '../trace.ts';
import type { CommandContext } from './context.ts';
import { count, durationOption, examples, portNumber } from './option-values.ts';

export function registerReportCommands(program: Command, { asking, settings }: CommandContext): void {
  const offenders = program
    .command('offenders')
    .description(
      'hosts that send mail without being allowed to, the worst first; exit code 1 where nothing could be judged',
    )
    .addHelpText(
      'after',
      examples(
        'offenders',
        'offenders --grade conversed --since 24h',
        'offenders --host 10.1.0.0/16 --csv',
        'offenders --json | jq -r .host',
      ),
    )
    .option('--json', 'NDJSON for scripts')
    .option('--csv', 'CSV for spreadsheets, all columns, times in UTC')
    .option('--wide', 'all columns, however wide')
    .addOption(new Option('--sort <key>', 'what comes first').choices(SORTS).default('grade', 'the worst'));
  for (const option of selectionOptions('open, closed, or that of the block such as published'))
    offenders.addOption(option);
  offenders.action(async (flags: OffendersFlags) => {
    const { offendersCommand } = await import('../reports.ts');
    process.exitCode = await offendersCommand(asking(), flags, process);
  });

  const alerts = program
    .command('alerts')
    .description('alerts, newest last')
    .addHelpText(
      'after',
      examples('alerts --limit 20', 'alerts --grade bulk --since 24h --sort grade', 'alerts --follow --json'),
    )
    .option('--json', 'NDJSON for scripts')
    .option('--csv', 'CSV for spreadsheets, times in UTC')
    .option('--follow', 'keep printing alerts as they come')
    .addOption(
      new Option('--sort <key>', 'newest last, or the worst first')
        .choices(['time', 'grade'])
        .default('time'),
    )
    .option('--limit <n>', 'how many of the newest', count, 100);
  for (const option of selectionOptions('kind of the alert such as opened, or state of the block'))
    alerts.addOption(option);
  alerts.action(async (flags: AlertsFlags) => {
    const { alertsCommand } = await import('../reports.ts');
    await alertsCommand(asking(), flags, process);
  });

  program
    .command('inventory')
    .description('who talks SMTP, who is probably a mail server; proposes senders and expected entries')
    .addHelpText(
      'after',
      examples('inventory', 'inventory --json | jq -r "select(.likely_mail_server) | .host"'),
    )
    .option('--json', 'NDJSON for scripts')
    .action(async (flags: { json?: boolean }) => {
      const { inventoryCommand } = await import('../reports.ts');
      await inventoryCommand(asking(), flags, process);
    });

  program
    .command('incident')
    .description('one incident with its evidence: alerts and the flow records behind it')
    .addHelpText('after', examples('incident 192.0.2.55', 'incident 192.0.2.55 --json'))
    .argument('<id>', 'incident id, or a host (HOST@SITE where several sites use the same addresses)')
    .option('--json', 'JSON for scripts')
    .action(async (id: string, flags: { json?: boolean }) => {
      const { incidentCommand } = await import('../reports.ts');
      await incidentCommand(asking(), id, flags, process);
    });

  program
    .command('query')
    .description('read-only SQL on the store')
    .argument('<sql>')
    .option(
      '--format <name>',
      'any ClickHouse format, also binary ones such as Parquet',
      'PrettyCompactMonoBlock',
    )
    .addHelpText('after', examples('query "SELECT * FROM offenders ORDER BY sessions DESC LIMIT 10"'))
    .action(async (sql: string, flags: { format: string }) => {
      const { queryCommand } = await import('../reports.ts');
      await queryCommand(asking(), sql, flags, process);
    });

  program
    .command('trace')
    .description(
      'who was it: from what a complaint or a blocklist tells to the inside hosts; exit code 1 if none is found',
    )
    .addHelpText(
      'after',
      `${examples(
        'trace --at "2026-03-01 14:05 UTC" --source 203.0.113.5:51000 --destination 198.51.100.25:25',
        'trace --at 2026-03-01T14:05:00Z --within 30m --source 203.0.113.5',
        'trace --report complaint.eml',
      )}
A report may be ARF, XARF, CSV, or the text of a blocklist's page. What names no server and no port is taken to be about mail.`,
    )
    .option('--at <time>', 'when it happened; without a zone it is UTC')
    .option(
      '--within <duration>',
      'how far off that time may be; default: as the report says, else 5m',
      durationOption,
    )
    .option('--source <address>', 'our public address, with the port if it is known: 203.0.113.5:51000')
    .option(
      '--destination <address>',
      'the server or sinkhole that saw it, with its port; :443 for a port alone',
    )
    .option('--report <file>', 'read it from this file; - for stdin')
    .option('--json', 'NDJSON for scripts, one line a complaint')
    .action(async (flags: TraceFlags) => {
      const { traceCommand } = await import('../trace.ts');
      process.exitCode = await traceCommand(asking(), flags, process);
    });

  program
    .command('blocklists')
    .description(
      'ask the DNS blocklists of the configuration about own public addresses; exit code 1 if one has any of them',
    )
    .addHelpText('after', examples('blocklists', 'blocklists --json'))
    .option('--json', 'NDJSON for scripts')
    .action(async (flags: { json?: boolean }) => {
      const { blocklistsCommand } = await import('../blocklists.ts');
      process.exitCode = await blocklistsCommand(settings(), flags, process);
    });

  program
    .command('report')
    .description(
      'a text about an incident, for a request to a blocklist or a ticket for the owner of the host; times in UTC',
    )
    .argument('<id>', 'incident id, or a host (HOST@SITE where several sites use the same addresses)')
    .addOption(new Option('--for <reader>', 'who reads it').choices(LETTERS).default('ticket'))
    .option('--address <address>', 'with --for delisting: the public address that is listed')
    .addHelpText(
      'after',
      examples('report 192.0.2.55', 'report 192.0.2.55 --for delisting --address 203.0.113.5'),
    )
    .action(async (id: string, flags: LetterFlags) => {
      const { letterCommand } = await import('../letter.ts');
      await letterCommand(asking(), id, flags, process);
    });

  program
    .command('relay-check')
    .description(
      'look at an own mail server as a stranger would; sends no message; exit code 1 if something is bad',
    )
    .argument('<host>', 'address or name of the server, within the own networks')
    .option('--port <port>', 'TCP port', portNumber, 25)
    .option('--recipient <address>', 'an address elsewhere that the server must not take mail for')
    .option(
      '--domain <name>',
      'a domain that the server takes mail for; default: that of its name in the DNS',
    )
    .option('--through <proxy>', 'HOST:PORT of a SOCKS 5 proxy outside, such as ssh -D opens')
    .option('--json', 'NDJSON for scripts')
    .addHelpText(
      'after',
      examples(
        'relay-check 192.0.2.100 --recipient you@provider.example',
        'relay-check mail.example.net --through 127.0.0.1:1080',
      ),
    )
    .action(async (host: string, flags: RelayCheckFlags) => {
      const { relayCheckCommand } = await import('../relay-check.ts');
      process.exitCode = await relayCheckCommand(settings(), host, flags, process);
    });
}

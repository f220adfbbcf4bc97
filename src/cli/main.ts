#!/usr/bin/env node
/**
 * The command line: which commands there are, their flags, their help. Each command's work is in a module of its own,
 * loaded when it is called. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
 */

import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ACL_FAMILIES } from '../acl/model.ts';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, ACL_TRAFFIC, WITHOUT_SENDERS } from '../acl/platforms.ts';
import { QUARANTINE_PLATFORMS, type QuarantinePlatform } from '../acl/quarantine.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../config/load.ts';
import { loadForAsking } from '../config/load-for-asking.ts';
import { configSchema } from '../config/schema.ts';
import { duration } from '../config/values.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import { PACKET_FLOW_DEFAULTS } from '../replay/capture/packet-flow-defaults.ts';
import { FLOW_LOG_FORMATS, type LogOptions, parseFormatOption } from '../replay/flow-log/choose-format.ts';
import { ROLES, type Role } from '../service/roles.ts';
import type { DecisionFlags, RollbackFlags } from './acl-desk.ts';
import type { AclPushFlags } from './acl-push.ts';
import type { AlertsFlags, OffendersFlags } from './reports.ts';
import { SORTS, selectionOptions } from './selection.ts';
import { printable } from './table.ts';

interface ReplayFlags extends FileFlags {
  readonly data?: string;
  readonly out?: string;
  readonly fromStore?: boolean;
  readonly policy?: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

/** Of `decode` and `replay`. */
interface FileFlags {
  readonly packets?: boolean;
  readonly activeTimeout: number;
  readonly inactiveTimeout: number;
  readonly format?: LogOptions;
}

interface PolicyCheckFlags {
  readonly json?: boolean;
  readonly site?: string;
}

interface GlobalFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly utc?: boolean;
  readonly config?: string;
  readonly logLevel?: string;
}

const version: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;

const program = new Command('rogue-smtp')
  .description(
    'Finds hosts that send mail without being allowed to, from flow records, and writes the ACL that stops them.',
  )
  .version(version)
  .option('--config <file>', 'configuration (default: ./rogue-smtp.yaml, then /etc/rogue-smtp/config.yaml)')
  .option('--url <url>', 'ask the instance there, and read no configuration', instanceUrl)
  .option('--token-file <file>', 'with --url: the file whose only line is its http.token')
  .option('--utc', 'show times in UTC; default: the zone of this machine. JSON and CSV are always in UTC')
  .addOption(
    new Option('--log-level <level>', 'how much to log').choices([
      'fatal',
      'error',
      'warn',
      'info',
      'debug',
      'trace',
      'silent',
    ]),
  )
  .showHelpAfterError('(see --help)')
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  rogue-smtp run                              receive NetFlow, IPFIX and sFlow on UDP 2055, 4739 and 6343
  rogue-smtp offenders                        who sends mail without being allowed to
  rogue-smtp acl render --platform cisco-ios --kind offenders
  rogue-smtp decode capture.pcap | head       what is in a capture of exports`,
  );

function examples(...commands: readonly string[]): string {
  return `\nExample${commands.length === 1 ? '' : 's'}:\n${commands.map((command) => `  rogue-smtp ${command}`).join('\n')}`;
}

function loadOptions(file?: string): LoadOptions {
  const flags = program.opts<GlobalFlags>();
  return {
    file: file ?? flags.config,
    environment: process.env,
    flags: flags.logLevel === undefined ? {} : { 'log.level': flags.logLevel },
  };
}

/** For commands that work by the configuration. */
function settings(file?: string): LoadedConfig {
  if (program.opts<GlobalFlags>().url !== undefined)
    throw new RogueSmtpError(
      'usage',
      '--url is for commands that ask an instance; this one needs a configuration',
    );
  return loadConfig(loadOptions(file));
}

/** For commands that judge by the configuration without an instance: DNS names that nobody has resolved yet are, once. */
async function judgingSettings(file?: string): Promise<LoadedConfig> {
  const { resolveMissing } = await import('../address-lists/resolve-missing.ts');
  const { loaded, problems } = await resolveMissing(settings(file), Date.now());
  for (const problem of problems) process.stderr.write(`DNS: ${printable(problem)}\n`);
  return loaded;
}

/** For commands that ask an instance: the one of --url, else that of the configuration, whatever is wrong with it. */
function asking(): LoadedConfig {
  const { url, tokenFile } = program.opts<GlobalFlags>();
  if (url === undefined) {
    if (tokenFile !== undefined) throw new RogueSmtpError('usage', '--token-file belongs to --url');
    const { mistake, ...loaded } = loadForAsking(loadOptions());
    if (mistake !== null)
      process.stderr.write(
        `The configuration has a mistake; what is right in it is used.\n${describe(new Error(mistake))}\n`,
      );
    return loaded;
  }
  return {
    config: configSchema.parse({}),
    file: null,
    text: null,
    lists: [],
    warnings: [],
    placeOf: () => 'by default',
    again: () => asking(),
    instance: { url, ...(tokenFile !== undefined && { token: readToken(tokenFile) }) },
  };
}

function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RogueSmtpError('usage', `--token-file: ${messageOf(error)}`);
  }
  const token = text.replace(/\r?\n$/, '');
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new RogueSmtpError('usage', `--token-file ${file}: expected one line, the token`);
  return token;
}

function instanceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  )
    throw new InvalidArgumentError('expected a URL such as http://127.0.0.1:9025.');
  return text.replace(/\/+$/, '');
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new InvalidArgumentError('expected 1 to 100000.');
  return value;
}

function durationOption(text: string): number {
  const parsed = duration.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError('expected a duration such as 24h.');
  return parsed.data;
}

function portNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('expected 1 to 65535.');
  return value;
}

program
  .command('run')
  .description('all roles in one process, on embedded parts or on Kafka and ClickHouse where configured')
  .addHelpText('after', examples('run', '--config /etc/rogue-smtp/config.yaml run', '--log-level debug run'))
  .action(async () => {
    const { runCommand } = await import('./run.ts');
    await runCommand(settings(), version);
  });

const ROLE_COMMANDS = {
  collect: 'receive flow exports and publish them (on Kafka)',
  detect: 'find rogue senders in the mail stream (on Kafka); any number of processes share the work',
  store: 'write the streams to ClickHouse (on Kafka); any number of processes share the work',
  serve: 'API, metrics, block lists and ACL files (on Kafka)',
} as const satisfies Record<Role, string>;

for (const role of ROLES) {
  const command = program
    .command(role)
    .description(ROLE_COMMANDS[role])
    .action(async () => {
      const { runCommand } = await import('./run.ts');
      await runCommand(settings(), version, [role]);
    });
  if (role === 'store')
    command
      .command('replay-dead-letters')
      .description(
        'put the rows of data/dead-letters back into the store, once each; exit code 1 if any are left',
      )
      .action(async () => {
        const { replayDeadLettersCommand } = await import('./store-replay.ts');
        process.exitCode = await replayDeadLettersCommand(settings(), process);
      });
}

program
  .command('migrate')
  .description('create or upgrade Kafka topics and ClickHouse tables')
  .action(async () => {
    const { migrateCommand } = await import('./migrate.ts');
    await migrateCommand(settings(), process);
  });

const PACKETS_HELP = 'the captures are of traffic, not of flow exports: group their packets into flows';
const activeTimeout = () =>
  new Option(
    '--active-timeout <time>',
    'with --packets: a flow that still has packets is cut into records of this length',
  )
    .argParser(durationOption)
    .default(PACKET_FLOW_DEFAULTS.activeMs, '60s');
const inactiveTimeout = () =>
  new Option('--inactive-timeout <time>', 'with --packets: a flow without a packet for this time has ended')
    .argParser(durationOption)
    .default(PACKET_FLOW_DEFAULTS.inactiveMs, '15s');

function packetsOf({ packets, activeTimeout: activeMs, inactiveTimeout: inactiveMs }: FileFlags) {
  return packets ? { packets: { ...PACKET_FLOW_DEFAULTS, activeMs, inactiveMs } } : {};
}

function logFormat(text: string): LogOptions {
  const options = parseFormatOption(text);
  if (options === null) {
    const names = Object.keys(FLOW_LOG_FORMATS).join(', ');
    throw new InvalidArgumentError(
      `expected one of ${names}; aws may have its fields behind it: 'aws:version srcaddr dstaddr ... end'.`,
    );
  }
  return options;
}

program
  .command('decode')
  .description(
    'flow records of captures (pcap, pcapng, .ipfix, also compressed) as NDJSON on stdout; flow logs: see replay',
  )
  .argument('<file...>')
  .option('--options', 'print options data too')
  .option('--packets', PACKETS_HELP)
  .addOption(activeTimeout())
  .addOption(inactiveTimeout())
  .addHelpText(
    'after',
    examples('decode exports.pcap | jq "select(.dst_port == 25)"', 'decode --packets traffic.pcap'),
  )
  .action(async (files: string[], flags: FileFlags & { options?: boolean }) => {
    const { decodeCommand } = await import('./decode.ts');
    await decodeCommand(files, { options: flags.options ?? false, ...packetsOf(flags) }, process);
  });

program
  .command('replay')
  .description(
    'run captures, flow logs or stored flows through detection, with their own times, at full speed',
  )
  .argument('[file...]')
  .option('--data <dir>', 'keep the flows and results in a store in this directory, which must be empty')
  .option('--packets', PACKETS_HELP)
  .addOption(activeTimeout())
  .addOption(inactiveTimeout())
  .addOption(
    new Option('--format <name>', 'read flow logs as this format, where the file does not tell it').argParser(
      logFormat,
    ),
  )
  .option('--out <dir>', 'write alerts.ndjson, incidents.ndjson, acl/ and summary.json here')
  .option('--from-store', 'compare the current policy with that of --policy, on the stored mail flows')
  .option('--policy <file>', 'with --from-store: the changed configuration')
  .option('--since <time>', 'with --from-store: received at or after, ISO 8601')
  .option('--until <time>', 'with --from-store: received before, ISO 8601')
  .option('--json', 'with --from-store: JSON for scripts')
  .addHelpText(
    'after',
    `
Files, recognised by their content, also as gzip, zstd, xz or bzip2: pcap, pcapng and .ipfix of exports (captures of traffic
with --packets), and flow logs, also as JSON arrays or packed in JSON or CSV with a message field:
${Object.entries(FLOW_LOG_FORMATS)
  .map(([name, words]) => `  ${name.padEnd(10)} ${words}`)
  .join('\n')}

Examples:
  rogue-smtp replay last-night.pcap.gz --out result
  rogue-smtp replay conn.*.log.gz
  rogue-smtp replay --packets traffic.pcapng
  rogue-smtp replay --format asa central-syslog.log.zst
  rogue-smtp replay --from-store --policy new.yaml`,
  )
  .action(async (files: string[], flags: ReplayFlags) => {
    if (flags.fromStore || flags.policy !== undefined) {
      if (!flags.fromStore || flags.policy === undefined || files.length > 0)
        throw new RogueSmtpError('usage', '--from-store and --policy belong together, without files');
      const { whatIfCommand } = await import('./what-if.ts');
      return whatIfCommand(await judgingSettings(), await judgingSettings(flags.policy), flags, process);
    }
    if (files.length === 0) throw new RogueSmtpError('usage', "missing required argument 'file'");
    const { replayCommand } = await import('./replay.ts');
    const { data, out, format } = flags;
    const asked = {
      ...(data === undefined ? {} : { data }),
      ...(out === undefined ? {} : { out }),
      ...(format === undefined ? {} : { log: format }),
      ...packetsOf(flags),
    };
    process.exitCode = await replayCommand(await judgingSettings(), files, asked, process);
  });

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
  const { offendersCommand } = await import('./reports.ts');
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
    new Option('--sort <key>', 'newest last, or the worst first').choices(['time', 'grade']).default('time'),
  )
  .option('--limit <n>', 'how many of the newest', count, 100);
for (const option of selectionOptions('kind of the alert such as opened, or state of the block'))
  alerts.addOption(option);
alerts.action(async (flags: AlertsFlags) => {
  const { alertsCommand } = await import('./reports.ts');
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
    const { inventoryCommand } = await import('./reports.ts');
    await inventoryCommand(asking(), flags, process);
  });

program
  .command('incident')
  .description('one incident with its evidence: alerts and the flow records behind it')
  .addHelpText('after', examples('incident 192.0.2.55', 'incident 192.0.2.55 --json'))
  .argument('<id>', 'incident id, or a host (HOST@SITE where several sites use the same addresses)')
  .option('--json', 'JSON for scripts')
  .action(async (id: string, flags: { json?: boolean }) => {
    const { incidentCommand } = await import('./reports.ts');
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
    const { queryCommand } = await import('./reports.ts');
    await queryCommand(asking(), sql, flags, process);
  });

const acl = program.command('acl').description('block lists');
acl
  .command('render')
  .description('an access list on stdout')
  .addOption(new Option('--platform <name>', 'router platform').choices(ACL_PLATFORMS).makeOptionMandatory())
  .addOption(new Option('--form <form>', 'where the platform reads more than one (junos)').choices(ACL_FORMS))
  .addOption(new Option('--kind <kind>', 'who is denied').choices(ACL_KINDS).makeOptionMandatory())
  .addOption(new Option('--family <family>', 'IP version').choices(ACL_FAMILIES).default('4'))
  .option('--interface <name>', 'LAN-facing interface, as the router calls it')
  .addOption(
    new Option('--traffic <whose>', 'what the router forwards, or what it sends itself').choices(ACL_TRAFFIC),
  )
  .addOption(
    new Option(
      '--without-senders <what>',
      'a policy of an IP version without senders: refuse it, or deny everyone',
    ).choices(WITHOUT_SENDERS),
  )
  .addHelpText('after', examples('acl render --platform nftables --kind offenders | nft -c -f -'))
  .action(async (flags: AclRenderRequest) => {
    const { aclRenderCommand } = await import('./acl.ts');
    await aclRenderCommand(asking(), flags, process);
  });

acl
  .command('push')
  .description(
    'send a list to its router over SSH; the router undoes it unless it is then seen in force; needs "push" of the target',
  )
  .argument('<target>', 'name of an ACL target')
  .addOption(new Option('--family <family>', 'IP version').choices(ACL_FAMILIES).default('4'))
  .option('--dry-run', 'show what the router has and what would change; change nothing')
  .addHelpText('after', examples('acl push border --dry-run', 'acl push border --family 6'))
  .action(async (target: string, flags: AclPushFlags) => {
    const { aclPushCommand } = await import('./acl-push.ts');
    process.exitCode = await aclPushCommand(settings(), target, flags, process);
  });

acl
  .command('quarantine')
  .description(
    'black hole routes (RTBH) of hosts that you name, on stdout: cuts them off from everything, not only from port 25',
  )
  .argument('<host...>', 'addresses of single hosts')
  .addOption(
    new Option('--platform <name>', 'whose language').choices(QUARANTINE_PLATFORMS).makeOptionMandatory(),
  )
  .addHelpText('after', examples('acl quarantine 192.0.2.55 --platform frr'))
  .action(async (hosts: string[], flags: { platform: QuarantinePlatform }) => {
    const { aclQuarantineCommand } = await import('./acl-quarantine.ts');
    aclQuarantineCommand(settings(), hosts, flags, process);
  });

acl
  .command('exabgp')
  .description('run by ExaBGP as a process: its FlowSpec routes follow the files of a target')
  .argument('<target>', 'name of an ACL target of the platform exabgp')
  .addHelpText(
    'after',
    '\nIn the configuration of ExaBGP:\n  process rogue-smtp { run rogue-smtp acl exabgp TARGET; encoder text; }',
  )
  .action(async (target: string) => {
    const { aclExabgpCommand } = await import('./acl-exabgp.ts');
    await aclExabgpCommand(settings(), target);
  });

acl
  .command('list')
  .description('who is blocked, who waits for approval, and the revision of each list')
  .option('--json', 'JSON for scripts')
  .addHelpText('after', examples('acl list', 'acl list --json | jq -r ".hosts[] | select(.waiting) | .host"'))
  .action(async (flags: { json?: boolean }) => {
    const { aclListCommand } = await import('./acl-desk.ts');
    await aclListCommand(asking(), flags, process);
  });

acl
  .command('diff')
  .description(
    'what would change in each list if every waiting host were approved; exit code 1 if anything would',
  )
  .argument('[target]', 'name of an ACL target; default: all')
  .action(async (target: string | undefined) => {
    const { aclDiffCommand } = await import('./acl-desk.ts');
    process.exitCode = await aclDiffCommand(asking(), target, process);
  });

acl
  .command('log')
  .description('who or what changed the lists, when and why')
  .option('--json', 'NDJSON for scripts')
  .option('--limit <n>', 'how many of the newest', count, 100)
  .action(async (flags: { json?: boolean; limit: number }) => {
    const { aclLogCommand } = await import('./acl-desk.ts');
    await aclLogCommand(asking(), flags, process);
  });

acl
  .command('approve')
  .description('put waiting hosts into the lists')
  .argument('[host...]')
  .option('--all', 'all waiting hosts')
  .option('--site <name>', 'of the hosts, where several sites use the same addresses; the same as HOST@SITE')
  .option('--reason <text>', 'for the audit log')
  .addHelpText('after', examples('acl approve 192.0.2.55 --reason "bot, ticket 4711"', 'acl approve --all'))
  .action(async (hosts: string[], flags: DecisionFlags & { all?: boolean }) => {
    if ((flags.all === true) === hosts.length > 0)
      throw new RogueSmtpError('usage', 'name the hosts to approve, or say --all');
    const { aclApproveCommand } = await import('./acl-desk.ts');
    await aclApproveCommand(asking(), hosts, flags, process);
  });

acl
  .command('reject')
  .description('do not block these hosts while their incident lasts')
  .argument('<host...>')
  .requiredOption('--reason <text>', 'for the audit log, and shown with the incident')
  .option('--site <name>', 'of the hosts, where several sites use the same addresses; the same as HOST@SITE')
  .addHelpText('after', examples('acl reject 192.0.2.55 --reason "newsletter server, owner known"'))
  .action(async (hosts: string[], flags: DecisionFlags) => {
    const { aclRejectCommand } = await import('./acl-desk.ts');
    await aclRejectCommand(asking(), hosts, flags, process);
  });

acl
  .command('release')
  .description('lift the block of hosts now, and do not block them again for a time')
  .argument('<host...>')
  .option('--for <duration>', 'not blocked again before', durationOption, 86_400_000)
  .option('--site <name>', 'of the hosts, where several sites use the same addresses; the same as HOST@SITE')
  .option('--reason <text>', 'for the audit log, and shown with the incident')
  .addHelpText('after', examples('acl release 192.0.2.55 --for 24h --reason "reinstalled"'))
  .action(async (hosts: string[], flags: DecisionFlags & { for: number }) => {
    const { aclReleaseCommand } = await import('./acl-desk.ts');
    await aclReleaseCommand(asking(), hosts, flags, process);
  });

program
  .command('block')
  .description('block hosts on port 25 for a time, whatever the evidence; the interlocks hold')
  .argument('<host...>')
  .requiredOption('--for <duration>', 'how long, such as 24h', durationOption)
  .requiredOption('--reason <text>', 'for the audit log, and shown with the block')
  .option('--site <name>', 'of the hosts, where several sites use the same addresses; the same as HOST@SITE')
  .addHelpText(
    'after',
    `${examples('block 192.0.2.55 --for 24h --reason "complaint, ticket 4711"')}\nTo end it earlier: rogue-smtp acl release HOST`,
  )
  .action(async (hosts: string[], flags: DecisionFlags & { for: number; reason: string }) => {
    const { blockCommand } = await import('./acl-desk.ts');
    await blockCommand(asking(), hosts, flags, process);
  });

acl
  .command('rollback')
  .description('show what an earlier revision would change, ask, publish it and hold it')
  .argument('[target]', 'name of an ACL target; default: all')
  .option('--to <revision>', 'as acl list shows it; default: the one before')
  .addOption(new Option('--family <version>', 'only the list of this IP version').choices(['4', '6']))
  .option('--yes', 'do not ask')
  .option('--release', 'let lists that are held follow the incidents again')
  .option('--reason <text>', 'for the audit log')
  .addHelpText(
    'after',
    examples(
      'acl rollback edge --reason "cut off a customer"',
      'acl rollback edge --family 4 --yes',
      'acl rollback edge --release',
    ),
  )
  .action(async (target: string | undefined, flags: RollbackFlags) => {
    const { aclRollbackCommand } = await import('./acl-desk.ts');
    await aclRollbackCommand(asking(), target, flags, process);
  });

acl
  .command('forget-lost')
  .description(
    'drop listed hosts whose incidents are lost (damaged data, another cluster, new topics); until then they stay listed',
  )
  .requiredOption('--reason <text>', 'for the audit log')
  .action(async (flags: { reason: string }) => {
    const { aclForgetLostCommand } = await import('./acl-desk.ts');
    await aclForgetLostCommand(asking(), flags, process);
  });

program
  .command('policy')
  .description('the policy of the configuration')
  .command('check')
  .description('what a connection would be, and which lines of the configuration say so')
  .argument('<source>', 'address of the client')
  .argument('<destination>', 'address of the server')
  .argument('<port>', 'TCP port of the server', portNumber)
  .option('--json', 'JSON for scripts')
  .option('--site <name>', 'the site of the client; without it the entries of every site count')
  .addHelpText('after', '\nExample:\n  rogue-smtp policy check 192.0.2.55 198.51.100.25 25')
  .action(async (source: string, destination: string, port: number, flags: PolicyCheckFlags) => {
    const { policyCheckCommand } = await import('./policy.ts');
    policyCheckCommand(await judgingSettings(), source, destination, port, flags, process);
  });

program
  .command('init')
  .description('write a commented configuration')
  .addHelpText('after', examples('init', 'init --yes --file /etc/rogue-smtp/config.yaml'))
  .option('--file <file>', 'where to write it', 'rogue-smtp.yaml')
  .option('--yes', 'ask nothing')
  .action(async (flags: { file: string; yes?: boolean }) => {
    const { initWithInventory } = await import('./init-with-inventory.ts');
    await initWithInventory(settings, flags, process);
  });

program
  .command('check')
  .description('validate the configuration and this machine, and say what to change')
  .option(
    '--data',
    'read the files of a stopped instance against their checksums; exit code 1 if any is damaged',
  )
  .addHelpText('after', examples('check', '--config /etc/rogue-smtp/config.yaml check', 'check --data'))
  .action(async (flags: { data?: boolean }) => {
    const { checkCommand } = await import('./check.ts');
    process.exitCode = await checkCommand(settings(), process, flags);
  });

program
  .command('reload')
  .description('have the running instance read its configuration again; exit code 1 if it refuses')
  .option('--force', 'also when the file has lost all senders, networks or targets, or is empty')
  .addHelpText('after', examples('reload', 'reload --force'))
  .action(async (flags: { force?: boolean }) => {
    const { reloadCommand } = await import('./reload.ts');
    process.exitCode = await reloadCommand(asking(), flags, process);
  });

program
  .command('demo')
  .description('the whole service on a shipped capture of real exports')
  .addHelpText('after', examples('demo', 'demo --once'))
  .option('--once', 'end when everything was shown')
  .action(async (flags: { once?: boolean }) => {
    const { demoCommand } = await import('./demo.ts');
    process.exitCode = await demoCommand(flags, process);
  });

/** The service has more to do than to show its first screen; decode has a summary to give, on stderr. */
const GO_ON_WITHOUT_STDOUT = new Set(['run', 'decode']);

/** Ends this process when stdout cannot be written: quietly when its reader has gone, as `head` does. */
function endWithoutStdout(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`rogue-smtp: stdout cannot be written: ${messageOf(error)}\n`);
  process.exit(1);
}

/** For a terminal: several lines where a configuration has several mistakes, but nothing that moves the cursor. */
function describe(error: unknown): string {
  return messageOf(error).split('\n').map(printable).join('\n');
}

process.stdout.on('error', endWithoutStdout);
process.stderr.on('error', () => undefined);
program.hook('preAction', (_program, command) => {
  // The zone of every time that is shown; JSON never is. What replay prints is the same everywhere.
  if (program.opts<GlobalFlags>().utc === true || command.name() === 'replay') process.env.TZ = 'UTC';
  if (!GO_ON_WITHOUT_STDOUT.has(command.name())) return;
  process.stdout.off('error', endWithoutStdout);
  process.stdout.on('error', () => undefined);
});
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`rogue-smtp: ${describe(error)}\n`);
    process.exitCode =
      error instanceof RogueSmtpError && (error.code === 'usage' || error.code === 'config') ? 2 : 1;
    if (isDefect(error))
      process.stderr.write(`This is a defect of rogue-smtp. Please report it with:\n${error.stack}\n`);
  }
}

/** Neither a mistake of the user nor something the system refused: its place in the program helps to mend it. */
function isDefect(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof RogueSmtpError) && !('syscall' in error);
}

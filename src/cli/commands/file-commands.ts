/** The commands that read files: captures of exports or packets, and flow logs. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { RogueSmtpError } from '../../errors.ts';
import { type FlowFilter, parseFlowFilter } from '../../flow/flow-filter.ts';
import { PACKET_FLOW_DEFAULTS } from '../../replay/capture/packet-flow-defaults.ts';
import { FLOW_LOG_FORMATS, type LogOptions, parseFormatOption } from '../../replay/flow-log/choose-format.ts';
import type { DecodeFormat } from '../decode.ts';
import type { CommandContext } from './context.ts';
import { durationOption, examples } from './option-values.ts';

interface ReplayFlags extends PacketFlags {
  readonly format?: LogOptions;
  readonly data?: string;
  readonly out?: string;
  readonly fromStore?: boolean;
  readonly policy?: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

interface DecodeFlags extends PacketFlags {
  readonly options?: boolean;
  readonly filter?: FlowFilter;
  readonly format: DecodeFormat;
}

/** Of `decode` and `replay`. */
interface PacketFlags {
  readonly packets?: boolean;
  readonly activeTimeout: number;
  readonly inactiveTimeout: number;
}

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

function packetsOf({ packets, activeTimeout: activeMs, inactiveTimeout: inactiveMs }: PacketFlags) {
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

function flowFilter(text: string): FlowFilter {
  const parsed = parseFlowFilter(text);
  if (!parsed.ok) throw new InvalidArgumentError(`${parsed.reason}.`);
  return parsed.filter;
}

export function registerFileCommands(program: Command, { judgingSettings }: CommandContext): void {
  program
    .command('decode')
    .description(
      'flow records of captures (pcap, pcapng, .ipfix, also compressed) as NDJSON or CSV on stdout; flow logs: see replay',
    )
    .argument('<file...>')
    .option('--options', 'print options data too')
    .addOption(
      new Option(
        '--filter <text>',
        'print only these flows: host, net, port (each with src or dst before it), exporter, proto, tcp, udp, icmp, ipv4, ipv6, flags, in if, out if, vrf, packets, bytes, with and, or, not and ( )',
      ).argParser(flowFilter),
    )
    .addOption(
      new Option('--format <name>', 'how they are printed').choices(['ndjson', 'csv']).default('ndjson'),
    )
    .option('--packets', PACKETS_HELP)
    .addOption(activeTimeout())
    .addOption(inactiveTimeout())
    .addHelpText(
      'after',
      examples(
        'decode exports.pcap --filter "dst port 25 and src net 10.0.0.0/8"',
        'decode exports.pcap | jq "select(.dst_port == 25)"',
        'decode --packets traffic.pcap',
      ),
    )
    .action(async (files: string[], flags: DecodeFlags) => {
      const { decodeCommand } = await import('../decode.ts');
      const { options = false, filter, format } = flags;
      await decodeCommand(
        files,
        { options, format, ...(filter !== undefined && { filter }), ...packetsOf(flags) },
        process,
      );
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
      new Option(
        '--format <name>',
        'read flow logs as this format, where the file does not tell it',
      ).argParser(logFormat),
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
        const { whatIfCommand } = await import('../what-if.ts');
        return whatIfCommand(await judgingSettings(), await judgingSettings(flags.policy), flags, process);
      }
      if (files.length === 0) throw new RogueSmtpError('usage', "missing required argument 'file'");
      const { replayCommand } = await import('../replay.ts');
      const { data, out, format } = flags;
      const asked = {
        ...(data === undefined ? {} : { data }),
        ...(out === undefined ? {} : { out }),
        ...(format === undefined ? {} : { log: format }),
        ...packetsOf(flags),
      };
      process.exitCode = await replayCommand(await judgingSettings(), files, asked, process);
    });
}

/** The commands that write, validate and explain the configuration. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { loadForAsking } from '../../config/load-for-asking.ts';
import { parsePrefix } from '../../flow/prefix.ts';
import type { InitFlags } from '../init-with-inventory.ts';
import type { CommandContext, GlobalFlags } from './context.ts';
import { examples, portNumber } from './option-values.ts';

interface PolicyCheckFlags {
  readonly json?: boolean;
  readonly site?: string;
}

export function registerConfigurationCommands(
  program: Command,
  { settings, judgingSettings, asking }: CommandContext,
): void {
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
      const { policyCheckCommand } = await import('../policy.ts');
      policyCheckCommand(await judgingSettings(), source, destination, port, flags, process);
    });

  program
    .command('init')
    .description(
      'write a commented configuration; proposes mail servers that an instance, stored data or DNS know',
    )
    .addHelpText(
      'after',
      examples(
        'init',
        '--config /etc/rogue-smtp/config.yaml init --yes --internal 192.0.2.0/24 --sender 192.0.2.25',
        'init --domain example.org',
        '--url https://flows.example.net --token-file token init',
      ),
    )
    .option('--file <file>', 'where to write it; default: that of --config, else rogue-smtp.yaml')
    .option('--yes', 'ask nothing')
    .option('--internal <prefix...>', 'your networks', prefixes)
    .option('--sender <address...>', 'hosts that may send mail, instead of those that are proposed', prefixes)
    .option('--exporter <prefix...>', 'take exports from these only', prefixes)
    .addOption(
      new Option('--mode <mode>', 'what happens to offenders').choices(['observe', 'propose', 'publish']),
    )
    .option('--data <dir>', 'the data directory')
    .option('--domain <name>', 'propose mail servers by the MX and SPF records of this domain')
    .action(async (flags: Partial<InitFlags>) => {
      const { initWithInventory } = await import('../init-with-inventory.ts');
      const { url, config } = program.opts<GlobalFlags>();
      const file = flags.file ?? config ?? 'rogue-smtp.yaml';
      // The file that is to be written says nothing yet of an instance to ask.
      const known = () => (url === undefined ? { ...loadForAsking({ environment: process.env }) } : asking());
      await initWithInventory(known, { ...flags, file }, process);
    });

  program
    .command('check')
    .description('validate the configuration and this machine, and say what to change')
    .option('--json', 'NDJSON for scripts')
    .option(
      '--data',
      'read the files of a stopped instance against their checksums; exit code 1 if any is damaged',
    )
    .addHelpText('after', examples('check', '--config /etc/rogue-smtp/config.yaml check', 'check --data'))
    .action(async (flags: { data?: boolean; json?: boolean }) => {
      const { checkCommand } = await import('../check.ts');
      process.exitCode = await checkCommand(settings(), process, flags);
    });
}

/** One or several, each an address or a prefix. */
function prefixes(text: string, before: readonly string[] = []): string[] {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new InvalidArgumentError(`${parsed.reason}.`);
  return [...before, text];
}

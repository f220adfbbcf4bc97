/** The commands that write, validate and explain the configuration. */

import type { Command } from 'commander';
import type { CommandContext } from './context.ts';
import { examples, portNumber } from './option-values.ts';

interface PolicyCheckFlags {
  readonly json?: boolean;
  readonly site?: string;
}

export function registerConfigurationCommands(
  program: Command,
  { settings, judgingSettings }: CommandContext,
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
    .description('write a commented configuration')
    .addHelpText('after', examples('init', 'init --yes --file /etc/rogue-smtp/config.yaml'))
    .option('--file <file>', 'where to write it', 'rogue-smtp.yaml')
    .option('--yes', 'ask nothing')
    .action(async (flags: { file: string; yes?: boolean }) => {
      const { initWithInventory } = await import('../init-with-inventory.ts');
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
      const { checkCommand } = await import('../check.ts');
      process.exitCode = await checkCommand(settings(), process, flags);
    });
}

/** The commands that tell whether it works: status, exporters, top, canary, explain. */

import type { Command } from 'commander';
import { Option } from 'commander';
import type { CommandContext } from './context.ts';
import { durationOption, examples } from './option-values.ts';

export function registerObserveCommands(program: Command, { asking }: CommandContext): void {
  program
    .command('status')
    .description(
      'is it working: what the running instance receives, loses and finds; exit code 1 if something is wrong',
    )
    .option('--json', 'JSON for scripts')
    .addHelpText(
      'after',
      examples('status', 'status --json | jq -r .state', '--url https://flows.example.net status'),
    )
    .action(async (flags: { json?: boolean }) => {
      const { statusCommand } = await import('../status.ts');
      process.exitCode = await statusCommand(asking(), flags, process);
    });

  program
    .command('exporters')
    .description(
      'who exports: rates, losses, sampling, templates, last seen, clock, and why nothing is decoded',
    )
    .option('--json', 'NDJSON for scripts')
    .option('--wide', 'all columns, however wide')
    .addHelpText('after', examples('exporters --wide', 'exporters --json | jq "select(.troubles != [])"'))
    .action(async (flags: { json?: boolean; wide?: boolean }) => {
      const { exportersCommand } = await import('../exporters.ts');
      process.exitCode = await exportersCommand(asking(), flags, process);
    });

  program
    .command('top')
    .description('status, exporters and open incidents, live; q ends it. Without a terminal: once')
    .addOption(
      new Option('--interval <time>', 'how often to ask').argParser(durationOption).default(2000, '2s'),
    )
    .addHelpText('after', examples('top', 'top --interval 5s', 'top | cat'))
    .action(async (flags: { interval: number }) => {
      const { topCommand } = await import('../top.ts');
      await topCommand(asking(), { interval: Math.max(200, flags.interval) }, process);
    });

  program
    .command('canary')
    .description(
      'send a flow that must be found to the own listener; says after which time its alert came, exit code 1 if none does',
    )
    .option('--json', 'JSON for scripts')
    .addHelpText(
      'after',
      `${examples('canary')}\nOn a timer, with an alert of its own: canary: { every: 5m } in the configuration`,
    )
    .action(async (flags: { json?: boolean }) => {
      const { canaryCommand } = await import('../canary.ts');
      process.exitCode = await canaryCommand(asking(), flags, process);
    });

  program
    .command('explain')
    .description(
      'why a host is graded and blocked or not: the policy, the evidence, what is missing, which lists have it',
    )
    .argument('<host>', 'address (HOST@SITE where several sites use the same addresses)')
    .option('--json', 'JSON for scripts')
    .addHelpText('after', examples('explain 192.0.2.55', 'explain 10.0.0.5@branch --json'))
    .action(async (host: string, flags: { json?: boolean }) => {
      const { explainCommand } = await import('../explain.ts');
      await explainCommand(asking(), host, flags, process);
    });
}

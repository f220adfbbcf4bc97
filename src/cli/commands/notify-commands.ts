/** The commands about notifications. */

import type { Command } from 'commander';
import type { CommandContext } from './context.ts';
import { examples } from './option-values.ts';

export function registerNotifyCommands(
  program: Command,
  { settings, asking, version }: CommandContext,
): void {
  const notify = program.command('notify').description('notifications: try a target, end reminders');

  notify
    .command('test')
    .description('send a test message through one target, and say what the other side answered')
    .argument('<name>', 'name of a notify target of the configuration')
    .addHelpText('after', examples('notify test noc', '--config /etc/rogue-smtp/config.yaml notify test noc'))
    .action(async (name: string) => {
      const { notifyTestCommand } = await import('../notify.ts');
      process.exitCode = await notifyTestCommand(settings(), name, version, process);
    });

  notify
    .command('ack')
    .description('acknowledge an incident: no more reminders about it, unless it escalates')
    .argument('<incident>', 'id of the incident, as in the notification')
    .addHelpText('after', examples('notify ack 1f0c5a7e9d3b42c68e71a0d4'))
    .action(async (incident: string) => {
      const { notifyAckCommand } = await import('../notify.ts');
      await notifyAckCommand(asking(), incident, process);
    });
}

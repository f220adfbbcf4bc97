/** The commands that run the service or one of its roles, and those that prepare and steer it. */

import type { Command } from 'commander';
import { ROLES, type Role } from '../../service/roles.ts';
import type { CommandContext } from './context.ts';
import { examples } from './option-values.ts';

const ROLE_COMMANDS = {
  collect: 'receive flow exports and publish them (on Kafka)',
  detect: 'find rogue senders in the mail stream (on Kafka); any number of processes share the work',
  store: 'write the streams to ClickHouse (on Kafka); any number of processes share the work',
  serve: 'API, metrics, block lists and ACL files (on Kafka)',
} as const satisfies Record<Role, string>;

export function registerServiceCommands(
  program: Command,
  { settings, asking, version }: CommandContext,
): void {
  program
    .command('run')
    .description('all roles in one process, on embedded parts or on Kafka and ClickHouse where configured')
    .addHelpText(
      'after',
      examples('run', '--config /etc/rogue-smtp/config.yaml run', '--log-level debug run'),
    )
    .action(async () => {
      const { runCommand } = await import('../run.ts');
      await runCommand(settings(), version);
    });

  for (const role of ROLES) {
    const command = program
      .command(role)
      .description(ROLE_COMMANDS[role])
      .action(async () => {
        const { runCommand } = await import('../run.ts');
        await runCommand(settings(), version, [role]);
      });
    if (role === 'store')
      command
        .command('replay-dead-letters')
        .description(
          'put the rows of data/dead-letters back into the store, once each; exit code 1 if any are left',
        )
        .action(async () => {
          const { replayDeadLettersCommand } = await import('../store-replay.ts');
          process.exitCode = await replayDeadLettersCommand(settings(), process);
        });
  }

  program
    .command('migrate')
    .description('create or upgrade Kafka topics and ClickHouse tables')
    .option(
      '--streams',
      'move what lies unread in data/stream to the brokers, once each, and nothing else; after kafka.brokers was set',
    )
    .addHelpText('after', examples('migrate', 'migrate --streams'))
    .action(async (flags: { streams?: boolean }) => {
      if (flags.streams === true) {
        const { moveStreamsCommand } = await import('../move-streams.ts');
        return moveStreamsCommand(settings(), process);
      }
      const { migrateCommand } = await import('../migrate.ts');
      await migrateCommand(settings(), process);
    });

  program
    .command('reload')
    .description('have the running instance read its configuration again; exit code 1 if it refuses')
    .option('--force', 'also when the file has lost all senders, networks or targets, or is empty')
    .addHelpText('after', examples('reload', 'reload --force'))
    .action(async (flags: { force?: boolean }) => {
      const { reloadCommand } = await import('../reload.ts');
      process.exitCode = await reloadCommand(asking(), flags, process);
    });

  program
    .command('demo')
    .description('the whole service on a shipped capture of real exports')
    .addHelpText('after', examples('demo', 'demo --once'))
    .option('--once', 'end when everything was shown')
    .action(async (flags: { once?: boolean }) => {
      const { demoCommand } = await import('../demo.ts');
      process.exitCode = await demoCommand(flags, process);
    });
}

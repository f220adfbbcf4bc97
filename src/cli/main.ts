#!/usr/bin/env node
/**
 * The command line: the flags of every command, and how a command ends. The commands are registered by the modules of
 * commands/; each command's work is in a module of its own, loaded when it is called. Exit codes: 0 done, 1 failed, 2 wrong
 * usage or configuration.
 */

import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { registerAclCommands } from './commands/acl-commands.ts';
import { registerConfigurationCommands } from './commands/configuration-commands.ts';
import { createCommandContext, describe, type GlobalFlags } from './commands/context.ts';
import { registerFileCommands } from './commands/file-commands.ts';
import { registerNotifyCommands } from './commands/notify-commands.ts';
import { registerObserveCommands } from './commands/observe-commands.ts';
import { instanceUrl } from './commands/option-values.ts';
import { registerReportCommands } from './commands/report-commands.ts';
import { registerServiceCommands } from './commands/service-commands.ts';
import { registerShellCommands } from './commands/shell-commands.ts';

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

const context = createCommandContext(program, version);
for (const register of [
  registerServiceCommands,
  registerFileCommands,
  registerReportCommands,
  registerObserveCommands,
  registerAclCommands,
  registerConfigurationCommands,
  registerShellCommands,
  registerNotifyCommands,
])
  register(program, context);

/** The service has more to do than to show its first screen; decode has a summary to give, on stderr. */
const GO_ON_WITHOUT_STDOUT = new Set(['run', 'decode']);

/** Ends this process when stdout cannot be written: quietly when its reader has gone, as `head` does. */
function endWithoutStdout(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`rogue-smtp: stdout cannot be written: ${messageOf(error)}\n`);
  process.exit(1);
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

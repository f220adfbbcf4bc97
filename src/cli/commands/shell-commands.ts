/** Commands about the command line itself: completion and the manual page. */

import { Argument, type Command } from 'commander';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import { manPage } from '../man-page.ts';
import type { CommandContext } from './context.ts';

export function registerShellCommands(program: Command, { version }: CommandContext): void {
  program
    .command('completion')
    .description('a script on stdout that completes commands and options')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  source <(rogue-smtp completion bash)
  rogue-smtp completion bash > /etc/bash_completion.d/rogue-smtp
  rogue-smtp completion zsh > "\${fpath[1]}/_rogue-smtp"
  rogue-smtp completion fish > ~/.config/fish/completions/rogue-smtp.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(program, shell));
    });

  program
    .command('man')
    .description('the manual page in roff, on stdout')
    .addHelpText('after', '\nExample:\n  rogue-smtp man | man -l -')
    .action(() => {
      // Packages that must come out the same each time say of which time they are (reproducible-builds.org).
      const epoch = Number(process.env.SOURCE_DATE_EPOCH);
      const date = Number.isInteger(epoch) && epoch > 0 ? new Date(1000 * epoch) : new Date();
      process.stdout.write(manPage(program, version, date.toISOString().slice(0, 10)));
    });
}

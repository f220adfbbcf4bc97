/** Completion scripts: bash runs its own and completes; the others name every command and option. */

import { execFileSync } from 'node:child_process';
import { Argument, Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { registerAclCommands } from '../../src/cli/commands/acl-commands.ts';
import { registerConfigurationCommands } from '../../src/cli/commands/configuration-commands.ts';
import { createCommandContext } from '../../src/cli/commands/context.ts';
import { registerObserveCommands } from '../../src/cli/commands/observe-commands.ts';
import { registerReportCommands } from '../../src/cli/commands/report-commands.ts';
import { completedCommands, completionScript, SHELLS } from '../../src/cli/completion.ts';
import { manPage } from '../../src/cli/man-page.ts';

function program(): Command {
  const made = new Command('rogue-smtp')
    .option('--config <file>', 'configuration')
    .option('--utc', 'times in UTC');
  const context = createCommandContext(made, '1.2.3');
  for (const register of [
    registerReportCommands,
    registerObserveCommands,
    registerAclCommands,
    registerConfigurationCommands,
  ])
    register(made, context);
  made.command('completion').addArgument(new Argument('<shell>', 'the shell').choices(SHELLS));
  // What a description has must not end a quoted word of a shell.
  made
    .command('odd')
    .description('it\'s "$(touch /tmp/x)" `odd`')
    .addOption(new Option('--way <way>', "a '$way'").choices(['a', 'b']));
  return made;
}

/** What bash completes for these words; the last may be begun. */
function complete(...words: string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const script = `set -eu
${completionScript(program(), 'bash')}
COMP_WORDS=(rogue-smtp ${quoted}); COMP_CWORD=${words.length}
_rogue_smtp || true
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).trim().split('\n');
}

describe('completion', () => {
  it('completes commands, subcommands, options and their choices in bash', () => {
    expect(complete('off')).toEqual(['offenders']);
    expect(complete('acl', 'ren')).toEqual(['render']);
    expect(complete('acl', 'render', '--plat')).toEqual(['--platform']);
    expect(complete('acl', 'render', '--platform', 'cisco-io')).toEqual(['cisco-ios', 'cisco-iosxr']);
    expect(complete('completion', '')).toEqual(['bash', 'zsh', 'fish', '--config', '--utc', '--help']);
  });

  it('is not misled by options of the program, and by their values', () => {
    expect(complete('--utc', '--config', 'acl', 'off')).toEqual(['offenders']);
    expect(complete('acl', '--config', 'offenders', 'ren')).toEqual(['render']);
  });

  it('is a script that bash takes, whatever descriptions say', () => {
    expect(complete('odd', '--way', '')).toEqual(['a', 'b']);
  });

  it('names every command and option for each shell', () => {
    const commands = completedCommands(program());
    expect(commands.length).toBeGreaterThan(20);
    for (const shell of SHELLS) {
      const script = completionScript(program(), shell);
      for (const { subcommands, options } of commands) {
        for (const { name } of subcommands) expect(script).toContain(name);
        for (const { long } of options)
          expect(script).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
      }
      expect(script).not.toMatch(/touch|it's/);
    }
  });
});

describe('the manual page', () => {
  it('has every command with its options, and no line that roff would take for a request', () => {
    const page = manPage(program(), '1.2.3', '2026-03-01');
    expect(page).toMatch(/^\.TH ROGUE-SMTP 1 "2026-03-01" "rogue-smtp 1\.2\.3"/);
    for (const { path } of completedCommands(program()))
      if (path !== '') expect(page).toContain(`.SS ${path.replaceAll('-', '\\-')}`);
    for (const line of page.split('\n').filter((text) => /^[.']/.test(text)))
      expect(line).toMatch(/^\.(TH|SH|SS|TP|B|I)( |$)/);
  });
});

/** `rogue-smtp man`: the manual page rogue-smtp(1) in roff, from the commands that there are. Pure. */

import type { Command } from 'commander';

/** `date`: of the page, `YYYY-MM-DD`. Ends with a newline. */
export function manPage(program: Command, version: string, date: string): string {
  const name = program.name();
  const lines = [
    `.TH ${name.toUpperCase()} 1 "${date}" "${name} ${version}" "User Commands"`,
    '.SH NAME',
    `${roff(name)} \\- find hosts that send mail without being allowed to, from flow records`,
    '.SH SYNOPSIS',
    `.B ${roff(name)}`,
    '[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    roff(program.description()),
    '.SH OPTIONS',
    ...optionLines(program),
    '.SH COMMANDS',
    ...commandLines(program, ''),
    '.SH EXIT STATUS',
    '.TP',
    '.B 0',
    'Done.',
    '.TP',
    '.B 1',
    'Failed.',
    '.TP',
    '.B 2',
    'Wrong usage or configuration.',
    '.SH FILES',
    '.TP',
    '.I ./rogue-smtp.yaml, /etc/rogue-smtp/config.yaml',
    'The configuration.',
    '.SH ENVIRONMENT',
    '.TP',
    '.B ROGUE_SMTP__SECTION__KEY',
    roff('A key of the configuration; it goes over the file. ROGUE_SMTP__BLOCK__MODE=publish is block.mode.'),
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines(parent: Command, before: string): string[] {
  return parent.commands.flatMap((command) => {
    const path = `${before}${command.name()}`;
    const usage = command.registeredArguments.map((argument) => {
      const dots = argument.variadic ? '...' : '';
      return argument.required ? `<${argument.name()}${dots}>` : `[${argument.name()}${dots}]`;
    });
    return [
      `.SS ${[path, ...usage].map(roff).join(' ')}`,
      roff(sentence(command.description())),
      ...optionLines(command),
      ...commandLines(command, `${path} `),
    ];
  });
}

function optionLines(command: Command): string[] {
  return command.options.flatMap(
    ({ flags, description, argChoices, defaultValueDescription, defaultValue }) => {
      const choices = argChoices === undefined ? '' : ` One of ${argChoices.join(', ')}.`;
      const shown = defaultValueDescription ?? (defaultValue === undefined ? null : String(defaultValue));
      return [
        '.TP',
        `.B ${roff(flags)}`,
        roff(`${sentence(description)}${choices}${shown === null ? '' : ` Default: ${shown}.`}`),
      ];
    },
  );
}

function sentence(text: string): string {
  const whole = /[.?!)]$/.test(text) ? text : `${text}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

/** Backslashes and hyphens are escaped; a line that begins with a dot or an apostrophe would be a request. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

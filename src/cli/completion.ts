/**
 * `rogue-smtp completion bash|zsh|fish`: a script that completes commands, options and the choices of options, made from the
 * commands that there are. Pure.
 */

import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface CompletedOption {
  readonly long: string;
  readonly text: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  /** Its value names a file or directory. */
  readonly isFile: boolean;
}

interface CompletedCommand {
  /** Words after the name of the program; '' for the program itself. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly text: string }[];
  readonly options: readonly CompletedOption[];
}

/** The program and all commands below it. Options of the program are those of each command too. */
export function completedCommands(program: Command): CompletedCommand[] {
  const global = program.options.map(completedOption);
  const below = (command: Command, path: string): CompletedCommand[] => [
    {
      path,
      // What an argument may be stands beside what a subcommand may be.
      subcommands: [
        ...command.commands.map((each) => ({ name: each.name(), text: firstClause(each.description()) })),
        ...command.registeredArguments.flatMap(({ argChoices, description }) =>
          (argChoices ?? []).map((choice) => ({ name: choice, text: firstClause(description) })),
        ),
      ],
      options: [...(command === program ? [] : command.options.map(completedOption)), ...global, HELP],
    },
    ...command.commands.flatMap((each) => below(each, `${path} ${each.name()}`.trim())),
  ];
  return below(program, '');
}

const HELP: CompletedOption = {
  long: '--help',
  text: 'show help',
  takesValue: false,
  choices: [],
  isFile: false,
};

function completedOption(option: Option): CompletedOption {
  return {
    long: option.long ?? option.short ?? '',
    text: firstClause(option.description),
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
    isFile: /<(file|dir)>/.test(option.flags),
  };
}

/** Enough for a menu, without characters that a shell would read. */
function firstClause(text: string): string {
  return (text.split(/[;:(]/)[0] ?? '').replace(/[^A-Za-z0-9 ,.\-/]/g, '').trim();
}

/** Ends with a newline. */
export function completionScript(program: Command, shell: Shell): string {
  const commands = completedCommands(program);
  const name = program.name();
  if (shell === 'bash') return bash(name, commands);
  return shell === 'zsh' ? zsh(name, commands) : fish(name, commands);
}

/** Options whose values are words, and those whose values are files, over all commands: a name means the same everywhere. */
function valued(commands: readonly CompletedCommand[]): Map<string, CompletedOption> {
  const found = new Map<string, CompletedOption>();
  for (const { options } of commands)
    for (const option of options)
      if (option.takesValue && !found.has(option.long)) found.set(option.long, option);
  return found;
}

/**
 * The words before the cursor that are commands make the path; the case below gives what may follow. Choices of an option that
 * has others in another command are those of the path.
 */
function bash(name: string, commands: readonly CompletedCommand[]): string {
  const fn = `_${name.replaceAll('-', '_')}`;
  const paths = commands.map(({ path, subcommands, options }) => {
    const words = [...subcommands.map((each) => each.name), ...options.map(({ long }) => long)];
    return `    '${path}') words='${words.join(' ')}' ;;`;
  });
  const nested = commands.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`]));
  const choices = commands.flatMap(({ path, options }) =>
    options.flatMap(({ long, choices: each }) =>
      each.length === 0
        ? []
        : [`    '${path} ${long}') COMPREPLY=($(compgen -W '${each.join(' ')}' -- "$cur")); return ;;`],
    ),
  );
  const takesValue = [...valued(commands).keys()];
  return `# bash completion for ${name}: source <(${name} completion bash)
${fn}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev='' path='' words='' word next i skip=0
  ((COMP_CWORD > 0)) && prev="\${COMP_WORDS[COMP_CWORD-1]}"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if ((skip)); then skip=0; continue; fi
    case "$word" in
      ${takesValue.join('|')}) skip=1; continue ;;
      -*) continue ;;
    esac
    next="\${path:+$path }$word"
    case "$next" in ${nested.join('|')}) path="$next" ;; esac
  done
  case "$path $prev" in
${choices.join('\n')}
  esac
  case "$prev" in
    ${takesValue.join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  case "$path" in
${paths.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ \${#COMPREPLY[@]} -eq 0 && "$cur" != -* ]] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F ${fn} ${name}
`;
}

function zsh(name: string, commands: readonly CompletedCommand[]): string {
  const fn = `_${name.replaceAll('-', '_')}`;
  const nested = commands.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`]));
  const takesValue = [...valued(commands).keys()];
  const menus = commands.map(({ path, subcommands, options }) => {
    const items = [
      ...subcommands.map((each) => `'${each.name}:${each.text}'`),
      ...options.map(({ long, text }) => `'${long}:${text}'`),
    ];
    return `    '${path}') items=(${items.join(' ')}) ;;`;
  });
  const choices = commands.flatMap(({ path, options }) =>
    options.flatMap(({ long, choices: each }) =>
      each.length === 0 ? [] : [`    '${path} ${long}') compadd -- ${each.join(' ')}; return ;;`],
    ),
  );
  return `#compdef ${name}
# zsh completion for ${name}: ${name} completion zsh > "\${fpath[1]}/_${name}"
${fn}() {
  local current_path='' word next i skip=0
  local -a items
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    if ((skip)); then skip=0; continue; fi
    case "$word" in
      ${takesValue.join('|')}) skip=1; continue ;;
      -*) continue ;;
    esac
    next="\${current_path:+$current_path }$word"
    case "$next" in ${nested.join('|')}) current_path="$next" ;; esac
  done
  case "$current_path \${words[CURRENT-1]}" in
${choices.join('\n')}
  esac
  case "\${words[CURRENT-1]}" in
    ${takesValue.join('|')}) _files; return ;;
  esac
  case "$current_path" in
${menus.join('\n')}
  esac
  _describe '${name}' items || _files
}
if [[ "\${funcstack[1]}" = "${fn}" || "\${funcstack[1]}" = "_${name}" ]]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`;
}

function fish(name: string, commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ path, subcommands, options }) => {
    const words = path === '' ? [] : path.split(' ');
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const here =
      subcommands.length === 0
        ? seen
        : `${seen === '' ? '' : `${seen}; and `}not __fish_seen_subcommand_from ${subcommands.map((each) => each.name).join(' ')}`;
    const condition = (text: string) => (text === '' ? '' : ` -n '${text}'`);
    return [
      ...subcommands.map(
        (each) => `complete -c ${name} -f${condition(here)} -a ${each.name} -d '${each.text}'`,
      ),
      ...options
        .filter(({ long }) => path === '' || !isGlobal(commands, long))
        .map(({ long, text, takesValue, choices, isFile }) => {
          const value =
            choices.length > 0 ? ` -xa '${choices.join(' ')}'` : takesValue ? (isFile ? ' -rF' : ' -x') : '';
          return `complete -c ${name}${condition(path === '' ? '' : seen)} -l ${long.replace(/^--/, '')}${value} -d '${text}'`;
        }),
    ];
  });
  return `# fish completion for ${name}: ${name} completion fish > ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`;
}

/** An option of the program itself, which each command has. */
function isGlobal(commands: readonly CompletedCommand[], long: string): boolean {
  return commands.find(({ path }) => path === '')?.options.some((option) => option.long === long) === true;
}

/**
 * What a push has to know about a rendered list of the IOS family: its lines, its name, and how it is bound.
 *
 * Read from the text that is sent, not from the model: what is checked on the router is then what was sent to it.
 */

import { RogueSmtpError } from '../errors.ts';

export interface ListText {
  /** Without comments. The binding is last. */
  readonly lines: readonly string[];
  readonly name: string;
  /** Permits and denials, the final permit among them. */
  readonly entries: number;
  /** `no ip access-list extended NAME` of another list of ours. */
  removal(name: string): string;
  /** Which list an interface's configuration binds in the place of this one; null for none. */
  boundIn(configuration: string): string | null;
  /** How often a list is bound, in the lines that name it. */
  bindingsIn(lines: string, name: string): number;
}

const HEADER = /^((?:ip|ipv4|ipv6) access-list (?:extended )?)([A-Za-z0-9-]+)$/;
const ENTRY = /^ (?:sequence )?\d+ (?:permit|deny) /;

/** Throws RogueSmtpError `refused` for a text that is no list bound to an interface. */
export function readListText(text: string): ListText {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('!'));
  const header = HEADER.exec(lines[0] ?? '');
  const binding = header === null ? undefined : lines.at(-1);
  if (header === null || binding === undefined || !binding.includes(` ${header[2]} `))
    throw new RogueSmtpError('refused', 'the list is bound to no interface: nothing is sent');
  const [before, after] = binding.trim().split(header[2]);
  const bound = new RegExp(`^\\s*${before}(\\S+)${after}\\s*$`);
  return {
    lines,
    name: header[2],
    entries: lines.filter((line) => ENTRY.test(line)).length,
    removal: (name) => `no ${header[1]}${name}`,
    boundIn: (configuration) => {
      for (const line of configuration.split('\n')) {
        const match = bound.exec(line);
        if (match !== null) return match[1];
      }
      return null;
    },
    bindingsIn: (configuration, name) =>
      configuration.split('\n').filter((line) => bound.exec(line)?.[1] === name).length,
  };
}

/** Lists that this program made, by their names. */
export function isOurs(name: string): boolean {
  return /^SMTP-(?:OFFENDERS|POLICY)6?-[0-9a-f]{8}$/.test(name);
}

/** Entries in what a router shows of a list. */
export function shownEntries(output: string): number {
  return output.split('\n').filter((line) => /^\s*(?:(?:sequence )?\d+ )?(?:permit|deny) /.test(line)).length;
}

/**
 * The offenders as lists for those who fetch them: one entry a line, or a script that replaces a set in one step.
 *
 * Every form is safe when nobody is blocked: a text list is never an empty file, which firewalls take for a failed
 * download and keep the old list; a script empties its set.
 */

import { type AclFamily, MAX_OFFENDERS } from '../acl/model.ts';

/** Comment lines for the head of a list, whatever its form: in all of them a comment begins with `#`. */
export function listNotes(notes: readonly string[]): string {
  return notes.map((note) => `# ${note}\n`).join('');
}

/** For PAN-OS, FortiOS, pfSense, OPNsense: comments stand on lines of their own, nothing follows an address. */
export function textList(hosts: readonly string[]): string {
  return `# rogue-smtp: hosts blocked on TCP port 25\n${hosts.map((host) => `${host}\n`).join('')}`;
}

/** For `ipset restore`: the new set is filled beside the one in force and swapped with it. */
export function ipsetScript(hosts: readonly string[], family: AclFamily): string {
  const name = `rogue-smtp${family}`;
  const kind = `hash:net family ${family === '4' ? 'inet' : 'inet6'} maxelem ${MAX_OFFENDERS} -exist`;
  return [
    `# rogue-smtp: hosts blocked on TCP port 25. apply: ipset restore < FILE; match with -m set --match-set ${name} src`,
    `create ${name} ${kind}`,
    `create ${name}-new ${kind}`,
    `flush ${name}-new`,
    ...hosts.map((host) => `add ${name}-new ${host}`),
    `swap ${name}-new ${name}`,
    `destroy ${name}-new`,
    '',
  ].join('\n');
}

/**
 * Debian's fwbuilder as a second reader of IOS text: it imports IPv4 access lists and compiles them to iptables rules.
 *
 * It knows neither sequence numbers nor IPv6 lists, and its exit code is always 0: what counts is what it says.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingTools } from './requirements.ts';

const SHARE = '/usr/share';

/** What is missing to use it, in words; null when nothing is. */
export function missingFwbuilder(): string | null {
  const missing = missingTools('fwbedit', 'fwb_ipt');
  return missing.length > 0 ? `needs ${missing.join(', ')} (Debian: fwbuilder)` : null;
}

export interface Imported {
  /** `permit` or `deny` of each entry that was understood, in order. */
  readonly actions: readonly string[];
  readonly problems: readonly string[];
  /** The router as rules for `iptables-restore`, with the implicit deny of IOS at the end. */
  readonly iptables: () => string;
}

/** Imports the list of a text as bound inbound on `lan0` of a router that also has `wan0`. */
export function importIos(directory: string, text: string): Imported {
  const list = /^ip access-list extended (\S+)$/m.exec(text)?.[1] ?? '';
  const lines = text
    .split('\n')
    .slice(text.split('\n').indexOf(`ip access-list extended ${list}`))
    .filter((line) => line !== '' && !/^interface |^ ip access-group /.test(line))
    .map((line) => line.replace(/^ \d+ /, ' '));
  const config = [
    'version 12.4',
    'hostname labrtr',
    'interface GigabitEthernet0/1',
    ' ip address 192.0.2.1 255.255.255.0',
    ` ip access-group ${list} in`,
    '!',
    'interface GigabitEthernet0/2',
    ' ip address 198.51.100.1 255.255.255.0',
    '!',
    ...lines,
    '',
  ];
  const configFile = join(directory, 'router.cfg');
  const project = join(directory, 'router.fwb');
  writeFileSync(configFile, config.join('\n'));
  writeFileSync(project, emptyProject());
  const { stdout, stderr } = spawnSync(
    'fwbedit',
    ['import', '-f', project, '-i', configFile, '-o', '/User/Firewalls/labrtr', '-d'],
    { encoding: 'utf8' },
  );
  const said = `${stdout}\n${stderr}`.split('\n');
  return {
    actions: said.flatMap((line) => /access list rule: access list \S+, action (\w+)/.exec(line)?.[1] ?? []),
    problems: said.filter((line) => /Parser error|Error:|Could not find/i.test(line)),
    iptables: () => compile(directory, project),
  };
}

function compile(directory: string, project: string): string {
  const linux = readFileSync(project, 'utf8')
    .replaceAll('host_OS="ios"', 'host_OS="linux24"')
    .replaceAll('platform="iosacl"', 'platform="iptables"')
    .replaceAll('GigabitEthernet0/1', 'lan0')
    .replaceAll('GigabitEthernet0/2', 'wan0')
    .replaceAll('<Option name="stateless">False', '<Option name="stateless">True');
  writeFileSync(project, linux);
  const script = join(directory, 'router.fw');
  execFileSync('fwb_ipt', ['-f', project, '-o', script, 'labrtr'], { stdio: 'pipe' });
  const rules = readFileSync(script, 'utf8')
    .split('\n')
    .flatMap((line) => /^\s*\$IPTABLES (-A FORWARD .*-i lan0 .*)$/.exec(line)?.[1] ?? []);
  return ['*filter', ...rules, '-A FORWARD -i lan0 -j DROP', 'COMMIT', ''].join('\n');
}

/** A project file with a library to import into: the one that is installed has none. */
function emptyProject(): string {
  const home = readdirSync(SHARE).find(
    (name) => name.startsWith('fwbuilder') && existsSync(join(SHARE, name, 'objects_init.xml')),
  );
  let id = 0;
  const group = (tag: string, name: string, members = '') =>
    `<${tag} id="user${++id}" name="${name}" comment="" ro="False">${members}</${tag}>`;
  const groups = (tag: string, names: string) =>
    names
      .split(',')
      .map((name) => group(tag, name))
      .join('');
  const library = [
    '<Library id="user0" name="User" color="#d2ffd0" comment="" ro="False">',
    group(
      'ObjectGroup',
      'Objects',
      groups('ObjectGroup', 'Addresses,DNS Names,Address Tables,Groups,Hosts,Networks,Address Ranges'),
    ),
    group(
      'ServiceGroup',
      'Services',
      groups('ServiceGroup', 'Groups,ICMP,IP,TCP,UDP,Users,Custom,TagServices'),
    ),
    group('ObjectGroup', 'Firewalls'),
    group('ObjectGroup', 'Clusters'),
    group('IntervalGroup', 'Time'),
    '</Library>',
  ].join('');
  const before = '<Library id="sysid99"';
  return readFileSync(join(SHARE, home ?? '', 'objects_init.xml'), 'utf8').replace(
    before,
    `${library}${before}`,
  );
}

/**
 * Firewall Builder as a second reader of Cisco IOS and ASA text: it parses the configuration and compiles it to iptables.
 *
 * Its parser is not ours and not the router's either: it knows no sequence numbers and no IPv6 lists, so the numbers are
 * taken off before. The import exits with 0 whatever it read, so what it understood is counted from what it prints.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Imported {
  /** Lines of the access list that it understood. */
  readonly entries: number;
  /** What it complained of; empty when nothing. */
  readonly errors: readonly string[];
  /** Rules for iptables-restore, with the "deny everything" at the end that IOS does not show; null when it did not compile. */
  readonly iptables: string | null;
}

const LAN_INTERFACE = 'GigabitEthernet0/1';
const WAN_INTERFACE = 'GigabitEthernet0/2';

/** The list of cisco-asa without its entries for IPv6. */
export function asaIPv4(text: string): string {
  return text.replace(/^access-list \S+ extended .*(?::|\bany6\b).*\n/gm, '');
}

/**
 * What it understood of the IPv4 entries in the list of cisco-asa, bound to `inside`. It is older than IPv6 in these lists,
 * and than `any4`, which becomes `any`.
 */
export function importAsa(text: string): Pick<Imported, 'entries' | 'errors'> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-fwb-'));
  try {
    const database = join(directory, 'firewall.fwb');
    const config = join(directory, 'firewall.cfg');
    writeFileSync(database, emptyDatabase());
    writeFileSync(
      config,
      [
        'ASA Version 8.4(2)',
        '!',
        'hostname firewall',
        `interface ${LAN_INTERFACE}`,
        ' nameif inside',
        ' security-level 100',
        ' ip address 192.0.2.1 255.255.255.0',
        '!',
        `interface ${WAN_INTERFACE}`,
        ' nameif outside',
        ' security-level 0',
        ' ip address 198.51.100.1 255.255.255.0',
        '!',
        asaIPv4(text)
          .replace(/^!.*\n/gm, '')
          .replace(/\bany4\b/g, 'any'),
        ': end',
        '',
      ].join('\n'),
    );
    const said = run(
      'fwbedit',
      'import',
      '-f',
      database,
      '-i',
      config,
      '-o',
      '/User/Firewalls/firewall',
      '-d',
    );
    return {
      entries: said.split('\n').filter((line) => line.includes('filtering rule:')).length,
      errors: said.split('\n').filter((line) => /Parser error|Error:|Could not find/i.test(line)),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `text`: the IPv4 list of cisco-ios, bound to GigabitEthernet0/1. In iptables that is lan0. */
export function importIos(text: string): Imported {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-fwb-'));
  try {
    const database = join(directory, 'router.fwb');
    const config = join(directory, 'router.cfg');
    writeFileSync(database, emptyDatabase());
    writeFileSync(config, routerConfig(text));
    const said = run('fwbedit', 'import', '-f', database, '-i', config, '-o', '/User/Firewalls/router', '-d');
    const asLinux = join(directory, 'linux.fwb');
    writeFileSync(
      asLinux,
      readFileSync(database, 'utf8')
        .replaceAll('host_OS="ios"', 'host_OS="linux24"')
        .replaceAll('platform="iosacl"', 'platform="iptables"')
        .replaceAll(LAN_INTERFACE, 'lan0')
        .replaceAll(WAN_INTERFACE, 'wan0')
        .replaceAll('<Option name="stateless">False', '<Option name="stateless">True'),
    );
    const script = join(directory, 'router.fw');
    const compiled = run('fwb_ipt', '-f', asLinux, '-o', script, 'router');
    return {
      entries: said.split('\n').filter((line) => line.includes('access list rule:')).length,
      errors: `${said}\n${compiled}`
        .split('\n')
        .filter((line) => /Parser error|Error:|Could not find/i.test(line)),
      // A list that does not compile leaves no script.
      iptables: existsSync(script) ? restoreText(readFileSync(script, 'utf8')) : null,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Both outputs. `fwbedit` always exits with 0, `fwb_ipt` says why when it does not. */
function run(command: string, ...args: string[]): string {
  const { error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, QT_QPA_PLATFORM: 'offscreen' },
  });
  if (error !== undefined) throw error;
  return `${stdout}\n${stderr}`;
}

/** The standard objects of the package, and an empty library for ours. */
function emptyDatabase(): string {
  const share = readdirSync('/usr/share').find((entry) => /^fwbuilder-\d/.test(entry)) ?? 'fwbuilder';
  const standard = readFileSync(join('/usr/share', share, 'objects_init.xml'), 'utf8');
  let id = 0;
  const group = (kind: string, name: string, ...inner: string[]) =>
    `<${kind} id="rs${id++}" name="${name}">${inner.join('')}</${kind}>`;
  const objects = [
    'Addresses',
    'DNS Names',
    'Address Tables',
    'Groups',
    'Hosts',
    'Networks',
    'Address Ranges',
  ];
  const services = ['Groups', 'ICMP', 'IP', 'TCP', 'UDP', 'Users', 'Custom', 'TagServices'];
  const library = [
    '<Library id="rslib" color="#d2ffd0" name="User" comment="" ro="False">',
    group('ObjectGroup', 'Objects', ...objects.map((name) => group('ObjectGroup', name))),
    group('ServiceGroup', 'Services', ...services.map((name) => group('ServiceGroup', name))),
    group('ObjectGroup', 'Firewalls'),
    group('ObjectGroup', 'Clusters'),
    group('IntervalGroup', 'Time'),
    '</Library>',
  ].join('');
  const before = standard.indexOf('<Library id="sysid99"');
  if (before < 0) throw new Error('objects_init.xml of fwbuilder is not as expected');
  return standard.slice(0, before) + library + standard.slice(before);
}

/** A running configuration around the list: the list itself is taken as it is but for its numbers. */
function routerConfig(text: string): string {
  // From its first line to the next comment; the header's comments speak of lists too.
  const found = /^ip access-list extended (\S+)\n(?: .*\n)*/m.exec(text);
  if (found === null) throw new Error(`there is no IPv4 access list in:\n${text}`);
  const [list, name] = found;
  return [
    '!',
    'version 12.4',
    'hostname router',
    '!',
    `interface ${LAN_INTERFACE}`,
    ' ip address 192.0.2.1 255.255.255.0',
    ` ip access-group ${name} in`,
    '!',
    `interface ${WAN_INTERFACE}`,
    ' ip address 198.51.100.1 255.255.255.0',
    '!',
    list.trimEnd().replace(/^ \d+ (permit|deny|remark) /gm, ' $1 '),
    '!',
    'end',
    '',
  ].join('\n');
}

/** Only the rules of the list; the stateful and local ones that fwb_ipt puts around them are not in the IOS text. */
function restoreText(script: string): string {
  const rules = script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^\$IPTABLES -(N|A FORWARD -i lan0|A \w*_\d)/.test(line))
    .map((line) => line.replace('$IPTABLES ', '').replace(/\s+/g, ' '));
  return ['*filter', ...rules, '-A FORWARD -i lan0 -j DROP', 'COMMIT', ''].join('\n');
}

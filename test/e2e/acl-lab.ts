/**
 * Namespaces for access lists, IPv4 and IPv6, with real TCP: who gets through, and who does not?
 *
 *   lan    192.0.2.0/24   2001:db8:1::/64 --- lan0 router wan0 --- world 198.51.100.0/24 2001:db8:2::/64
 *   office 203.0.113.0/24 2001:db8:3::/64 --- off0
 *
 * The mail server, the rogue host, a client and a server that only receives mail (it is no configured sender) live in
 * `lan`, another client in `office`: it delivers to the mail server through the router. Everything is torn down by `close`. Needs root.
 */

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AclRequest, renderAcl } from '../../src/acl/render.ts';
import { configSchema } from '../../src/config/schema.ts';
import { offender } from '../support/acl-requests.ts';
import type { Running } from './launch.ts';
import { ip, type Namespaces, openNamespaces, SMTP_CLIENT, SMTP_SERVER } from './namespaces.ts';

const PLACES = ['lan', 'office', 'router', 'world'] as const;
type Place = (typeof PLACES)[number];
type Family = '4' | '6';
export type Outcome = 'open' | 'refused' | 'timeout';

/** By family: the addresses that the tests speak of. */
export const HOSTS = {
  '4': {
    rogue: '192.0.2.55',
    mail: '192.0.2.100',
    receiver: '192.0.2.77',
    client: '192.0.2.10',
    office: '203.0.113.10',
    world: '198.51.100.25',
  },
  '6': {
    rogue: '2001:db8:1::55',
    mail: '2001:db8:1::100',
    receiver: '2001:db8:1::77',
    client: '2001:db8:1::10',
    office: '2001:db8:3::10',
    world: '2001:db8:2::25',
  },
} as const;

export interface Probe {
  readonly from: 'rogue' | 'mail' | 'client' | 'office' | 'world';
  readonly to: 'mail' | 'receiver' | 'world';
  readonly port: number;
}

export interface AclLab extends Namespaces<Place> {
  /** Runs nft, iptables-restore and the like on a file with this text. */
  load(place: Place, text: string, command: string, ...args: string[]): void;
  probe(family: Family, probe: Probe): Promise<Outcome>;
  /** Opens an SMTP session to the world and works it until it breaks. */
  session(family: Family, from: 'rogue' | 'mail' | 'client'): Running;
  /** Takes every rule off the router. */
  clear(): void;
}

const DECISION_MS = Date.parse('2026-03-01T12:00:00.000Z');

/** The access list of this network; `hosts` are the offenders. */
export function aclText(
  choice: Pick<AclRequest, 'platform' | 'kind' | 'family'> & { readonly interface?: string },
  hosts: readonly string[] = [],
): string {
  const config = configSchema.parse({
    networks: { internal: ['192.0.2.0/24', '203.0.113.0/24', '2001:db8:1::/64', '2001:db8:3::/64'] },
    senders: [{ name: 'mail', hosts: [HOSTS['4'].mail, HOSTS['6'].mail], owner: 'postmaster' }],
  });
  return renderAcl({
    ...choice,
    nowMs: DECISION_MS,
    internal: config.networks.internal,
    senders: config.senders,
    never: config.block.never,
    maxEntries: 10_000,
    offenders: hosts.map((host, i) => offender(host, { incident_id: `number${i}` })),
  }).text;
}

export async function openAclLab(): Promise<AclLab> {
  const namespaces = openNamespaces('a', PLACES);
  const start = (place: Place, program: string, ...args: string[]) =>
    namespaces.start(place, 'python3', program, ...args);
  const lab: AclLab = {
    ...namespaces,
    load(place, text, command, ...args) {
      const file = join(lab.directory, 'list');
      writeFileSync(file, text);
      lab.run(place, command, ...args, file);
    },
    probe(family, { from, to, port }) {
      const hosts = HOSTS[family];
      const place = from === 'office' || from === 'world' ? from : 'lan';
      const command = ['probe', hosts[from], hosts[to], String(port), '--timeout', '1.5'];
      return new Promise((resolve, reject) => {
        execFile(
          'ip',
          ['netns', 'exec', lab.name(place), 'python3', SMTP_CLIENT, ...command],
          (error, stdout) => {
            const said = stdout.trim();
            if (said === 'open' || said === 'refused' || said === 'timeout') resolve(said);
            else reject(error ?? new Error(`the probe said "${said}"`));
          },
        );
      });
    },
    session: (family, from) => start('lan', SMTP_CLIENT, 'hold', HOSTS[family][from], HOSTS[family].world),
    clear() {
      lab.run('router', 'nft', 'flush', 'ruleset');
    },
  };

  try {
    build(namespaces);
    const world = [HOSTS['4'].world, `[${HOSTS['6'].world}]`];
    const mail = (['mail', 'receiver'] as const).flatMap((name) => [
      HOSTS['4'][name],
      `[${HOSTS['6'][name]}]`,
    ]);
    const servers = [
      start(
        'world',
        SMTP_SERVER,
        ...world.flatMap((host) => [25, 80, 465, 587, 2525].map((port) => `${host}:${port}`)),
      ),
      start('lan', SMTP_SERVER, ...mail.map((host) => `${host}:25`)),
    ];
    await Promise.all(servers.map((server) => server.printed(/listening/)));
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

function build({ name }: Namespaces<Place>): void {
  // No duplicate address detection: the first IPv6 connection need not wait a second for it.
  for (const place of PLACES)
    ip('netns', 'exec', name(place), 'sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0');
  const router = name('router');
  const sides = [
    { place: 'lan', port: 'lan0', v4: '192.0.2', v6: '2001:db8:1:', hosts: ['10', '55', '77', '100'] },
    { place: 'office', port: 'off0', v4: '203.0.113', v6: '2001:db8:3:', hosts: ['10'] },
    { place: 'world', port: 'wan0', v4: '198.51.100', v6: '2001:db8:2:', hosts: ['25'] },
  ] as const;
  for (const { place, port, v4, v6, hosts } of sides) {
    const side = name(place);
    ip('-n', router, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', side);
    ip('-n', router, 'link', 'set', port, 'up');
    ip('-n', side, 'link', 'set', 'eth0', 'up');
    ip('-n', router, 'addr', 'add', `${v4}.1/24`, 'dev', port);
    ip('-n', router, 'addr', 'add', `${v6}:1/64`, 'dev', port, 'nodad');
    for (const host of hosts) {
      ip('-n', side, 'addr', 'add', `${v4}.${host}/24`, 'dev', 'eth0');
      ip('-n', side, 'addr', 'add', `${v6}:${host}/64`, 'dev', 'eth0', 'nodad');
    }
    ip('-n', side, 'route', 'add', 'default', 'via', `${v4}.1`);
    ip('-n', side, '-6', 'route', 'add', 'default', 'via', `${v6}:1`);
  }
  ip('netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
}

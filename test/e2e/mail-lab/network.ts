/**
 * The network of the mail lab: one namespace for each case, a router, the world's servers. Needs root and gcc.
 *
 *   case --wire (delay, loss)-- router -- world 198.51.100.0/24, 2001:db8:ffff::/64
 *                                  |
 *                          collector 203.0.113.0/24
 *
 * Every case has an address of its own, so that one export of everything holds one host for each case. No offloads:
 * packets are as on a wire of 1500 bytes. The delay is made by delay-link.c, since not every kernel has netem.
 */

import { execFileSync } from 'node:child_process';
import { ip, type Namespaces, openNamespaces } from '../namespaces.ts';

const PLACES = ['router', 'world', 'collect'] as const;
export type Place = (typeof PLACES)[number];

/** 203.0.113.(8n+1) is where exporter n sends from, the address after it is where it sends to. */
export const exporterAddress = (n: number) => `203.0.113.${8 * n + 1}`;
export const collectorAddress = (n: number) => `203.0.113.${8 * n + 2}`;
const EXPORTERS_AT_MOST = 30;

export interface Wire {
  readonly delayMs: number;
  readonly loss: number;
  /** Of the host's interface. */
  readonly mtu: number;
}

export interface CaseNetwork {
  readonly namespaces: Namespaces<string>;
  readonly place: string;
  close(): Promise<void>;
}

/** In a namespace, whatever the place's name. */
function inside(name: string, command: string, ...args: string[]): string {
  return execFileSync('ip', ['netns', 'exec', name, command, ...args], { encoding: 'utf8', timeout: 60_000 });
}

function plain(name: string, device: string): void {
  inside(name, 'ethtool', '-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off', 'rx', 'off');
  inside(name, 'sysctl', '-qw', `net.ipv6.conf.${device}.accept_dad=0`);
  ip('-n', name, 'link', 'set', device, 'up');
}

export function cable(left: string, leftDevice: string, right: string, rightDevice: string): void {
  ip('-n', left, 'link', 'add', leftDevice, 'type', 'veth', 'peer', 'name', rightDevice, 'netns', right);
  plain(left, leftDevice);
  plain(right, rightDevice);
}

/** Router, world and collector, with these addresses of servers. */
export function openMailNetwork(servers: readonly string[]): Namespaces<Place> {
  const network = openNamespaces('m', PLACES);
  const [router, world, collect] = PLACES.map((place) => network.name(place));
  cable(router, 'wan0', world, 'eth0');
  cable(router, 'mgmt0', collect, 'eth0');
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  inside(router, 'sysctl', '-qw', ...forwarding);
  const add = (name: string, device: string, address: string) =>
    ip('-n', name, 'addr', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []));
  add(router, 'wan0', '198.51.100.1/24');
  add(router, 'wan0', '2001:db8:ffff::1/64');
  for (const address of servers) add(world, 'eth0', `${address}/${address.includes(':') ? 64 : 24}`);
  ip('-n', world, 'route', 'add', 'default', 'via', '198.51.100.1');
  ip('-n', world, '-6', 'route', 'add', 'default', 'via', '2001:db8:ffff::1');
  for (let n = 0; n < EXPORTERS_AT_MOST; n++) {
    add(router, 'mgmt0', `${exporterAddress(n)}/29`);
    add(collect, 'eth0', `${collectorAddress(n)}/29`);
  }
  return network;
}

/** A namespace with this one address, behind a wire to the router. `index` names the devices: unique while it is open. */
export async function openCase(
  network: Namespaces<Place>,
  index: number,
  address: string,
  wire: Wire,
  timestamps: boolean,
  delayLink: string,
): Promise<CaseNetwork> {
  const place = `c${index}`;
  const middle = `w${index}`;
  const namespaces = openNamespaces('m', [place, middle]);
  try {
    const [host, between, router] = [namespaces.name(place), namespaces.name(middle), network.name('router')];
    cable(host, 'eth0', between, 'left');
    cable(between, 'right', router, place);
    const isV6 = address.includes(':');
    ip('-n', host, 'link', 'set', 'eth0', 'mtu', String(wire.mtu));
    inside(host, 'sysctl', '-qw', `net.ipv4.tcp_timestamps=${timestamps ? 1 : 0}`);
    if (isV6) {
      ip('-n', host, 'addr', 'add', `${address}/128`, 'dev', 'eth0', 'nodad');
      ip('-n', router, 'addr', 'add', 'fe80::1/64', 'dev', place, 'nodad');
      ip('-n', host, '-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth0');
      ip('-n', router, '-6', 'route', 'add', `${address}/128`, 'dev', place);
    } else {
      ip('-n', host, 'addr', 'add', `${address}/32`, 'dev', 'eth0');
      ip('-n', router, 'addr', 'add', '169.254.0.1/32', 'dev', place);
      ip('-n', host, 'route', 'add', 'default', 'via', '169.254.0.1', 'dev', 'eth0', 'onlink');
      ip('-n', router, 'route', 'add', `${address}/32`, 'dev', place);
    }
    const args = ['left', 'right', String(wire.delayMs), String(wire.loss), String(index + 1)];
    await namespaces.start(middle, delayLink, ...args).printed(/ready/);
    return { namespaces, place, close: () => namespaces.close() };
  } catch (error) {
    await namespaces.close();
    throw error;
  }
}

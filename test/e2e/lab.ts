/**
 * A network of namespaces: a LAN with a rogue host, the mail server and a client, a router, the world.
 *
 *   lan 192.0.2.0/24, 2001:db8:1::/64 -- router -- world 198.51.100.0/24, 2001:db8:ffff::/64
 *                                          |
 *                            this machine, where the service listens
 *
 * The network to this machine is of this process alone, as the names are: labs can run side by side. Everything is torn
 * down by `close`. Needs root.
 */

import { join } from 'node:path';
import type { Running } from './launch.ts';
import { ip, type Namespaces, openNamespaces, SMTP_CLIENT, SMTP_SERVER } from './namespaces.ts';

export const ROGUE = '192.0.2.55';
export const ROGUE_V6 = '2001:db8:1::55';
export const MAIL_SERVER = '192.0.2.100';
export const MAIL_SERVER_V6 = '2001:db8:1::100';
export const CLIENT = '192.0.2.10';
export const WORLD_MX = ['198.51.100.25', '198.51.100.26', '198.51.100.27'] as const;
export const WORLD_MX_V6 = '2001:db8:ffff::25';
/** Where the router's exports go: this machine's end of the link to the router. */
export const COLLECTOR = managementAddress(1);
/** Where the router's exports come from. */
export const ROUTER = managementAddress(2);

const ROUTER_LAN = '192.0.2.1';
const ROUTER_WORLD = '198.51.100.1';
/** A tunnel from the world to the router, for no other purpose than to carry bulk. */
const TUNNEL_PORT = 4500;

const PLACES = ['lan', 'router', 'world'] as const;
type Place = (typeof PLACES)[number];

interface Softflowd {
  /** As softflowd counts: 10 is IPFIX. */
  readonly version: '5' | '9' | '10';
  readonly port: number;
  readonly timeouts: readonly string[];
}

export interface Lab extends Namespaces<Place> {
  /** The SMTP client of the fixtures, to its end or beside the test. */
  smtp(place: Place, ...args: string[]): string;
  startSmtp(place: Place, ...args: string[]): Running;
  /** The SMTP client of the fixtures with an open session, which says "broken" when it breaks. */
  holdSession(place: Place, from: string, to: string): Promise<Running>;
  /** Resolves when it exports what it sees to COLLECTOR. */
  startSoftflowd(settings: Softflowd): Promise<Running>;
  /** Writes what the router exports to this port into a pcap file; resolves when it sees packets. */
  observeExports(port: number, file: string): Promise<Running>;
}

/** The n-th address of a /30 in 100.64.0.0/10 that belongs to this process. */
function managementAddress(n: number): string {
  const address = ((100 << 24) | (64 << 16) | ((process.pid & 0xfffff) << 2) | n) >>> 0;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

export async function openLab(): Promise<Lab> {
  const namespaces = openNamespaces('e', PLACES);
  const lab: Lab = {
    ...namespaces,
    smtp: (place, ...args) => lab.run(place, 'python3', SMTP_CLIENT, ...args).trim(),
    startSmtp: (place, ...args) => lab.start(place, 'python3', SMTP_CLIENT, ...args),
    async holdSession(place, from, to) {
      const session = lab.startSmtp(place, 'hold', from, to);
      await session.printed(/open/);
      return session;
    },
    async startSoftflowd({ version, port, timeouts }) {
      // It watches the outside, where the tunnel keeps it awake: it gets packets from libpcap only when 256 KiB have come
      // together (test/fixtures/README.md).
      const name = join(lab.directory, `softflowd-${version}`);
      const files = ['-p', `${name}.pid`, '-c', `${name}.ctl`];
      const limits = timeouts.flatMap((timeout) => ['-t', timeout]);
      const target = `${COLLECTOR}:${port}`;
      const args = ['-i', 'wan0', '-n', target, '-v', version, '-d', ...limits, ...files];
      const softflowd = lab.start('router', 'softflowd', ...args);
      await softflowd.printed(/Exporting flows/);
      return softflowd;
    },
    async observeExports(port, file) {
      const filter = ['udp', 'dst', 'port', String(port)];
      const observer = lab.start(
        'router',
        'tcpdump',
        '-Z',
        'root',
        '-i',
        'mgmt0',
        '-U',
        '-w',
        file,
        ...filter,
      );
      await observer.printed(/listening on/);
      return observer;
    },
  };

  try {
    build(namespaces);
    await startServers(lab);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function startServers(lab: Lab): Promise<void> {
  const server = (place: Place, ...sockets: string[]) => lab.start(place, 'python3', SMTP_SERVER, ...sockets);
  const mail = WORLD_MX.map((address) => `${address}:25`);
  const servers = [
    server('world', ...mail, `[${WORLD_MX_V6}]:25`, `${WORLD_MX[0]}:80`, `${WORLD_MX[0]}:587`),
    server('lan', `${MAIL_SERVER}:25`, `[${MAIL_SERVER_V6}]:25`),
    server('router', `sink/${ROUTER_WORLD}:${TUNNEL_PORT}`),
  ];
  await Promise.all(servers.map((running) => running.printed(/listening/)));
  lab.startSmtp('world', 'stream', WORLD_MX[2], ROUTER_WORLD, String(TUNNEL_PORT));
}

function build({ id, name }: Namespaces<Place>): void {
  const [lan, router, world] = PLACES.map(name);
  ip('-n', router, 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', lan);
  ip('-n', router, 'link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world);
  ip('link', 'add', `${id}m`, 'type', 'veth', 'peer', 'name', 'mgmt0', 'netns', router);
  for (const [at, device] of [
    [lan, 'eth0'],
    [world, 'eth0'],
    [router, 'lan0'],
    [router, 'wan0'],
    [router, 'mgmt0'],
  ]) {
    ip('-n', at, 'link', 'set', device, 'up');
  }
  ip('link', 'set', `${id}m`, 'up');
  ip('addr', 'add', `${COLLECTOR}/30`, 'dev', `${id}m`);
  const address = (at: string, device: string, ...addresses: string[]) => {
    // Usable at once: nobody else is there to be asked about duplicates.
    for (const each of addresses)
      ip('-n', at, 'addr', 'add', each, 'dev', device, ...(each.includes(':') ? ['nodad'] : []));
  };
  address(router, 'mgmt0', `${ROUTER}/30`);
  address(lan, 'eth0', `${ROGUE}/24`, `${MAIL_SERVER}/24`, `${CLIENT}/24`);
  address(lan, 'eth0', `${ROGUE_V6}/64`, `${MAIL_SERVER_V6}/64`);
  address(router, 'lan0', `${ROUTER_LAN}/24`, '2001:db8:1::1/64');
  address(world, 'eth0', ...WORLD_MX.map((each) => `${each}/24`), `${WORLD_MX_V6}/64`);
  address(router, 'wan0', `${ROUTER_WORLD}/24`, '2001:db8:ffff::1/64');
  ip('-n', lan, 'route', 'add', 'default', 'via', ROUTER_LAN);
  ip('-n', world, 'route', 'add', 'default', 'via', ROUTER_WORLD);
  ip('-n', lan, '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1');
  ip('-n', world, '-6', 'route', 'add', 'default', 'via', '2001:db8:ffff::1');
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  ip('netns', 'exec', router, 'sysctl', '-qw', ...forwarding);
}

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

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '../../src/cli/client.ts';
import { loadConfig } from '../../src/config/load.ts';
import { freeTcpPort, MAIN } from '../support/service.ts';
import type { Running } from './launch.ts';
import { ip, type Namespaces, openNamespaces, SMTP_CLIENT, SMTP_SERVER } from './namespaces.ts';

export const ROGUE = '192.0.2.55';
const ROGUE_V6 = '2001:db8:1::55';
export const MAIL_SERVER = '192.0.2.100';
const MAIL_SERVER_V6 = '2001:db8:1::100';
export const CLIENT = '192.0.2.10';
export const WORLD_MX = ['198.51.100.25', '198.51.100.26', '198.51.100.27'] as const;
const WORLD_MX_V6 = '2001:db8:ffff::25';

/** Who plays which part, by family. */
export const CAST = {
  4: { rogue: ROGUE, mailServer: MAIL_SERVER, mx: WORLD_MX[0], otherMx: WORLD_MX[1] },
  6: { rogue: ROGUE_V6, mailServer: MAIL_SERVER_V6, mx: WORLD_MX_V6, otherMx: WORLD_MX_V6 },
} as const;
export type Family = keyof typeof CAST;

/** Where the router's exports go: this machine's end of the link to the router. */
const COLLECTOR = managementAddress(1);
/** Where the router's exports come from. */
const ROUTER = managementAddress(2);

const ROUTER_LAN = '192.0.2.1';
const ROUTER_WORLD = '198.51.100.1';
/** A tunnel from the world to the router, for no other purpose than to carry bulk. */
const TUNNEL_PORT = 4500;

const PLACES = ['lan', 'router', 'world'] as const;
type Place = (typeof PLACES)[number];

/** Both exporters look for ended flows once a second; expint cannot be shorter. */
const TIMEOUTS = ['expint=1', 'tcp.fin=1', 'tcp.rst=1', 'maxlife=3', 'tcp=3', 'general=3', 'udp=3'];

interface Exporter {
  /** As the programs count: 10 is IPFIX. */
  readonly version: '5' | '9' | '10';
  readonly port: number;
}

interface Service extends Running {
  readonly client: Client;
  readonly configFile: string;
}

interface Observer {
  /** Ends it, and tells when records of mail from a host went by, in milliseconds. */
  mailRecords(): Promise<(host: string) => number[]>;
}

interface DecodedRecord {
  readonly src_addr: string;
  readonly dst_port: number;
  readonly received_at: string;
}

export interface Lab extends Namespaces<Place> {
  /** The SMTP client of the fixtures, to its end or beside the test. */
  smtp(place: Place, ...args: string[]): string;
  startSmtp(place: Place, ...args: string[]): Running;
  /** The SMTP client of the fixtures with an open session, which says "broken" when it breaks. */
  holdSession(place: Place, from: string, to: string): Promise<Running>;
  /** The service, where it is told who is who and where to listen besides this configuration; resolves when it is ready. */
  startService(config: string): Promise<Service>;
  /** Resolve when they export what they see to COLLECTOR. */
  startSoftflowd(exporter: Exporter): Promise<Running>;
  startPmacctd(exporter: Exporter): Promise<Running>;
  /** Catches what the router exports to this port; resolves when it sees packets. */
  observeExports(port: number): Promise<Observer>;
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
    async startService(config) {
      const configFile = join(lab.directory, 'rogue-smtp.yaml');
      writeFileSync(
        configFile,
        `${config}
collector: { listen: ["${COLLECTOR}:2055", "${COLLECTOR}:4739"], exporters: [${ROUTER}] }
networks: { internal: [192.0.2.0/24, "2001:db8:1::/64"] }
senders: [{ name: mail, hosts: [${MAIL_SERVER}, "${MAIL_SERVER_V6}"] }]
http: { listen: "127.0.0.1:${await freeTcpPort()}" }
log: { level: warn }
data: ${join(lab.directory, 'data')}
`,
      );
      const running = lab.start('here', process.execPath, MAIN, 'run', '--config', configFile);
      const client = createClient(loadConfig({ file: configFile }));
      await client.waitUntilReady(running.failure);
      return { ...running, client, configFile };
    },
    async startSoftflowd({ version, port }) {
      // It watches the outside, where the tunnel keeps it awake: it gets packets from libpcap only when 256 KiB have come
      // together (test/fixtures/README.md).
      const name = join(lab.directory, `softflowd-${version}`);
      const files = ['-p', `${name}.pid`, '-c', `${name}.ctl`];
      const limits = TIMEOUTS.flatMap((timeout) => ['-t', timeout]);
      const target = `${COLLECTOR}:${port}`;
      const args = ['-i', 'wan0', '-n', target, '-v', version, '-d', ...limits, ...files];
      const softflowd = lab.start('router', 'softflowd', ...args);
      await softflowd.printed(/Exporting flows/);
      return softflowd;
    },
    async startPmacctd({ version, port }) {
      const file = join(lab.directory, `pmacctd-${version}.conf`);
      const settings = {
        daemonize: 'false',
        pcap_interface: 'lan0',
        aggregate: 'src_host,dst_host,src_port,dst_port,proto,tos,tcpflags',
        plugins: 'nfprobe',
        nfprobe_receiver: `${COLLECTOR}:${port}`,
        nfprobe_version: version,
        nfprobe_timeouts: TIMEOUTS.join(':'),
      };
      writeFileSync(
        file,
        Object.entries(settings)
          .map(([key, value]) => `${key}: ${value}\n`)
          .join(''),
      );
      const pmacctd = lab.start('router', 'pmacctd', '-f', file);
      await pmacctd.printed(/Exporting flows/);
      return pmacctd;
    },
    async observeExports(port) {
      const file = join(lab.directory, 'exports.pcap');
      const where = ['-i', 'mgmt0', 'udp', 'dst', 'port', String(port)];
      const observer = lab.start('router', 'tcpdump', '-Z', 'root', '-U', '-w', file, ...where);
      await observer.printed(/listening on/);
      return {
        async mailRecords() {
          await observer.stop();
          const records = decodeFile(file).filter((record) => record.dst_port === 25);
          return (host) =>
            records
              .filter((record) => record.src_addr === host)
              .map((record) => Date.parse(record.received_at));
        },
      };
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

function decodeFile(file: string): DecodedRecord[] {
  const text = execFileSync(process.execPath, [MAIN, 'decode', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DecodedRecord);
}

async function startServers(lab: Lab): Promise<void> {
  const server = (place: Place, ...sockets: string[]) => lab.start(place, 'python3', SMTP_SERVER, ...sockets);
  const mail = [...WORLD_MX, `[${WORLD_MX_V6}]`].map((address) => `${address}:25`);
  const others = [WORLD_MX[0], `[${WORLD_MX_V6}]`].flatMap((address) => [`${address}:80`, `${address}:587`]);
  const servers = [
    server('world', ...mail, ...others),
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

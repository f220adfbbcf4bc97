/**
 * A network of namespaces: a LAN with a rogue host, the mail server and a client, a router, the world.
 *
 *   lan 192.0.2.0/24, 2001:db8:1::/64 -- router -- world 198.51.100.0/24, 2001:db8:ffff::/64
 *                                          |
 *                            this machine, where the service listens
 *
 * Names and the network to this machine are of this process alone, so that labs can run side by side. Everything is torn
 * down by `close`, also after a failure; what a killed run left behind, the next one removes. Needs root.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;
const SMTP_CLIENT = join(FIXTURES, 'smtp-client.py');

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

const PREFIX = 'rse';
const ROUTER_LAN = '192.0.2.1';
const ROUTER_WORLD = '198.51.100.1';
/** A tunnel from the world to the router, for no other purpose than to carry bulk. */
const TUNNEL_PORT = 4500;
const STARTED_WITHIN_MS = 20_000;
const ENDED_WITHIN_MS = 15_000;

type Place = 'lan' | 'router' | 'world';

interface Running {
  readonly process: ChildProcess;
  /** Everything it has printed on stdout and stderr. */
  output(): string;
  /** Resolves when the output matches; rejects when the process ends first or after 20 s. */
  printed(pattern: RegExp): Promise<void>;
  /** Rejects, with the output, when the process ends. Never resolves. */
  readonly failure: Promise<never>;
  stop(): Promise<void>;
}

interface Softflowd {
  /** As softflowd counts: 10 is IPFIX. */
  readonly version: '5' | '9' | '10';
  readonly port: number;
  readonly timeouts: readonly string[];
}

export interface Lab {
  /** A directory that goes with the lab. */
  readonly directory: string;
  /** The name of the namespace, as `ip netns` has it. */
  namespace(place: Place): string;
  /** Runs to the end and gives stdout; throws when it fails. */
  run(place: Place, command: string, ...args: string[]): string;
  /** Runs beside the test. */
  start(place: Place | 'here', command: string, ...args: string[]): Running;
  /** The SMTP client of the fixtures, to its end or beside the test. */
  smtp(place: Place, ...args: string[]): string;
  startSmtp(place: Place, ...args: string[]): Running;
  /** The SMTP client of the fixtures with an open session, which says "broken" when it breaks. */
  holdSession(place: Place, from: string, to: string): Promise<Running>;
  /** Resolves when it exports what it sees to COLLECTOR. */
  startSoftflowd(settings: Softflowd): Promise<Running>;
  /** Writes what the router exports to this port into a pcap file; resolves when it sees packets. */
  observeExports(port: number, file: string): Promise<Running>;
  close(): Promise<void>;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** The n-th address of a /30 in 100.64.0.0/10 that belongs to this process. */
function managementAddress(n: number): string {
  const address = ((100 << 24) | (64 << 16) | ((process.pid & 0xfffff) << 2) | n) >>> 0;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export async function openLab(): Promise<Lab> {
  removeAbandoned();
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-e2e-'));
  const id = `${PREFIX}${process.pid}`;
  const names: Record<Place, string> = { lan: `${id}-lan`, router: `${id}-rtr`, world: `${id}-wan` };
  const started: Running[] = [];
  // When the process exits with an error that no test sees, nobody calls close.
  const atExit = () => Object.values(names).forEach(removeNamespace);
  process.once('exit', atExit);

  const lab: Lab = {
    directory,
    namespace: (place) => names[place],
    run: (place, command, ...args) =>
      execFileSync('ip', ['netns', 'exec', names[place], command, ...args], {
        encoding: 'utf8',
        timeout: 60_000,
      }),
    start(place, command, ...args) {
      const running =
        place === 'here'
          ? launch(command, args)
          : launch('ip', ['netns', 'exec', names[place], command, ...args]);
      started.push(running);
      return running;
    },
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
      const name = join(directory, `softflowd-${version}`);
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
    async close() {
      await Promise.all(started.map((running) => running.stop()));
      atExit();
      process.off('exit', atExit);
      rmSync(directory, { recursive: true, force: true });
    },
  };

  try {
    build(id, names);
    await startServers(lab);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function startServers(lab: Lab): Promise<void> {
  const server = (place: Place, ...sockets: string[]) =>
    lab.start(place, 'python3', join(FIXTURES, 'smtp-server.py'), ...sockets);
  const mail = WORLD_MX.map((address) => `${address}:25`);
  const servers = [
    server('world', ...mail, `[${WORLD_MX_V6}]:25`, `${WORLD_MX[0]}:80`, `${WORLD_MX[0]}:587`),
    server('lan', `${MAIL_SERVER}:25`, `[${MAIL_SERVER_V6}]:25`),
    server('router', `sink/${ROUTER_WORLD}:${TUNNEL_PORT}`),
  ];
  await Promise.all(servers.map((running) => running.printed(/listening/)));
  lab.startSmtp('world', 'stream', WORLD_MX[2], ROUTER_WORLD, String(TUNNEL_PORT));
}

function build(id: string, names: Record<Place, string>): void {
  const { lan, router, world } = names;
  for (const name of Object.values(names)) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', router, 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', lan);
  ip('-n', router, 'link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world);
  ip('link', 'add', `${id}m`, 'type', 'veth', 'peer', 'name', 'mgmt0', 'netns', router);
  for (const [name, device] of [
    [lan, 'eth0'],
    [world, 'eth0'],
    [router, 'lan0'],
    [router, 'wan0'],
    [router, 'mgmt0'],
  ]) {
    ip('-n', name, 'link', 'set', device, 'up');
  }
  ip('link', 'set', `${id}m`, 'up');
  ip('addr', 'add', `${COLLECTOR}/30`, 'dev', `${id}m`);
  const address = (name: string, device: string, ...addresses: string[]) => {
    // Usable at once: nobody else is there to be asked about duplicates.
    for (const each of addresses)
      ip('-n', name, 'addr', 'add', each, 'dev', device, ...(each.includes(':') ? ['nodad'] : []));
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

/** Ends what still runs in it, and with it goes the link to this machine. */
function removeNamespace(name: string): void {
  try {
    for (const pid of ip('netns', 'pids', name).split('\n').filter(Boolean))
      process.kill(Number(pid), 'SIGKILL');
  } catch {
    // It was never made, or the process has just ended by itself.
  }
  try {
    ip('netns', 'del', name);
  } catch {
    // It was never made.
  }
}

/** Labs whose process is gone: a test run that was killed. */
function removeAbandoned(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const match = new RegExp(`^(${PREFIX}(\\d+)-(?:lan|rtr|wan))\\b`).exec(line);
    if (match !== null && !isAlive(Number(match[2]))) removeNamespace(match[1]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function launch(command: string, args: readonly string[]): Running {
  // A run that is killed cannot stop what it has started: the kernel does.
  const withUs = ['--pdeathsig', 'KILL', command, ...args];
  const child = spawn('setpriv', withUs, { stdio: ['ignore', 'pipe', 'pipe'] });
  const name = [command, ...args].join(' ');
  let text = '';
  const collect = (chunk: Buffer) => {
    text += String(chunk);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      text += String(error);
      resolve();
    });
    child.once('exit', () => resolve());
  });
  const failure = ended.then((): never => {
    throw new Error(`${name} ended (${child.exitCode ?? child.signalCode}) after printing: ${text}`);
  });
  failure.catch(() => undefined);
  const isOver = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    process: child,
    failure,
    output: () => text,
    async printed(pattern) {
      for (const deadline = Date.now() + STARTED_WITHIN_MS; !pattern.test(text); await sleep(20)) {
        // What it printed last may still be on its way when it is over.
        if (isOver() && child.stdout.readableEnded && child.stderr.readableEnded) return failure;
        if (Date.now() > deadline) throw new Error(`${name} did not print ${pattern}, only: ${text}`);
      }
    },
    async stop() {
      if (isOver()) return;
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), ENDED_WITHIN_MS);
      await ended;
      clearTimeout(hard);
    },
  };
}

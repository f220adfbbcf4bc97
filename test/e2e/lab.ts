/**
 * A network of namespaces: a LAN with a rogue host, the mail server and a client, a router, the world.
 *
 *   lan 192.0.2.0/24 -- router -- world 198.51.100.0/24
 *                         |
 *                  this machine 100.64.77.0/30, where the service listens
 *
 * Everything is torn down by `close`, also after a failure. Needs root.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;
const SMTP_CLIENT = join(FIXTURES, 'smtp-client.py');

export const ROGUE = '192.0.2.55';
export const MAIL_SERVER = '192.0.2.100';
export const CLIENT = '192.0.2.10';
export const WORLD_MX = ['198.51.100.25', '198.51.100.26', '198.51.100.27'] as const;
/** Where the router's exports go: this machine's end of the management link. */
export const COLLECTOR = '100.64.77.1';

export type Place = 'lan' | 'router' | 'world';

export interface Running {
  readonly process: ChildProcess;
  /** Everything it has printed on stdout. */
  output(): string;
  /** Resolves when stdout matches; rejects when the process ends first or after 20 s. */
  printed(pattern: RegExp): Promise<void>;
  stop(): Promise<void>;
}

export interface Lab {
  /** A directory that goes with the lab. */
  readonly directory: string;
  /** Runs to the end and gives stdout; throws when it fails. */
  run(place: Place, command: string, ...args: string[]): string;
  /** Runs beside the test. */
  start(place: Place | 'here', command: string, ...args: string[]): Running;
  /** The SMTP client of the fixtures, to its end or beside the test. */
  smtp(place: Place, ...args: string[]): string;
  startSmtp(place: Place, ...args: string[]): Running;
  close(): Promise<void>;
}

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

export async function openLab(): Promise<Lab> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-e2e-'));
  const id = `rse${process.pid}`;
  const names: Record<Place, string> = { lan: `${id}-lan`, router: `${id}-rtr`, world: `${id}-wan` };
  const started: Running[] = [];

  const lab: Lab = {
    directory,
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
    async close() {
      await Promise.all(started.map((running) => running.stop()));
      for (const name of Object.values(names)) {
        try {
          ip('netns', 'del', name);
        } catch {
          // It was never made.
        }
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };

  try {
    build(id, names);
    const servers = WORLD_MX.map((address) => `${address}:25`);
    const world = lab.start(
      'world',
      'python3',
      join(FIXTURES, 'smtp-server.py'),
      ...servers,
      `${WORLD_MX[0]}:80`,
      `${WORLD_MX[0]}:587`,
    );
    const lan = lab.start('lan', 'python3', join(FIXTURES, 'smtp-server.py'), `${MAIL_SERVER}:25`);
    await Promise.all([world.printed(/listening/), lan.printed(/listening/)]);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
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
  ip('-n', router, 'addr', 'add', '100.64.77.2/30', 'dev', 'mgmt0');
  for (const address of [ROGUE, MAIL_SERVER, CLIENT])
    ip('-n', lan, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  ip('-n', router, 'addr', 'add', '192.0.2.1/24', 'dev', 'lan0');
  for (const address of WORLD_MX) ip('-n', world, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  ip('-n', router, 'addr', 'add', '198.51.100.1/24', 'dev', 'wan0');
  ip('-n', lan, 'route', 'add', 'default', 'via', '192.0.2.1');
  ip('-n', world, 'route', 'add', 'default', 'via', '198.51.100.1');
  ip('netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
}

function launch(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += String(chunk);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    process: child,
    output: () => text,
    async printed(pattern) {
      for (const deadline = Date.now() + 20_000; !pattern.test(text); await sleep(20)) {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`${command} ended after printing: ${text}`);
        if (Date.now() > deadline) throw new Error(`${command} did not print ${pattern}, only: ${text}`);
      }
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(hard);
    },
  };
}

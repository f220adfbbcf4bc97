/**
 * Namespaces for access lists, IPv4 and IPv6, with real TCP: who gets through, and who does not?
 *
 *   lan    192.0.2.0/24   2001:db8:1::/64 --- lan0 router wan0 --- world 198.51.100.0/24 2001:db8:2::/64
 *   office 203.0.113.0/24 2001:db8:3::/64 --- off0
 *
 * The mail server, the rogue host, a client and a server that only receives mail (it is no configured sender) live in
 * `lan`, another client in `office`: it delivers to the mail server through the router. Everything is torn down by `close`. Needs root.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AclRequest, renderAcl } from '../../src/acl/render.ts';
import { configSchema } from '../../src/config/schema.ts';
import { offender } from '../support/acl-requests.ts';

const CLIENT_PROGRAM = new URL('../fixtures/smtp-client.py', import.meta.url).pathname;
const SERVER_PROGRAM = new URL('../fixtures/smtp-server.py', import.meta.url).pathname;

type Place = 'lan' | 'office' | 'router' | 'world';
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

interface Session {
  output(): string;
  /** Waits for a text on stdout; throws after 10 s. */
  printed(pattern: RegExp): Promise<void>;
}

export interface AclLab {
  run(place: Place, command: string, ...args: string[]): string;
  /** Runs nft, iptables-restore and the like on a file with this text. */
  load(place: Place, text: string, command: string, ...args: string[]): void;
  probe(family: Family, probe: Probe): Promise<Outcome>;
  /** Opens an SMTP session to the world and works it until it breaks. */
  session(family: Family, from: 'rogue' | 'mail' | 'client'): Session;
  /** Takes every rule off the router. */
  clear(): void;
  close(): Promise<void>;
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
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-acl-'));
  const id = `rsa-${process.pid}`;
  const names: Record<Place, string> = {
    lan: `${id}-lan`,
    office: `${id}-off`,
    router: `${id}-rtr`,
    world: `${id}-wan`,
  };
  const started: ChildProcess[] = [];

  function start(place: Place, ...args: string[]): Session {
    const child = spawn('ip', ['netns', 'exec', names[place], 'python3', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(child);
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += String(chunk);
    });
    return {
      output: () => text,
      async printed(pattern) {
        for (const deadline = Date.now() + 10_000; !pattern.test(text); await sleep(20)) {
          if (Date.now() > deadline) throw new Error(`${args.join(' ')} printed only: ${text}`);
        }
      },
    };
  }

  const lab: AclLab = {
    run: (place, command, ...args) =>
      execFileSync('ip', ['netns', 'exec', names[place], command, ...args], {
        encoding: 'utf8',
        timeout: 60_000,
      }),
    load(place, text, command, ...args) {
      const file = join(directory, 'list');
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
          ['netns', 'exec', names[place], 'python3', CLIENT_PROGRAM, ...command],
          (error, stdout) => {
            const said = stdout.trim();
            if (said === 'open' || said === 'refused' || said === 'timeout') resolve(said);
            else reject(error ?? new Error(`the probe said "${said}"`));
          },
        );
      });
    },
    session: (family, from) => start('lan', CLIENT_PROGRAM, 'hold', HOSTS[family][from], HOSTS[family].world),
    clear() {
      lab.run('router', 'nft', 'flush', 'ruleset');
    },
    async close() {
      await Promise.all(
        started.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const ended = new Promise((resolve) => child.once('exit', resolve));
          child.kill('SIGKILL');
          await ended;
        }),
      );
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
    build(names);
    const world = [HOSTS['4'].world, `[${HOSTS['6'].world}]`];
    const mail = (['mail', 'receiver'] as const).flatMap((name) => [
      HOSTS['4'][name],
      `[${HOSTS['6'][name]}]`,
    ]);
    const servers = [
      start(
        'world',
        SERVER_PROGRAM,
        ...world.flatMap((host) => [25, 80, 465, 587, 2525].map((port) => `${host}:${port}`)),
      ),
      start('lan', SERVER_PROGRAM, ...mail.map((host) => `${host}:25`)),
    ];
    await Promise.all(servers.map((server) => server.printed(/listening/)));
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

function build(names: Record<Place, string>): void {
  for (const name of Object.values(names)) {
    ip('netns', 'add', name);
    // No duplicate address detection: the first IPv6 connection need not wait a second for it.
    ip('netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  const sides = [
    { place: 'lan', port: 'lan0', v4: '192.0.2', v6: '2001:db8:1:', hosts: ['10', '55', '77', '100'] },
    { place: 'office', port: 'off0', v4: '203.0.113', v6: '2001:db8:3:', hosts: ['10'] },
    { place: 'world', port: 'wan0', v4: '198.51.100', v6: '2001:db8:2:', hosts: ['25'] },
  ] as const;
  for (const { place, port, v4, v6, hosts } of sides) {
    const name = names[place];
    ip('-n', names.router, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('-n', names.router, 'link', 'set', port, 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', names.router, 'addr', 'add', `${v4}.1/24`, 'dev', port);
    ip('-n', names.router, 'addr', 'add', `${v6}:1/64`, 'dev', port, 'nodad');
    for (const host of hosts) {
      ip('-n', name, 'addr', 'add', `${v4}.${host}/24`, 'dev', 'eth0');
      ip('-n', name, 'addr', 'add', `${v6}:${host}/64`, 'dev', 'eth0', 'nodad');
    }
    ip('-n', name, 'route', 'add', 'default', 'via', `${v4}.1`);
    ip('-n', name, '-6', 'route', 'add', 'default', 'via', `${v6}:1`);
  }
  ip(
    'netns',
    'exec',
    names.router,
    'sysctl',
    '-qw',
    'net.ipv4.ip_forward=1',
    'net.ipv6.conf.all.forwarding=1',
  );
}

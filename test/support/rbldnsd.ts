/** rbldnsd, the DNS server that blocklists run, on a port of its own with one list. */

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atExit } from './at-exit.ts';

export interface Rbldnsd {
  /** As `blocklists.servers` takes it. */
  readonly address: string;
  /** Resolves when the server answers with these addresses, besides its test entries. */
  list(addresses: readonly string[]): Promise<void>;
  /** As of a list that has closed: without its test entries too. */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRbldnsd(zone: string, directory: string): Promise<Rbldnsd> {
  const home = join(directory, 'rbldnsd');
  mkdirSync(home);
  // It gives up root for a user of its own.
  chmodSync(directory, 0o755);
  chmodSync(home, 0o755);
  const port = await freePort();
  let serial = 0;
  const write = (addresses: readonly string[]) => {
    const entry = ':127.0.0.4:see https://lookup.example.net/$\n';
    const stamp = `192.0.2.${++serial}`;
    const v4 = [...addresses.filter((address) => !address.includes(':')), stamp];
    const v6 = addresses.filter((address) => address.includes(':'));
    writeFileSync(join(home, 'v4'), `${entry}${v4.join('\n')}\n`);
    writeFileSync(join(home, 'v6'), `${entry}${v6.join('\n')}\n`);
    return stamp;
  };
  const first = write(TESTS);
  const server = spawn(
    '/usr/sbin/rbldnsd',
    ['-n', '-q', '-c', '0', '-b', `127.0.0.1/${port}`, '-w', home, `${zone}:ip4set:v4`, `${zone}:ip6trie:v6`],
    { stdio: 'ignore' },
  );
  const forget = atExit(() => server.kill('SIGKILL'));
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);

  /** `prod`: what makes it read its files; a signal before it is ready would end it. */
  async function answers(stamp: string, prod: () => void): Promise<void> {
    const name = `${stamp.split('.').reverse().join('.')}.${zone}`;
    for (let tries = 0; tries < 100; tries++) {
      prod();
      await sleep(20);
      if (await resolver.resolve4(name).then(Boolean, () => false)) return;
    }
    throw new Error('rbldnsd does not answer');
  }
  const serve = (addresses: readonly string[]) => answers(write(addresses), () => server.kill('SIGHUP'));

  await answers(first, () => undefined);
  return {
    address: `127.0.0.1:${port}`,
    list: (addresses) => serve([...TESTS, ...addresses]),
    empty: () => serve([]),
    async stop() {
      forget();
      if (server.exitCode !== null) return;
      server.kill();
      await once(server, 'exit');
    },
  };
}

const TESTS = ['127.0.0.2', '::ffff:7f00:2'];

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

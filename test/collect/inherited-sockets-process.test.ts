import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { v5 } from '../support/datagrams.ts';

const PROGRAM = fileURLToPath(new URL('../support/collect-inherited.ts', import.meta.url));

/** The descriptor of the socket that has a port, which Node gives to nobody; here we are systemd. */
function descriptorOf(kind: 'tcp' | 'udp', port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync(`/proc/net/${kind}`, 'latin1').split('\n');
  const inode = lines
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => fields[1]?.endsWith(local))?.[9];
  const found = readdirSync('/proc/self/fd').find((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`nothing has the ${kind} port ${port}`);
  return Number(found);
}

test.skipIf(!existsSync('/proc/net/udp'))(
  'sockets that were passed are used instead of the configured ones, TCP ones left alone (skipped without /proc)',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-inherited-'));
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const child = spawn(
      'sh',
      [
        '-c',
        'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:netflow exec "$0" --import tsx "$1" "$2"',
        process.execPath,
        PROGRAM,
        directory,
      ],
      {
        stdio: [
          'pipe',
          'pipe',
          'inherit',
          descriptorOf('tcp', (tcp.address() as AddressInfo).port),
          descriptorOf('udp', udp.address().port),
        ],
      },
    );
    try {
      let output = '';
      child.stdout?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      const { port } = udp.address();
      await waitFor(() => output.includes('"listen"'));
      // The child has it now; here it would take the datagram away from it.
      udp.close();
      const sender = createSocket('udp4');
      sender.send(v5([{}]), port, '127.0.0.1');
      await waitFor(() => output.includes('"flows":1'));
      sender.close();
      expect(output).toContain(`"listen":[{"host":"127.0.0.1","port":${port}}]`);
      expect(output).toContain('"listener":"netflow"');
    } finally {
      child.kill();
      tcp.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
);

async function waitFor(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(condition()).toBe(true);
}

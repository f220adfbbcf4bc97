import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { v5 } from '../support/datagrams.ts';

const PROGRAM = fileURLToPath(new URL('../support/collect-inherited.ts', import.meta.url));

/** The descriptor of a socket, which Node gives to nobody officially; here we are systemd. */
function descriptorOf(socket: object): number {
  const { _handle } = socket as { _handle: { fd: number } };
  return _handle.fd;
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
      { stdio: ['pipe', 'pipe', 'inherit', descriptorOf(tcp), descriptorOf(udp)] },
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

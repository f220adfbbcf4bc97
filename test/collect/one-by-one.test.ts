/** A whole collector on a machine without koffi: it receives one by one and says why. */

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { v5 } from '../support/datagrams.ts';
import { batchObstacle } from '../support/udp-batches.ts';

const PROGRAM = fileURLToPath(new URL('../support/collect-one.ts', import.meta.url));
const WITHOUT_KOFFI = fileURLToPath(new URL('../support/without-koffi.ts', import.meta.url));

/** Starts the program, sends it a datagram, and gives what it said until it had decoded that. */
async function collectOne(...imports: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-one-by-one-'));
  const args = ['tsx', ...imports].flatMap((module) => ['--import', module]);
  const child = spawn(process.execPath, [...args, PROGRAM, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const sender = createSocket('udp4');
  try {
    const said: Record<string, unknown> = {};
    for await (const line of createInterface({ input: child.stdout })) {
      Object.assign(said, JSON.parse(line));
      if ('port' in said && !('flows' in said)) sender.send(v5([{}]), Number(said.port), '127.0.0.1');
      if ('flows' in said) break;
    }
    return said;
  } finally {
    sender.close();
    child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

test('without koffi datagrams come in one by one, and the log says why', async () => {
  expect(await collectOne(WITHOUT_KOFFI)).toMatchObject({
    flows: 1,
    oneByOne: expect.stringContaining(
      process.platform === 'linux' ? 'koffi is not installed' : 'is not supported',
    ),
  });
});

test.skipIf(batchObstacle !== null)('with it they come in batches (skipped where they cannot)', async () => {
  expect(await collectOne()).toMatchObject({ flows: 1, oneByOne: null });
});

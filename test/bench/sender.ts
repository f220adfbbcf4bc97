/** The sender of the benchmark: the C program where there is a compiler, else Node, which says so by its name. */

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { missingTools } from '../support/requirements.ts';
import { type ExportPool, poolFile } from './exports.ts';

export interface Sender {
  readonly name: string;
  /** Sends for so many seconds at a rate in datagrams a second; resolves with how many it was. */
  send(port: number, rate: number, seconds: number, pool: ExportPool): Promise<number>;
}

const run = promisify(execFile);

export async function createSender(directory: string): Promise<Sender> {
  if (missingTools('gcc').length > 0)
    return { name: 'Node dgram (gcc is not installed)', send: sendFromNode };
  const program = join(directory, 'sender');
  await run('gcc', ['-O2', '-o', program, fileURLToPath(new URL('./sender.c', import.meta.url))]);
  return {
    name: 'C, sendmmsg',
    async send(port, rate, seconds, pool) {
      const poolPath = join(directory, `${pool.name}.pool`);
      await writeFile(poolPath, poolFile(pool));
      const { stdout } = await run(program, [
        '127.0.0.1',
        String(port),
        String(rate),
        String(seconds),
        poolPath,
        String(pool.templates.length),
        String(pool.sequenceOffset),
        String(pool.sequenceStep),
      ]);
      return Number(stdout.split(' ')[0]);
    },
  };
}

/** Reaches about 100000 datagrams a second, on a core of its own. */
async function sendFromNode(port: number, rate: number, seconds: number, pool: ExportPool): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve));
  for (const datagram of pool.templates) socket.send(datagram);
  const start = performance.now();
  let sent = 0;
  let waiting = 0;
  let sequence = 0;
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - start) {
    const due = Math.floor((rate * (elapsed + 1)) / 1000) - sent;
    for (let i = 0; i < due; i++) {
      const datagram = Buffer.from(pool.datagrams[sent % pool.datagrams.length]);
      datagram.writeUInt32BE(sequence, pool.sequenceOffset);
      sequence = (sequence + pool.sequenceStep) >>> 0;
      waiting++;
      socket.send(datagram, () => {
        waiting--;
      });
      sent++;
    }
    await sleep(1);
  }
  while (waiting > 0) await sleep(1);
  socket.close();
  return sent;
}

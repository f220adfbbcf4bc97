/**
 * nfdump's reading of a capture: its datagrams sent to an nfcapd on loopback, and the flows in the file that it writes.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { formatAddress } from '../../src/flow/address.ts';
import type { Capture } from './captures.ts';
import type { Reading } from './record.ts';

const run = promisify(execFile);
const FIRST_PORT = 21_000;
const POLL_MS = 5;
const MAX_POLLS = 1000;
/** Datagrams are sent so many at a time, and then the collector is waited for. */
const SENT_AT_ONCE = 20;

/** Null for sFlow, which is read by another program of the package. `slot` makes the port. */
export async function readWithNfdump({ datagrams, version }: Capture, slot: number): Promise<Reading | null> {
  if (version === 0) return null;
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-nfcapd-'));
  const port = FIRST_PORT + slot;
  const collector = spawn('nfcapd', ['-w', directory, '-b', '127.0.0.1', '-p', String(port), '-t', '86400'], {
    stdio: 'ignore',
  });
  try {
    await until(() => queueOf(port) !== null, 'nfcapd does not listen');
    await send(datagrams, port);
    await stop(collector);
    const file = readdirSync(directory).find((name) => /^nfcapd\.\d+$/.test(name));
    if (file === undefined) throw new Error('nfcapd wrote no file');
    const { stdout } = await run('nfdump', ['-r', join(directory, file), '-I']);
    const flows = Number(/^Flows: (\d+)$/m.exec(stdout)?.[1]);
    return { flows, options: null, templates: null, records: null };
  } finally {
    if (collector.exitCode === null) collector.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each exporter of the capture from an address and port of its own, so that templates stay apart. */
async function send(datagrams: Capture['datagrams'], port: number): Promise<void> {
  const sockets = new Map<string, Socket>();
  try {
    for (const [i, { payload, source, sourcePort }] of datagrams.entries()) {
      const key = `${formatAddress(source)} ${sourcePort}`;
      let socket = sockets.get(key);
      if (socket === undefined) {
        socket = createSocket('udp4');
        sockets.set(key, socket);
        await bind(socket, `127.0.0.${1 + sockets.size}`);
      }
      await sendOne(socket, payload, port);
      if (i % SENT_AT_ONCE === 0) await until(() => queueOf(port) === 0, 'nfcapd does not read');
    }
    await until(() => queueOf(port) === 0, 'nfcapd does not read');
    await sleep(50);
  } finally {
    for (const socket of sockets.values()) socket.close();
  }
}

function bind(socket: Socket, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, address, () => resolve());
  });
}

function sendOne(socket: Socket, payload: Buffer, port: number): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.send(payload, port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
  );
}

function stop(collector: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    collector.once('exit', () => resolve());
    collector.kill('SIGTERM');
  });
}

/** Bytes that wait in the socket of this port; null when nobody listens. */
function queueOf(port: number): number | null {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/udp', 'utf8').split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1]?.endsWith(local)) return Number.parseInt(columns[4]?.split(':')[1] ?? '0', 16);
  }
  return null;
}

async function until(condition: () => boolean, otherwise: string): Promise<void> {
  for (let i = 0; i < MAX_POLLS; i++) {
    if (condition()) return;
    await sleep(POLL_MS);
  }
  throw new Error(otherwise);
}

/**
 * The receivers that are compared, each as a process of its own on a loopback port.
 *
 * All are asked for the same receive buffer where they can be, and judged by the same figures of the kernel: CPU time
 * and memory of their processes, and the drops of their socket.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readUdpSockets } from '../../src/collect/kernel-drops.ts';
import { atExit } from '../support/at-exit.ts';
import { cpuSecondsOf, peakMemoryOf } from '../support/processes.ts';
import { missingTools } from '../support/requirements.ts';
import type { ExportPool } from './exports.ts';
import { type Goflow2, goflow2Command } from './goflow2.ts';

export interface ReceiverKind {
  readonly name: string;
  /** Why it cannot be measured here; null when it can. */
  readonly missing: string | null;
  readonly versions: readonly ExportPool['version'][];
  command(at: Place): Promise<readonly string[]>;
}

interface Place {
  /** The receiver's own, to write in. */
  readonly directory: string;
  readonly port: number;
  readonly receiveBuffer: number;
  readonly sflow: boolean;
}

export interface RunningReceiver {
  /** Seconds of CPU spent so far by the process and its children. */
  cpuSeconds(): number;
  /** Bytes of memory in use by the process and its children at most so far. */
  peakMemory(): number;
  drops(): Promise<number>;
  /** Bytes that wait in the receive buffers of its sockets. */
  queued(): number;
  /** What it printed on stdout until it ended. */
  stop(): Promise<string>;
}

const FLOW_VERSIONS = ['v5', 'v9', 'ipfix'] as const;

export function receiverKinds(goflow2: Goflow2): readonly ReceiverKind[] {
  return [
    {
      name: 'Node, counting datagrams only',
      missing: null,
      versions: [...FLOW_VERSIONS, 'sflow'],
      command: async ({ port, receiveBuffer }) => node('node-receiver.ts', port, receiveBuffer, 'count'),
    },
    {
      name: 'rogue-smtp, archive: mail',
      missing: null,
      versions: [...FLOW_VERSIONS, 'sflow'],
      command: async ({ directory, port, receiveBuffer }) =>
        node('receiver.ts', directory, port, receiveBuffer, 'mail', 'auto'),
    },
    {
      name: 'rogue-smtp, archive: mail, receiver: node',
      missing: null,
      versions: [...FLOW_VERSIONS, 'sflow'],
      command: async ({ directory, port, receiveBuffer }) =>
        node('receiver.ts', directory, port, receiveBuffer, 'mail', 'node'),
    },
    {
      name: 'rogue-smtp, archive: all',
      missing: null,
      versions: [...FLOW_VERSIONS, 'sflow'],
      command: async ({ directory, port, receiveBuffer }) =>
        node('receiver.ts', directory, port, receiveBuffer, 'all', 'auto'),
    },
    {
      name: 'nfcapd',
      missing: absent('nfcapd'),
      versions: FLOW_VERSIONS,
      command: async (at) => ['nfcapd', ...capdArguments(at)],
    },
    {
      name: 'sfcapd',
      missing: absent('sfcapd'),
      versions: ['sflow'],
      command: async (at) => ['sfcapd', ...capdArguments(at)],
    },
    {
      name: 'nfacctd',
      missing: absent('nfacctd'),
      versions: FLOW_VERSIONS,
      command: async (at) => ['nfacctd', '-f', await pmacctFile('nfacctd', at)],
    },
    {
      name: 'sfacctd',
      missing: absent('sfacctd'),
      versions: ['sflow'],
      command: async (at) => ['sfacctd', '-f', await pmacctFile('sfacctd', at)],
    },
    {
      name: 'goflow2',
      missing: goflow2.kind === 'missing' ? goflow2.why : null,
      versions: [...FLOW_VERSIONS, 'sflow'],
      command: async ({ directory, port, sflow }) =>
        goflow2Command(goflow2.kind === 'built' ? goflow2.program : '', port, sflow, directory),
    },
    {
      name: 'node-netflowv9, objects',
      missing: null,
      versions: ['v5', 'v9'],
      command: async ({ port, receiveBuffer }) => node('node-receiver.ts', port, receiveBuffer, 'objects'),
    },
  ];
}

function node(file: string, ...args: readonly (string | number)[]): readonly string[] {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return [process.execPath, '--import', 'tsx', path, ...args.map(String)];
}

function capdArguments({ directory, port, receiveBuffer }: Place): readonly string[] {
  const place = ['-w', directory, '-b', '127.0.0.1', '-p', String(port)];
  return [...place, '-t', '3600', '-B', String(receiveBuffer)];
}

async function pmacctFile(daemon: 'nfacctd' | 'sfacctd', at: Place): Promise<string> {
  const file = join(at.directory, `${daemon}.conf`);
  const settings = {
    daemonize: 'false',
    [`${daemon}_ip`]: '127.0.0.1',
    [`${daemon}_port`]: at.port,
    [`${daemon}_pipe_size`]: at.receiveBuffer,
    plugins: 'print',
    plugin_pipe_size: 64 * 1024 * 1024,
    plugin_buffer_size: 64 * 1024,
    aggregate: 'src_host, dst_host, src_port, dst_port, proto, tcpflags',
    print_output_file: '/dev/null',
    print_refresh_time: 3600,
  };
  await writeFile(
    file,
    Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`),
  );
  return file;
}

function absent(tool: string): string | null {
  return missingTools(tool).length === 0 ? null : `${tool} is not installed`;
}

const READY_MS = 10_000;

export async function startReceiver(kind: ReceiverKind, at: Place): Promise<RunningReceiver> {
  const { port } = at;
  await mkdir(at.directory, { recursive: true });
  const [command, ...args] = await kind.command(at);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const pid = child.pid ?? 0;
  // A group of its own, which an interrupt does not reach.
  const forget = atExit(() => killGroup(pid));
  let output = '';
  let errors = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await listening(child, port, () => errors || output);
  return {
    cpuSeconds: () => cpuSecondsOf(pid),
    peakMemory: () => peakMemoryOf(pid),
    drops: async () => (await socketOn(port))?.drops ?? 0,
    queued: () => queuedOn(port),
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => killGroup(pid), READY_MS);
      await ended;
      clearTimeout(timer);
      // nfacctd's plugin outlives it.
      killGroup(pid);
      forget();
      await closed;
      return output;
    },
  };
}

/** The child leads a process group of its own. */
function killGroup(pid: number): void {
  if (pid <= 1) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

async function socketOn(port: number) {
  return (await readUdpSockets()).find((entry) => entry.port === port);
}

/** The second half of the fifth field of /proc/net/udp; several sockets may have the port. */
function queuedOn(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  const lines = readFileSync('/proc/net/udp', 'latin1').split('\n');
  return lines
    .filter((line) => line.includes(local))
    .reduce((sum, line) => sum + Number.parseInt(line.trim().split(/[\s:]+/)[7], 16), 0);
}

async function listening(child: ChildProcess, port: number, said: () => string): Promise<void> {
  for (let waited = 0; waited < READY_MS; waited += 50) {
    if (child.exitCode !== null) break;
    if ((await socketOn(port)) !== undefined) return;
    await sleep(50);
  }
  killGroup(child.pid ?? 0);
  throw new Error(`${child.spawnfile} does not listen: ${said().slice(0, 500)}`);
}

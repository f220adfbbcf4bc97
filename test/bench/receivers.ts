/**
 * The receivers that are compared: ours, nfcapd and nfacctd, each as a process of its own on a loopback port.
 *
 * All are asked for the same receive buffer, and judged by the same two figures of the kernel: the CPU time of their
 * processes, and the drops of their socket.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readUdpSockets } from '../../src/collect/kernel-drops.ts';
import { missingTools } from '../support/requirements.ts';

export interface ReceiverKind {
  readonly name: string;
  /** Why it cannot be measured here; null when it can. */
  readonly missing: string | null;
  command(directory: string, port: number, receiveBuffer: number): Promise<readonly string[]>;
}

export interface RunningReceiver {
  /** Seconds of CPU spent so far by the process and its children. */
  cpuSeconds(): number;
  drops(): Promise<number>;
  /** What it printed on stdout until it ended. */
  stop(): Promise<string>;
}

const RECEIVER = fileURLToPath(new URL('./receiver.ts', import.meta.url));

export const RECEIVERS: readonly ReceiverKind[] = [
  {
    name: 'rogue-smtp',
    missing: null,
    command: async (directory, port, receiveBuffer) => [
      process.execPath,
      '--import',
      'tsx',
      RECEIVER,
      directory,
      String(port),
      String(receiveBuffer),
    ],
  },
  {
    name: 'nfcapd',
    missing: absent('nfcapd'),
    async command(directory, port, receiveBuffer) {
      return [
        'nfcapd',
        '-w',
        directory,
        '-b',
        '127.0.0.1',
        '-p',
        String(port),
        '-t',
        '3600',
        '-B',
        String(receiveBuffer),
      ];
    },
  },
  {
    name: 'nfacctd',
    missing: absent('nfacctd'),
    async command(directory, port, receiveBuffer) {
      const file = join(directory, 'nfacctd.conf');
      const settings = {
        daemonize: 'false',
        nfacctd_ip: '127.0.0.1',
        nfacctd_port: port,
        nfacctd_pipe_size: receiveBuffer,
        plugins: 'print',
        plugin_pipe_size: 64 * 1024 * 1024,
        plugin_buffer_size: 64 * 1024,
        aggregate: 'src_host, dst_host, src_port, dst_port, proto, tcpflags',
        print_output_file: '/dev/null',
        print_refresh_time: 3600,
      };
      const text = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`);
      await writeFile(file, text.join(''));
      return ['nfacctd', '-f', file];
    },
  },
];

function absent(tool: string): string | null {
  return missingTools(tool).length === 0 ? null : `${tool} is not installed`;
}

const READY_MS = 10_000;

export async function startReceiver(
  kind: ReceiverKind,
  directory: string,
  port: number,
  receiveBuffer: number,
): Promise<RunningReceiver> {
  await mkdir(directory, { recursive: true });
  const [command, ...args] = await kind.command(directory, port, receiveBuffer);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
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
  const pid = child.pid ?? 0;
  return {
    cpuSeconds: () => cpuSecondsOf(pid),
    drops: async () => (await socketOn(port))?.drops ?? 0,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => killGroup(pid), READY_MS);
      await ended;
      clearTimeout(timer);
      // nfacctd's plugin outlives it.
      killGroup(pid);
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

async function listening(child: ChildProcess, port: number, said: () => string): Promise<void> {
  for (let waited = 0; waited < READY_MS; waited += 50) {
    if (child.exitCode !== null) break;
    if ((await socketOn(port)) !== undefined) return;
    await sleep(50);
  }
  killGroup(child.pid ?? 0);
  throw new Error(`${child.spawnfile} does not listen: ${said().slice(0, 500)}`);
}

/** Of /proc/PID/stat (proc(5)), in ticks of 1/100 s. */
const PARENT = 1;
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const TICKS_PER_SECOND = 100;

function statOf(pid: string): readonly number[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything.
    return text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
  } catch {
    return null;
  }
}

function cpuSecondsOf(pid: number): number {
  let ticks = 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = statOf(entry);
    if (stat !== null && (Number(entry) === pid || stat[PARENT] === pid))
      ticks += stat[USER_TIME] + stat[SYSTEM_TIME];
  }
  return ticks / TICKS_PER_SECOND;
}

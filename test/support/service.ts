/** Starts the built service as a process of its own, for tests that look at it from outside. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Client, createClient } from '../../src/cli/client.ts';
import { loadConfig } from '../../src/config/load.ts';
import { atExit } from './at-exit.ts';

export const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname;

export interface RunningService {
  readonly process: ChildProcess;
  readonly client: Client;
  readonly udpPort: number;
  readonly configFile: string;
  /** The result of a read-only statement in a text format. */
  ask(sql: string, format: string): Promise<string>;
  /** What it has logged. */
  log(): string;
  /** Everything that it tells Prometheus. */
  metrics(): Promise<string>;
  /** Value of a metric, summed over its labels where they are not given. */
  metric(name: string, labels?: string): Promise<number>;
  /** Signals it and waits for its end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface ServiceSettings {
  readonly directory: string;
  /** YAML besides listen addresses and data directory. */
  readonly config: string;
  /** A role by itself instead of `run`; its data directory is named after `name`. */
  readonly command?: string;
  readonly name?: string;
  /** Where it receives; a free port otherwise. */
  readonly udpPort?: number;
  /** Where it serves; a free port otherwise. */
  readonly httpPort?: number;
  /** Variables of the environment besides ours. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startService(settings: ServiceSettings): Promise<RunningService> {
  const udpPort = settings.udpPort ?? (await freeUdpPort());
  const httpPort = settings.httpPort ?? (await freeTcpPort());
  const { command = 'run', name = 'data', env = {} } = settings;
  const configFile = join(settings.directory, name === 'data' ? 'rogue-smtp.yaml' : `${name}.yaml`);
  writeFileSync(
    configFile,
    `${settings.config}
collector: { listen: ["127.0.0.1:${udpPort}"] }
http: { listen: "127.0.0.1:${httpPort}" }
data: ${join(settings.directory, name)}
`,
  );
  const child = spawn(process.execPath, [MAIN, command, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = (log + String(chunk)).slice(-1_000_000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  void ended.then(atExit(() => child.kill('SIGKILL')));
  const failure = ended.then((): never => {
    throw new Error(`the service ended by itself:\n${log}`);
  });
  failure.catch(() => undefined);
  const client = createClient(loadConfig({ file: configFile, environment: env }));
  await client.waitUntilReady(failure);
  const metrics = async () => (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  return {
    process: child,
    client,
    udpPort,
    configFile,
    ask: async (sql, format) => Buffer.from(await client.query({ sql, format })).toString(),
    log: () => log,
    metrics,
    metric: async (name, labels) => metricOf(await metrics(), name, labels),
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/** Value of a metric in what a service told at one moment, summed over its labels where they are not given. */
export function metricOf(text: string, name: string, labels = ''): number {
  return text
    .split('\n')
    .filter((line) => new RegExp(`^${name}(\\{[^}]*${labels}[^}]*\\})? `).test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Sends datagrams to a port on loopback, a burst at a time so that the event loop keeps turning. */
export async function sendDatagrams(
  port: number,
  datagrams: Iterable<Uint8Array>,
  pauseEvery = 50,
): Promise<number> {
  const socket = createSocket('udp4');
  let sent = 0;
  let inFlight = 0;
  for (const datagram of datagrams) {
    inFlight++;
    socket.send(datagram, port, '127.0.0.1', () => inFlight--);
    sent++;
    if (sent % pauseEvery === 0) while (inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
  }
  while (inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
  socket.close();
  return sent;
}

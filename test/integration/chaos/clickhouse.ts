/**
 * Starts the ClickHouse of the chaos and soak runs, pauses it, kills it, and asks it. Paused is the whole process group, engine included, as
 * a server that hangs: connections stay open and nothing answers.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { atExit } from '../../support/at-exit.ts';
import { cpuSecondsOf } from '../../support/processes.ts';
import { freeTcpPort } from '../../support/service.ts';

const PROGRAM = fileURLToPath(new URL('./clickhouse-process.ts', import.meta.url));
const whereSchema = z.object({
  url: z.string(),
  username: z.string(),
  password: z.string(),
  database: z.string(),
});

export interface ChaosClickHouse {
  /** For the section `clickhouse` of a configuration. */
  readonly config: z.infer<typeof whereSchema>;
  readonly name: string;
  pause(): void;
  continue(): void;
  /** Without a word, engine included. */
  kill(): Promise<void>;
  /** Again after `kill`, with the same data on the same port. */
  start(): Promise<void>;
  /** The answer in TSV. */
  query(sql: string): Promise<string>;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export async function startChaosClickHouse(): Promise<ChaosClickHouse> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-clickhouse-'));
  const port = await freeTcpPort();
  let running = await launch(directory, port);
  const { config } = running;
  return {
    config,
    name:
      process.env.CLICKHOUSE_URL === undefined
        ? 'chDB behind HTTP in one process (test/support/clickhouse-server.ts)'
        : 'a server (CLICKHOUSE_URL)',
    pause: () => running.signal('SIGSTOP'),
    continue: () => running.signal('SIGCONT'),
    kill: () => running.kill(),
    async start() {
      running = await launch(directory, port);
    },
    async query(sql) {
      const login = Buffer.from(`${config.username}:${config.password}`).toString('base64');
      const answer = await fetch(`${config.url}/?database=${config.database}`, {
        method: 'POST',
        body: `${sql} FORMAT TSV`,
        headers: { Authorization: `Basic ${login}` },
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(text);
      return text;
    },
    cpuSeconds: () => cpuSecondsOf(running.pid),
    async stop() {
      await running.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One process, in a group of its own with its engine. */
async function launch(directory: string, port: number) {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, directory, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const pid = child.pid ?? 0;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const signal = (name: NodeJS.Signals) => {
    if (pid > 1 && child.exitCode === null && child.signalCode === null) process.kill(-pid, name);
  };
  void ended.then(atExit(() => signal('SIGKILL')));
  const [line] = await Promise.race([
    new Promise<string[]>((resolve) => createInterface(child.stdout).once('line', (text) => resolve([text]))),
    ended.then((): string[] => {
      throw new Error('ClickHouse did not start');
    }),
  ]);
  return {
    pid,
    config: whereSchema.parse(JSON.parse(line)),
    signal,
    async kill() {
      signal('SIGKILL');
      await ended;
    },
  };
}

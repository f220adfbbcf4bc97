/**
 * Starts the ClickHouse of the chaos run, pauses it, and asks it. Paused is the whole process group, engine included, as
 * a server that hangs: connections stay open and nothing answers.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { atExit } from '../../support/at-exit.ts';
import { cpuSecondsOf } from '../../support/processes.ts';

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
  /** The answer in TSV. */
  query(sql: string): Promise<string>;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export async function startChaosClickHouse(): Promise<ChaosClickHouse> {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], {
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
  const config = whereSchema.parse(JSON.parse(line));
  return {
    config,
    name:
      process.env.CLICKHOUSE_URL === undefined
        ? 'chDB behind HTTP in one process (test/support/clickhouse-server.ts)'
        : 'a server (CLICKHOUSE_URL)',
    pause: () => signal('SIGSTOP'),
    continue: () => signal('SIGCONT'),
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
    cpuSeconds: () => cpuSecondsOf(pid),
    async stop() {
      signal('SIGKILL');
      await ended;
    },
  };
}

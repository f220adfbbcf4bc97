/** chDB in a process of its own, without our walls: see raw-engine-process.ts. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atExit } from './at-exit.ts';

const PROGRAM = fileURLToPath(new URL('./raw-engine-process.ts', import.meta.url));

interface RawAnswer {
  readonly ok: boolean;
  /** Rows in JSONEachRow, or the error. */
  readonly text: string;
}

export interface RawEngine {
  ask(sql: string): Promise<RawAnswer>;
  stop(): Promise<void>;
}

/** `users`: the text of a users file of ClickHouse; `more`: elements of its configuration. */
export function startRawEngine(users: string, more = ''): RawEngine {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-raw-engine-'));
  const usersFile = join(directory, 'users.xml');
  writeFileSync(usersFile, users);
  writeFileSync(
    join(directory, 'engine.xml'),
    `<clickhouse><users_config>${usersFile}</users_config>${more}</clickhouse>`,
  );
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const forget = atExit(() => child.kill('SIGKILL'));
  const waiting: ((answer: RawAnswer) => void)[] = [];
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.(JSON.parse(line)));
  void ended.then(() => {
    for (const answer of waiting.splice(0)) answer({ ok: false, text: 'the engine ended' });
  });
  return {
    ask: (sql) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        child.stdin.write(`${JSON.stringify(sql)}\n`);
      }),
    async stop() {
      child.stdin.end();
      await ended;
      forget();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

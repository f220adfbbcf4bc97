/** Programs that run beside a test and end with it. Needs setpriv. */

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const STARTED_WITHIN_MS = 20_000;
const ENDED_WITHIN_MS = 15_000;

export interface Running {
  readonly process: ChildProcess;
  /** Everything it has printed on stdout and stderr. */
  output(): string;
  /** Resolves when the output matches; rejects when the process ends first or after 20 s. */
  printed(pattern: RegExp): Promise<void>;
  /** Rejects, with the output, when the process ends. Never resolves. */
  readonly failure: Promise<never>;
  stop(): Promise<void>;
}

export function launch(command: string, args: readonly string[]): Running {
  // A run that is killed cannot stop what it has started: the kernel does.
  const withUs = ['--pdeathsig', 'KILL', command, ...args];
  const child = spawn('setpriv', withUs, { stdio: ['ignore', 'pipe', 'pipe'] });
  const name = [command, ...args].join(' ');
  let text = '';
  const collect = (chunk: Buffer) => {
    text += String(chunk);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      text += String(error);
      resolve();
    });
    child.once('exit', () => resolve());
  });
  const failure = ended.then((): never => {
    throw new Error(`${name} ended (${child.exitCode ?? child.signalCode}) after printing: ${text}`);
  });
  failure.catch(() => undefined);
  const isOver = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    process: child,
    failure,
    output: () => text,
    async printed(pattern) {
      for (const deadline = Date.now() + STARTED_WITHIN_MS; !pattern.test(text); await sleep(20)) {
        // What it printed last may still be on its way when it is over.
        if (isOver() && child.stdout.readableEnded && child.stderr.readableEnded) return failure;
        if (Date.now() > deadline) throw new Error(`${name} did not print ${pattern}, only: ${text}`);
      }
    },
    async stop() {
      if (isOver()) return;
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), ENDED_WITHIN_MS);
      await ended;
      clearTimeout(hard);
    },
  };
}

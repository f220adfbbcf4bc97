/**
 * Runs a program of the operator: with a list that has changed, or with a notification.
 *
 * There is no shell: arguments are handed over as they are. The program must never see this program's secrets, so its
 * environment is made here. It gets a process group of its own, and the whole group is ended when its time is over:
 * a script that started `sleep` leaves nothing behind.
 */

import { spawn } from 'node:child_process';
import { clearTimeout, setTimeout } from 'node:timers';
import { messageOf } from './errors.ts';

export interface ProgramRun {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** Written to its standard input. */
  readonly input: string;
  /** Added to PATH and LANG, which are all it gets otherwise. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Ends the program before its time. */
  readonly signal: AbortSignal;
}

export interface ProgramResult {
  /** Why it failed, in words; null when it did not. */
  readonly reason: string | null;
  /** The end of what it printed, on either stream. */
  readonly output: string;
}

/** Of what it prints, so much is kept: the end, where the reason stands. */
const OUTPUT_CHARS = 2000;
const KILL_AFTER_MS = 2000;
/** A program that has ended may have left others that hold its output open. */
const CLOSE_WAIT_MS = 1000;

/** Never rejects. */
export function runProgram({
  argv,
  input,
  environment,
  timeoutMs,
  signal,
}: ProgramRun): Promise<ProgramResult> {
  const [command = '', ...args] = argv;
  return new Promise((resolve) => {
    let output = '';
    let late = false;
    const child = spawn(command, args, {
      shell: false,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        LANG: 'C.UTF-8',
        ...environment,
      },
    });
    const signalGroup = (name: NodeJS.Signals) => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch {
        // All of the group have ended.
      }
    };
    let killing: NodeJS.Timeout | null = null;
    const end = () => {
      signalGroup('SIGTERM');
      killing ??= setTimeout(() => signalGroup('SIGKILL'), KILL_AFTER_MS);
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, timeoutMs);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let settled = false;
    const done = (reason: string | null) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ reason, output });
    };
    const ended = (code: number | null, by: NodeJS.Signals | null) => {
      if (late) done(`it did not end within ${timeoutMs} ms`);
      else done(code === 0 ? null : `it ended with ${code === null ? by : `exit code ${code}`}`);
    };
    child.once('error', (error) => done(messageOf(error)));
    child.once('close', ended);
    child.once('exit', (code, by) => {
      if (killing !== null) {
        // Those that it started do not outlive it. Later the number of the group may be somebody else's.
        clearTimeout(killing);
        signalGroup('SIGKILL');
      }
      setTimeout(() => ended(code, by), CLOSE_WAIT_MS).unref();
    });
    // A program that does not read its input is none the worse for it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

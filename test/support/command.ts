/** Runs the built command line as a user does, and says how it ended. */

import { spawn } from 'node:child_process';
import { MAIN } from './service.ts';

export interface CommandResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Closes stdout after its first bytes, as `head` does. */
  readonly closeStdout?: boolean;
  /** Ends the command when stderr has this in it. */
  readonly endAt?: RegExp;
}

export function runCommandLine(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd,
    env: { ...withoutOurs(process.env), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
    if (options.closeStdout) child.stdout.destroy();
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
    if (options.endAt?.test(stderr)) child.kill();
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('ROGUE_SMTP__')));
}

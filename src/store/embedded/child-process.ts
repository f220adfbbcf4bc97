/**
 * Starts the child process of the embedded engine and carries calls to it.
 *
 * One object is one life of a child: it gets ready once, ends once, and then every call under way has failed as
 * transient. Starting anew is the business of `engine.ts`.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RogueSmtpError } from '../../errors.ts';
import { elapsed, firstOf, nextEvent, settled } from '../../waiting.ts';
import { engineError } from '../failures.ts';
import type { ReadonlyRules } from '../readonly-sql.ts';
import type { ChildMessage, ChildOptions, RequestBody } from './protocol.ts';

export interface EngineLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface EngineProcess {
  readonly pid: number | undefined;
  readonly rules: ReadonlyRules;
  /**
   * Resolves with the result. When nothing of the same kind is answered for `limitMs`, be it this call or those
   * before it, the child is taken for stuck and killed.
   */
  call(request: RequestBody, limitMs: number): Promise<Uint8Array>;
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<string>;
  kill(): void;
}

export type StartResult =
  | { readonly ok: true; readonly process: EngineProcess }
  | { readonly ok: false; readonly why: 'missing' | 'locked' | 'other'; readonly message: string };

/** Opening a large store reads the parts of all tables; a disk that is cold may take long. */
const START_LIMIT_MS = 120_000;

const CLOSE_LIMIT_MS = 1000;
const LOCKED = /Cannot lock file|Another server instance/;
const MAX_LINE = 2000;

interface PendingCall {
  resolve(result: Uint8Array): void;
  reject(error: unknown): void;
  readonly kind: RequestBody['kind'];
  timer: NodeJS.Timeout;
}

/** The compiled child beside the compiled parent; the source one (tests, tsx) needs the loader that reads TypeScript. */
function childEntry(): { path: string; execArgv: string[] } {
  const source = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(new URL(source ? './child.ts' : './child.js', import.meta.url));
  if (!source) return { path, execArgv: [] };
  const loader = createRequire(import.meta.url).resolve('tsx');
  return { path, execArgv: ['--import', pathToFileURL(loader).href] };
}

/** Only what a child needs, and never the configuration that may stand in the environment with its passwords. */
function childEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH', 'SystemRoot'];
  const environment: NodeJS.ProcessEnv = {
    // chDB does its work on the threads of this pool; four would leave none for files beside two slow queries.
    UV_THREADPOOL_SIZE: '8',
    TZ: 'UTC',
  };
  for (const name of kept) if (process.env[name] !== undefined) environment[name] = process.env[name];
  return environment;
}

export async function startEngineProcess(options: ChildOptions, log: EngineLog): Promise<StartResult> {
  const entry = childEntry();
  const child = fork(entry.path, [], {
    cwd: options.directory,
    env: childEnvironment(),
    execArgv: entry.execArgv,
    serialization: 'advanced',
    silent: true,
  });
  const printed = logOutput(child, log);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(howItEnded(code, signal)));
  });
  child.send(options, () => undefined);
  const outcome = await firstOf<ChildMessage | string | null>(
    nextEvent(child, 'message', (message: ChildMessage) => message),
    nextEvent(child, 'error', (error: Error) => error.message),
    nextEvent(child, 'exit', howItEnded),
    elapsed(START_LIMIT_MS, null),
  );
  if (outcome !== null && typeof outcome !== 'string' && outcome.kind === 'ready') {
    return { ok: true, process: carry(child, outcome.rules, ended) };
  }
  child.kill('SIGKILL');
  // A process that could not even be made has no streams to close.
  await firstOf<unknown>(settled(Promise.all([ended, closed])), elapsed(CLOSE_LIMIT_MS, null));
  // The engine throws "Failed to create connection" and prints why.
  const reason = printed();
  if (LOCKED.test(reason)) return { ok: false, why: 'locked', message: reason };
  if (outcome === null)
    return { ok: false, why: 'other', message: `not ready after ${START_LIMIT_MS / 1000} s` };
  if (typeof outcome === 'string')
    return { ok: false, why: 'other', message: `its process ended (${outcome})` };
  if (outcome.kind === 'cannot_start') return { ok: false, why: outcome.why, message: outcome.message };
  return { ok: false, why: 'other', message: 'its process answered out of turn' };
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

function carry(child: ChildProcess, rules: ReadonlyRules, ended: Promise<string>): EngineProcess {
  const calls = new Map<number, PendingCall>();
  const answeredAt = new Map<RequestBody['kind'], number>();
  let nextId = 1;
  let gone: string | null = null;

  const settle = (id: number): PendingCall | undefined => {
    const call = calls.get(id);
    calls.delete(id);
    if (call === undefined) return undefined;
    clearTimeout(call.timer);
    answeredAt.set(call.kind, performance.now());
    return call;
  };
  child.on('message', (message: ChildMessage) => {
    if (message.kind === 'done') settle(message.id)?.resolve(message.result);
    else if (message.kind === 'failed')
      settle(message.id)?.reject(
        engineError(message.failure.message, message.failure.code, message.failure.name),
      );
  });
  void ended.then((how) => {
    gone = how;
    for (const id of [...calls.keys()]) settle(id)?.reject(endedError(how));
  });

  return {
    pid: child.pid,
    rules,
    ended,
    kill: () => child.kill('SIGKILL'),
    call(request, limitMs) {
      return new Promise<Uint8Array>((resolve, reject) => {
        if (gone !== null) return reject(endedError(gone));
        const id = nextId++;
        const sentAt = performance.now();
        const check = () => {
          const waitedMs = performance.now() - Math.max(sentAt, answeredAt.get(request.kind) ?? 0);
          if (waitedMs >= limitMs) child.kill('SIGKILL');
          else call.timer = setTimeout(check, limitMs - waitedMs);
        };
        const call: PendingCall = { resolve, reject, kind: request.kind, timer: setTimeout(check, limitMs) };
        calls.set(id, call);
        child.send({ ...request, id }, (error) => {
          if (error !== null) settle(id)?.reject(endedError(error.message));
        });
      });
    },
  };
}

function endedError(how: string): RogueSmtpError {
  return new RogueSmtpError('store', `the embedded engine's process ended (${how})`, { transient: true });
}

/** What native code prints is worth keeping, line by line and not without bound. Returns its last complaint. */
function logOutput(child: ChildProcess, log: EngineLog): () => string {
  let complaint = '';
  for (const [name, stream] of [
    ['stdout', child.stdout],
    ['stderr', child.stderr],
  ] as const) {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = (lines.pop() ?? '').slice(-MAX_LINE);
      for (const line of lines) {
        if (line.trim() === '') continue;
        if (line.includes('Exception')) complaint = line.slice(0, MAX_LINE);
        log.debug({ stream: name, line: line.slice(0, MAX_LINE) }, 'embedded engine');
      }
    });
  }
  return () => complaint;
}

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
import { elapsed, firstOf, nextEvent } from '../../waiting.ts';
import { engineError } from '../failures.ts';
import type { ReadonlyRules } from '../readonly-sql.ts';
import type { Confinement } from './confine.ts';
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
  /** What the kernel keeps it from. */
  readonly confinement: Confinement;
  /**
   * Resolves with the result. When nothing of the same kind is answered for `limitMs`, be it this call or those
   * before it, the child is taken for stuck and killed. A statement of a user has its `limitMs` for itself, from when it begins to run:
   * the engine has no way to end one that does not look at its limit, so it is killed with the child. It fails for good; the other calls
   * under way fail with `InterruptedError` and can be repeated.
   */
  call(request: RequestBody, limitMs: number): Promise<Uint8Array>;
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<string>;
  /** It was killed because of a statement that did not end. */
  wasInterrupted(): boolean;
  kill(): void;
}

export type StartResult =
  | { readonly ok: true; readonly process: EngineProcess }
  | {
      readonly ok: false;
      readonly why: 'missing' | 'confined' | 'locked' | 'other';
      readonly message: string;
    };

/** Opening a large store reads the parts of all tables; a disk that is cold may take long. */
const START_LIMIT_MS = 120_000;

/** A call that was under way when the child was killed because of another. */
export class InterruptedError extends RogueSmtpError {
  constructor() {
    super('store', 'the embedded engine was ended because of another statement', { transient: true });
  }
}

const CLOSE_LIMIT_MS = 1000;
const LOCKED = /Cannot lock file|Another server instance/;
const MAX_LINE = 2000;
/** Of ClickHouse. */
const TIMEOUT_EXCEEDED = 159;

interface PendingCall {
  resolve(result: Uint8Array): void;
  reject(error: unknown): void;
  readonly kind: RequestBody['kind'];
  readonly limitMs: number;
  timer: NodeJS.Timeout;
}

/** The compiled launcher of the child beside the compiled parent; the source one (tests, tsx) needs the loader that reads TypeScript. */
function childEntry(): { path: string; execArgv: string[] } {
  const source = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(new URL(source ? './launcher.ts' : './launcher.js', import.meta.url));
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

export async function startEngineProcess(
  options: ChildOptions,
  log: EngineLog,
  confined: boolean,
): Promise<StartResult> {
  const entry = childEntry();
  const child = fork(entry.path, confined ? [] : ['free'], {
    cwd: options.directory,
    env: childEnvironment(),
    execArgv: entry.execArgv,
    serialization: 'advanced',
    silent: true,
  });
  const printed = logOutput(child, log);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(howItEnded(code, signal)));
  });
  const outcome = await firstAnswer(child, options);
  if (outcome !== null && typeof outcome !== 'string' && outcome.kind === 'ready') {
    return { ok: true, process: carry(child, outcome, ended) };
  }
  await killAndClose(child);
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

/**
 * Gives the child its options as soon as it is there, and waits for what it answers. A text says how it ended instead; null: too late.
 * Leaves no listener behind.
 */
function firstAnswer(child: ChildProcess, options: ChildOptions): Promise<ChildMessage | string | null> {
  return firstOf<ChildMessage | string | null>(
    (resolve) => {
      const onMessage = (message: ChildMessage) => {
        if (message.kind === 'here') child.send(options, () => undefined);
        else resolve(message);
      };
      child.on('message', onMessage);
      return () => child.off('message', onMessage);
    },
    nextEvent(child, 'error', (error: Error) => error.message),
    nextEvent(child, 'exit', howItEnded),
    elapsed(START_LIMIT_MS, null),
  );
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** Kills it and waits, not for ever, until all that it printed is read. */
async function killAndClose(child: ChildProcess): Promise<void> {
  const closed = firstOf<unknown>(
    nextEvent(child, 'close', () => null),
    elapsed(CLOSE_LIMIT_MS, null),
  );
  child.kill('SIGKILL');
  await closed;
}

function carry(
  child: ChildProcess,
  { rules, confinement }: Extract<ChildMessage, { readonly kind: 'ready' }>,
  ended: Promise<string>,
): EngineProcess {
  const calls = new Map<number, PendingCall>();
  const answeredAt = new Map<RequestBody['kind'], number>();
  let nextId = 1;
  let gone: string | null = null;
  let interrupted = false;

  const settle = (id: number): PendingCall | undefined => {
    const call = calls.get(id);
    calls.delete(id);
    if (call === undefined) return undefined;
    clearTimeout(call.timer);
    answeredAt.set(call.kind, performance.now());
    return call;
  };
  /** The statement of a user runs: from now on its time is its own. */
  const begin = (id: number) => {
    const call = calls.get(id);
    if (call === undefined) return;
    clearTimeout(call.timer);
    answeredAt.set(call.kind, performance.now());
    call.timer = setTimeout(() => {
      interrupted = true;
      settle(id)?.reject(
        engineError(
          'the statement did not end within its time and had to be killed',
          TIMEOUT_EXCEEDED,
          'TIMEOUT_EXCEEDED',
        ),
      );
      child.kill('SIGKILL');
    }, call.limitMs);
  };
  child.on('message', (message: ChildMessage) => {
    if (message.kind === 'done') settle(message.id)?.resolve(message.result);
    else if (message.kind === 'begun') begin(message.id);
    else if (message.kind === 'failed')
      settle(message.id)?.reject(
        engineError(message.failure.message, message.failure.code, message.failure.name),
      );
  });
  void ended.then((how) => {
    gone = how;
    for (const id of [...calls.keys()])
      settle(id)?.reject(interrupted ? new InterruptedError() : endedError(how));
  });

  return {
    pid: child.pid,
    rules,
    confinement,
    ended,
    wasInterrupted: () => interrupted,
    kill: () => child.kill('SIGKILL'),
    call(request, limitMs) {
      return new Promise<Uint8Array>((resolve, reject) => {
        if (gone !== null) return reject(interrupted ? new InterruptedError() : endedError(gone));
        const id = nextId++;
        const sentAt = performance.now();
        const check = () => {
          const waitedMs = performance.now() - Math.max(sentAt, answeredAt.get(request.kind) ?? 0);
          if (waitedMs >= limitMs) child.kill('SIGKILL');
          else call.timer = setTimeout(check, limitMs - waitedMs);
        };
        const call: PendingCall = {
          resolve,
          reject,
          kind: request.kind,
          limitMs,
          timer: setTimeout(check, limitMs),
        };
        calls.set(id, call);
        child.send({ ...request, id }, (error) => {
          // Of a process that was killed for a stuck statement, the channel closes before the process has ended.
          if (error !== null && !interrupted) settle(id)?.reject(endedError(error.message));
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

/**
 * A program of the operator that is run when a list has changed: to load it, to hand it on, to tell somebody.
 *
 * Off unless a target names one. There is no shell (run-program.ts): arguments are handed over as they are, with `{file}`,
 * `{revision}`, `{target}` and `{family}` filled in, and what comes from flows is only in the file and in the diff on
 * stdin. A hook that fails is tried again, later and later.
 */

import { clearTimeout, setTimeout } from 'node:timers';
import type { AclFamily } from '../acl/model.ts';
import { unifiedDiff } from '../acl/unified-diff.ts';
import type { AclTargetConfig } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type ProgramResult, runProgram } from '../run-program.ts';

/** A list as it is in its file, and as it was before. */
export interface HookCall {
  readonly target: AclTargetConfig;
  readonly family: AclFamily;
  readonly file: string;
  readonly text: string;
  readonly revision: string;
  /** Of the whole text: a hook runs for every change of its file. */
  readonly digest: string;
  readonly previous: string;
}

export interface ListHooks {
  /** Runs the hook of a target, unless it has taken this revision. One at a time for each list; only the newest waits. */
  offer(call: HookCall): void;
  stop(): Promise<void>;
}

export interface ListHooksDependencies {
  readonly log: Logger;
  /** Which revision the hook of a list, such as `edge.4`, has taken. */
  readonly taken: (key: string) => string | undefined;
  readonly noteTaken: (key: string, revision: string) => Promise<void>;
  /** Called once when a list begins to fail. */
  readonly onFailure: (key: string, reason: string) => void;
  readonly firstRetryMs?: number;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 300_000;

interface Line {
  waiting: HookCall | null;
  failures: number;
  timer: NodeJS.Timeout | null;
  running: Promise<void> | null;
}

export function createListHooks(dependencies: ListHooksDependencies): ListHooks {
  const { log, taken, noteTaken, onFailure } = dependencies;
  const firstRetryMs = dependencies.firstRetryMs ?? FIRST_RETRY_MS;
  const lines = new Map<string, Line>();
  const stopping = new AbortController();

  function begin(key: string, line: Line): void {
    if (line.running !== null || line.waiting === null || stopping.signal.aborted) return;
    if (line.timer !== null) clearTimeout(line.timer);
    line.timer = null;
    const call = line.waiting;
    line.waiting = null;
    line.running = attempt(key, line, call).finally(() => {
      line.running = null;
      if (line.timer === null) begin(key, line);
    });
  }

  async function attempt(key: string, line: Line, call: HookCall): Promise<void> {
    const { reason, output } = await runHook(call, stopping.signal);
    if (stopping.signal.aborted) return;
    const about = { list: key, revision: call.revision, output };
    if (reason === null) {
      line.failures = 0;
      log.info(about, 'the hook has taken the list');
      await noteTaken(key, call.digest).catch((error: unknown) =>
        log.error(
          { ...about, error: messageOf(error) },
          'that the hook has taken the list is not remembered',
        ),
      );
      return;
    }
    line.failures++;
    const delayMs = Math.min(MAX_RETRY_MS, firstRetryMs * 2 ** (line.failures - 1));
    log.error({ ...about, reason, retry_in_ms: delayMs }, 'the hook failed');
    if (line.failures === 1) onFailure(key, reason);
    line.waiting ??= call;
    line.timer = setTimeout(() => {
      line.timer = null;
      begin(key, line);
    }, delayMs);
  }

  return {
    offer(call) {
      if (call.target.hook === undefined) return;
      const key = `${call.target.name}.${call.family}`;
      const line = lines.get(key) ?? { waiting: null, failures: 0, timer: null, running: null };
      lines.set(key, line);
      // Offered with every look at the lists: what is done, or tried, is not begun anew.
      if (line.running === null && line.waiting === null && taken(key) === call.digest) return;
      if (line.waiting?.digest === call.digest) return;
      line.waiting = line.waiting === null ? call : { ...call, previous: line.waiting.previous };
      if (line.timer === null) begin(key, line);
    },
    async stop() {
      stopping.abort();
      for (const line of lines.values()) if (line.timer !== null) clearTimeout(line.timer);
      await Promise.all([...lines.values()].map((line) => line.running));
    },
  };
}

function runHook(
  { target, family, file, text, revision, previous }: HookCall,
  signal: AbortSignal,
): Promise<ProgramResult> {
  const values: Readonly<Record<string, string>> = { file, revision, target: target.name, family };
  return runProgram({
    argv: (target.hook ?? []).map((part) =>
      part.replace(/\{(file|revision|target|family)\}/g, (_whole, name: string) => values[name]),
    ),
    input: unifiedDiff(previous, text, [`${target.name}.${family}`, file]),
    environment: {
      ROGUE_SMTP_TARGET: target.name,
      ROGUE_SMTP_FAMILY: family,
      ROGUE_SMTP_FILE: file,
      ROGUE_SMTP_REVISION: revision,
    },
    timeoutMs: target.hook_timeout,
    signal,
  });
}

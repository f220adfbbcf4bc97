import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { chdbInstalled, DATABASE, silentLog, withoutChdb } from '../store/fixture.ts';

const SCRIPT = fileURLToPath(new URL('./store-process.ts', import.meta.url));

/** The process under test, with what it has said so far. */
function startProcess(directory: string, from: number, to: number) {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', SCRIPT, directory, String(from), String(to)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines: string[] = [];
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const said = async (pattern: RegExp, limitMs = 60_000): Promise<RegExpExecArray> => {
    for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(5)) {
      for (const line of lines) {
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
      if (child.exitCode !== null || child.signalCode !== null) break;
    }
    throw new Error(`the process never said ${pattern}; it said ${lines.join(', ')}`);
  };
  const accepted = () => lines.flatMap((line) => /^accepted (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  return { child, ended, said, accepted };
}

/** A process that has ended but whose parent, perhaps a container without an init, does not ask is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+[ZX]/m.test(
      existsSync('/proc/self') ? readFileSync(`/proc/${pid}/status`, 'utf8') : '',
    );
  } catch {
    return false;
  }
}

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'a process that stores flows' : withoutChdb, () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-crash-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('killed with SIGKILL again and again: every flow the stream took is in the store once, rollups too', async () => {
    const kills = 5;
    let next = 0;
    const accepted = new Set<number>();
    for (let round = 0; round < kills; round++) {
      const run = startProcess(directory, next, 1_000_000);
      const [, enginePid] = await run.said(/^engine (\d+)$/);
      await sleep(150 + 170 * round);
      run.child.kill('SIGKILL');
      await run.ended;
      for (const n of run.accepted()) accepted.add(n);
      // The batch under way may have been taken without a word: it is sent again under its id.
      next = Math.max(next - 1, ...accepted) + 1;
      for (const deadline = Date.now() + 5000; isAlive(Number(enginePid)) && Date.now() < deadline; )
        await sleep(10);
      expect(isAlive(Number(enginePid))).toBe(false);
    }
    const last = startProcess(directory, next, next + 10);
    await last.said(/^drained true$/);
    await last.ended;
    for (const n of last.accepted()) accepted.add(n);
    const engine = createEmbeddedEngine({
      directory: join(directory, 'store'),
      database: DATABASE,
      log: silentLog,
    });
    await engine.start();
    const rows = await engine.query<Record<string, number>>(
      `SELECT (SELECT count() FROM flows) AS flows, (SELECT uniqExact(sequence) FROM flows) AS distinct,
        (SELECT sum(records) FROM mail_sessions) AS sessions, (SELECT sum(records) FROM mail_5m) AS rollup,
        (SELECT sum(flows_stored) FROM exporters) AS exporters`,
    );
    await engine.stop();
    const expected = (Math.max(...accepted) + 1) * 100;
    expect(accepted.size).toBe(Math.max(...accepted) + 1);
    expect(rows).toEqual([
      { flows: expected, distinct: expected, sessions: expected, rollup: expected, exporters: expected },
    ]);
  });

  test('interrupted as by Ctrl-C on a terminal, its engine lives until it is told to stop', async () => {
    const run = startProcess(directory, 0, 1_000_000);
    const [, enginePid] = await run.said(/^engine (\d+)$/);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(Number(enginePid), signal);
    await sleep(500);
    expect(isAlive(Number(enginePid))).toBe(true);
    run.child.kill('SIGKILL');
    await run.ended;
  });
});

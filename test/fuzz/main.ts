/**
 * `npm run fuzz -- --minutes N [--seed S] [--rounds R]`: fuzzes until the time is over, exits 1 on a finding.
 *
 * A finding is printed with its seed and bytes and written to test/fuzz/cases, from where a unit test replays it. The
 * same seed gives the same rounds.
 */

import { parseArgs } from 'node:util';
import { Finding, keepFinding } from './finding.ts';
import { type FuzzFigures, fuzz } from './run.ts';

const PROGRESS_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    rounds: { type: 'string' },
  },
});

const seed = Number(values.seed ?? Date.now() & 0x3fffffff);
const minutes = Number(values.minutes);
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (![seed, minutes, rounds ?? 1].every((value) => Number.isFinite(value) && value >= 0)) {
  console.error('usage: npm run fuzz -- --minutes N [--seed S] [--rounds R]');
  process.exit(2);
}

const startedMs = Date.now();

function told(figures: FuzzFigures): string {
  const seconds = Math.max(1, (Date.now() - startedMs) / 1000);
  const { dropped, ...rest } = figures;
  return JSON.stringify({
    seed,
    seconds,
    per_second: Math.round(figures.datagrams / seconds),
    ...rest,
    dropped,
  });
}

let toldMs = startedMs;
try {
  const figures = await fuzz({
    seed,
    untilMs: startedMs + minutes * 60_000,
    ...(rounds !== undefined && { maxRounds: rounds }),
    onRound: (soFar) => {
      if (Date.now() - toldMs < PROGRESS_MS) return;
      toldMs = Date.now();
      console.error(told(soFar));
    },
  });
  console.log(told(figures));
  console.log('nothing found');
} catch (error) {
  if (!(error instanceof Finding)) throw error;
  const { found } = error;
  console.error(`seed ${found.seed} (npm run fuzz -- --seed ${found.seed} --rounds 1)`);
  console.error(`${found.target}: ${found.reason}`);
  console.error(found.target === 'decoder' ? (found.inputs.at(-1)?.hex ?? '') : found.hex);
  if (error.cause instanceof Error) console.error(error.cause.stack);
  console.error(`kept in ${keepFinding(error)}`);
  process.exitCode = 1;
}

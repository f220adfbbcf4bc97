/**
 * `npm run evaluate`: what the detector says of labelled traffic, next to four rules of others, and next to the mail lab.
 *
 * Prints tables; `--quick` takes smaller networks, `--seed N` other traffic of the same kind, `--only TEXT` scenarios
 * whose name holds it, `--sampling 1,100` these rates; `--misses` names the hosts; `--jobs N` evaluates so many
 * networks at once; `--write` puts the tables into README.md. Ends with 1 when an innocent host was blocked: that is
 * never a matter of degree.
 */

import { fork, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { QUICK_SAMPLING_RATES, QUICK_SCENARIOS, SAMPLING_RATES, SCENARIOS } from './catalogue.ts';
import { labDialogues } from './generate/dialogues.ts';
import {
  besideTable,
  exporterTable,
  judgeCapture,
  type LabSummary,
  type LabVerdict,
  listCaptures,
  oldRule,
  PAYLOAD_RULE,
  readTruth,
} from './mail-lab.ts';
import { runScenario, type ScenarioResult, type Verdict } from './run-scenario.ts';

const HEAD = [
  '| sampling | rule | rogue | found | bound | precision | recall | median s | p95 s | wrongly blocked |',
  '| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |',
];

function line(sampling: number, v: Verdict): string {
  const told = v.found + v.wrong.length;
  return `| ${[
    `1:${sampling}`,
    v.rule,
    v.rogue,
    v.found,
    boundOf(v),
    told === 0 ? '' : (v.found / told).toFixed(3),
    v.rogue === 0 ? '' : (v.found / v.rogue).toFixed(3),
    quantile(v.delays, 0.5),
    quantile(v.delays, 0.95),
    v.blocked.length,
  ].join(' | ')} |`;
}

function boundOf({ bound }: Verdict): string {
  if (bound === null) return '';
  const { expected, deviation } = bound;
  return deviation === 0 ? expected.toFixed(0) : `${expected.toFixed(1)} ± ${deviation.toFixed(1)}`;
}

function quantile(sorted: readonly number[], q: number): string {
  if (sorted.length === 0) return '';
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(1);
}

function missesOf(result: ScenarioResult): string[] {
  const [block] = result.verdicts;
  return [
    [...result.found]
      .map(([role, [found, of, expected]]) => `${role} ${found}/${of} (${expected.toFixed(1)})`)
      .join(', '),
    `missed: ${block.missed.join(' ') || 'none'}`,
    `wrong: ${block.wrong.join(' ') || 'none'} blocked: ${block.blocked.join(' ') || 'none'}`,
    `dropped: ${JSON.stringify(result.dropped)}`,
  ];
}

/** One network at some sampling rates, for a process of its own. */
interface Job {
  readonly quick: boolean;
  readonly scenario: number;
  readonly rates: readonly number[];
  readonly seed: number;
}
/** What is told of one rate. */
interface Done {
  readonly sampling: number;
  readonly lines: readonly string[];
  readonly misses: readonly string[];
  readonly counts: string;
  readonly blocked: readonly string[];
  readonly asLab: LabSummary;
}

function evaluate({ quick, scenario, seed }: Job, sampling: number): Done {
  const from = performance.now();
  const result = runScenario((quick ? QUICK_SCENARIOS : SCENARIOS)[scenario], sampling, seed);
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  return {
    sampling,
    lines: result.verdicts.map((verdict) => line(sampling, verdict)),
    misses: missesOf(result),
    counts: `1:${sampling} ${result.flows} flows, ${result.mailFlows} of mail, ${seconds} s`,
    blocked: result.verdicts[0].blocked,
    asLab: result.asLab,
  };
}

/** Evaluates all, `width` at once, each in a process of its own: two cores do the work, and what one leaves in memory slows no other. */
function startAll(jobs: readonly Job[], width: number): Promise<Done[]>[] {
  const waiting: (() => void)[] = [];
  let free = width;
  const run = async (job: Job): Promise<Done[]> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await new Promise<Done[]>((resolve, reject) => {
        const child = fork(fileURLToPath(import.meta.url), ['--job', JSON.stringify(job)]);
        child.once('message', (done) => resolve(done as Done[])).once('error', reject);
        child.once('exit', (code) => reject(new Error(`${JSON.stringify(job)} ended with ${code}`)));
      });
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
  return jobs.map(run);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      sampling: { type: 'string' },
      misses: { type: 'boolean', default: false },
      jobs: { type: 'string', default: String(Math.min(4, cpus().length)) },
      // What this program says to itself.
      job: { type: 'string' },
    },
  });
  if (values.job !== undefined) {
    const job = JSON.parse(values.job) as Job;
    process.send?.(job.rates.map((sampling) => evaluate(job, sampling)));
    return;
  }
  const { quick } = values;
  const seed = Number(values.seed);
  const rates = values.sampling?.split(',').map(Number) ?? (quick ? QUICK_SAMPLING_RATES : SAMPLING_RATES);
  const scenarios = (quick ? QUICK_SCENARIOS : SCENARIOS)
    .map(({ name }, scenario) => ({ name, scenario }))
    .filter(({ name }) => name.includes(values.only));

  const out: string[] = [];
  const say = (text: string) => {
    out.push(text);
    console.log(text);
  };
  const load = loadavg()[0].toFixed(1);
  say(sourceOf());

  const jobs = scenarios.map(({ scenario }): Job => ({ quick, scenario, rates, seed }));
  const results = startAll(jobs, Number(values.jobs));
  const generated = new Map<number, LabSummary[]>();
  const blocked: string[] = [];
  for (const [at, { name }] of scenarios.entries()) {
    say(`\n### ${name}\n`);
    for (const text of HEAD) say(text);
    const counts: string[] = [];
    for (const done of await results[at]) {
      const { sampling } = done;
      for (const text of done.lines) say(text);
      if (values.misses) for (const text of done.misses) console.log(text);
      counts.push(done.counts);
      blocked.push(...done.blocked.map((host) => `${name}, 1:${sampling}: ${host}`));
      generated.set(sampling, [...(generated.get(sampling) ?? []), done.asLab]);
    }
    say(`\n${counts.join('; ')}.`);
  }

  // What we generate shows that the code does what we meant; the lab's captures, whether that is right.
  const lab: LabVerdict[] = [];
  for (const capture of listCaptures()) lab.push(await judgeCapture(capture));
  say('\n### beside the mail lab\n');
  for (const text of besideTable(lab, generated)) say(text);
  console.log('\n### the mail lab: real programs, real exporters\n');
  console.log(exporterTable(lab, oldRule()).join('\n'));
  if (PAYLOAD_RULE) {
    for (const { capture, cases } of lab)
      for (const { kind, name, blockedAtMs } of cases)
        if (kind === 'innocent' && blockedAtMs !== null) blocked.push(`${capture}: ${name}`);
  }

  if (values.write) {
    const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, Linux ${release()}, Node ${process.version}`;
    const file = new URL('./README.md', import.meta.url);
    const mark = '<!-- written by npm run evaluate -- --write -->';
    const kept = readFileSync(file, 'utf8').split(mark)[0];
    const date = new Date().toISOString().slice(0, 10);
    const size = quick ? '`--quick`: networks of up to 500 hosts, 3 hours' : 'whole networks';
    const about = `${date}, ${size}, seed ${seed}, commit ${commitOf()}, ${machine}; load ${load} before, ${loadavg()[0].toFixed(1)} after, ${values.jobs} networks at once.`;
    writeFileSync(file, `${kept}${mark}\n\n${about}\n${out.join('\n')}\n`);
  }
  if (blocked.length > 0) {
    console.error(`${blocked.length} innocent hosts were blocked:\n${blocked.join('\n')}`);
    process.exitCode = 1;
  }
}

/** What was evaluated. */
function commitOf(): string {
  const { stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' });
  return stdout?.trim() || 'unknown';
}

/** What the generated conversations are made of. */
function sourceOf(): string {
  const truth = readTruth();
  const date = truth[0]?.first[0]?.start.slice(0, 10) ?? 'unknown';
  return `Conversations: sessions of ${labDialogues().length} of the ${truth.length} cases of real programs in test/fixtures/mail-lab/truth.json.gz, recorded ${date}.`;
}

await main();

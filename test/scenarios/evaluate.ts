/**
 * `npm run evaluate`: what the detector says of labelled traffic, next to four rules of others.
 *
 * Prints a table; `--quick` takes smaller networks, `--seed N` other traffic of the same kind, `--only TEXT` scenarios
 * whose name holds it, `--sampling 1,100` these rates; `--misses` names the hosts; `--write` puts the table into
 * README.md. Ends with 1 when an innocent host was blocked: that is never a matter of degree.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { QUICK_SAMPLING_RATES, QUICK_SCENARIOS, SAMPLING_RATES, SCENARIOS } from './catalogue.ts';
import {
  exporterTable,
  judgeCapture,
  type LabVerdict,
  listCaptures,
  oldRule,
  PAYLOAD_RULE,
} from './mail-lab.ts';
import { runScenario, type ScenarioResult, type Verdict } from './run-scenario.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    sampling: { type: 'string' },
    misses: { type: 'boolean', default: false },
  },
});

const scenarios = (values.quick ? QUICK_SCENARIOS : SCENARIOS).filter(({ name }) =>
  name.includes(values.only),
);
const rates =
  values.sampling?.split(',').map(Number) ?? (values.quick ? QUICK_SAMPLING_RATES : SAMPLING_RATES);
const seed = Number(values.seed);

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

function report(result: ScenarioResult): void {
  if (!values.misses) return;
  const [block] = result.verdicts;
  console.log(
    [...result.found]
      .map(([role, [found, of, expected]]) => `${role} ${found}/${of} (${expected.toFixed(1)})`)
      .join(', '),
  );
  console.log('missed:', block.missed.join(' ') || 'none');
  console.log('wrong:', block.wrong.join(' ') || 'none', 'blocked:', block.blocked.join(' ') || 'none');
  console.log('dropped:', JSON.stringify(result.dropped));
}

const out: string[] = [];
const say = (text: string) => {
  out.push(text);
  console.log(text);
};

let innocentBlocked = 0;
for (const scenario of scenarios) {
  say(`\n### ${scenario.name}\n`);
  for (const text of HEAD) say(text);
  const seen: string[] = [];
  for (const sampling of rates) {
    const from = performance.now();
    const result = runScenario(scenario, sampling, seed);
    for (const verdict of result.verdicts) say(line(sampling, verdict));
    innocentBlocked += result.verdicts[0].blocked.length;
    const seconds = ((performance.now() - from) / 1000).toFixed(1);
    seen.push(`1:${sampling} ${result.flows} flows, ${result.mailFlows} of mail, ${seconds} s`);
    report(result);
  }
  say(`\n${seen.join('; ')}.`);
}

// What we generate shows that the code does what we meant; the lab's captures, whether that is right.
console.log('\n### the mail lab: real programs, real exporters\n');
const lab: LabVerdict[] = [];
for (const capture of listCaptures()) lab.push(await judgeCapture(capture));
console.log(exporterTable(lab, oldRule()).join('\n'));
if (PAYLOAD_RULE)
  innocentBlocked += lab.flatMap(({ cases }) =>
    cases.filter(({ kind, blockedAtMs }) => kind === 'innocent' && blockedAtMs !== null),
  ).length;

if (values.write) {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, Linux ${release()}, Node ${process.version}`;
  const file = new URL('./README.md', import.meta.url);
  const mark = '<!-- written by npm run evaluate -- --write -->';
  const kept = readFileSync(file, 'utf8').split(mark)[0];
  const date = new Date().toISOString().slice(0, 10);
  writeFileSync(file, `${kept}${mark}\n\n${date}, seed ${seed}, ${machine}.\n${out.join('\n')}\n`);
}
if (innocentBlocked > 0) {
  console.error(`${innocentBlocked} innocent hosts were blocked`);
  process.exitCode = 1;
}

/**
 * Runs the mail lab by hand, as root.
 *
 *   npm run mail-lab -- --fetch                 fetches the programs that Debian's packages do not bring to the PATH
 *   npm run mail-lab -- [--only PATTERN] [--out DIRECTORY] [--at-once N]
 *   npm run mail-lab -- --samples 700 --long-samples 4500 [--seconds 900] [--from DIRECTORY]    plays the recorded
 *                                               sessions to samplers, too: so many of each case, and so many of a few
 *   npm run mail-lab -- --write                 all of that, and puts the captures into test/fixtures/mail-lab
 *
 * `--from` takes what an earlier run left in a directory instead of running the cases again.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MAIL_LAB } from '../../scenarios/mail-lab.ts';
import { CASES, isLong } from './cases.ts';
import { EXPORTERS } from './exporters.ts';
import { writeFixture } from './fixture.ts';
import { runLab } from './lab.ts';
import { fetchPrograms, preparePrograms } from './programs.ts';
import { LONG_SAMPLERS, runSamplers, SAMPLERS } from './sampled.ts';
import { makeTruth, type TruthCase } from './truth.ts';

const { values } = parseArgs({
  options: {
    fetch: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: 'mail-lab-out' },
    from: { type: 'string' },
    'at-once': { type: 'string', default: '20' },
    samples: { type: 'string' },
    'long-samples': { type: 'string' },
    seconds: { type: 'string', default: '900' },
    write: { type: 'boolean', default: false },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);

async function run(out: string): Promise<TruthCase[]> {
  const programs = preparePrograms();
  const only = new RegExp(values.only);
  // A case names its programs as variables of the shell: those that are not there leave it out.
  const lacks = (script: string) =>
    [...script.matchAll(/\$([A-Z][A-Z_]{2,})/g)].some(([, name]) => !(name in programs.environment));
  const chosen = CASES.filter((each) => only.test(each.name));
  const runnable = chosen.filter((each) => !lacks(each.run));
  if (runnable.length < chosen.length)
    say(`left out for want of programs: ${chosen.length - runnable.length} cases`);
  const exporters = EXPORTERS.map(({ name }) => name);
  const result = await runLab(out, programs, runnable, exporters, Number(values['at-once']), say);
  writeFileSync(join(out, 'runs.json'), JSON.stringify(result.runs, null, 1));
  const truth = makeTruth(runnable, result);
  writeFileSync(join(out, 'truth.json'), JSON.stringify(truth));
  return truth;
}

async function main(): Promise<void> {
  if (values.fetch) return fetchPrograms();
  const out = values.from ?? values.out;
  const truth =
    values.from === undefined
      ? await run(out)
      : (JSON.parse(readFileSync(join(out, 'truth.json'), 'utf8')) as TruthCase[]);
  const captures = EXPORTERS.map(({ name }) => name);
  const sample = async (samplers: typeof SAMPLERS, hosts: readonly TruthCase[], sessions: string) => {
    const clients = hosts.filter((each) => each.sessions > 0).map(({ host }) => host);
    const amount = { sessions: Number(sessions), seconds: Number(values.seconds) };
    say(await runSamplers({ packets: join(out, 'packets.pcap'), clients, out, samplers, ...amount }, say));
    captures.push(...samplers.map(({ name }) => name));
  };
  const samples = values.samples ?? (values.write ? '700' : undefined);
  if (samples !== undefined) await sample(SAMPLERS, truth, samples);
  const long = values['long-samples'] ?? (values.write ? '4500' : undefined);
  if (long !== undefined)
    await sample(
      LONG_SAMPLERS,
      truth.filter(({ name }) => isLong(name)),
      long,
    );
  if (values.write) writeFixture(out, captures, truth, MAIL_LAB);
}

await main();

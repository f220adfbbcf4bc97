/**
 * Runs the mail lab by hand.   npm run mail-lab -- [--only PATTERN] [--out DIRECTORY] [--at-once N]
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES } from './cases.ts';
import { EXPORTERS } from './exporters.ts';
import { runLab } from './lab.ts';
import { makeTruth } from './truth.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    out: { type: 'string', default: 'mail-lab-out' },
    'at-once': { type: 'string', default: '8' },
  },
});
const only = new RegExp(values.only);
const chosen = CASES.filter(({ name }) => only.test(name));
mkdirSync(values.out, { recursive: true });
const say = (line: string) => process.stdout.write(`${line}\n`);
const result = await runLab(values.out, chosen, EXPORTERS.map(({ name }) => name), Number(values['at-once']), say);
writeFileSync(join(values.out, 'runs.json'), JSON.stringify(result.runs, null, 1));
const truth = makeTruth(chosen, result);
writeFileSync(join(values.out, 'truth.json'), JSON.stringify(truth, null, 1));

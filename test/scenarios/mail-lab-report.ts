/**
 * `npm run mail-lab:report`: what the product says of the mail lab's captures, by exporter and by program.
 *
 * `--errors` names the cases that it judges wrongly; `--write` puts the tables into README.md; `--directory D` takes other
 * captures; `--as-old` keeps the figures as those of the old rule, which later tables show beside theirs.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  errorsOf,
  exporterTable,
  judgeCapture,
  listCaptures,
  MAIL_LAB,
  OLD_RULE,
  oldRule,
  programTable,
  tallies,
} from './mail-lab.ts';

const README = new URL('README.md', import.meta.url).pathname;
const FROM = '<!-- mail lab: written by npm run mail-lab:report -- --write -->';
const TO = '<!-- mail lab: end -->';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      errors: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      'as-old': { type: 'boolean', default: false },
      directory: { type: 'string', default: MAIL_LAB },
    },
  });
  const { directory } = values;
  const verdicts = [];
  for (const capture of listCaptures(directory)) verdicts.push(await judgeCapture(capture, directory));
  if (values['as-old']) writeFileSync(OLD_RULE, `${JSON.stringify(tallies(verdicts), null, 1)}\n`);
  const old = oldRule();
  const tables = [...exporterTable(verdicts, old), '', ...programTable(verdicts, old)].join('\n');
  process.stdout.write(`${tables}\n`);
  if (values.errors) process.stdout.write(`\n${verdicts.flatMap(errorsOf).join('\n')}\n`);
  if (values.write) {
    const text = readFileSync(README, 'utf8');
    const [before, rest] = text.split(FROM);
    writeFileSync(README, `${before}${FROM}\n\n${tables}\n\n${TO}${rest.split(TO)[1]}`);
  }
}

await main();

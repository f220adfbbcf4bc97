/**
 * The grammar's statements by the million, for a run by hand: `npm run sql-million [-- COUNT [SEED]]`, 5 million unless told otherwise.
 *
 * All go through the check; of those that pass, 5000 are run by the engine, with a secret file, a file that must not appear, and a listener.
 */

import { askRules } from '../../src/store/readonly-sql.ts';
import { textOf } from '../../src/store/rows.ts';
import { openTestStore } from '../store/fixture.ts';
import { checkStatements } from './sql-run.ts';
import { liveTargets, SECRET } from './sql-targets.ts';

const BATCH = 100_000;
const SAMPLE = 5000;

const count = Number(process.argv[2] ?? 5_000_000);
const seed = Number(process.argv[3] ?? 1);
const targets = await liveTargets();
const { engine, close } = await openTestStore();
const rules = await askRules(async (sql) => textOf(await engine.queryBytes(sql, 'TabSeparatedRaw')));
let wrong = 0;
let hostile = 0;
let ran = 0;
let answered = 0;
const startedAt = Date.now();
for (let done = 0; done < count; done += BATCH) {
  const size = Math.min(BATCH, count - done);
  const run = checkStatements(size, seed + done, targets, rules, Math.ceil((SAMPLE * size) / count));
  hostile += run.hostile;
  for (const text of [...run.passed, ...run.refused, ...run.unstable]) {
    wrong++;
    console.log(`WRONG: ${text}`);
  }
  for (const sql of run.sample) {
    ran++;
    const answer = await engine.queryBytes(sql, 'TabSeparated', { readonly: true, timeoutMs: 5000 }).then(
      (bytes) => {
        answered++;
        return textOf(bytes);
      },
      (error: Error) => error.message,
    );
    if (answer.includes(SECRET)) {
      wrong++;
      console.log(`WRONG: the secret came out by ${sql}`);
    }
  }
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  console.error(`${done + size} of ${count} after ${seconds} s, ${wrong} wrong`);
}
for (const harm of targets.harm()) {
  wrong++;
  console.log(`WRONG: ${harm}`);
}
console.log(
  `${count} statements (${hostile} hostile) in ${Math.round((Date.now() - startedAt) / 1000)} s; ${ran} run by the engine, ${answered} answered; ${wrong} wrong`,
);
await close();
targets.close();
process.exit(wrong === 0 ? 0 : 1);

/**
 * chDB as it comes, without our walls, for tests of what the engine itself allows. Argument: its directory, in which
 * `engine.xml` lies. Reads a statement in JSON a line and answers each with `{ ok, text }`, in its order, on one connection.
 */

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Session } from 'chdb';
import { messageOf } from '../../src/errors.ts';

const [directory = ''] = process.argv.slice(2);
const session = new Session(join(directory, 'engine'), {
  connectionArgs: [`--config-file=${join(directory, 'engine.xml')}`],
});
for await (const line of createInterface(process.stdin)) {
  let answer: { readonly ok: boolean; readonly text: string };
  try {
    answer = { ok: true, text: session.query(JSON.parse(line), 'JSONEachRow') };
  } catch (error) {
    answer = { ok: false, text: messageOf(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
session.close();

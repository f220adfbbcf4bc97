/**
 * `npm run conformance [-- --write]`: every capture, read by us and by the oracles, one line each.
 *
 * Exits 1 when somebody reads otherwise than we do for no reason that is written down in reasons.ts. With --write the
 * table becomes README.md beside this file; that needs all oracles and captures, so that nothing falls out of it.
 */

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { haveCases } from '../support/field-cases.ts';
import { missingTools } from '../support/requirements.ts';
import { haveVectors } from '../support/vectors.ts';
import { type Capture, readCaptures } from './captures.ts';
import { readWithLibrary } from './library.ts';
import { readWithNfdump } from './nfdump.ts';
import { readOurs } from './ours.ts';
import { lineOf, markdown, type Readings, unusedReasons } from './table.ts';
import { readWithTshark } from './tshark.ts';

const README = fileURLToPath(new URL('README.md', import.meta.url));
/** Captures read at the same time. */
const AT_ONCE = 4;

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });

const missing = missingTools('tshark', 'nfcapd', 'nfdump');
const absent = [
  ...missing,
  ...(haveVectors ? [] : ['the captures of VECTORS_DIR']),
  ...(haveCases ? [] : ['the cases of CASES_DIR']),
];
for (const what of absent) console.error(`skipped: ${what} (not there)`);
if (values.write && absent.length > 0) {
  console.error('--write needs all of them');
  process.exit(2);
}

async function read(capture: Capture, slot: number): Promise<Readings> {
  return {
    capture,
    ours: readOurs(capture),
    library: readWithLibrary(capture),
    tshark: missing.includes('tshark') ? null : await readWithTshark(capture),
    nfdump: missing.some((tool) => tool.startsWith('nf')) ? null : await readWithNfdump(capture, slot),
  };
}

const captures = readCaptures();
const readings: Readings[] = [];
for (let i = 0; i < captures.length; i += AT_ONCE) {
  readings.push(
    ...(await Promise.all(captures.slice(i, i + AT_ONCE).map((capture, k) => read(capture, i + k)))),
  );
}

const lines = readings.map(lineOf);
const differences = lines.flatMap((line) => line.differences);
const unexplained = differences.filter(({ why }) => why === null);
const unused = unusedReasons(readings, lines);
const comparedFields = lines.reduce((sum, line) => sum + line.comparedFields, 0);
const summary = `${captures.length} captures, ${comparedFields} fields of records compared, ${differences.length} differences, ${unexplained.length} of them unexplained.`;

if (values.write) writeFileSync(README, document());
else console.log(markdown(lines));
console.log(summary);
for (const reason of unused) console.error(`a reason without a difference: ${reason}`);
if (unexplained.length + unused.length > 0) process.exitCode = 1;

function document(): string {
  return `# Conformance

Every capture that ships with the project (\`captures/\`, see [test/fixtures](../fixtures/README.md)), every capture of
\`CASES_DIR\` (\`cases/\`) and every capture of \`VECTORS_DIR\`, read by us and by others. Made by
\`npm run conformance -- --write\`; \`npm run conformance\` prints the same and fails when there is a difference without a
reason in [reasons.ts](reasons.ts), or when a case is not read as the page beside it says.

- Ours is flows (+ answers of biflows, rows of their own here) / options records / templates. Data that comes before its
  template is decoded when the template comes.
- README: what the page beside the captures of \`VECTORS_DIR\` says, counted by an independent scan. Of the cases, what
  the page beside them says is right, as far as records show it: servers that are mailed to; packets, octets and flags of
  every record; units lost.
- node-netflowv9 (v1, v5, v7, v9) and TShark: flows / options records; their addresses, ports, protocols, packets, bytes
  and flags are compared record by record where both have as many. For sFlow, TShark's flow samples.
- nfdump: flows in the file that nfcapd writes when it is sent the capture.

${summary}

${markdown(lines)}
`;
}

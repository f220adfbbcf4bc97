import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { missingTools } from '../support/requirements.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('conformance', () => {
  // Without a tool the others are still compared; where nothing may be skipped, all of them have to be there.
  const missing = missingTools('tshark', 'nfcapd', 'nfdump');
  const without = missing.length === 0 ? '' : ` (without ${missing.join(', ')})`;

  it.runIf(process.env.REQUIRE_ALL === '1')('all oracles are there', () => expect(missing).toEqual([]));

  it(`no capture is read otherwise than by the oracles for no reason${without}`, async () => {
    const { stdout } = await run('npx', ['tsx', 'test/conformance/conformance.ts'], { cwd: ROOT });
    const [, captures, fields] =
      /^(\d+) captures, (\d+) fields of records compared, .* 0 of them unexplained/m.exec(stdout) ?? [];
    expect(Number(captures)).toBeGreaterThanOrEqual(12);
    expect(Number(fields)).toBeGreaterThan(1000);
  });
});

/** Dead letters from the command line: how many are lost to the lists, and how they go back, once each. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkCommand } from '../../src/cli/check.ts';
import { offendersCommand } from '../../src/cli/reports.ts';
import { replayDeadLettersCommand } from '../../src/cli/store-replay.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { createDeadLetters } from '../../src/store/dead-letters.ts';
import { flowBatch } from '../store/fixture.ts';
import { type FakeClickHouse, startFakeClickHouse } from '../support/fake-clickhouse.ts';

let server: FakeClickHouse;
let directory = '';
let loaded: LoadedConfig;
beforeEach(async () => {
  server = await startFakeClickHouse();
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-store-replay-'));
  const file = join(directory, 'c.yaml');
  writeFileSync(
    file,
    `data: ${directory}\nlog: { level: silent }\nhttp: { listen: "127.0.0.1:1" }\nclickhouse: { url: "${server.url}" }\n`,
  );
  loaded = loadConfig({ file });
});
afterEach(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function outputOf(command: (streams: { stdout: Writable; stderr: Writable }) => Promise<number>) {
  let text = '';
  const stream = () =>
    new Writable({
      write(chunk, _encoding, done) {
        text += chunk;
        done();
      },
    });
  const code = await command({ stdout: stream(), stderr: stream() });
  return { code, text };
}

test('rows that were set aside are lost to the offenders until they are put back, once', async () => {
  const row = { at: Date.UTC(2026, 2, 1), src: '10.0.0.1', dst: '192.0.2.1', srcPort: 1, dstPort: 25 };
  const block = encodeNative(flowBatch([row, { ...row, sequence: 7 }]));
  const letters = createDeadLetters(join(directory, 'dead-letters'), 1_000_000);
  const add = (name: string, bytes: Uint8Array) =>
    letters.add({ name, extension: 'native', rows: 2, reason: 'it was so', content: { bytes: [bytes] } });
  await add('flows-0-1-1-0123456789abcdef', block);
  await add('flows-0-2-2-0123456789abcdef', block.subarray(1));

  server.answers = (statement) =>
    statement.startsWith('SELECT version() AS')
      ? '{"meta":[{"name":"version","type":"String"}],"data":[["26.7.2.1"]]}'
      : undefined;
  const flags = { sort: 'grade' } as const;
  const before = await outputOf((streams) => offendersCommand(loaded, flags, streams));
  expect(before.text).toContain('Lost to the store so far: 4 damaged rows');

  const checked = await outputOf((streams) => checkCommand(loaded, streams));
  expect(checked.text).toMatch(/^warn {2}4 damaged rows lie in dead-letters/m);
  expect(checked.text).toContain('version 26.7.2.1 (24.8 or later is needed)');

  const replay = () => outputOf((streams) => replayDeadLettersCommand(loaded, streams));
  server.fate = ({ statement }) => (statement.startsWith('INSERT') ? 'die' : null);
  await expect(replay()).rejects.toMatchObject({ code: 'store', transient: true });
  expect(readdirSync(join(directory, 'dead-letters'))).toHaveLength(4);
  server.fate = ({ statement }) => (statement.startsWith('INSERT') ? 'cut' : null);
  await expect(replay()).rejects.toMatchObject({ code: 'store' });
  server.fate = () => null;
  const put = await replay();
  expect(put.code).toBe(1);
  expect(put.text).toMatch(/^stored {3}2 rows of 1 dead letters/);
  expect(put.text).toContain('left     flows-0-2-2-0123456789abcdef: ');
  expect(server.rows.get('flows')).toHaveLength(2);
  expect(readdirSync(join(directory, 'dead-letters'))).toHaveLength(2);
  const after = await outputOf((streams) => offendersCommand(loaded, flags, streams));
  expect(after.text).toContain('Lost to the store so far: 2 damaged rows');
});

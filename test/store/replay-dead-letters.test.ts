import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { createDeadLetters, type DeadLetter } from '../../src/store/dead-letters.ts';
import { engineError } from '../../src/store/failures.ts';
import { replayDeadLetters } from '../../src/store/replay-dead-letters.ts';
import type { Engine } from '../../src/store/store.ts';
import { tokenOf } from '../../src/store/writer.ts';
import { alertMessage, flowBatch } from './fixture.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-replay-dead-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const block = encodeNative(
  flowBatch([{ at: Date.UTC(2026, 2, 1), src: '10.0.0.1', dst: '192.0.2.1', srcPort: 1, dstPort: 25 }]),
);
const TOKEN = 'flows-0-10-10-0123456789abcdef';

async function put(letters: readonly (Pick<DeadLetter, 'name' | 'extension'> & { bytes: Uint8Array })[]) {
  const kept = createDeadLetters(directory, 1_000_000);
  for (const { bytes, ...letter } of letters)
    await kept.add({ ...letter, rows: 1, reason: 'it was so', content: { bytes: [bytes] } });
}

/** Keeps tokens as a table does, so that a repeat is seen. */
function engineThat(fail: () => Error | null = () => null) {
  const stored = new Map<string, string>();
  const take = async (table: string, token: string) => {
    const error = fail();
    if (error !== null) throw error;
    stored.set(token, table);
  };
  const engine = {
    insertNative: (table: string, _source: unknown, { token }: { token: string }) => take(table, token),
    insertJson: (table: string, _rows: unknown, { token }: { token: string }) => take(table, token),
  } as unknown as Engine;
  return { engine, stored };
}

test('what can be stored now goes back under the token that it had, and its files go', async () => {
  const alert = Buffer.from(JSON.stringify(alertMessage()));
  await put([
    { name: TOKEN, extension: 'native', bytes: block },
    { name: 'alerts-2-7', extension: 'ndjson', bytes: alert },
    { name: 'alerts-2-8', extension: 'ndjson', bytes: Buffer.from('{}') },
    { name: 'mail-0-1-1-0123456789abcdef', extension: 'native', bytes: block.subarray(0, -1) },
  ]);
  const { engine, stored } = engineThat();
  const { stored: back, left, reasons } = await replayDeadLetters(engine, directory);
  const place = { stream: 'alerts', partition: 2, firstOffset: 7, lastOffset: 7 } as const;
  expect([...stored]).toEqual([
    [await tokenOf(place, { bytes: [alert] }), 'alerts'],
    [TOKEN, 'flows'],
  ]);
  expect(back).toEqual({ letters: 2, rows: 2 });
  expect(left).toEqual({ letters: 2, rows: 2 });
  expect([...reasons.keys()]).toEqual(['alerts-2-8', 'mail-0-1-1-0123456789abcdef']);
  expect(readdirSync(directory)).toHaveLength(4);
  expect((await replayDeadLetters(engine, directory)).stored).toEqual({ letters: 0, rows: 0 });
});

test('what the engine refuses again stays, and a server that is away takes nothing from the disk', async () => {
  await put([{ name: TOKEN, extension: 'native', bytes: block }]);
  const refusing = await replayDeadLetters(engineThat(() => engineError('still no', 16)).engine, directory);
  expect([...refusing.reasons]).toEqual([[TOKEN, 'still no']]);
  await expect(
    replayDeadLetters(engineThat(() => engineError('ECONNREFUSED', null)).engine, directory),
  ).rejects.toThrow('ECONNREFUSED');
  expect(await createDeadLetters(directory, 0).left()).toEqual({ letters: 1, rows: 1 });
  expect((await replayDeadLetters(engineThat().engine, directory)).stored).toEqual({ letters: 1, rows: 1 });
  expect(readdirSync(directory)).toEqual([]);
});

test('a directory that is not there has no letters', async () => {
  const { stored, left } = await replayDeadLetters(engineThat().engine, join(directory, 'none'));
  expect([stored, left]).toEqual([
    { letters: 0, rows: 0 },
    { letters: 0, rows: 0 },
  ]);
});

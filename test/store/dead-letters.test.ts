import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDeadLetters, type DeadLetter } from '../../src/store/dead-letters.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-dead-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const letter = (name: string, size: number): DeadLetter => ({
  name,
  extension: 'ndjson',
  rows: 1,
  reason: 'no',
  content: { bytes: [Buffer.alloc(size)] },
});

test('what is over the bound is not kept, also after a restart', async () => {
  const first = createDeadLetters(join(directory, 'dead'), 1000);
  expect(await first.add(letter('a', 600))).toBe('kept');
  expect(await first.add(letter('b', 600))).toBe('full');
  expect(await first.add(letter('a', 600))).toBe('known');
  const second = createDeadLetters(join(directory, 'dead'), 1000);
  expect(await second.add(letter('c', 600))).toBe('full');
  expect(await second.add(letter('d', 100))).toBe('kept');
  expect(await second.left()).toEqual({ letters: 2, rows: 2 });
});

test('names cannot leave the directory', async () => {
  await createDeadLetters(join(directory, 'dead'), 1000).add(letter('../../x/y z', 1));
  expect(readdirSync(join(directory, 'dead')).sort()).toEqual([
    '.._.._x_y_z.ndjson',
    '.._.._x_y_z.reason.json',
  ]);
});

test('a disk that refuses is an error that can pass', async () => {
  writeFileSync(join(directory, 'file'), '');
  await expect(
    createDeadLetters(join(directory, 'file', 'dead'), 1000).add(letter('a', 1)),
  ).rejects.toMatchObject({ code: 'io', transient: true });
});

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTemplates, saveTemplates } from '../../src/collect/template-file.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-templates-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('what was saved is loaded, and nothing else is left behind', async () => {
  const file = join(directory, 'templates.json');
  await saveTemplates(file, { a: 1 });
  await saveTemplates(file, { a: 2 });
  expect(await loadTemplates(file)).toEqual({ kind: 'snapshot', snapshot: { a: 2 } });
  expect(await readdir(directory)).toEqual(['templates.json']);
});

test('a file that is not there is none, one that is damaged is unreadable', async () => {
  expect(await loadTemplates(join(directory, 'none'))).toEqual({ kind: 'none' });
  const torn = join(directory, 'torn');
  await writeFile(torn, '{"a":');
  expect(await loadTemplates(torn)).toMatchObject({ kind: 'unreadable' });
  expect(await loadTemplates(directory)).toMatchObject({ kind: 'unreadable' });
});

test('a save that fails throws and leaves nothing behind', async () => {
  await expect(saveTemplates(join(directory, 'no', 'such', 'place'), {})).rejects.toThrow();
});

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceFile } from '../../src/files/replace-file.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rogue-smtp-replace-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a file that is replaced', () => {
  it('has the new text, and what a killed process left beside it goes', async () => {
    const file = join(root, 'state.json');
    writeFileSync(file, 'old');
    writeFileSync(`${file}.new`, 'half');
    await replaceFile(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o007).toBe(0);
    expect(existsSync(`${file}.new`)).toBe(false);
  });

  it('has the mode that was asked for, whatever the umask', async () => {
    const file = join(root, 'list');
    await replaceFile(file, 'deny', { mode: 0o666, temporary: join(root, '.list.tmp') });
    expect(statSync(file).mode & 0o777).toBe(0o666);
  });

  it('is never written through a link that stands in the way', async () => {
    const file = join(root, 'state.json');
    writeFileSync(join(root, 'victim'), 'kept');
    symlinkSync(join(root, 'victim'), `${file}.new`);
    await replaceFile(file, 'new');
    expect(readFileSync(join(root, 'victim'), 'utf8')).toBe('kept');
  });

  it('is as it was when it cannot be replaced', async () => {
    const file = join(root, 'directory');
    mkdirSync(file);
    await expect(replaceFile(file, 'new')).rejects.toThrow();
    expect(existsSync(`${file}.new`)).toBe(false);
    expect(statSync(file).isDirectory()).toBe(true);
  });
});

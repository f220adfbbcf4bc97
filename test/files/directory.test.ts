import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDirectory } from '../../src/files/directory.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rogue-smtp-directory-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a directory of ours', () => {
  it('is made with those above it, closed to others, and may be there', async () => {
    const directory = join(root, 'a', 'b');
    await makeDirectory(directory, 'data directory');
    await makeDirectory(directory, 'data directory');
    expect(statSync(directory).mode & 0o007).toBe(0);
  });

  it('says what stands in its way', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(makeDirectory(join(root, 'file'), 'data directory')).rejects.toThrow(
      `data directory ${join(root, 'file')}: it is there and is no directory`,
    );
    await expect(makeDirectory(join(root, 'file', 'b'), 'data directory')).rejects.toMatchObject({
      code: 'io',
    });
  });

  it.skipIf(!existsSync('/proc/self'))('gives up where a file system knows no new directories', async () => {
    await expect(makeDirectory('/proc/rogue-smtp/data', 'data directory')).rejects.toMatchObject({
      code: 'io',
    });
  });
});

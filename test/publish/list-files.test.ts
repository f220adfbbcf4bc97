import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishAcl } from '../../src/publish/list-files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-acl-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const publish = (text: string, more: Partial<Parameters<typeof publishAcl>[0]> = {}) =>
  publishAcl({ directory, target: 'edge', family: '4', text, ...more });
const history = () => {
  const path = join(directory, '.history');
  return existsSync(path) ? readdirSync(path).sort() : [];
};

describe('publishing an access list', () => {
  it('writes the file, and makes its directory', async () => {
    const below = join(directory, 'a', 'b');
    const { changed, file } = await publish('one\n', { directory: below, family: '6' });
    expect({ changed, file }).toEqual({ changed: true, file: join(below, 'edge.6.txt') });
    expect(readFileSync(file, 'utf8')).toBe('one\n');
  });

  const modeOf = (...path: string[]) => (statSync(join(directory, ...path)).mode & 0o777).toString(8);

  it.each([0o077, 0o000])(
    'gives all files the modes of its own umask, whatever that of the process',
    async (mask) => {
      const before = process.umask(mask);
      try {
        await publish('one\n', { model: '{}' });
        await publish('two\n', { model: '{}' });
        const kept = history().map((name) => modeOf('.history', name));
        expect([modeOf('edge.4.txt'), modeOf('.history'), new Set(kept)]).toEqual([
          '640',
          '750',
          new Set(['640']),
        ]);
        await publish('one\n', { directory: join(directory, 'a', 'b') });
        expect(modeOf('a', 'b')).toBe('750');
      } finally {
        process.umask(before);
      }
    },
  );

  it('brings what is there already to the modes that are configured now', async () => {
    await publish('one\n', { model: '{}', umask: 0o022 });
    await publish('two\n', { model: '{}', umask: 0o022 });
    expect([modeOf('edge.4.txt'), modeOf('.history')]).toEqual(['644', '755']);
    await publish('two\n', { model: '{}', umask: 0o077 });
    expect([
      modeOf('edge.4.txt'),
      modeOf('.history'),
      ...history().map((name) => modeOf('.history', name)),
    ]).toEqual(['600', '700', ...history().map(() => '600')]);
  });

  it('does not touch a file that says the same', async () => {
    const { file } = await publish('one\n');
    utimesSync(file, 1000, 1000);
    const before = statSync(file);
    expect((await publish('one\n')).changed).toBe(false);
    expect(statSync(file)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(history()).toEqual([]);
  });

  it('keeps what was there before, also when someone else had changed it', async () => {
    const { file } = await publish('one\n');
    writeFileSync(file, 'by hand\n');
    expect((await publish('one\n')).changed).toBe(true);
    expect(history().map((name) => readFileSync(join(directory, '.history', name), 'utf8'))).toEqual([
      'by hand\n',
    ]);
  });

  it('keeps ten earlier texts of each file, the newest', async () => {
    await publish('other\n', { target: 'edge.4.txt' });
    await publish('other 2\n', { target: 'edge.4.txt' });
    for (let i = 0; i < 15; i++) {
      const { file } = await publish(`text ${i}\n`);
      utimesSync(file, 1_700_000_000 + i, 1_700_000_000 + i);
    }
    const mine = history().filter((name) => !name.startsWith('edge.4.txt.4.txt.'));
    expect(mine.map((name) => readFileSync(join(directory, '.history', name), 'utf8'))).toEqual(
      Array.from({ length: 10 }, (_, i) => `text ${i + 4}\n`),
    );
    expect(history()).toHaveLength(11);
  });

  it('never shows a reader half a list', async () => {
    const texts = ['a', 'b'].map((letter) => `${letter.repeat(300_000)}\n`);
    const { file } = await publish(texts[0]);
    let done = false;
    const writing = (async () => {
      for (let i = 1; i < 30; i++) await publish(texts[i % 2]);
      done = true;
    })();
    let reads = 0;
    while (!done) {
      const seen = readFileSync(file, 'utf8');
      if (!texts.includes(seen)) throw new Error(`${seen.length} bytes of a torn file`);
      reads++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writing;
    expect(reads).toBeGreaterThan(10);
  });

  it('survives two writers at once', async () => {
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(10_000));
    await Promise.all(texts.map((text) => publish(text)));
    expect(texts).toContain(readFileSync(join(directory, 'edge.4.txt'), 'utf8'));
    expect(readdirSync(directory).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('does not follow a link that stands in the place of the file', async () => {
    const victim = join(directory, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(directory, 'edge.4.txt'));
    await expect(publish('one\n')).rejects.toMatchObject({ code: 'io', message: /symbolic link/ });
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });

  it('does not replace a directory, nor write its history through a link', async () => {
    mkdirSync(join(directory, 'edge.4.txt'));
    await expect(publish('one\n')).rejects.toMatchObject({ code: 'io', message: /a directory/ });
    await publish('one\n', { family: '6' });
    symlinkSync('/nowhere', join(directory, '.history'));
    await expect(publish('two\n', { family: '6' })).rejects.toMatchObject({ code: 'io' });
    expect(readFileSync(join(directory, 'edge.6.txt'), 'utf8')).toBe('one\n');
  });

  it.each(['', '.', '..', '../edge', 'a/b', '.hidden', 'a\nb', 'a'.repeat(64)])(
    'refuses the target name %j, which could leave the directory',
    async (target) => {
      await expect(publish('one\n', { target })).rejects.toMatchObject({ code: 'refused' });
    },
  );

  it('says so when the directory is a file, and calls it worth another try', async () => {
    const path = join(directory, 'file');
    writeFileSync(path, '');
    chmodSync(path, 0o600);
    await expect(publish('one\n', { directory: path })).rejects.toMatchObject({
      code: 'io',
      transient: true,
    });
  });

  it('removes what a writer left that died long ago, and nothing newer', async () => {
    const [stale, fresh] = ['stale', 'fresh'].map((name) => join(directory, `.edge.4.txt.tmp-${name}`));
    for (const path of [stale, fresh]) writeFileSync(path, 'half');
    utimesSync(stale, 1000, 1000);
    await publish('one\n');
    expect([existsSync(stale), existsSync(fresh)]).toEqual([false, true]);
  });
});

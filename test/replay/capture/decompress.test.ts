import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openByteWindow } from '../../../src/replay/capture/byte-window.ts';

const TEXT = 'hello compressed world\n'.repeat(40);
/** What `xz -9`, `bzip2 -9` and `zstd -9` make of TEXT. */
const FILES = {
  gzip: gzipSync(TEXT),
  xz: Buffer.from(
    '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4AOXACNdADQZSe6N6RIUCZeuFI4cjvMxmUlfn6+8WsrKVI8qOu4ITAAAAADW6kUkbcnWJQABP5gHAAAAzTXYSrHEZ/sCAAAAAARZWg==',
    'base64',
  ),
  bzip2: Buffer.from(
    'QlpoOTFBWSZTWf1rB1cAAMfRgAAQQAAORtiAIABwQDQAFKkBo0biZEwJuJ2J0JoTImhMiYE4E5EyJgTwT4TQnwnInonYmhPxdyRThQkP1rB1cA==',
    'base64',
  ),
  zstd: Buffer.from('KLUv/QRg9QAAuGhlbGxvIGNvbXByZXNzZWQgd29ybGQKAQD9ajWbqEb7kQ==', 'base64'),
};

async function contentOf(bytes: Uint8Array) {
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-compressed-'));
  const path = join(directory, 'file');
  await writeFile(path, bytes);
  const window = await openByteWindow(path, () => undefined);
  try {
    let text = '';
    while (await window.ensure(1)) {
      text += window.bytes.toString('latin1', window.at);
      window.pass(window.available());
    }
    return { text, cut: window.cut() };
  } finally {
    await window.close();
    await rm(directory, { recursive: true });
  }
}

describe.each(Object.entries(FILES))('a file compressed with %s', (name, bytes) => {
  it('is read, also as several streams', async () => {
    expect(await contentOf(bytes)).toEqual({ text: TEXT, cut: false });
    expect(await contentOf(Buffer.concat([bytes, bytes]))).toEqual({ text: TEXT + TEXT, cut: false });
  });

  it('is cut when its end is missing', async () => {
    const { text, cut } = await contentOf(bytes.subarray(0, -12));
    expect(cut).toBe(true);
    expect(TEXT.startsWith(text)).toBe(true);
  });

  it('with damage is an error or a cut, and nothing else', async () => {
    for (let at = 10; at < bytes.length; at += 3) {
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 0x55;
      const outcome = await contentOf(damaged).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'io' });
    }
    expect(name).not.toBe('');
  });
});

describe('a zstd frame', () => {
  it('that claims a window of gigabytes is refused before it is allocated', async () => {
    const frame = Buffer.from('28b52ffd00a8010000', 'hex');
    await expect(contentOf(frame)).rejects.toMatchObject({ code: 'io' });
  });
});

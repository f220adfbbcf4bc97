import { expect, test } from 'vitest';
import { loadLz4, lz4 } from '../../../src/stream/kafka/lz4.ts';

test('LZ4 gives back what it was given', async () => {
  const text = Buffer.from('MAIL FROM:<a@example.org> '.repeat(100));
  const packed = await lz4.codec.compress({ buffer: text });
  expect(packed.length).toBeLessThan(text.length);
  expect(await lz4.codec.decompress(packed)).toEqual(text);
});

test('a role without the compiled part loads, says why, and refuses LZ4 with a remedy', async () => {
  const { codec, missing } = loadLz4(() => {
    throw new Error("Cannot find module '@antoniomuso/lz4-napi-linux-x64-gnu'");
  });
  expect(missing).toContain('Cannot find module');
  await expect(codec.decompress(Buffer.of(4, 0x22, 0x4d, 0x18))).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('kafka.compression'),
  });
});

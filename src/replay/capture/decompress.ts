/**
 * What compresses a file, told by its first bytes, and the file without it: gzip, zstd, xz, bzip2.
 *
 * Each gives its output in pieces, of which at most one waits to be read: a small file that swells to terabytes costs
 * time and no memory. A stream whose end is missing is a CutStream, after all that came before the cut.
 */

import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { unbzip2 } from './bzip2.ts';
import { CutStream } from './cut-stream.ts';
import { unzstd } from './zstd.ts';

const CHUNK_BYTES = 262_144;

export type Compression = 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** So many bytes at the beginning of a file tell how it is compressed. */
export const MAGIC_BYTES = 10;

/** `bytes` are the beginning of the file, as much of MAGIC_BYTES as there is; null when it is not compressed so. */
export function compressionOf(bytes: Buffer): Compression | null {
  if (bytes.length >= 2 && bytes.readUInt16BE(0) === 0x1f8b) return 'gzip';
  // RFC 8878 section 3.1: a frame, or a skippable frame (which pzstd writes first).
  if (bytes.length >= 4) {
    const magic = bytes.readUInt32LE(0);
    if (magic === 0xfd2fb528 || magic >>> 4 === 0x184d2a5) return 'zstd';
  }
  const hex = bytes.toString('hex');
  if (hex.startsWith('fd377a585a00')) return 'xz';
  // "BZh", the level, and the first block (pi) or, of an empty file, the end (its root).
  return /^425a683[1-9](314159265359|177245385090)/.test(hex) ? 'bzip2' : null;
}

/** The content of a compressed file. Throws what the library throws for damage, and CutStream where the end is missing. */
export async function* decompress(
  compression: Compression,
  file: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  switch (compression) {
    case 'gzip':
      return yield* throughZlib(zlib.createGunzip({ chunkSize: CHUNK_BYTES }), file);
    case 'zstd':
      // Node 22.15 and later bring their own.
      return yield* 'createZstdDecompress' in zlib && typeof zlib.createZstdDecompress === 'function'
        ? throughZlib(zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES }), file)
        : unzstd(file);
    case 'xz':
      return yield* unxz(file);
    case 'bzip2':
      return yield* unbzip2(file);
  }
}

async function* throughZlib(
  stream: NodeJS.ReadWriteStream & AsyncIterable<Buffer>,
  file: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  const input = Readable.from(file);
  input.once('error', (error) => (stream as unknown as { destroy(error: Error): void }).destroy(error));
  input.pipe(stream);
  try {
    yield* stream;
  } catch (error) {
    // A writer was killed: what came before the cut is good.
    const cut = error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR';
    throw cut ? new CutStream() : error;
  } finally {
    input.destroy();
  }
}

async function* unxz(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  // A CommonJS bundle whose exports Node does not see when it is imported.
  const { XzReadableStream }: typeof import('xz-decompress') = createRequire(import.meta.url)(
    'xz-decompress',
  );
  let ended = false;
  async function* input(): AsyncGenerator<Buffer, void> {
    yield* file;
    ended = true;
  }
  const compressed = Readable.toWeb(Readable.from(input())) as ReadableStream<Uint8Array>;
  const reader = new XzReadableStream(compressed).getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      // A copy: the library's memory is used again.
      if (value.length > 0) yield Buffer.from(value);
    }
  } catch (error) {
    throw ended && error instanceof Error && /code 8$/.test(error.message) ? new CutStream() : error;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

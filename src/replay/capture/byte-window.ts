/**
 * A window that slides over a file of any size, decompressing where the file is compressed.
 *
 * Readers look at the bytes in the window without waiting and ask for more when they lack some. It must never hold
 * more than what a reader asked for and one chunk, and never trust a length of the file: passing over bytes does not
 * load them together.
 */

import { open } from 'node:fs/promises';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import { CutStream } from './cut-stream.ts';
import { compressionOf, decompress, MAGIC_BYTES } from './decompress.ts';

const CHUNK_BYTES = 262_144;

export interface ByteWindow {
  readonly bytes: Buffer;
  /** Index of the next byte in `bytes`. */
  at: number;
  /** Bytes from `at` on that are here now. */
  available(): number;
  /** Position of `at` in the (decompressed) file, for messages. */
  offset(): number;
  /** Waits until `count` bytes are here; false when the file ends before. Throws RogueSmtpError `io`. */
  ensure(count: number): Promise<boolean>;
  /** Moves on by `count` bytes, which need not be here yet. */
  pass(count: number): void;
  /** At the end: something that was begun is not whole (bytes left, passed over in vain, or a compressed file cut short). */
  cut(): boolean;
  close(): Promise<void>;
}

/** Opens the file; throws RogueSmtpError `io` when that fails. `onBytes` is told of the bytes read from the disk. */
export async function openByteWindow(path: string, onBytes: (count: number) => void): Promise<ByteWindow> {
  const file = fileChunks(path, onBytes);
  let chunks: AsyncIterator<Buffer> = file;
  let bytes: Buffer = Buffer.alloc(0);
  let at = 0;
  /** Position of `bytes[0]`. */
  let before = 0;
  let toPass = 0;
  let ended = false;
  let cutStream = false;

  /** Appends the next chunk; false at the end. */
  async function load(): Promise<boolean> {
    if (ended) return false;
    let next: IteratorResult<Buffer>;
    try {
      next = await chunks.next();
    } catch (error) {
      ended = true;
      if (error instanceof RogueSmtpError) throw error;
      cutStream = error instanceof CutStream;
      if (cutStream) return false;
      throw new RogueSmtpError('io', `${path}: ${messageOf(error)}`, { cause: error });
    }
    if (next.done) {
      ended = true;
      return false;
    }
    append(next.value);
    return true;
  }

  function append(chunk: Buffer): void {
    before += at;
    bytes = at === bytes.length ? chunk : Buffer.concat([bytes.subarray(at), chunk]);
    at = Math.min(toPass, bytes.length);
    toPass -= at;
  }

  const window: ByteWindow = {
    get bytes() {
      return bytes;
    },
    get at() {
      return at;
    },
    set at(value) {
      at = value;
    },
    available: () => bytes.length - at,
    offset: () => before + at + toPass,
    async ensure(count) {
      while (toPass > 0 || bytes.length - at < count) if (!(await load())) return false;
      return true;
    },
    pass(count) {
      const here = Math.min(count, bytes.length - at);
      at += here;
      toPass += count - here;
    },
    cut: () => cutStream || toPass > 0 || at < bytes.length,
    async close() {
      await chunks.return?.();
      await file.return(undefined);
    },
  };

  await window.ensure(MAGIC_BYTES);
  const compression = compressionOf(bytes.subarray(0, MAGIC_BYTES));
  if (compression !== null) {
    chunks = decompress(compression, startingWith(bytes, file));
    ended = false;
    bytes = Buffer.alloc(0);
  }
  return window;
}

async function* fileChunks(path: string, onBytes: (count: number) => void): AsyncGenerator<Buffer, void> {
  try {
    const handle = await open(path, 'r');
    try {
      while (true) {
        // A buffer of its own for each chunk: datagrams that are handed out point into it.
        const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
        const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES);
        if (bytesRead === 0) return;
        onBytes(bytesRead);
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new RogueSmtpError('io', `${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/**
 * bzip2, with the block decoder of unbzip2-stream.
 *
 * Its own stream works off all that it was given at once, a megabyte of which may stand for terabytes. Here one block
 * is decoded when it is asked for: at most some 46 MB, of 900,000 bytes that are all runs.
 */

import bitIterator from 'unbzip2-stream/lib/bit_iterator.js';
import bzip2 from 'unbzip2-stream/lib/bzip2.js';
import { CutStream } from './cut-stream.ts';

/** A block is never longer than this in its compressed form, whatever its level: the figure of unbzip2-stream. */
const MAX_BLOCK_BYTES = 925_000;
const PIECE_BYTES = 262_144;

export async function* unbzip2(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const chunks = file[Symbol.asyncIterator]();
  // The reader of bits asks for the first buffer when it is made.
  const queue: Buffer[] = [Buffer.alloc(0)];
  let received = 0;
  let ended = false;
  const bits = bitIterator(() => {
    const next = queue.shift();
    if (next === undefined) throw new CutStream();
    return next;
  });

  /** Waits until a whole block is here, or the file is at its end. */
  async function fill(): Promise<void> {
    while (!ended && received - bits.bytesRead < MAX_BLOCK_BYTES) {
      const next = await chunks.next();
      if (next.done) ended = true;
      else if (next.value.length > 0) {
        queue.push(next.value);
        received += next.value.length;
      }
    }
  }

  await fill();
  const buffer = new Int32Array(900_000);
  while (received > bits.bytesRead) {
    const blockBytes = 100_000 * bzip2.header(bits);
    for (let sum: number | null = 0; sum !== null; ) {
      await fill();
      const out = createPieces();
      sum = bzip2.decompress(bits, out.push, buffer, blockBytes, sum);
      yield* out.take();
    }
    await fill();
  }
}

function createPieces() {
  const pieces: Buffer[] = [];
  let piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let length = 0;
  return {
    push(byte: number): void {
      if (length === PIECE_BYTES) {
        pieces.push(piece);
        piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
        length = 0;
      }
      piece[length++] = byte;
    },
    take(): Buffer[] {
      if (length > 0) pieces.push(piece.subarray(0, length));
      return pieces;
    },
  };
}

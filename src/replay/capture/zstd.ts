/**
 * Zstandard (RFC 8878) where Node does not bring it, with fzstd.
 *
 * The frames are followed here and the library is given one block at a time, which is at most 128 KiB of output. So a
 * block of four bytes that stands for 128 KiB is read when it is asked for, and a frame that claims a window of
 * gigabytes is refused before anything is allocated. fzstd does not verify checksums.
 */

import { Decompress } from 'fzstd';
import { CutStream } from './cut-stream.ts';

/** What the zstd program takes without `--long` and a memory limit. */
const MAX_WINDOW_BYTES = 128 * 1024 * 1024;
const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a5;
/** Section 3.1.1.1: magic, descriptor, window, dictionary id of 4, content size of 8. */
const MAX_HEADER_BYTES = 18;
const CHECKSUM_FLAG = 4;
const RLE_BLOCK = 1;

export async function* unzstd(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const input = createInput(file);
  while (true) {
    const begin = await input.peek(MAX_HEADER_BYTES);
    if (begin.length === 0) return;
    if (begin.length < 8) throw new CutStream();
    const magic = begin.readUInt32LE(0);
    if (magic >>> 4 === SKIPPABLE_MAGIC) {
      await input.pass(8 + begin.readUInt32LE(4));
      continue;
    }
    if (magic !== MAGIC) throw new Error('there is no zstd frame where one must begin');
    yield* frame(input, begin);
  }
}

async function* frame(input: Input, begin: Buffer): AsyncGenerator<Buffer, void> {
  const descriptor = begin[4];
  const headerBytes = checkHeader(begin);
  let out: Buffer[] = [];
  const decoder = new Decompress((piece) => {
    // A copy: the library goes on with its own.
    if (piece.length > 0) out.push(Buffer.from(piece));
  });
  const header = Buffer.from(await input.take(headerBytes));
  // The checksum is passed over here.
  header[4] = descriptor & ~CHECKSUM_FLAG;
  let before: Buffer = header;
  for (let last = false; !last; ) {
    const head = await input.take(3);
    const word = head.readUIntLE(0, 3);
    last = (word & 1) !== 0;
    const type = (word >>> 1) & 3;
    const size = type === RLE_BLOCK ? 1 : word >>> 3;
    if (word >>> 3 > 131_072) throw new Error('a zstd block is larger than a block can be');
    const body = await input.take(size);
    decoder.push(Buffer.concat([before, head, body]), last);
    before = Buffer.alloc(0);
    yield* out;
    out = [];
  }
  if ((descriptor & CHECKSUM_FLAG) !== 0) await input.take(4);
}

/** The length of the frame header. Throws for a dictionary and for a window that is too large. */
function checkHeader(begin: Buffer): number {
  const descriptor = begin[4];
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const length = 5 + (singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
  if (begin.length < length) throw new CutStream();
  if (dictionaryBytes > 0) throw new Error('it was compressed with a zstd dictionary');
  let window: number;
  if (singleSegment) {
    const at = length - sizeBytes;
    const low = sizeBytes === 8 ? begin.readUIntLE(at, 6) : begin.readUIntLE(at, sizeBytes);
    const high = sizeBytes === 8 ? begin.readUInt16LE(at + 6) : 0;
    window = high * 2 ** 48 + low;
  } else {
    const base = 2 ** (10 + (begin[5] >> 3));
    window = base + (base / 8) * (begin[5] & 7);
  }
  if (window > MAX_WINDOW_BYTES)
    throw new Error(`zstd window of ${window} bytes, at most ${MAX_WINDOW_BYTES} are taken`);
  return length;
}

interface Input {
  /** At most `count` bytes, fewer at the end of the file; they are still to be taken. */
  peek(count: number): Promise<Buffer>;
  /** Throws CutStream when the file ends before. */
  take(count: number): Promise<Buffer>;
  pass(count: number): Promise<void>;
}

function createInput(file: AsyncIterable<Buffer>): Input {
  const chunks = file[Symbol.asyncIterator]();
  let bytes: Buffer = Buffer.alloc(0);

  async function more(): Promise<boolean> {
    const next = await chunks.next();
    if (next.done) return false;
    bytes = bytes.length === 0 ? next.value : Buffer.concat([bytes, next.value]);
    return true;
  }

  async function peek(count: number): Promise<Buffer> {
    while (bytes.length < count) if (!(await more())) break;
    return bytes.subarray(0, count);
  }

  return {
    peek,
    async take(count) {
      const taken = await peek(count);
      if (taken.length < count) throw new CutStream();
      bytes = bytes.subarray(count);
      return taken;
    },
    async pass(count) {
      let left = count;
      while (left > bytes.length) {
        left -= bytes.length;
        bytes = Buffer.alloc(0);
        if (!(await more())) throw new CutStream();
      }
      bytes = bytes.subarray(left);
    },
  };
}

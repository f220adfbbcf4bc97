/**
 * Damage as networks, disks and attackers do it: bits, bytes, lengths, cuts, repetitions, zeros, splices.
 */

import type { Random } from './random.ts';

const MAX_BYTES = 65_507;
const TELLING_VALUES = [0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 0x7fff, 0x8000, 0xfffe, 0xffff];

/** One to six changes of a copy. `other` is what a splice takes its second half from. */
export function mutate(bytes: Buffer, other: Buffer, random: Random): Buffer {
  let out: Buffer<ArrayBufferLike> = Buffer.from(bytes);
  for (let left = 1 + random.below(6); left > 0 && out.length > 0; left--) {
    out = change(out, other, random);
  }
  return out.length > MAX_BYTES ? out.subarray(0, MAX_BYTES) : out;
}

function change(bytes: Buffer, other: Buffer, random: Random): Buffer<ArrayBufferLike> {
  const at = random.below(bytes.length);
  switch (random.below(9)) {
    case 0:
      bytes[at] = random.below(256);
      return bytes;
    case 1:
      bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3: {
      const value = random.oneIn(3) ? bytes.length + random.below(9) - 4 : random.pick(TELLING_VALUES);
      const even = at & ~1;
      if (even + 2 <= bytes.length) bytes.writeUInt16BE(value & 0xffff, even);
      return bytes;
    }
    case 4: {
      const word = at & ~3;
      const value = random.pick([
        0,
        1,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        bytes.length,
        1 << random.below(31),
      ]);
      if (word + 4 <= bytes.length) bytes.writeUInt32BE(value >>> 0, word);
      return bytes;
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length))]);
    case 6:
      bytes.fill(0, at, Math.min(bytes.length, at + random.below(64)));
      return bytes;
    case 7:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(9)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length))]);
  }
}

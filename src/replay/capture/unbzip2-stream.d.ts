/** The parts of unbzip2-stream 1.4.3 that are used; the package has no types of its own. */

declare module 'unbzip2-stream/lib/bit_iterator.js' {
  interface BitIterator {
    (count: number | null): number | undefined;
    /** Bytes of which at least a bit was read. */
    readonly bytesRead: number;
  }
  /** Asks for the first buffer at once, and for the next one when a bit of it is needed. */
  export default function bitIterator(nextBuffer: () => Uint8Array): BitIterator;
}

declare module 'unbzip2-stream/lib/bzip2.js' {
  import type bitIterator from 'unbzip2-stream/lib/bit_iterator.js';

  type Bits = ReturnType<typeof bitIterator>;
  interface Bzip2 {
    /** The level, 1 to 9. Throws where no stream begins. */
    header(bits: Bits): number;
    /** Decodes a block; returns the sum of all so far, or null at the end of the stream. Throws for damage. */
    decompress(
      bits: Bits,
      onByte: (byte: number) => void,
      buffer: Int32Array,
      bufferBytes: number,
      sum: number,
    ): number | null;
  }
  const bzip2: Bzip2;
  export default bzip2;
}

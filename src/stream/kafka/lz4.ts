/**
 * LZ4 for batches of Kafka, from the compiled part of lz4-napi.
 *
 * That part is an optional package of its own for each platform: `npm ci --omit=optional` leaves it out, and a platform may have
 * none. A role must start all the same. It then publishes gzip, which every reader has, and cannot read what others wrote as LZ4.
 */

import { createRequire } from 'node:module';
import { messageOf, RogueSmtpError } from '../../errors.ts';

type Lz4 = Pick<typeof import('lz4-napi'), 'compressFrame' | 'decompressFrame'>;

/** How kafkajs calls a codec. */
interface Lz4Codec {
  readonly compress: (encoder: { readonly buffer: Buffer }) => Promise<Buffer>;
  readonly decompress: (buffer: Buffer) => Promise<Buffer>;
}

/** `missing`: why nothing can be compressed or decompressed, or null when it can. */
export interface LoadedLz4 {
  readonly codec: Lz4Codec;
  readonly missing: string | null;
}

/** Never throws. Without the package, `codec` rejects with RogueSmtpError `unavailable`. */
export function loadLz4(load: () => Lz4 = requireLz4): LoadedLz4 {
  try {
    const { compressFrame, decompressFrame } = load();
    // Frames of lz4-napi have independent blocks, as Kafka's must.
    return {
      missing: null,
      codec: {
        compress: ({ buffer }) => compressFrame(buffer),
        decompress: (buffer) => decompressFrame(buffer),
      },
    };
  } catch (error) {
    const refuse = async () => {
      throw new RogueSmtpError(
        'unavailable',
        'LZ4 is not installed: run npm ci without --omit=optional, or set kafka.compression to gzip on every role',
        { cause: error },
      );
    };
    return { missing: messageOf(error), codec: { compress: refuse, decompress: refuse } };
  }
}

function requireLz4(): Lz4 {
  return createRequire(import.meta.url)('lz4-napi');
}

export const lz4 = loadLz4();

/** Reads a JSON message of a stream. */

import type { z } from 'zod';

/** The message, or null when the bytes are not JSON or not of the schema. */
export function parseMessage<Output>(schema: z.ZodType<Output>, value: Uint8Array): Output | null {
  try {
    const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

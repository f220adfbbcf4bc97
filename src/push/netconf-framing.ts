/**
 * How NETCONF messages are cut out of a byte stream (RFC 6242): by an end mark until both sides have said hello, then in
 * chunks where both can.
 *
 * The peer may be anyone: a message has a bound, and framing that is not the RFC's ends the session. Pure.
 */

export type Framing = 'end-of-message' | 'chunked';

class FramingError extends Error {}

const END_OF_MESSAGE = ']]>]]>';
/** RFC 6242 section 4.2: LF HASH size LF, the size without leading zeros and at most 4294967295. */
const CHUNK_HEADER = /^\n#(?:([1-9]\d{0,9})|#)\n/;
const BEGUN_HEADER = /^\n(?:#(?:[1-9]\d{0,9}|#)?)?$/;
const MAX_HEADER = 14;
const MAX_CHUNKS = 65_536;
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

export interface Deframer {
  /** For what comes from now on, what has come and is in no message yet included. */
  use(framing: Framing): void;
  /** Messages that are whole now. Throws FramingError. */
  push(data: Buffer): readonly string[];
}

export function createDeframer(): Deframer {
  let framing: Framing = 'end-of-message';
  let negotiated = false;
  let waiting: Buffer = Buffer.alloc(0);
  let chunks: Buffer[] = [];
  let size = 0;
  const messages: string[] = [];

  function byEndMark(): boolean {
    const at = waiting.indexOf(END_OF_MESSAGE);
    if (at < 0) {
      if (waiting.length > MAX_MESSAGE_BYTES) throw new FramingError('a message has no end');
      return false;
    }
    messages.push(waiting.toString('utf8', 0, at));
    waiting = waiting.subarray(at + END_OF_MESSAGE.length);
    return true;
  }

  function byChunk(): boolean {
    if (waiting.length === 0) return false;
    const header = CHUNK_HEADER.exec(waiting.toString('latin1', 0, MAX_HEADER));
    if (header === null) {
      if (BEGUN_HEADER.test(waiting.toString('latin1', 0, MAX_HEADER))) return false;
      throw new FramingError('what came is no chunk');
    }
    const [text, digits] = header;
    if (digits === undefined) {
      if (chunks.length === 0) throw new FramingError('a message without a chunk');
      messages.push(Buffer.concat(chunks).toString('utf8'));
      chunks = [];
      size = 0;
      waiting = waiting.subarray(text.length);
      return true;
    }
    const length = Number(digits);
    if (size + length > MAX_MESSAGE_BYTES || chunks.length === MAX_CHUNKS)
      throw new FramingError('a message is longer than 8 MiB, or has more than 65536 chunks');
    if (waiting.length < text.length + length) return false;
    chunks.push(waiting.subarray(text.length, text.length + length));
    size += length;
    waiting = waiting.subarray(text.length + length);
    return true;
  }

  return {
    use(next) {
      framing = next;
      negotiated = true;
    },
    push(data) {
      waiting = waiting.length === 0 ? data : Buffer.concat([waiting, data]);
      messages.length = 0;
      // The hello says how what follows is framed: until then nothing behind it is looked at.
      while (framing === 'chunked' ? byChunk() : byEndMark()) if (!negotiated) break;
      return [...messages];
    },
  };
}

/** Bytes on the wire. */
export function frame(message: string, framing: Framing): string {
  if (framing === 'end-of-message') return `${message}${END_OF_MESSAGE}`;
  return `\n#${Buffer.byteLength(message)}\n${message}\n##\n`;
}

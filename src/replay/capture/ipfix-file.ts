/**
 * Reads raw IPFIX files: messages back to back, nothing between them (RFC 5655 section 4).
 *
 * Such a file does not say who sent the messages nor when they were received: every message is a frame of its own, at
 * its export time.
 */

import { RogueSmtpError } from '../../errors.ts';
import type { ByteWindow } from './byte-window.ts';
import { type CaptureCounters, FRAME, type FrameReader, LINK_IPFIX_MESSAGE } from './capture.ts';

export const IPFIX_VERSION = 10;
const HEADER_BYTES = 16;

/** The window must be at the start of the file. */
export function createIpfixReader(path: string, window: ByteWindow, counters: CaptureCounters): FrameReader {
  return (frame) => {
    if (window.available() < HEADER_BYTES) return HEADER_BYTES;
    const { bytes, at } = window;
    const version = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    if (version !== IPFIX_VERSION || length < HEADER_BYTES) {
      throw new RogueSmtpError(
        'io',
        `${path}: at byte ${window.offset()} there is no IPFIX message (version ${version}, length ${length})`,
      );
    }
    if (window.available() < length) return length;
    frame.timeMs = bytes.readUInt32BE(at + 4) * 1000;
    frame.linkType = LINK_IPFIX_MESSAGE;
    frame.bytes = bytes;
    frame.start = at;
    frame.end = at + length;
    window.pass(length);
    counters.packets++;
    return FRAME;
  };
}

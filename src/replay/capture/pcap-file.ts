/**
 * Reads pcap files: both byte orders, micro- and nanoseconds (draft-ietf-opsawg-pcap).
 *
 * A record header that cannot be (longer than any packet) ends the reading with its offset, since nothing tells where
 * the next record would begin.
 */

import { RogueSmtpError } from '../../errors.ts';
import type { ByteWindow } from './byte-window.ts';
import {
  type CaptureCounters,
  FRAME,
  type FrameReader,
  MAX_PACKET_BYTES,
  MAX_TIME_MS,
  PASSED,
} from './capture.ts';

const HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

/** True when a file whose first 32 bits (big endian) are `magic` is a pcap file. */
export function isPcapMagic(magic: number): boolean {
  return isMagic(magic) || isMagic(swap(magic));
}

function isMagic(magic: number): boolean {
  return magic === MICROSECONDS || magic === NANOSECONDS;
}

function swap(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | ((word >>> 24) & 0xff)) >>> 0;
}

/** The window must be at the start of the file. */
export function createPcapReader(path: string, window: ByteWindow, counters: CaptureCounters): FrameReader {
  let headerRead = false;
  let littleEndian = false;
  let ticksPerMs = 1000;
  let linkType = 0;

  function u32(at: number): number {
    return littleEndian ? window.bytes.readUInt32LE(at) : window.bytes.readUInt32BE(at);
  }

  function readHeader(): number {
    if (window.available() < HEADER_BYTES) return HEADER_BYTES;
    const magic = window.bytes.readUInt32BE(window.at);
    littleEndian = !isMagic(magic);
    ticksPerMs = u32(window.at) === NANOSECONDS ? 1_000_000 : 1000;
    // The upper half holds the length of a frame check sequence, which the lengths of the IP packet leave out anyway.
    linkType = u32(window.at + 20) & 0xffff;
    window.pass(HEADER_BYTES);
    headerRead = true;
    return PASSED;
  }

  return (frame) => {
    if (!headerRead) return readHeader();
    if (window.available() < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
    const length = u32(window.at + 8);
    if (length > MAX_PACKET_BYTES) {
      throw new RogueSmtpError(
        'io',
        `${path}: at byte ${window.offset()} there is no packet: it would be ${length} bytes long, at most ${MAX_PACKET_BYTES} are possible`,
      );
    }
    const total = RECORD_HEADER_BYTES + length;
    if (window.available() < total) return total;
    counters.packets++;
    const timeMs = u32(window.at) * 1000 + Math.floor(u32(window.at + 4) / ticksPerMs);
    frame.timeMs = timeMs;
    frame.linkType = linkType;
    frame.bytes = window.bytes;
    frame.start = window.at + RECORD_HEADER_BYTES;
    frame.end = window.at + total;
    window.pass(total);
    if (timeMs <= MAX_TIME_MS) return FRAME;
    counters.skipped.bad_time++;
    return PASSED;
  };
}

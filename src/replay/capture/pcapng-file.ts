/**
 * Reads pcapng files: sections of either byte order, several interfaces with time resolutions of their own, enhanced,
 * simple and (obsolete) packet blocks (draft-ietf-opsawg-pcapng).
 *
 * Blocks of other kinds are passed over by their length, whatever it says. A block whose lengths contradict each other
 * ends the reading with its offset.
 */

import { RogueSmtpError } from '../../errors.ts';
import type { ByteWindow } from './byte-window.ts';
import {
  type CaptureCounters,
  FRAME,
  type Frame,
  type FrameReader,
  MAX_PACKET_BYTES,
  MAX_TIME_MS,
  PASSED,
} from './capture.ts';

/** Type of the section header block; the same in both byte orders. */
export const PCAPNG_MAGIC = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const BLOCK_INTERFACE = 1;
const BLOCK_PACKET_OBSOLETE = 2;
const BLOCK_SIMPLE = 3;
const BLOCK_ENHANCED = 6;

/** Type, total length, and the total length again at the end. */
const BLOCK_FRAME_BYTES = 12;
const SECTION_HEAD_BYTES = 16;
/** A packet with its options. */
const MAX_PACKET_BLOCK_BYTES = 4 * MAX_PACKET_BYTES;
const MAX_INTERFACE_BLOCK_BYTES = 1 << 20;
const MAX_INTERFACES = 65_536;

const OPTION_END = 0;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

interface CaptureInterface {
  readonly linkType: number;
  readonly snapLength: number;
  /** A tick is 1/ticksPerSecond; not a whole number of anything when the resolution is a power of two. */
  readonly ticksPerSecond: number;
  readonly offsetSeconds: number;
}

/** The window must be at the start of the file. */
export function createPcapngReader(path: string, window: ByteWindow, counters: CaptureCounters): FrameReader {
  let littleEndian = true;
  let interfaces: CaptureInterface[] = [];
  /** Simple packet blocks carry no time: they get that of the packet before. */
  let lastTimeMs = 0;

  const u16 = (at: number) => (littleEndian ? window.bytes.readUInt16LE(at) : window.bytes.readUInt16BE(at));
  const u32 = (at: number) => (littleEndian ? window.bytes.readUInt32LE(at) : window.bytes.readUInt32BE(at));

  function broken(what: string): RogueSmtpError {
    return new RogueSmtpError('io', `${path}: the block at byte ${window.offset()} ${what}`);
  }

  /** Reads the byte order of the section, which the length of its header needs already. */
  function beginSection(): number {
    if (window.available() < SECTION_HEAD_BYTES) return SECTION_HEAD_BYTES;
    const magic = window.bytes.readUInt32LE(window.at + 8);
    if (magic === BYTE_ORDER_MAGIC) littleEndian = true;
    else if (window.bytes.readUInt32BE(window.at + 8) === BYTE_ORDER_MAGIC) littleEndian = false;
    else throw broken('is a section header without a byte order');
    const length = blockLength(28);
    const major = u16(window.at + 12);
    if (major !== 1) throw broken(`is of pcapng version ${major}; 1 is known`);
    interfaces = [];
    window.pass(length);
    return PASSED;
  }

  function blockLength(least: number): number {
    const length = u32(window.at + 4);
    if (length < least || length % 4 !== 0) throw broken(`has the impossible length ${length}`);
    return length;
  }

  function addInterface(length: number): number {
    if (length > MAX_INTERFACE_BLOCK_BYTES || interfaces.length >= MAX_INTERFACES)
      throw broken(`describes an interface too many or too long (${length} bytes)`);
    if (window.available() < length) return length;
    checkTrailer(length);
    let ticksPerSecond = 1_000_000;
    let offsetSeconds = 0;
    const end = window.at + length - 4;
    for (let at = window.at + 16; at + 4 <= end; ) {
      const code = u16(at);
      const size = u16(at + 2);
      const value = at + 4;
      if (code === OPTION_END || value + size > end) break;
      if (code === OPTION_TSRESOL && size === 1) {
        const resolution = window.bytes[value];
        ticksPerSecond = (resolution & 0x80 ? 2 : 10) ** (resolution & 0x7f);
      } else if (code === OPTION_TSOFFSET && size === 8) {
        const raw = littleEndian ? window.bytes.readBigInt64LE(value) : window.bytes.readBigInt64BE(value);
        offsetSeconds = Number(raw);
      }
      at = value + ((size + 3) & ~3);
    }
    interfaces.push({
      linkType: u16(window.at + 8),
      snapLength: u32(window.at + 12),
      ticksPerSecond,
      offsetSeconds,
    });
    window.pass(length);
    return PASSED;
  }

  function checkTrailer(length: number): void {
    const trailer = u32(window.at + length - 4);
    if (trailer !== length) throw broken(`begins with the length ${length} and ends with ${trailer}`);
  }

  /** Enhanced and obsolete packet blocks differ only in the width of the interface number. */
  function readPacket(type: number, length: number, frame: Frame): number {
    const head = type === BLOCK_SIMPLE ? 12 : 28;
    if (length < head + 4) throw broken(`is a packet without room for its header (${length} bytes)`);
    if (length > MAX_PACKET_BLOCK_BYTES) {
      counters.packets++;
      counters.skipped.oversized++;
      window.pass(length);
      return PASSED;
    }
    if (window.available() < length) return length;
    checkTrailer(length);
    const start = window.at + head;
    const room = length - head - 4;
    const index =
      type === BLOCK_SIMPLE ? 0 : type === BLOCK_ENHANCED ? u32(window.at + 8) : u16(window.at + 8);
    const from = interfaces.at(index);
    const captured =
      type === BLOCK_SIMPLE
        ? Math.min(u32(window.at + 8), room, from?.snapLength || room)
        : u32(window.at + 20);
    const high = u32(window.at + 12);
    const low = u32(window.at + 16);
    const bytes = window.bytes;
    window.pass(length);
    counters.packets++;
    if (from === undefined) {
      counters.skipped.unknown_interface++;
      return PASSED;
    }
    if (captured > room) {
      counters.skipped.bad_packet++;
      return PASSED;
    }
    const timeMs = type === BLOCK_SIMPLE ? lastTimeMs : toMilliseconds(high, low, from);
    if (!(timeMs >= 0 && timeMs <= MAX_TIME_MS)) {
      counters.skipped.bad_time++;
      return PASSED;
    }
    lastTimeMs = timeMs;
    frame.timeMs = timeMs;
    frame.linkType = from.linkType;
    frame.bytes = bytes;
    frame.start = start;
    frame.end = start + captured;
    return FRAME;
  }

  return (frame) => {
    if (window.available() < BLOCK_FRAME_BYTES) return BLOCK_FRAME_BYTES;
    if (window.bytes.readUInt32BE(window.at) === PCAPNG_MAGIC) return beginSection();
    const type = u32(window.at);
    const length = blockLength(BLOCK_FRAME_BYTES);
    switch (type) {
      case BLOCK_INTERFACE:
        if (length < 20) throw broken(`is an interface without room for its header (${length} bytes)`);
        return addInterface(length);
      case BLOCK_PACKET_OBSOLETE:
      case BLOCK_SIMPLE:
      case BLOCK_ENHANCED:
        return readPacket(type, length, frame);
      default:
        window.pass(length);
        return PASSED;
    }
  };
}

/** Whole milliseconds. Ticks go beyond 2^53 with nanoseconds since 1970, so they are not put into one double. */
function toMilliseconds(high: number, low: number, from: CaptureInterface): number {
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  const perSecond = BigInt(from.ticksPerSecond);
  return from.offsetSeconds * 1000 + Number((ticks * 1000n) / perSecond);
}

/**
 * Export datagrams out of a capture: pcap, pcapng, raw IPFIX, each also compressed.
 *
 * The file is told by its first bytes, not by its name, and streamed: memory does not grow with it. Whether a datagram
 * is an export at all is the decoder's to say. A header that cannot be followed throws RogueSmtpError `io` with file
 * and offset, after everything before it was handed out; a packet that cannot be read is counted.
 */

import { type IpPacket, PROTOCOL_UDP } from '../../decode/packet/ip-packet.ts';
import { createWalk } from '../../decode/packet/walk.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { AddressBytes } from '../../flow/address.ts';
import { type ByteWindow, openByteWindow } from './byte-window.ts';
import {
  type CaptureCounters,
  type CapturedDatagram,
  createCaptureCounters,
  FRAME,
  type Frame,
  type FrameReader,
  LINK_IPFIX_MESSAGE,
  PASSED,
} from './capture.ts';
import { createIpfixReader, IPFIX_VERSION } from './ipfix-file.ts';
import { readFrame } from './link-layer.ts';
import { createPcapReader, isPcapMagic } from './pcap-file.ts';
import { createPcapngReader, PCAPNG_MAGIC } from './pcapng-file.ts';
import { createReassembler } from './reassembly.ts';

export interface Capture extends AsyncIterable<CapturedDatagram> {
  /** Grows while the capture is read. */
  readonly counters: CaptureCounters;
}

const UDP_HEADER_BYTES = 8;

/** To be iterated over once. Nothing is opened before that. */
export function readCapture(path: string): Capture {
  const counters = createCaptureCounters();
  return { counters, [Symbol.asyncIterator]: () => datagramsOf(path, counters) };
}

async function* datagramsOf(path: string, counters: CaptureCounters): AsyncGenerator<CapturedDatagram> {
  const window = await openByteWindow(path, (count) => {
    counters.bytes += count;
  });
  yield* readOpenCapture(path, window, counters);
}

/** True when the file in the window begins as a capture does. Throws RogueSmtpError `io`. */
export async function isCapture(window: ByteWindow): Promise<boolean> {
  if (!(await window.ensure(4))) return false;
  const magic = window.bytes.readUInt32BE(window.at);
  return isPcapMagic(magic) || magic === PCAPNG_MAGIC || magic >>> 16 === IPFIX_VERSION;
}

/** As readCapture, out of a window that is at the beginning of the file, and which is closed at the end. */
export async function* readOpenCapture(
  path: string,
  window: ByteWindow,
  counters: CaptureCounters,
): AsyncGenerator<CapturedDatagram> {
  const open = createFrameOpener(counters);
  const take = (frame: Frame) => {
    const datagram = open.datagram(frame);
    if (datagram !== null) counters.datagrams++;
    return datagram;
  };
  yield* readFrames(path, window, counters, take, open.end);
}

/**
 * Hands each frame of the capture to `take` and yields what it makes of it, null excepted. `end` is called after the
 * last one, before the account of a file that is cut. The window is closed at the end.
 */
export async function* readFrames<T>(
  path: string,
  window: ByteWindow,
  counters: CaptureCounters,
  take: (frame: Frame) => T | null,
  end: () => void,
): AsyncGenerator<T> {
  try {
    const readFrame = await chooseReader(path, window, counters);
    const frame: Frame = { timeMs: 0, linkType: 0, bytes: window.bytes, start: 0, end: 0 };
    while (true) {
      const step = readFrame(frame);
      if (step === PASSED) continue;
      if (step === FRAME) {
        const taken = take(frame);
        if (taken !== null) yield taken;
        continue;
      }
      if (!(await window.ensure(step))) break;
    }
    end();
    if (window.cut()) {
      counters.packets++;
      counters.skipped.cut_file++;
    }
  } finally {
    await window.close();
  }
}

async function chooseReader(
  path: string,
  window: ByteWindow,
  counters: CaptureCounters,
): Promise<FrameReader> {
  if (!(await window.ensure(4))) {
    const isNothing = window.available() === 0;
    const what =
      isNothing && window.cut()
        ? 'the file breaks off before anything of it can be read'
        : isNothing
          ? 'the file is empty'
          : 'the file is too short for a capture';
    throw new RogueSmtpError('io', `${path}: ${what}`);
  }
  const magic = window.bytes.readUInt32BE(window.at);
  if (isPcapMagic(magic)) return createPcapReader(path, window, counters);
  if (magic === PCAPNG_MAGIC) return createPcapngReader(path, window, counters);
  if (magic >>> 16 === IPFIX_VERSION) return createIpfixReader(path, window, counters);
  const first = magic.toString(16).padStart(8, '0');
  throw new RogueSmtpError(
    'io',
    `${path}: neither pcap, pcapng, raw IPFIX nor gzip, zstd, xz or bzip2 of one of them (it begins with ${first})`,
  );
}

interface FrameOpener {
  /** The datagram that the frame holds or completes; null when there is none, which is counted. */
  datagram(frame: Frame): CapturedDatagram | null;
  /** Counts fragments that wait for others which will not come. */
  end(): void;
}

function createFrameOpener(counters: CaptureCounters): FrameOpener {
  const { skipped } = counters;
  const walk = createWalk();
  // What a tunnel carries is not for the one who listens at its end.
  const packet: IpPacket = walk.headers[0];
  const reassembler = createReassembler((fragments) => {
    skipped.fragment_incomplete += fragments;
  });

  function reassemble(frame: Frame): CapturedDatagram | null {
    const whole = reassembler.add(frame.bytes, packet, frame.timeMs);
    if (whole === null) return null;
    const source = sourceOf(frame.bytes);
    const datagram = udp(whole.payload, 0, whole.payload.length, source, frame.timeMs, false);
    // The last fragment is counted by what became of the datagram, be it as skipped.
    counters.joined += whole.fragments - 1;
    return datagram;
  }

  function sourceOf(bytes: Buffer): AddressBytes {
    const source = new Uint8Array(16);
    if (packet.version === 6) {
      source.set(bytes.subarray(packet.addresses, packet.addresses + 16));
    } else {
      source[10] = 0xff;
      source[11] = 0xff;
      source.set(bytes.subarray(packet.addresses, packet.addresses + 4), 12);
    }
    return source;
  }

  function udp(
    bytes: Buffer,
    start: number,
    end: number,
    source: AddressBytes,
    timeMs: number,
    truncated: boolean,
  ): CapturedDatagram | null {
    if (start + UDP_HEADER_BYTES > end) {
      if (truncated) skipped.truncated++;
      else skipped.bad_packet++;
      return null;
    }
    // 0 is a UDP jumbogram (RFC 2675): all that is there.
    const length = bytes.readUInt16BE(start + 4) || end - start;
    if (length < UDP_HEADER_BYTES || (length > end - start && !truncated)) {
      skipped.bad_packet++;
      return null;
    }
    if (length > end - start) {
      skipped.truncated++;
      return null;
    }
    return {
      timeMs,
      source,
      sourcePort: bytes.readUInt16BE(start),
      destinationPort: bytes.readUInt16BE(start + 2),
      payload: bytes.subarray(start + UDP_HEADER_BYTES, start + length),
    };
  }

  return {
    datagram(frame) {
      const { bytes, start, end } = frame;
      if (frame.linkType === LINK_IPFIX_MESSAGE) {
        const payload = bytes.subarray(start, end);
        return { timeMs: frame.timeMs, source: unknownSource(), sourcePort: 0, destinationPort: 0, payload };
      }
      const skip = readFrame(frame, walk);
      if (skip !== null) {
        skipped[skip]++;
        return null;
      }
      if (packet.protocol < 0) {
        skipped[packet.truncated ? 'truncated' : 'bad_packet']++;
        return null;
      }
      if (packet.protocol !== PROTOCOL_UDP) {
        skipped.not_udp++;
        return null;
      }
      if (packet.fragmentOffset === 0 && !packet.moreFragments)
        return udp(bytes, packet.start, packet.end, sourceOf(bytes), frame.timeMs, packet.truncated);
      if (packet.truncated) {
        skipped.truncated++;
        return null;
      }
      return reassemble(frame);
    },
    end: () => reassembler.clear(),
  };
}

/** ::ffff:0.0.0.0 */
function unknownSource(): AddressBytes {
  const source = new Uint8Array(16);
  source[10] = 0xff;
  source[11] = 0xff;
  return source;
}

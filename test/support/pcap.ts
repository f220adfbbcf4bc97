/**
 * The UDP payloads of a classic pcap file, gzipped or not, for tests of what comes before the capture readers.
 *
 * Ethernet, IPv4, UDP, whole datagrams only: what the captures in VECTORS_DIR are made of. The product's own readers
 * live in src/collect and know far more.
 */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface CapturedDatagram {
  readonly payload: Buffer;
  /** 16 bytes, IPv4 mapped. */
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly receivedAtMs: number;
}

export function readPcap(path: string): CapturedDatagram[] {
  const bytes = readFileSync(path);
  const file = path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  const swapped = file.readUInt32LE(0) !== 0xa1b2c3d4;
  const u32 = (at: number) => (swapped ? file.readUInt32BE(at) : file.readUInt32LE(at));
  if (u32(0) !== 0xa1b2c3d4 || u32(20) !== 1) throw new Error(`${path} is no classic Ethernet pcap`);
  const datagrams: CapturedDatagram[] = [];
  for (let at = 24; at + 16 <= file.length; at += 16 + u32(at + 8)) {
    const frame = file.subarray(at + 16, at + 16 + u32(at + 8));
    if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 17) continue;
    const udp = 14 + (frame[14] & 15) * 4;
    const source = new Uint8Array(16).fill(0xff, 10, 12);
    source.set(frame.subarray(26, 30), 12);
    datagrams.push({
      payload: Buffer.from(frame.subarray(udp + 8, udp + frame.readUInt16BE(udp + 4))),
      source,
      sourcePort: frame.readUInt16BE(udp),
      destinationPort: frame.readUInt16BE(udp + 2),
      receivedAtMs: u32(at) * 1000 + Math.floor(u32(at + 4) / 1000),
    });
  }
  return datagrams;
}

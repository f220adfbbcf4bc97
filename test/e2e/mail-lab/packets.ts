/** The TCP sessions to port 25 in a capture of Ethernet frames, measured packet by packet. */

import { readFileSync } from 'node:fs';
import { formatAddress } from '../../../src/flow/address.ts';

export interface Half {
  packets: number;
  /** Of IP packets whole, as flow records count. */
  bytes: number;
  /** Of TCP payload, as often as it was sent. */
  payload: number;
  /** The same without what was sent again. */
  fresh: number;
  /** Packets after the SYN by payload: none, up to 100, up to 600, more. */
  sizes: [number, number, number, number];
  flags: number;
}

export interface Session {
  readonly client: string;
  readonly server: string;
  readonly startMs: number;
  endMs: number;
  readonly forward: Half;
  readonly reply: Half;
  /** IP and TCP header of the SYN and of the smallest later packet of the client. */
  readonly synBytes: number;
  smallest: number;
  /** Of the client's first TLS record, when there was one. */
  hello: number;
  /** Of the server, between its first TLS record and the client's next payload: certificates and what goes with them. */
  handshake: number;
  /** Payload of each packet after the SYN in the order of the router, the server's below zero; -0 does not exist, so a server's lone ACK is left out. */
  readonly dialogue: number[];
}

interface Open extends Session {
  forwardNext: number;
  replyNext: number;
  state: 'plain' | 'asked' | 'hello' | 'open';
}

const half = (): Half => ({ packets: 0, bytes: 0, payload: 0, fresh: 0, sizes: [0, 0, 0, 0], flags: 0 });

/** Reads a classic pcap of Ethernet frames, little-endian, whole packets. */
export function readSessions(path: string): Session[] {
  const file = readFileSync(path);
  const sessions: Open[] = [];
  const open = new Map<string, Open>();
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const timeMs = file.readUInt32LE(at) * 1000 + Math.floor(file.readUInt32LE(at + 4) / 1000);
    note(file.subarray(at + 16, at + 16 + length), timeMs, open, sessions);
    at += 16 + length;
  }
  return sessions.map(({ forwardNext: _, replyNext: __, state: ___, ...session }) => session);
}

function note(frame: Buffer, timeMs: number, open: Map<string, Open>, sessions: Open[]): void {
  const type = frame.readUInt16BE(12);
  const isV6 = type === 0x86dd;
  if (!isV6 && type !== 0x0800) return;
  const ipBytes = isV6 ? 40 + frame.readUInt16BE(18) : frame.readUInt16BE(16);
  const tcp = isV6 ? 54 : 14 + (frame[14] & 15) * 4;
  if ((isV6 ? frame[20] : frame[23]) !== 6) return;
  const text = (from: number) => {
    const address = new Uint8Array(16);
    if (isV6) address.set(frame.subarray(from, from + 16));
    else {
      address.fill(0xff, 10, 12);
      address.set(frame.subarray(from, from + 4), 12);
    }
    return formatAddress(address);
  };
  const source = text(isV6 ? 22 : 26);
  const destination = text(isV6 ? 38 : 30);
  const [sourcePort, destinationPort] = [frame.readUInt16BE(tcp), frame.readUInt16BE(tcp + 2)];
  const forward = destinationPort === 25;
  if (!forward && sourcePort !== 25) return;
  const sequence = frame.readUInt32BE(tcp + 4);
  const flags = frame[tcp + 13];
  const headerBytes = tcp - 14 + (frame[tcp + 12] >> 4) * 4;
  const payload = ipBytes - headerBytes;
  const key = forward
    ? `${source} ${sourcePort} ${destination}`
    : `${destination} ${destinationPort} ${source}`;
  const isSyn = (flags & 0x12) === 0x02;
  let session = open.get(key);
  if (
    forward &&
    isSyn &&
    (session === undefined || session.forwardNext !== sequence + 1 || session.forward.payload > 0)
  ) {
    session = {
      client: source,
      server: destination,
      startMs: timeMs,
      endMs: timeMs,
      forward: half(),
      reply: half(),
      synBytes: headerBytes,
      smallest: 0,
      hello: 0,
      handshake: 0,
      dialogue: [],
      forwardNext: sequence + 1,
      replyNext: 0,
      state: 'plain',
    };
    open.set(key, session);
    sessions.push(session);
  }
  if (session === undefined) return;
  session.endMs = timeMs;
  const side = forward ? session.forward : session.reply;
  side.packets++;
  side.bytes += ipBytes;
  side.payload += payload;
  side.flags |= flags & 0x3f;
  if ((flags & 0x02) !== 0) {
    if (!forward) session.replyNext = (sequence + 1) >>> 0;
    return;
  }
  side.sizes[payload === 0 ? 0 : payload <= 100 ? 1 : payload <= 600 ? 2 : 3]++;
  if (forward && (session.smallest === 0 || ipBytes < session.smallest)) session.smallest = ipBytes;
  if (forward || payload > 0) session.dialogue.push(forward ? payload : -payload);
  if (payload === 0) return;
  const next = forward ? session.forwardNext : session.replyNext;
  const ahead = (sequence + payload - next) | 0;
  if (ahead <= 0) return;
  const fresh = Math.min(ahead, payload);
  side.fresh += fresh;
  if (forward) session.forwardNext = (sequence + payload) >>> 0;
  else session.replyNext = (sequence + payload) >>> 0;
  const data = frame.subarray(14 + headerBytes + payload - fresh, 14 + ipBytes);
  followTls(session, forward, data, fresh);
}

/** Notices STARTTLS, the client's hello, and how much the server answered before the client spoke again. */
function followTls(session: Open, forward: boolean, data: Buffer, fresh: number): void {
  if (session.state === 'plain') {
    if (forward && /starttls\r?\n?$/i.test(data.toString('latin1'))) session.state = 'asked';
  } else if (session.state === 'asked') {
    if (forward && data[0] === 0x16) {
      session.hello = 5 + data.readUInt16BE(3);
      session.state = 'hello';
    }
  } else if (session.state === 'hello') {
    if (!forward) session.handshake += fresh;
    else if (session.handshake > 0) session.state = 'open';
  }
}

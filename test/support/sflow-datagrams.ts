/** sFlow version 5 datagrams made by hand: samples of raw headers, as agents send them. */

import { parseAddress } from '../../src/flow/address.ts';
import { ipv4, u16, u32 } from './datagrams.ts';

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

/** Type, length and content of an opaque part. */
export function opaque(type: number, body: Buffer): Buffer {
  return Buffer.concat([u32(type, body.length), padded(body)]);
}

/** `protocol` 1 is Ethernet; `frameBytes` is what the packet had on the wire. */
export function rawHeader(protocol: number, header: Buffer, frameBytes = 1500): Buffer {
  return opaque(1, Buffer.concat([u32(protocol, frameBytes, 4, header.length), padded(header)]));
}

/** `source` is the data source, `pool` the packets that it could have sampled, `drops` the samples that it lost. */
export function flowSample(
  records: readonly Buffer[],
  { rate = 512, input = 7, output = 8, source = 3, pool = 1000, drops = 0 } = {},
): Buffer {
  const head = u32(1, source, rate, pool, drops, input, output, records.length);
  return opaque(1, Buffer.concat([head, ...records]));
}

export function sflow(
  samples: readonly Buffer[],
  { sequence = 0, subAgent = 2, count = samples.length, uptimeMs = 60_000, agent = '192.0.2.7' } = {},
): Buffer {
  const v6 = agent.includes(':');
  const address = v6 ? Buffer.from(parseAddress(agent) ?? []) : ipv4(agent);
  return Buffer.concat([u32(5, v6 ? 2 : 1), address, u32(subAgent, sequence, uptimeMs, count), ...samples]);
}

/** Ether type and IP header before a transport header; the addresses are 4 or 16 bytes. */
export function ipPacket(source: Buffer, destination: Buffer, protocol: number, transport: Buffer): Buffer {
  if (source.length === 16) {
    const header = [u16(0x86dd), u32(0x60000000), u16(transport.length), Buffer.from([protocol, 64])];
    return Buffer.concat([...header, source, destination, transport]);
  }
  const header = [u16(0x0800), Buffer.from([0x45, 0]), u16(20 + transport.length, 1, 0)];
  return Buffer.concat([...header, Buffer.from([64, protocol, 0, 0]), source, destination, transport]);
}

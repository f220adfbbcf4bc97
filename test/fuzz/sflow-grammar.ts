/**
 * sFlow version 5 datagrams by grammar: samples of every kind, with frames of every layer that the reader follows.
 */

import { u16, u32 } from '../support/datagrams.ts';
import { CONTROL_WORD, mpls, snap, tunnelled, wifi } from '../support/packets.ts';
import type { Random } from './random.ts';

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

/** Kind, length, content; the length is wrong once in a while. */
function framed(kind: number, content: Buffer, random: Random): Buffer {
  const length = random.oneIn(25)
    ? random.pick([0, 1, content.length + 4, 0xffffffff, 0x7fffffff])
    : content.length;
  return Buffer.concat([u32(kind, length), content]);
}

function transport(random: Random): Buffer {
  const header = Buffer.concat([u16(random.below(65_536), random.pick([25, 443])), random.bytes(16)]);
  return random.oneIn(6) ? header.subarray(0, random.below(header.length)) : header;
}

function ipv4(random: Random): Buffer {
  const words = random.oneIn(5) ? random.below(16) : 5;
  const head = [
    u16(0x4000 | (words << 8), random.below(1500), 1, random.oneIn(8) ? random.below(65_536) : 0),
  ];
  const protocol = random.pick([6, 6, 17, 1, 4, 41, 47, 58]);
  return Buffer.concat([
    ...head,
    Buffer.from([64, protocol, 0, 0]),
    random.bytes(8),
    random.bytes(4 * Math.max(0, words - 5)),
    inner(protocol, random),
  ]);
}

function inner(protocol: number, random: Random): Buffer {
  if (protocol === 4) return random.oneIn(4) ? ipv4(random) : random.bytes(20);
  if (protocol === 41) return random.oneIn(4) ? ipv6(random) : random.bytes(40);
  if (protocol === 47)
    return Buffer.concat([
      u16(random.below(65_536), random.pick([0x0800, 0x86dd, 0x6558])),
      transport(random),
    ]);
  return transport(random);
}

function ipv6(random: Random): Buffer {
  const chain = Array.from({ length: random.oneIn(3) ? random.below(12) : 0 }, () =>
    random.pick([0, 43, 44, 60, 51, 135, 59]),
  );
  const last = random.pick([6, 17, 58, 47]);
  const numbers = [...chain, last];
  const head = Buffer.concat([
    u32(0x60000000),
    u16(random.below(1500)),
    Buffer.from([numbers[0] ?? last, 64]),
    random.bytes(32),
  ]);
  const extensions = chain.map((_, i) => {
    const units = random.oneIn(6) ? random.below(256) : 0;
    return Buffer.concat([
      Buffer.from([numbers[i + 1] ?? last, units]),
      random.bytes(6 + 8 * Math.min(units, 3)),
    ]);
  });
  return Buffer.concat([head, ...extensions, inner(last, random)]);
}

/** An Ethernet frame with tags, labels and packets of every kind. */
export function sampledFrame(random: Random): Buffer {
  const tags = Array.from({ length: random.oneIn(3) ? random.below(5) : 0 }, () =>
    u16(random.pick([0x8100, 0x88a8, 0x9100]), random.below(4096)),
  );
  const labels = random.oneIn(6)
    ? [
        u16(0x8847),
        ...Array.from({ length: 1 + random.below(4) }, (_, i) =>
          u32(random.below(1 << 20) * 4096 + (i === 0 ? 0 : 0x100)),
        ),
      ]
    : [];
  const v6 = random.oneIn(3);
  const type =
    labels.length > 0 ? labels : [u16(random.oneIn(20) ? random.below(65_536) : v6 ? 0x86dd : 0x0800)];
  return Buffer.concat([random.bytes(12), ...tags, ...type, v6 ? ipv6(random) : ipv4(random)]);
}

/** A tunnel of any kind around a packet, or a link layer before it that says, or does not say, what comes. */
function wrapped(protocol: number, random: Random): Buffer {
  const packet = random.oneIn(3) ? ipv6(random) : ipv4(random);
  const inTunnel = random.oneIn(2) ? random.pick(Object.values(tunnelled(packet))) : packet;
  switch (protocol) {
    case 5:
      return Buffer.concat([u16(0x1841), Buffer.from([3, random.pick([0xcc, 0x8e, 0x80, 0xcf])]), inTunnel]);
    case 7:
    case 14:
      return Buffer.concat([
        u16(random.pick([0xff03, 0x0f00, 0x0021])),
        u16(random.pick([0x21, 0x57, 0x3d, 0x31, 0x0800, 0x281])),
        inTunnel,
      ]);
    case 13:
      return mpls(
        [random.below(20), random.below(4)],
        random.oneIn(2) ? Buffer.concat([CONTROL_WORD, sampledFrame(random)]) : inTunnel,
      );
    case 15:
    case 16:
      return wifi(Buffer.concat([snap(0x0800), inTunnel]), {
        qos: random.oneIn(2),
        isProtected: random.oneIn(3),
        vector: random.pick([0, 4, 8]),
      });
    default:
      return inTunnel;
  }
}

function rawHeader(random: Random): Buffer {
  const protocol = random.pick([1, 1, 1, 5, 7, 11, 11, 12, 13, 13, 14, 15, 16, random.below(20)]);
  const isPlain = protocol === 1 || random.oneIn(4);
  const frame = isPlain ? sampledFrame(random) : protocol === 12 ? ipv6(random) : wrapped(protocol, random);
  const shown = random.oneIn(4) ? frame.subarray(0, random.below(frame.length)) : frame;
  const told = random.oneIn(20) ? random.pick([0, shown.length + 8, 0xffffffff]) : shown.length;
  return framed(1, Buffer.concat([u32(protocol, 1500, 4, told), padded(shown)]), random);
}

function flowRecord(random: Random): Buffer {
  switch (random.below(6)) {
    case 0:
      return framed(3, Buffer.concat([u32(60, 6), random.bytes(8), u32(40_000, 25, 0x12, 0)]), random);
    case 1:
      return framed(4, Buffer.concat([u32(60, 6), random.bytes(32), u32(40_000, 25, 0x12, 0)]), random);
    case 2:
      return framed(1000 + random.below(40), random.bytes(4 * random.below(20)), random);
    default:
      return rawHeader(random);
  }
}

function sample(random: Random): Buffer {
  const records = Array.from({ length: random.below(4) }, () => flowRecord(random));
  const count = random.oneIn(20) ? random.pick([0, 0xffffffff, records.length + 1]) : records.length;
  const rate = random.pick([0, 1, 512, 0xffffffff]);
  switch (random.below(5)) {
    case 0:
      return framed(3, Buffer.concat([u32(1, 0, 3, rate, 1000, 0, 0, 7, 0, 8, count), ...records]), random);
    case 1:
      return framed(random.pick([2, 4, 5, 0x1000_0001]), random.bytes(4 * random.below(40)), random);
    default:
      return framed(1, Buffer.concat([u32(1, 3, rate, 1000, 0, 7, 8, count), ...records]), random);
  }
}

export function sflowDatagram(random: Random): Buffer {
  const samples = Array.from({ length: random.below(8) }, () => sample(random));
  const count = random.oneIn(15) ? random.pick([0, 0xffffffff, samples.length + 3]) : samples.length;
  const agent = random.oneIn(4)
    ? [u32(2), random.bytes(16)]
    : [u32(random.oneIn(20) ? random.below(9) : 1), random.bytes(4)];
  return Buffer.concat([
    u32(5),
    ...agent,
    u32(random.below(3), random.below(1 << 30), 60_000, count),
    ...samples,
  ]);
}

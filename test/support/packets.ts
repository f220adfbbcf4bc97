/**
 * Packets from the link layer up, with right lengths and checksums, to be put into samples of any kind.
 */

import { ipv4, u16, u32 } from './datagrams.ts';

/** A mail segment of the rogue host: 1400 bytes as an IPv4 packet, flags PSH and ACK. */
export const MAIL_ENDS = { src_addr: '10.1.2.3', dst_addr: '203.0.113.10', src_port: 40_000, dst_port: 25 };

export function tcp(sourcePort: number, destinationPort: number, payload = 1360, flags = 0x18): Buffer {
  const header = [u16(sourcePort, destinationPort), u32(1000, 2000), Buffer.from([0x50, flags])];
  return Buffer.concat([...header, u16(65_535, 0, 0), Buffer.alloc(payload, 0x78)]);
}

export function udp(destinationPort: number, payload: Buffer, sourcePort = 49_152): Buffer {
  return Buffer.concat([u16(sourcePort, destinationPort, 8 + payload.length, 0), payload]);
}

interface IpOptions {
  readonly protocol?: number;
  readonly source?: string;
  readonly destination?: string;
}

/** With its checksum. */
export function ipv4Packet(
  payload: Buffer,
  { protocol = 6, source = MAIL_ENDS.src_addr, destination = MAIL_ENDS.dst_addr }: IpOptions = {},
): Buffer {
  const header = Buffer.concat([
    Buffer.from([0x45, 0]),
    u16(20 + payload.length, 1, 0),
    Buffer.from([64, protocol, 0, 0]),
    ipv4(source),
    ipv4(destination),
  ]);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  header.writeUInt16BE(~sum & 0xffff, 10);
  return Buffer.concat([header, payload]);
}

const INSIDE6 = Buffer.from('20010db8000100000000000000000003', 'hex');
const OUTSIDE6 = Buffer.from('20010db8ffff00000000000000000025', 'hex');

export function ipv6Packet(payload: Buffer, next = 6, source = INSIDE6, destination = OUTSIDE6): Buffer {
  const header = [u32(0x60000000), u16(payload.length), Buffer.from([next, 64])];
  return Buffer.concat([...header, source, destination, payload]);
}

export const MAIL4 = ipv4Packet(tcp(MAIL_ENDS.src_port, MAIL_ENDS.dst_port));
export const MAIL6 = ipv6Packet(tcp(40_000, 25));

const TO_MAC = Buffer.from('020000000102', 'hex');
const FROM_MAC = Buffer.from('020000000002', 'hex');

/** `tags` are words between the addresses and the EtherType, tag types included. */
export function ethernet(
  type: number,
  payload: Buffer,
  { tags = [], to = TO_MAC, from = FROM_MAC }: { tags?: readonly number[]; to?: Buffer; from?: Buffer } = {},
): Buffer {
  return Buffer.concat([to, from, u16(...tags, type), payload]);
}

/** 802.3 with LLC and SNAP. */
export function snapFrame(type: number, payload: Buffer): Buffer {
  const llc = Buffer.concat([snap(type), payload]);
  return Buffer.concat([TO_MAC, FROM_MAC, u16(Math.min(1500, llc.length)), llc]);
}

export function snap(type: number): Buffer {
  return Buffer.concat([Buffer.from([0xaa, 0xaa, 3, 0, 0, 0]), u16(type)]);
}

/** Labels in order; the last has the bottom bit. */
export function mpls(labels: readonly number[], payload: Buffer): Buffer {
  const words = labels.map((label, i) => label * 4096 + (i === labels.length - 1 ? 0x100 : 0) + 62);
  return Buffer.concat([u32(...words), payload]);
}

export const CONTROL_WORD = u32(7);

/** A data frame from an access point's client: to the network, QoS if asked for. */
export function wifi(payload: Buffer, { qos = false, isProtected = false, vector = 0 } = {}): Buffer {
  const control = Buffer.from([qos ? 0x88 : 0x08, 0x01 | (isProtected ? 0x40 : 0)]);
  const head = Buffer.concat([control, u16(0), TO_MAC, FROM_MAC, TO_MAC, u16(0), ...(qos ? [u16(0)] : [])]);
  return Buffer.concat([head, Buffer.alloc(vector, 0x20), payload]);
}

const VXLAN_HEADER = u32(0x08000000, 5 << 8);

/** The outer packet of a tunnel between two routers. */
export function between(protocol: number, payload: Buffer): Buffer {
  return ipv4Packet(payload, { protocol, source: '192.0.2.10', destination: '192.0.2.20' });
}

/** A mail segment in every tunnel that is read, each as an IPv4 packet between 192.0.2.10 and 192.0.2.20. */
export function tunnelled(inner: Buffer, type = 0x0800): Readonly<Record<string, Buffer>> {
  const frame = ethernet(type, inner);
  const ip = type === 0x0800 ? 4 : 41;
  return {
    'IP in IP or 6in4': between(ip, inner),
    GRE: between(47, Buffer.concat([u16(0, type), inner])),
    'GRE with key, checksum and sequence': between(
      47,
      Buffer.concat([u16(0xb000, type), u32(0, 7, 1), inner]),
    ),
    NVGRE: between(47, Buffer.concat([u16(0x2000, 0x6558), u32(0x1234_5601), frame])),
    'MPLS in GRE': between(47, Buffer.concat([u16(0, 0x8847), mpls([1000], inner)])),
    'PPTP without encryption': between(
      47,
      Buffer.concat([
        u16(0x3001, 0x880b),
        u16(4 + inner.length, 1),
        u32(1),
        u16(0xff03, ip === 4 ? 0x21 : 0x57),
        inner,
      ]),
    ),
    EtherIP: between(97, Buffer.concat([u16(0x3000), frame])),
    'MPLS in IP': between(137, mpls([1000], inner)),
    'L2TPv3 with a cookie': between(115, Buffer.concat([u32(77, 0xabcdef01), frame])),
    VXLAN: between(17, udp(4789, Buffer.concat([VXLAN_HEADER, frame]))),
    "VXLAN on Linux's port": between(17, udp(8472, Buffer.concat([VXLAN_HEADER, frame]))),
    'VXLAN-GPE': between(17, udp(4790, Buffer.concat([u32(0x0c000000 | (ip === 4 ? 1 : 2), 5 << 8), inner]))),
    'GENEVE with options': between(
      17,
      udp(6081, Buffer.concat([u16(0x0200, 0x6558), u32(5 << 8, 0, 0), frame])),
    ),
    'GTP-U': between(17, udp(2152, Buffer.concat([u16(0x30ff, inner.length), u32(99), inner]), 2152)),
    'GTP-U with an extension header': between(
      17,
      udp(
        2152,
        Buffer.concat([u16(0x34ff, 8 + inner.length), u32(99), u32(0x85), Buffer.from([1, 0, 9, 0]), inner]),
        2152,
      ),
    ),
    'L2TP with length': between(
      17,
      udp(
        1701,
        Buffer.concat([u16(0x4002, 14 + inner.length, 1, 2, 0xff03, ip === 4 ? 0x21 : 0x57), inner]),
        1701,
      ),
    ),
    'MPLS in UDP': between(17, udp(6635, mpls([1000], inner))),
    'GRE in UDP': between(17, udp(4754, Buffer.concat([u16(0, type), inner]))),
    LISP: between(17, udp(4341, Buffer.concat([u32(0, 0), inner]))),
    GUE: between(17, udp(6080, Buffer.concat([Buffer.from([0, ip, 0, 0]), inner]))),
  };
}

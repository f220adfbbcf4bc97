import { describe, expect, it } from 'vitest';
import { noUnread } from '../../src/decode/packet/walk.ts';
import { PRESENT } from '../../src/flow/columns.ts';
import { type Field, ipfix, set, template, u16, u32, v9 } from '../support/datagrams.ts';
import { collector, type Row } from '../support/decoding.ts';
import {
  between,
  CONTROL_WORD,
  ethernet,
  ipv4Packet,
  ipv6Packet,
  MAIL_ENDS,
  MAIL4,
  MAIL6,
  mpls,
  snap,
  snapFrame,
  tcp,
  tunnelled,
  udp,
  wifi,
} from '../support/packets.ts';
import { flowSample, opaque, rawHeader, sflow } from '../support/sflow-datagrams.ts';

const MAIL_ROW = { ...MAIL_ENDS, protocol: 6, tcp_flags: 0x18, bytes: 1400, packets: 1 };
const MAIL6_ROW = { src_addr: '2001:db8:1::3', dst_addr: '2001:db8:ffff::25', dst_port: 25, tcp_flags: 0x18 };
/** Destination options of IPv6: padding only. IPv6 follows. */
const OPTIONS6 = Buffer.from([41, 0, 1, 4, 0, 0, 0, 0]);
const OUTER = { src_addr: '192.0.2.10', dst_addr: '192.0.2.20' };

/** The first 128 bytes, as agents sample them. */
function sampled(protocol: number, frame: Buffer, options: { tunnels?: 'inner' | 'outer' | 'both' } = {}) {
  const { decode, rows, decoder } = collector(options);
  decode(sflow([flowSample([rawHeader(protocol, frame.subarray(0, 128), frame.length)])]));
  const [state] = decoder.exporters();
  return { rows: rows(), unread: state?.unread };
}

describe('a sampled header of protocol', () => {
  const ppp4 = Buffer.concat([u16(0x0021), MAIL4]);
  const hdlc4 = Buffer.concat([u16(0xff03, 0x0021), MAIL4]);
  const cisco4 = Buffer.concat([u16(0x0f00, 0x0800), MAIL4]);
  it.each([
    ['1, Ethernet', 1, ethernet(0x0800, MAIL4)],
    ['1, VLAN', 1, ethernet(0x0800, MAIL4, { tags: [0x8100, 100] })],
    ['1, QinQ', 1, ethernet(0x0800, MAIL4, { tags: [0x88a8, 100, 0x8100, 200] })],
    ['1, LLC and SNAP', 1, snapFrame(0x0800, MAIL4)],
    ['1, LLC in a large frame', 1, ethernet(0x8870, Buffer.concat([snap(0x0800), MAIL4]))],
    [
      '1, VLAN before LLC and SNAP',
      1,
      Buffer.concat([ethernet(0x8100, u16(100)), snapFrame(0x0800, MAIL4).subarray(12)]),
    ],
    [
      '1, 802.1ah',
      1,
      ethernet(0x88e7, Buffer.concat([u32(0x00012345), ethernet(0x0800, MAIL4)]), { tags: [0x88a8, 7] }),
    ],
    ['1, TRILL', 1, ethernet(0x22f3, Buffer.concat([u16(0x003f, 1, 2), ethernet(0x0800, MAIL4)]))],
    ['1, FabricPath', 1, ethernet(0x8903, Buffer.concat([u16(0x0040), ethernet(0x0800, MAIL4)]))],
    ['1, VN-tag', 1, ethernet(0x8926, Buffer.concat([u32(1), u16(0x0800), MAIL4]))],
    ['1, Cisco metadata', 1, ethernet(0x8909, Buffer.concat([u16(0x0101, 1, 7), u16(0x0800), MAIL4]))],
    [
      '1, MACsec that protects only',
      1,
      ethernet(0x88e5, Buffer.concat([u16(0), u32(1), u16(0x0800), MAIL4])),
    ],
    ['1, NSH', 1, ethernet(0x894f, Buffer.concat([u32(0x0fc20201, 0x00000101), MAIL4]))],
    ['1, MPLS', 1, ethernet(0x8847, mpls([16, 17], MAIL4))],
    ['1, PPPoE', 1, ethernet(0x8864, Buffer.concat([u16(0x1100, 1, 1402), ppp4]))],
    ['2, token bus', 2, Buffer.concat([Buffer.alloc(13, 2), snap(0x0800), MAIL4])],
    ['3, token ring', 3, Buffer.concat([Buffer.alloc(14, 2), snap(0x0800), MAIL4])],
    ['4, FDDI', 4, Buffer.concat([Buffer.alloc(13, 2), snap(0x0800), MAIL4])],
    ['5, frame relay', 5, Buffer.concat([u16(0x1841), Buffer.from([3, 0xcc]), MAIL4])],
    [
      '5, frame relay with SNAP',
      5,
      Buffer.concat([u16(0x1841), Buffer.from([3, 0, 0x80, 0, 0, 0]), u16(0x0800), MAIL4]),
    ],
    ["5, frame relay in Cisco's form", 5, Buffer.concat([u16(0x1841, 0x0800), MAIL4])],
    ['7, PPP', 7, ppp4],
    ['7, PPP with address and control', 7, hdlc4],
    ['7, PPP with a short protocol', 7, Buffer.concat([Buffer.from([0x21]), MAIL4])],
    ['7, PPP with MPLS', 7, Buffer.concat([u16(0x0281), mpls([16], MAIL4)])],
    ['7, PPP with a bridged frame', 7, Buffer.concat([u16(0x0031, 0x0001), ethernet(0x0800, MAIL4)])],
    ['9, AAL5', 9, Buffer.concat([snap(0x0800), MAIL4])],
    ['10, AAL5 with IP', 10, MAIL4],
    ['11, IPv4', 11, MAIL4],
    ['13, MPLS', 13, mpls([16_001], MAIL4)],
    ['13, MPLS with explicit null', 13, mpls([16_001, 0], MAIL4)],
    ['14, POS', 14, hdlc4],
    ['14, Cisco HDLC', 14, cisco4],
    ['15, 802.11', 15, wifi(Buffer.concat([snap(0x0800), MAIL4]))],
    ['15, 802.11 with QoS', 15, wifi(Buffer.concat([snap(0x0800), MAIL4]), { qos: true })],
    [
      '15, 802.11 decrypted, the vector left in',
      15,
      wifi(Buffer.concat([snap(0x0800), MAIL4]), { isProtected: true, vector: 8 }),
    ],
    [
      '16, A-MPDU',
      16,
      Buffer.concat([Buffer.from([0, 0, 0, 0x4e]), wifi(Buffer.concat([snap(0x0800), MAIL4]))]),
    ],
    ['17, A-MSDU', 17, snapFrame(0x0800, MAIL4)],
  ] as const)('%s is read', (_, protocol, frame) => {
    expect(sampled(protocol, frame).rows).toMatchObject([MAIL_ROW]);
  });

  it.each([
    ['7, PPP', 7, Buffer.concat([u16(0x0057), MAIL6])],
    ['12, IPv6', 12, MAIL6],
    ['13, MPLS', 13, mpls([16_001], MAIL6)],
    ['13, MPLS with explicit null', 13, mpls([16_001, 2], MAIL6)],
    ['14, Cisco HDLC', 14, Buffer.concat([u16(0x0f00, 0x86dd), MAIL6])],
    ['1, LLC and SNAP', 1, snapFrame(0x86dd, MAIL6)],
    ['15, 802.11', 15, wifi(Buffer.concat([snap(0x86dd), MAIL6]))],
  ] as const)('%s is read with IPv6', (_, protocol, frame) => {
    expect(sampled(protocol, frame).rows).toMatchObject([MAIL6_ROW]);
  });

  it.each([
    ['an ARP request', 1, ethernet(0x0806, Buffer.alloc(28)), 'not_ip'],
    [
      'spanning tree',
      1,
      Buffer.concat([Buffer.alloc(12, 2), u16(38), Buffer.from([0x42, 0x42, 3]), Buffer.alloc(35)]),
      'not_ip',
    ],
    ['PPP control', 7, u16(0xc021, 1, 4), 'not_ip'],
    ['a beacon', 15, Buffer.concat([Buffer.from([0x80, 0]), Buffer.alloc(60)]), 'not_ip'],
    ['an associated channel', 13, mpls([16, 13], Buffer.alloc(40)), 'not_ip'],
    ['encrypted 802.11', 15, wifi(Buffer.alloc(80, 0x55), { isProtected: true }), 'encrypted'],
    ['encrypted MACsec', 1, ethernet(0x88e5, Buffer.concat([u16(0x0c00), Buffer.alloc(80)])), 'encrypted'],
    ['compressed PPP', 7, Buffer.concat([u16(0x00fd), Buffer.alloc(80)]), 'encrypted'],
    ['an unknown EtherType', 1, ethernet(0xdada, Buffer.alloc(80)), 'unknown_protocol'],
    ['an unknown header protocol', 18, Buffer.alloc(80), 'unknown_protocol'],
    ['an IPv4 header that cannot be', 1, ethernet(0x0800, Buffer.alloc(60, 0x41)), 'bad_header'],
    ['a frame cut before the addresses', 1, ethernet(0x0800, MAIL4).subarray(0, 30), 'cut'],
    ['labels that never end', 13, Buffer.alloc(12), 'cut'],
  ] as const)('%s (protocol %i) has no address, and is counted', (_, protocol, frame, reason) => {
    const { rows, unread } = sampled(protocol, frame);
    expect(rows).toMatchObject([{ src_addr: '::', dst_addr: '::' }]);
    expect(unread).toMatchObject({ [reason]: 1 });
  });
});

describe('a payload behind labels, of which nothing says what it is', () => {
  const frame = (to: string, from = 'd0dc2cc70425', type = 0x0800, payload = MAIL4) =>
    ethernet(type, payload, { to: Buffer.from(to, 'hex'), from: Buffer.from(from, 'hex') });

  it.each([
    ['a frame', frame('d0dc2cc6f80a')],
    ['a frame behind a control word', Buffer.concat([CONTROL_WORD, frame('d0dc2cc6f80a')])],
    ['a frame whose MAC begins with 4', frame('450005780001')],
    ['a frame whose MAC begins with 45 and fits as a header', frame('450005780001', '400040062d71')],
    ['a frame whose MAC begins with 6', frame('600000000564')],
    ['a frame whose MAC begins with 0', frame('001122334455')],
    ['a frame whose MAC begins with zeros', frame('000000000102')],
    [
      'a frame with a control word whose MAC begins with 4',
      Buffer.concat([CONTROL_WORD, frame('450005780001')]),
    ],
    [
      'a frame with a VLAN tag',
      ethernet(0x0800, MAIL4, { tags: [0x8100, 5], to: Buffer.from('4c0000000001', 'hex') }),
    ],
    ['an IP packet behind a control word', Buffer.concat([CONTROL_WORD, MAIL4])],
    ['PPP behind a control word', Buffer.concat([CONTROL_WORD, u16(0xff03, 0x0021), MAIL4])],
    ['Cisco HDLC behind a control word', Buffer.concat([CONTROL_WORD, u16(0x0f00, 0x0800), MAIL4])],
    ['ATM behind a control word', Buffer.concat([CONTROL_WORD, snap(0x0800), MAIL4])],
    [
      'frame relay behind a control word',
      Buffer.concat([CONTROL_WORD, u16(0x1841), Buffer.from([3, 0xcc]), MAIL4]),
    ],
    ['labels once more, in a frame', ethernet(0x8847, mpls([77], MAIL4))],
  ] as const)('%s is read', (_, payload) => {
    expect(sampled(1, ethernet(0x8847, mpls([100, 200], payload))).rows).toMatchObject([MAIL_ROW]);
    expect(sampled(13, mpls([100, 200], payload)).rows).toMatchObject([MAIL_ROW]);
  });

  it.each([
    [
      'IPv6 in a frame behind a control word',
      Buffer.concat([CONTROL_WORD, frame('d0dc2cc6f80a', undefined, 0x86dd, MAIL6)]),
    ],
    ['IPv6 in a frame whose MAC begins with 6', frame('600000000578', undefined, 0x86dd, MAIL6)],
  ] as const)('%s is read', (_, payload) => {
    expect(sampled(13, mpls([100], payload)).rows).toMatchObject([MAIL6_ROW]);
  });

  it.each([
    [
      'a MAC that begins with 4',
      Buffer.concat([Buffer.from('45000578000140004006000011112222', 'hex'), Buffer.alloc(80, 0x11)]),
    ],
    [
      'a MAC that begins with 6',
      Buffer.concat([Buffer.from('600000000564064020010db8', 'hex'), Buffer.alloc(80, 0xee)]),
    ],
    [
      'a packet whose checksum is wrong',
      Buffer.concat([MAIL4.subarray(0, 10), u16(0x1234), MAIL4.subarray(12)]),
    ],
    ['noise', Buffer.from(Array.from({ length: 100 }, (_, i) => (i * 73) & 255))],
  ] as const)('%s is no address', (_, payload) => {
    const { rows, unread } = sampled(13, mpls([100], payload));
    expect(rows).toMatchObject([{ src_addr: '::', dst_addr: '::' }]);
    expect(unread).toMatchObject({ unknown_protocol: 1 });
  });

  it('of another protocol than IP is no gap', () => {
    expect(
      sampled(13, mpls([100], Buffer.concat([CONTROL_WORD, frame('d0dc2cc6f80a', undefined, 0x0806)])))
        .unread,
    ).toMatchObject({
      not_ip: 1,
      unknown_protocol: 0,
    });
  });
});

describe('a tunnel', () => {
  it.each(Object.entries(tunnelled(MAIL4)))('%s is read to the packet inside', (_, packet) => {
    expect(sampled(1, ethernet(0x0800, packet)).rows).toMatchObject([MAIL_ROW]);
    expect(sampled(1, ethernet(0x0800, packet), { tunnels: 'outer' }).rows).toMatchObject([OUTER]);
    expect(sampled(11, packet, { tunnels: 'both' }).rows).toMatchObject([MAIL_ROW, OUTER]);
  });

  it.each(Object.entries(tunnelled(MAIL6, 0x86dd)))('%s is read to IPv6 inside', (_, packet) => {
    expect(sampled(11, packet).rows).toMatchObject([MAIL6_ROW]);
  });

  it('in a tunnel is read to the innermost packet, the outermost being the outer one', () => {
    const twice = between(
      47,
      Buffer.concat([u16(0, 0x0800), ipv4Packet(MAIL4, { protocol: 4, source: '192.0.2.30' })]),
    );
    expect(sampled(11, twice, { tunnels: 'both' }).rows).toMatchObject([MAIL_ROW, OUTER]);
  });

  it('marks the packet inside, and only that', () => {
    const gre = tunnelled(MAIL4).GRE ?? MAIL4;
    const marks = (frame: Buffer, tunnels: 'inner' | 'outer' | 'both') =>
      sampled(11, frame, { tunnels }).rows.map(({ present }) => (Number(present) & PRESENT.IN_TUNNEL) !== 0);
    expect(marks(gre, 'inner')).toEqual([true]);
    expect(marks(gre, 'both')).toEqual([true, false]);
    expect(marks(gre, 'outer')).toEqual([false]);
    expect(marks(MAIL4, 'inner')).toEqual([false]);
  });

  it.each([
    ['IPv6 in a GRE tunnel over IPv6', ipv6Packet(Buffer.concat([u16(0, 0x86dd), MAIL6]), 47), MAIL6_ROW],
    ['IPv4 in IPv6', ipv6Packet(MAIL4, 4), MAIL_ROW],
    ['IPv6 in IPv6 behind destination options', ipv6Packet(Buffer.concat([OPTIONS6, MAIL6]), 60), MAIL6_ROW],
    [
      'VXLAN over IPv6 with a VLAN inside',
      ipv6Packet(
        udp(4789, Buffer.concat([u32(0x08000000, 5 << 8), ethernet(0x0800, MAIL4, { tags: [0x8100, 7] })])),
        17,
      ),
      MAIL_ROW,
    ],
    ['GRE with a checksum only', between(47, Buffer.concat([u16(0x8000, 0x0800), u32(0), MAIL4])), MAIL_ROW],
    ['GRE with a key only', between(47, Buffer.concat([u16(0x2000, 0x0800), u32(7), MAIL4])), MAIL_ROW],
    ['GRE with a sequence only', between(47, Buffer.concat([u16(0x1000, 0x0800), u32(7), MAIL4])), MAIL_ROW],
    [
      'GTP-U with two extension headers',
      between(
        17,
        udp(
          2152,
          Buffer.concat([
            u16(0x34ff, 12 + MAIL4.length),
            u32(99),
            u32(0x85),
            Buffer.from([1, 0, 9, 0xc0]),
            Buffer.from([1, 0, 0, 0]),
            MAIL4,
          ]),
          2152,
        ),
      ),
      MAIL_ROW,
    ],
  ])('%s is read to the packet inside', (_, packet, row) => {
    expect(sampled(packet[0] === 0x45 ? 11 : 12, packet).rows).toMatchObject([row]);
  });

  it('makes two records of one sample that differ in their number', () => {
    const { rows } = sampled(11, tunnelled(MAIL4).GRE ?? MAIL4, { tunnels: 'both' });
    expect(new Set(rows.map(({ record }) => record)).size).toBe(2);
    expect(rows.map(({ in_if, sampling_rate }) => [in_if, sampling_rate])).toEqual([
      [7, 512],
      [7, 512],
    ]);
  });

  it.each([
    ['a port alone', between(17, udp(4789, Buffer.alloc(60, 0x08)))],
    ['GTP control', between(17, udp(2152, Buffer.concat([u16(0x3001, 4), Buffer.alloc(40)])))],
    ['L2TP control', between(17, udp(1701, Buffer.concat([u16(0xc802, 20), Buffer.alloc(40)]), 1701))],
    [
      'ERSPAN, which is a copy',
      between(47, Buffer.concat([u16(0x1000, 0x88be), u32(1), u32(0x10000000, 0), ethernet(0x0800, MAIL4)])),
    ],
    ['a GRE keepalive', between(47, u16(0, 0))],
    [
      'a later fragment',
      Buffer.concat([between(4, MAIL4).subarray(0, 6), u16(100), between(4, MAIL4).subarray(8)]),
    ],
  ] as const)('%s leaves the packet as it is', (_, packet) => {
    const { rows, unread } = sampled(11, packet);
    expect(rows).toMatchObject([OUTER]);
    expect(Object.values(unread ?? {}).every((n) => n === 0)).toBe(true);
  });

  it('that is cut before the ports is counted: whether it is mail cannot be told', () => {
    const { rows, unread } = sampled(11, MAIL4.subarray(0, 20));
    expect(rows).toHaveLength(1);
    expect(unread).toMatchObject({ cut: 1 });
  });

  it('that is cut before the packet inside leaves the outer one, and is counted', () => {
    const { rows, unread } = sampled(11, between(47, Buffer.concat([u16(0, 0x0800), MAIL4])).subarray(0, 30));
    expect(rows).toMatchObject([OUTER]);
    expect(unread).toMatchObject({ cut: 1 });
  });
});

describe('the best source in a sample', () => {
  const cut = ethernet(0x0800, MAIL4).subarray(0, 44);
  const parsed = (flags: number, source = '10.1.2.3') =>
    opaque(
      3,
      Buffer.concat([u32(1400, 6), ...[source, '203.0.113.10'].map(ipBytes), u32(40_000, 25, flags, 0)]),
    );
  const ipBytes = (text: string) => Buffer.from(text.split('.').map(Number));
  const read = (...records: Buffer[]): Row[] => {
    const { decode, rows } = collector();
    decode(sflow([flowSample(records)]));
    return rows();
  };

  it('for flags is what the agent parsed, where the header is cut before them, in any order', () => {
    expect(read(rawHeader(1, cut, 1414), parsed(0x18))).toMatchObject([MAIL_ROW]);
    expect(read(parsed(0x04), rawHeader(1, cut, 1414))).toMatchObject([{ ...MAIL_ROW, tcp_flags: 4 }]);
  });

  it('for flags is the header, where it has them', () => {
    expect(read(parsed(0x02), rawHeader(1, ethernet(0x0800, MAIL4).subarray(0, 80)))).toMatchObject([
      MAIL_ROW,
    ]);
  });

  it('does not mix two packets', () => {
    const [row] = read(rawHeader(1, cut, 1414), parsed(0x02, '10.9.9.9'));
    expect(row).toMatchObject({ src_addr: '10.1.2.3', tcp_flags: 0 });
  });

  it('for the length is the IP header, not a frame length that counts what was sampled', () => {
    expect(read(rawHeader(1, ethernet(0x0800, MAIL4).subarray(0, 114), 132))).toMatchObject([
      { bytes: 1400 },
    ]);
  });

  it('of unread headers is what the agent parsed', () => {
    expect(read(rawHeader(6, Buffer.alloc(40)), parsed(0x18))).toMatchObject([MAIL_ROW]);
  });
});

describe('an sFlow mark of a dropped packet', () => {
  const forwarding = (reason: number): unknown => {
    const { decode, rows } = collector();
    const header = rawHeader(1, ethernet(0x0800, MAIL4).subarray(0, 80));
    decode(sflow([flowSample([header], { output: 0x40000000 + reason })]));
    return rows()[0]?.forwarding;
  };

  it.each([0, 1, 3, 9, 10, 13, 258, 269])('is believed with reason %i', (reason) => {
    expect(forwarding(reason)).toBe(0x80);
  });

  it.each([4, 16, 255, 256, 257, 259, 260, 261, 262, 999, 0x3fffffff])('is not with reason %i', (reason) => {
    expect(forwarding(reason)).toBe(0);
  });
});

describe('a flow record with a piece of a packet', () => {
  const read = (fields: readonly Field[], record: Buffer, options = {}, version: typeof ipfix = ipfix) => {
    const { decode, rows, decoder } = collector(options);
    decode(version([set(version === v9 ? 0 : 2, template(256, fields)), set(256, record)]));
    return { rows: rows(), unread: [...decoder.exporters()][0]?.unread };
  };
  const section = (bytes: Buffer) => Buffer.concat([Buffer.from([255]), u16(bytes.length), bytes]);
  const part = ethernet(0x0800, MAIL4).subarray(0, 114);

  it.each([
    [
      'a frame (315)',
      [
        [10, 4],
        [312, 2],
        [315, 65_535],
      ],
      Buffer.concat([u32(7), u16(1414), section(part)]),
    ],
    [
      'a frame of fixed length',
      [
        [10, 4],
        [315, 114],
      ],
      Buffer.concat([u32(7), part]),
    ],
    [
      'a frame with its type and offset',
      [
        [10, 4],
        [408, 2],
        [409, 2],
        [315, 65_535],
      ],
      Buffer.concat([u32(7), u16(1, 0), section(part)]),
    ],
    [
      'an IP header (313)',
      [
        [10, 4],
        [313, 65_535],
      ],
      Buffer.concat([u32(7), section(MAIL4.subarray(0, 60))]),
    ],
    [
      'a payload of MPLS (317)',
      [
        [10, 4],
        [317, 65_535],
      ],
      Buffer.concat([u32(7), section(MAIL4.subarray(0, 60))]),
    ],
  ] as const)('%s is one packet', (_, fields, record) => {
    expect(read(fields as unknown as Field[], record).rows).toMatchObject([{ ...MAIL_ROW, in_if: 7 }]);
  });

  const HEADER = MAIL4.subarray(0, 20);
  const PAYLOAD = MAIL4.subarray(20, 60);

  it.each([
    ['an IP header (313) and its payload (314)', [313, 314], [HEADER, PAYLOAD]],
    ['a payload before its header', [314, 313], [PAYLOAD, HEADER]],
    ['a header with a part of the payload, and the payload', [313, 314], [MAIL4.subarray(0, 22), PAYLOAD]],
    ['a header with more than the payload', [313, 314], [MAIL4.subarray(0, 60), PAYLOAD.subarray(0, 2)]],
    [
      'labels (316) and what they carry (317)',
      [316, 317],
      [mpls([9], Buffer.alloc(0)), MAIL4.subarray(0, 60)],
    ],
    [
      'a frame that is cut, and the IP header and payload',
      [315, 313, 314],
      [part.subarray(0, 20), HEADER, PAYLOAD],
    ],
    ['a frame that is empty, and an IP header', [315, 313], [Buffer.alloc(0), MAIL4.subarray(0, 60)]],
  ] as const)('%s are one packet', (_, ids, pieces) => {
    const { rows, unread } = read(
      ids.map((id) => [id, 65_535]),
      Buffer.concat(pieces.map(section)),
    );
    expect(rows).toMatchObject([MAIL_ENDS]);
    expect(unread).toEqual(noUnread());
  });

  it('an IPv6 header (313) and its payload (314) are one packet, extension headers between them', () => {
    const [ids, pieces] = [
      [313, 314],
      [MAIL6.subarray(0, 40), MAIL6.subarray(40, 80)],
    ] as const;
    const row = read(
      ids.map((id) => [id, 65_535]),
      Buffer.concat(pieces.map(section)),
    ).rows;
    expect(row).toMatchObject([{ src_addr: '2001:db8:1::3', dst_port: 25, protocol: 6 }]);
  });

  it('without its ports is counted, unless the record has them', () => {
    expect(read([[313, 65_535]], section(HEADER)).unread).toMatchObject({ cut: 1 });
    const ports = u16(Number(MAIL_ENDS.src_port), 25);
    const { rows, unread } = read(
      [
        [7, 2],
        [11, 2],
        [313, 65_535],
      ],
      Buffer.concat([ports, section(HEADER)]),
    );
    expect(rows).toMatchObject([MAIL_ENDS]);
    expect(unread).toEqual(noUnread());
  });

  it('gives ports to a record that has addresses and protocol only (314)', () => {
    const { rows, unread } = read(
      [
        [8, 4],
        [12, 4],
        [4, 1],
        [2, 4],
        [1, 4],
        [314, 65_535],
      ],
      Buffer.concat([MAIL4.subarray(12, 20), Buffer.from([6]), u32(9, 9000), section(PAYLOAD)]),
    );
    expect(rows).toMatchObject([{ ...MAIL_ENDS, packets: 9, bytes: 9000 }]);
    expect(unread).toEqual(noUnread());
  });

  it('of v9 (104) keeps its counters', () => {
    const fields: Field[] = [
      [2, 4],
      [1, 4],
      [102, 2],
      [104, 114],
    ];
    const { rows } = read(fields, Buffer.concat([u32(9, 9000), u16(0), part]), {}, v9);
    expect(rows).toMatchObject([{ ...MAIL_ENDS, packets: 9, bytes: 9000, tcp_flags: 0x18 }]);
  });

  it('of 802.11 (IE 408 says 2) is read so', () => {
    const frame = wifi(Buffer.concat([snap(0x0800), MAIL4])).subarray(0, 120);
    expect(
      read(
        [
          [408, 2],
          [315, 65_535],
        ],
        Buffer.concat([u16(2), section(frame)]),
      ).rows,
    ).toMatchObject([MAIL_ROW]);
  });

  it('with a tunnel gives the packet inside, or both', () => {
    const packet = ethernet(0x0800, between(47, Buffer.concat([u16(0, 0x0800), MAIL4]))).subarray(0, 128);
    const fields: Field[] = [
      [10, 4],
      [315, 65_535],
    ];
    const record = Buffer.concat([u32(7), section(packet), u32(8), section(packet)]);
    expect(read(fields, record).rows).toMatchObject([MAIL_ROW, MAIL_ROW]);
    expect(read(fields, record, { tunnels: 'outer' }).rows).toMatchObject([OUTER, OUTER]);
    expect(read(fields, record, { tunnels: 'both' }).rows).toMatchObject([
      { ...MAIL_ROW, in_if: 7 },
      { ...OUTER, in_if: 7 },
      { ...MAIL_ROW, in_if: 8 },
      { ...OUTER, in_if: 8 },
    ]);
  });

  it('that cannot be read, or begins further in, is counted', () => {
    expect(
      read(
        [
          [10, 4],
          [315, 65_535],
        ],
        Buffer.concat([u32(7), section(part.subarray(0, 20))]),
      ).unread,
    ).toMatchObject({ cut: 1 });
    expect(
      read(
        [
          [409, 2],
          [315, 65_535],
        ],
        Buffer.concat([u16(14), section(part)]),
      ).unread,
    ).toMatchObject({ cut: 1 });
    expect(
      read(
        [
          [10, 4],
          [315, 65_535],
        ],
        Buffer.concat([u32(7), section(ethernet(0x0806, Buffer.alloc(28)))]),
      ).unread,
    ).toMatchObject({ not_ip: 1 });
  });

  it('and layer 2 records with counters but no addresses are counted, statistics are not', () => {
    expect(
      read(
        [
          [56, 6],
          [80, 6],
          [2, 4],
          [1, 4],
        ],
        Buffer.alloc(20, 1),
      ).unread,
    ).toMatchObject({ no_addresses: 1 });
    expect(
      read(
        [
          [56, 6],
          [10, 4],
        ],
        Buffer.alloc(10, 1),
      ).unread,
    ).toMatchObject({ no_addresses: 0 });
  });
});

describe('an authentication header', () => {
  const ah = (next: number, payload: Buffer, words = 4) =>
    Buffer.concat([Buffer.from([next, words, 0, 0]), Buffer.alloc(4 * words + 4, 1), payload]);
  const mail = MAIL4.subarray(20);

  it.each([
    ['before TCP', ipv4Packet(ah(6, mail), { protocol: 51 })],
    ['twice', ipv4Packet(ah(51, ah(6, mail), 10), { protocol: 51 })],
    ['before a tunnel', between(51, ah(4, MAIL4))],
  ])('of IPv4, %s, is passed', (_, packet) => {
    expect(sampled(11, packet).rows).toMatchObject([{ ...MAIL_ENDS, protocol: 6, tcp_flags: 0x18 }]);
  });

  it('that is cut leaves the protocol open, and is counted', () => {
    const { rows, unread } = sampled(11, ipv4Packet(ah(6, mail), { protocol: 51 }).subarray(0, 24));
    expect(rows).toMatchObject([{ src_addr: MAIL_ENDS.src_addr, protocol: 0, dst_port: 0 }]);
    expect(unread).toMatchObject({ cut: 1 });
  });
});

describe('a sample with two raw headers', () => {
  const whole = rawHeader(11, MAIL4.subarray(0, 60), 1400);
  const other = rawHeader(11, between(6, Buffer.alloc(40)).subarray(0, 60), 1400);

  it.each([
    ['one that cannot be read', rawHeader(18, MAIL4.subarray(0, 60), 1400)],
    ['one that is empty', rawHeader(11, Buffer.alloc(0), 1400)],
    ['one that is cut before the ports', rawHeader(11, MAIL4.subarray(0, 20), 1400)],
    ['one of IPv6 that is cut before the ports', rawHeader(12, MAIL6.subarray(0, 40), 1400)],
    ['one whose tunnel is cut', rawHeader(11, between(4, MAIL4).subarray(0, 30), 1400)],
  ])('is read by the better one: not %s', (_, poor) => {
    for (const records of [
      [poor, whole],
      [whole, poor],
      [poor, poor, whole],
    ]) {
      const { decode, rows, decoder } = collector();
      decode(sflow([flowSample(records)]));
      expect(rows()).toMatchObject([{ ...MAIL_ENDS, protocol: 6, tcp_flags: 0x18 }]);
      expect(decoder.counters.unread).toEqual(noUnread());
    }
  });

  it('is read by the first where both are whole', () => {
    const { decode, rows } = collector();
    decode(sflow([flowSample([whole, other])]));
    expect(rows()).toMatchObject([MAIL_ENDS]);
  });
});

describe('sampled packets of which an address is zero', () => {
  it('are counted where they may be mail', () => {
    const { unread } = sampled(11, ipv4Packet(tcp(40_000, 25), { source: '0.0.0.0' }));
    expect(unread).toMatchObject({ no_addresses: 1 });
  });
});

describe('samples cut anywhere', () => {
  it('neither throw nor invent an address', () => {
    const packets = [...Object.values(tunnelled(MAIL4)), ...Object.values(tunnelled(MAIL6, 0x86dd))];
    const inside = new Set(['10.1.2.3', '2001:db8:1::3', '192.0.2.10', '::']);
    for (const packet of packets) {
      for (const [protocol, frame] of [
        [1, ethernet(0x0800, packet)],
        [13, mpls([9], packet)],
        [11, packet],
      ] as const) {
        const { decode, rows } = collector({ tunnels: 'both' });
        for (let length = 0; length <= 140; length += 3)
          decode(
            sflow([flowSample([rawHeader(protocol, Buffer.from(frame.subarray(0, length)), frame.length)])]),
          );
        for (const row of rows()) expect(inside.has(String(row.src_addr))).toBe(true);
      }
    }
  });

  it('of a TCP segment alone keep its ends', () => {
    expect(sampled(11, ipv4Packet(tcp(1, 2)).subarray(0, 24)).rows).toMatchObject([
      { src_port: 1, dst_port: 2 },
    ]);
  });
});

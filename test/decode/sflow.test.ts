import { describe, expect, it } from 'vitest';
import { PRESENT } from '../../src/flow/columns.ts';
import { ipv4, u16, u32 } from '../support/datagrams.ts';
import { collector, NOW, type Row } from '../support/decoding.ts';
import { ethernet as frameOf, MAIL4 } from '../support/packets.ts';
import { readPcap } from '../support/pcap.ts';
import { flowSample, opaque, rawHeader, sflow } from '../support/sflow-datagrams.ts';
import { haveVectors, VECTORS_DIR } from '../support/vectors.ts';

function expandedFlowSample(records: readonly Buffer[]): Buffer {
  return opaque(
    3,
    Buffer.concat([u32(1, 0, 3, 512, 1000, 0, 0, 70_000, 1, 258, records.length), ...records]),
  );
}

const TCP = Buffer.concat([u16(40000, 25), u32(1, 2), Buffer.from([0x50, 0x12]), u16(1000, 0, 0)]);

function ipv4Packet(transport: Buffer, { protocol = 6, fragment = 0, headerBytes = 20 } = {}): Buffer {
  return Buffer.concat([
    Buffer.from([0x40 | (headerBytes / 4), 0]),
    u16(headerBytes + transport.length, 1, fragment),
    Buffer.from([64, protocol, 0, 0]),
    ipv4('10.0.0.1'),
    ipv4('198.51.100.25'),
    Buffer.alloc(headerBytes - 20),
    transport,
  ]);
}

const A = Buffer.from('20010db8000000000000000000000001', 'hex');
const B = Buffer.from('20010db8000000000000000000000002', 'hex');

function ipv6Packet(next: number, body: Buffer): Buffer {
  return Buffer.concat([u32(0x60000000), u16(body.length), Buffer.from([next, 64]), A, B, body]);
}

const ethernet = (...parts: Buffer[]) => Buffer.concat([Buffer.alloc(12, 2), ...parts]);
const IPV4_FRAME = ethernet(u16(0x0800), ipv4Packet(TCP));

function read(...samples: Buffer[]): Row[] {
  const { decode, rows } = collector();
  decode(sflow(samples));
  return rows();
}

const MAIL = {
  src_addr: '10.0.0.1',
  dst_addr: '198.51.100.25',
  src_port: 40000,
  dst_port: 25,
  protocol: 6,
  tcp_flags: 0x12,
};

describe('sFlow flow samples', () => {
  it('are one packet each, with rate, interfaces and domain', () => {
    expect(read(flowSample([rawHeader(1, IPV4_FRAME)]))).toMatchObject([
      {
        ...MAIL,
        version: 50,
        domain: 2,
        packets: 1,
        bytes: 40,
        sampling_rate: 512,
        in_if: 7,
        out_if: 8,
        start: 0,
        end: 0,
        received_at: NOW,
        exporter: '192.0.2.1',
      },
    ]);
  });

  it('in the expanded form have interfaces of 32 bits, and say what was dropped', () => {
    const [row] = read(expandedFlowSample([rawHeader(1, IPV4_FRAME)]));
    expect(row).toMatchObject({ ...MAIL, in_if: 70_000, out_if: 0, forwarding: 0x80 });
    expect(Number(row?.present) & PRESENT.FORWARDING).not.toBe(0);
  });

  it('in the compact form say so in two bits', () => {
    const [row] = read(flowSample([rawHeader(1, IPV4_FRAME)], { input: 0x3fffffff, output: 0x40000102 }));
    expect(row).toMatchObject({ in_if: 0, out_if: 0, forwarding: 0x80 });
  });

  it.each([
    ['a VLAN tag', ethernet(u16(0x8100, 100, 0x0800), ipv4Packet(TCP))],
    ['QinQ', ethernet(u16(0x88a8, 100, 0x8100, 200, 0x0800), ipv4Packet(TCP))],
    ['MPLS labels', ethernet(u16(0x8847), u32(0x00010000, 0x00020100), ipv4Packet(TCP))],
    ['PPPoE', ethernet(u16(0x8864, 0x1100, 1, 42, 0x0021), ipv4Packet(TCP))],
    ['IPv4 options', ethernet(u16(0x0800), ipv4Packet(TCP, { headerBytes: 28 }))],
  ])('are read through %s', (_, frame) => {
    expect(read(flowSample([rawHeader(1, frame)]))).toMatchObject([MAIL]);
  });

  it('of IPv6 are read through extension headers', () => {
    const hopByHop = Buffer.concat([Buffer.from([44, 0]), Buffer.alloc(6)]);
    const firstFragment = Buffer.concat([Buffer.from([6, 0]), u16(1), u32(9)]);
    const packet = ipv6Packet(0, Buffer.concat([hopByHop, firstFragment, TCP]));
    const expected = { src_addr: '2001:db8::1', dst_addr: '2001:db8::2', dst_port: 25, tcp_flags: 0x12 };
    expect(read(flowSample([rawHeader(1, ethernet(u16(0x86dd), packet))]))).toMatchObject([expected]);
    expect(read(flowSample([rawHeader(12, packet)]))).toMatchObject([expected]);
  });

  it('of later fragments have no ports', () => {
    const later4 = ethernet(u16(0x0800), ipv4Packet(TCP, { fragment: 185 }));
    const later6 = ipv6Packet(44, Buffer.concat([Buffer.from([6, 0]), u16(185 << 3), u32(9), TCP]));
    const rows = read(flowSample([rawHeader(1, later4)]), flowSample([rawHeader(12, later6)]));
    for (const row of rows) {
      expect(row).toMatchObject({ fragment_offset: 185, protocol: 6, src_port: 0, dst_port: 0 });
      expect(Number(row.present) & PRESENT.DST_PORT).toBe(0);
    }
    expect(rows).toHaveLength(2);
  });

  it('cut anywhere in the packet keep what is there', () => {
    for (let length = 0; length <= IPV4_FRAME.length; length++) {
      const rows = read(flowSample([rawHeader(1, Buffer.from(IPV4_FRAME.subarray(0, length)))]));
      // The frame's length, until the packet's own is there.
      const bytes = length >= 34 ? 40 : 1500;
      expect(rows).toMatchObject([{ packets: 1, bytes, dst_port: length >= 38 ? 25 : 0 }]);
      expect((Number(rows[0]?.present) & PRESENT.TCP_FLAGS) !== 0).toBe(length >= 48);
    }
  });

  it('of the sampled IPv4 and IPv6 forms', () => {
    const tail = u32(40000, 25, 0x12, 0);
    const v4 = opaque(3, Buffer.concat([u32(60, 6), ipv4('10.0.0.1'), ipv4('198.51.100.25'), tail]));
    const v6 = opaque(4, Buffer.concat([u32(80, 6), A, B, tail]));
    expect(read(flowSample([v4]), flowSample([v6]))).toMatchObject([
      { ...MAIL, bytes: 60 },
      { src_addr: '2001:db8::1', dst_port: 25, tcp_flags: 0x12, bytes: 80 },
    ]);
  });

  it('prefer the packet to what else is told of it', () => {
    const frame = opaque(2, Buffer.concat([u32(99), Buffer.alloc(20)]));
    const extended = opaque(1001, Buffer.alloc(16));
    expect(read(flowSample([frame, extended, rawHeader(1, IPV4_FRAME)]))).toMatchObject([
      { ...MAIL, bytes: 40 },
    ]);
    expect(read(flowSample([extended, frame]))).toMatchObject([{ src_addr: '::', bytes: 99, packets: 1 }]);
  });

  it('without a packet, and counters, are counted', () => {
    const { decode, decoder } = collector();
    const samples = [
      flowSample([opaque(1001, Buffer.alloc(16))]),
      opaque(2, Buffer.alloc(100)),
      opaque(4, Buffer.alloc(52)),
    ];
    expect(decode(sflow(samples))).toMatchObject({ version: 'sflow', flows: 0, dropped: 3 });
    expect(decoder.counters.dropped.unsupported).toBe(3);
  });

  it('that the header does not announce are left, those that it invents are counted', () => {
    const { decode, decoder } = collector();
    const sample = flowSample([rawHeader(1, IPV4_FRAME)]);
    expect(decode(sflow([sample, sample], { count: 1 }))).toMatchObject({ flows: 1, dropped: 0 });
    expect(decode(sflow([sample], { count: 0xffffffff, sequence: 1 }))).toMatchObject({
      flows: 1,
      dropped: 1,
    });
    expect(decoder.counters.dropped.truncated).toBe(1);
  });

  it('with counts of 2^32 (CVE-2022-2529) end at the bytes that are there', () => {
    const body = Buffer.concat([u32(1, 3, 512, 1000, 0, 7, 8, 0xffffffff), opaque(1001, Buffer.alloc(16))]);
    const huge = Buffer.concat([u32(1, 0xffffffff), body]);
    const { decode } = collector();
    expect(decode(sflow([opaque(1, body)]))).toMatchObject({ flows: 0, dropped: 1 });
    expect(decode(sflow([huge]))).toMatchObject({ flows: 0, dropped: 1 });
  });

  it('cut anywhere never throw', () => {
    const whole = sflow([
      flowSample([rawHeader(1, IPV4_FRAME)]),
      expandedFlowSample([rawHeader(1, IPV4_FRAME)]),
    ]);
    const { decode } = collector();
    for (let length = 0; length < whole.length; length++) decode(Buffer.from(whole.subarray(0, length)));
    expect(decode(whole).flows).toBe(2);
  });

  it('have the rate of their own data source, whatever pools and drops the others tell', () => {
    const { decode, rows, decoder } = collector();
    for (let sequence = 0; sequence < 4; sequence++) {
      const samples = [
        { source: 1, rate: 100, pool: 5000, drops: 0 },
        { source: 2, rate: 4096, pool: 4_000_000_000 - sequence, drops: 7_000_000 * sequence },
        { source: 0x0200_0001, rate: 1, pool: 0xffff_ffff, drops: 0xffff_ffff },
      ];
      decode(
        sflow(
          samples.map((sample) => flowSample([rawHeader(1, IPV4_FRAME)], sample)),
          { sequence },
        ),
      );
    }
    expect(rows().map((row) => row.sampling_rate)).toEqual(
      Array.from({ length: 4 }, () => [100, 4096, 1]).flat(),
    );
    const [state] = decoder.exporters();
    expect(state).toMatchObject({ sequenceLost: 0, sequenceUnknown: 0 });
    expect([...(state?.samplingRates ?? [])]).toEqual([100, 4096, 1]);
  });

  it('of a sub-agent count its datagrams', () => {
    const { decode, decoder } = collector();
    for (const sequence of [5, 6, 9]) decode(sflow([flowSample([rawHeader(1, IPV4_FRAME)])], { sequence }));
    const [state] = decoder.exporters();
    expect(state).toMatchObject({ version: 'sflow', sequenceLost: 2, clockSkewMs: null });
    expect([...(state?.samplingRates ?? [])]).toEqual([512]);
  });

  it('fill small batches without loss', () => {
    const { decode, rows } = collector({}, 1);
    decode(sflow(Array.from({ length: 5 }, () => flowSample([rawHeader(1, IPV4_FRAME)]))));
    expect(rows()).toHaveLength(5);
    expect(new Set(rows().map((row) => row.record)).size).toBe(5);
  });

  it('need an agent address of a known kind', () => {
    const { decode } = collector();
    expect(decode(u32(5, 3, 0, 0, 0, 0, 0, 0))).toMatchObject({ version: 'sflow', dropped: 1 });
    const overIpv6 = Buffer.concat([
      u32(5, 2),
      A,
      u32(2, 0, 60_000, 1),
      flowSample([rawHeader(1, IPV4_FRAME)]),
    ]);
    expect(decode(overIpv6).flows).toBe(1);
  });
});

describe.skipIf(!haveVectors)('sFlow captures (needs VECTORS_DIR or ../shared/vectors)', () => {
  /** Flow samples, and those of them that hold no packet; counters and other kinds come on top of the drops. */
  it.each([
    // One of them is a packet that the agent dropped.
    ['cistern/sflow-all', 7, 2],
    ['goflow2/sflow-all', 6, 3],
    // Of 21 flow samples five tell of switch or router only.
    ['gopacket/sflow-all', 16, 12],
    ['telegraf/sflow_issue_15375', 0, 1],
    ['telegraf/sflow_issue_15918', 6, 1],
    ['telegraf/sflow_issue_18876', 0, 1],
    ['telegraf/sflow_v5_example', 0, 1],
    ['vflow/sflow', 14, 0],
    ['malformed/sflow-gopacket-overrun', 0, 3],
    ['malformed/sflow-goflow2-drop-trailing', 5, 0],
  ])('%s: %i samples with a packet, %i units dropped', (name, flows, dropped) => {
    const { decode, rows } = collector();
    const sums = { flows: 0, dropped: 0 };
    for (const { payload, source, sourcePort } of readPcap(`${VECTORS_DIR}/${name}.pcap`)) {
      const outcome = decode(payload, { exporter: source, port: sourcePort });
      sums.flows += outcome.flows;
      sums.dropped += outcome.dropped;
    }
    expect(sums).toEqual({ flows, dropped });
    expect(rows()).toHaveLength(flows);
  });
});

describe('a packet that the agent dropped (format 5)', () => {
  const discarded = (reason: number, ...records: Buffer[]) =>
    opaque(5, Buffer.concat([u32(1, 0, 3, 0, 7, 0, reason, records.length), ...records]));
  const mail = rawHeader(1, frameOf(0x0800, MAIL4).subarray(0, 128));

  it.each([
    [258, true],
    [256, false],
    [260, false],
  ])('for reason %i is a row of an unknown rate; denied: %s', (reason, isDenied) => {
    const { decode, rows } = collector();
    decode(sflow([discarded(reason, mail)]));
    expect(rows()).toMatchObject([
      {
        src_addr: '10.1.2.3',
        dst_port: 25,
        in_if: 7,
        packets: 1,
        sampling_rate: 0,
        forwarding: isDenied ? 128 : 0,
      },
    ]);
  });

  it('is counted when it is cut, or tells of no packet', () => {
    const { decode, rows } = collector();
    const outcome = decode(sflow([discarded(258), opaque(5, u32(1, 0, 3))]));
    expect(outcome.dropped).toBe(2);
    expect(rows()).toEqual([]);
  });
});

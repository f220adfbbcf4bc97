import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileReader } from '../../src/decode/record-reader.ts';
import { FLOW_COLUMN_NAMES, PRESENT } from '../../src/flow/columns.ts';
import {
  EXPORT_SECONDS,
  type Field,
  integer,
  ipfix,
  ipv4,
  set,
  TUPLE,
  template,
  tuple,
  UPTIME_MS,
  u16,
  u32,
  v1,
  v5,
  v7,
  v9,
} from '../support/datagrams.ts';
import { collector, EXPORTER, NOW, type Row } from '../support/decoding.ts';

const EXPORT_MS = EXPORT_SECONDS * 1000;

/** The rows of IPFIX records with these fields. */
function readIpfix(fields: readonly Field[], ...records: Buffer[]): Row[] {
  const { decode, rows } = collector();
  decode(ipfix([set(2, template(256, fields)), set(256, ...records)]));
  return rows();
}

function readV9(fields: readonly Field[], ...records: Buffer[]): Row[] {
  const { decode, rows } = collector();
  decode(v9([set(0, template(256, fields)), set(256, ...records)]));
  return rows();
}

const has = (row: Row | undefined, bit: number) => (Number(row?.present) & bit) !== 0;

describe('fixed versions', () => {
  const flow = { src: '10.1.2.3', dst: '198.51.100.7', srcPort: 49152, dstPort: 25, packets: 7, bytes: 1234 };
  const expected = {
    src_addr: '10.1.2.3',
    dst_addr: '198.51.100.7',
    src_port: 49152,
    dst_port: 25,
    packets: 7,
    bytes: 1234,
    protocol: 6,
    tcp_flags: 0x1b,
    in_if: 3,
    out_if: 4,
    start: EXPORT_MS - 5000,
    end: EXPORT_MS - 1000,
    received_at: NOW,
    exporter: '192.0.2.1',
    exporter_port: 4000,
  };

  it.each([
    ['v1', v1([flow, { srcPort: 2 }]), 1],
    ['v5', v5([flow, { srcPort: 2 }]), 5],
    ['v7', v7([flow, { srcPort: 2 }]), 7],
  ] as const)('%s records are read field by field', (_, datagram, version) => {
    const { decode, rows } = collector();
    expect(decode(datagram)).toMatchObject({ flows: 2, dropped: 0 });
    expect(rows()).toMatchObject([
      { ...expected, version },
      { src_port: 2, version },
    ]);
  });

  it('the domain of v5 is its engine', () => {
    const { decode, rows } = collector();
    decode(v5([flow], { engine: 0x0102, sequence: 77 }));
    expect(rows()[0]).toMatchObject({ domain: 0x0102, sequence: 77 });
  });

  it('v1 datagrams, which have no sequence, differ by what is in them', () => {
    const { decode, rows } = collector();
    for (const srcPort of [1, 2, 1]) decode(v1([{ srcPort }]));
    const [a, b, c] = rows().map((row) => row.sequence);
    expect(a).not.toBe(b);
    expect(c).toBe(a);
  });

  it('more records than the header says are not read, and counted', () => {
    const { decode, decoder } = collector();
    expect(decode(v5([flow, flow], { count: 1 }))).toMatchObject({ flows: 1, dropped: 1 });
    expect(decoder.counters.dropped.bad_length).toBe(1);
  });
});

describe('integers', () => {
  it('of 1 to 8 bytes are read into every integer column', () => {
    const length = fc.integer({ min: 1, max: 8 });
    const value = fc.bigInt({ min: 0n, max: (1n << 53n) - 1n });
    fc.assert(
      fc.property(length, length, length, value, value, value, (l1, l2, l3, packets, port, index) => {
        const [row] = readIpfix(
          [
            [2, l1],
            [7, l2],
            [10, l3],
          ],
          Buffer.concat([integer(packets, l1), integer(port, l2), integer(index, l3)]),
        );
        const cut = (n: bigint, bytes: number) => n & ((1n << BigInt(8 * bytes)) - 1n);
        expect(BigInt(row?.packets ?? -1)).toBe(cut(packets, l1));
        expect(BigInt(row?.src_port ?? -1)).toBe(cut(cut(port, l2), 2));
        expect(BigInt(row?.in_if ?? -1)).toBe(cut(cut(index, l3), 4));
      }),
      { numRuns: 200 },
    );
  });

  it('wider than 8 bytes are no integers, and the field is absent', () => {
    const [row] = readIpfix(
      [
        [2, 9],
        [1, 4],
      ],
      Buffer.concat([Buffer.alloc(9, 1), u32(5)]),
    );
    expect(row).toMatchObject({ packets: 0, bytes: 5 });
    expect(has(row, PRESENT.PACKETS)).toBe(false);
    expect(has(row, PRESENT.BYTES)).toBe(true);
  });

  it('prefer counts of the interval to totals, and take totals where there are no others', () => {
    expect(
      readIpfix(
        [
          [85, 4],
          [86, 4],
          [1, 4],
          [2, 4],
        ],
        u32(1, 2, 3, 4),
      )[0],
    ).toMatchObject({ bytes: 3, packets: 4 });
    expect(
      readIpfix(
        [
          [85, 4],
          [86, 4],
        ],
        u32(1, 2),
      )[0],
    ).toMatchObject({ bytes: 1, packets: 2 });
    expect(
      readV9(
        [
          [231, 4],
          [298, 4],
          [232, 4],
        ],
        u32(9, 8, 7),
      )[0],
    ).toMatchObject({ bytes: 9, packets: 8 });
    expect(readIpfix([[352, 8]], integer(70, 8))[0]).toMatchObject({ bytes: 70 });
  });

  it('TCP flags of one and of two bytes', () => {
    expect(readIpfix([[6, 1]], Buffer.from([0x12]))[0]).toMatchObject({ tcp_flags: 0x12 });
    expect(readIpfix([[6, 2]], u16(0x0112))[0]).toMatchObject({ tcp_flags: 0x0112 });
    expect(has(readIpfix([[7, 2]], u16(1))[0], PRESENT.TCP_FLAGS)).toBe(false);
  });
});

describe('addresses and ports', () => {
  const v6 = Buffer.from('20010db8000000000000000000000001', 'hex');

  it('IPv6', () => {
    const [row] = readIpfix(
      [
        [27, 16],
        [28, 16],
      ],
      Buffer.concat([v6, v6]),
    );
    expect(row).toMatchObject({ src_addr: '2001:db8::1', dst_addr: '2001:db8::1' });
  });

  it('a template with both families takes the one that is not zero', () => {
    const fields: Field[] = [
      [8, 4],
      [27, 16],
    ];
    const rows = readIpfix(
      fields,
      Buffer.concat([u32(0), v6]),
      Buffer.concat([ipv4('10.0.0.1'), Buffer.alloc(16)]),
      Buffer.alloc(20),
    );
    expect(rows.map((row) => row.src_addr)).toEqual(['2001:db8::1', '10.0.0.1', '0.0.0.0']);
  });

  it('a record without any address is one row, with the bits unset', () => {
    const [row] = readIpfix(
      [
        [56, 6],
        [1, 4],
      ],
      Buffer.concat([Buffer.alloc(6, 1), u32(60)]),
    );
    expect(row).toMatchObject({ src_addr: '::', bytes: 60 });
    expect(has(row, PRESENT.SRC_ADDR | PRESENT.DST_ADDR)).toBe(false);
  });

  it('ports of the transport, where the general ones are absent', () => {
    const [row] = readIpfix(
      [
        [180, 2],
        [181, 2],
        [182, 2],
        [183, 2],
      ],
      u16(0, 0, 1000, 25),
    );
    expect(row).toMatchObject({ src_port: 1000, dst_port: 25 });
  });

  it('translated addresses and ports', () => {
    const fields: Field[] = [...TUPLE, [225, 4], [226, 4], [227, 2], [228, 2]];
    const nat = Buffer.concat([ipv4('203.0.113.1'), ipv4('203.0.113.2'), u16(10, 20)]);
    const expected = {
      post_nat_src_addr: '203.0.113.1',
      post_nat_dst_addr: '203.0.113.2',
      post_nat_src_port: 10,
      post_nat_dst_port: 20,
    };
    expect(readIpfix(fields, Buffer.concat([tuple(), nat]))[0]).toMatchObject(expected);
    const nsel: Field[] = [...TUPLE, [40001, 4], [40002, 4], [40003, 2], [40004, 2]];
    expect(readV9(nsel, Buffer.concat([tuple(), nat]))[0]).toMatchObject(expected);
  });
});

describe('times', () => {
  const ms = 1_767_225_580_250;
  const ntp = Buffer.concat([u32(1_767_225_580 + 2_208_988_800, 0x40000000)]);

  it.each([
    [
      'milliseconds',
      [
        [152, 8],
        [153, 8],
      ],
      Buffer.concat([integer(ms, 8), integer(ms, 8)]),
      ms,
    ],
    [
      'seconds',
      [
        [150, 4],
        [151, 4],
      ],
      u32(1_767_225_580, 1_767_225_580),
      1_767_225_580_000,
    ],
    [
      'microseconds',
      [
        [154, 8],
        [155, 8],
      ],
      Buffer.concat([ntp, ntp]),
      ms,
    ],
    [
      'nanoseconds',
      [
        [156, 8],
        [157, 8],
      ],
      Buffer.concat([ntp, ntp]),
      ms,
    ],
    [
      'microseconds before the export',
      [
        [158, 4],
        [159, 4],
      ],
      u32(750_000, 750_000),
      EXPORT_MS - 750,
    ],
    [
      'NTP of the era after 2036',
      [
        [154, 8],
        [155, 8],
      ],
      Buffer.concat([u32(1, 0), u32(1, 0)]),
      2_085_978_497_000,
    ],
  ] as const)('in %s', (_, fields, record, expected) => {
    expect(readIpfix(fields, record)[0]).toMatchObject({ start: expected, end: expected });
  });

  it('in uptime count back from the datagram, over the roll-over too', () => {
    const { decode, rows } = collector();
    const times = template(256, [
      [22, 4],
      [21, 4],
    ]);
    decode(v9([set(0, times), set(256, u32(0xffffff00, 500))], { uptimeMs: 1000 }));
    expect(rows()[0]).toMatchObject({ start: EXPORT_MS - 1256, end: EXPORT_MS - 500 });
  });

  it('in uptime may lie a little ahead of the datagram', () => {
    expect(readV9([[21, 4]], u32(UPTIME_MS + 20))[0]).toMatchObject({ end: EXPORT_MS + 20 });
  });

  it('in uptime are unknown in IPFIX until the exporter says when it started', () => {
    const { decode, rows } = collector();
    const times = template(256, [[22, 4]]);
    decode(ipfix([set(2, times), set(256, u32(5000))]));
    decode(
      ipfix([
        set(3, Buffer.concat([u16(257, 2, 1, 144, 4, 160, 8)])),
        set(257, u32(1), integer(EXPORT_MS - 100_000, 8)),
        set(256, u32(5000)),
      ]),
    );
    const [before, after] = rows();
    expect(has(before, PRESENT.START)).toBe(false);
    expect(after).toMatchObject({ start: EXPORT_MS - 95_000 });
  });

  it('in uptime with the start in the record itself', () => {
    const record = Buffer.concat([u32(5000), integer(EXPORT_MS - 100_000, 8)]);
    expect(
      readIpfix(
        [
          [22, 4],
          [160, 8],
        ],
        record,
      )[0],
    ).toMatchObject({ start: EXPORT_MS - 95_000 });
  });

  it('that are zero or past 2286 are absent', () => {
    const rows = readIpfix([[152, 8]], integer(0, 8), integer((1n << 64n) - 1n, 8));
    for (const row of rows) {
      expect(row.start).toBe(0);
      expect(has(row, PRESENT.START)).toBe(false);
    }
  });
});

describe('variable length', () => {
  it('moves the fields behind it, with one and with three bytes of length', () => {
    const fields: Field[] = [[371, 65535], ...TUPLE, [372, 65535], [10, 4]];
    const record = (name: Buffer, group: Buffer, index: number) =>
      Buffer.concat([name, tuple(), group, u32(index)]);
    const long = Buffer.concat([Buffer.from([255]), u16(300), Buffer.alloc(300, 0x61)]);
    const empty = Buffer.from([0]);
    const rows = readIpfix(
      fields,
      record(Buffer.from('\x03bob'), long, 1),
      record(long, empty, 2),
      record(empty, Buffer.from('\x01x'), 3),
    );
    expect(rows.map((row) => [row.src_addr, row.dst_port, row.in_if])).toEqual([
      ['10.0.0.1', 25, 1],
      ['10.0.0.1', 25, 2],
      ['10.0.0.1', 25, 3],
    ]);
  });

  it('is understood in v9 too, as H3C sends it', () => {
    const rows = readV9([[82, 65535], ...TUPLE], Buffer.concat([Buffer.from('\x04ge-0'), tuple()]));
    expect(rows).toMatchObject([{ src_addr: '10.0.0.1', dst_port: 25 }]);
  });

  it('of a field that rogue-smtp reads makes that field absent', () => {
    const [row] = readIpfix(
      [
        [7, 65535],
        [11, 2],
      ],
      Buffer.concat([Buffer.from([2, 1, 1]), u16(25)]),
    );
    expect(row).toMatchObject({ src_port: 0, dst_port: 25 });
    expect(has(row, PRESENT.SRC_PORT)).toBe(false);
  });
});

describe('enterprise fields and biflows', () => {
  const BIFLOW: Field[] = [...TUPLE, [10, 4], [14, 4], [1, 4, 29305], [2, 4, 29305], [6, 1, 29305], [239, 1]];
  const biflow = (bytes: number, packets: number, initiator: number) =>
    Buffer.concat([tuple(), u32(1, 2), u32(bytes, packets), Buffer.from([0x12, initiator])]);

  it('a field of another enterprise is not the IANA one of the same number', () => {
    expect(
      readIpfix(
        [
          [1, 4, 9],
          [1, 4],
        ],
        u32(1, 2),
      )[0],
    ).toMatchObject({ bytes: 2 });
  });

  it('a biflow is two rows, the second with everything swapped', () => {
    const rows = readIpfix(BIFLOW, biflow(500, 5, 1));
    expect(rows).toMatchObject([
      { reverse: 0, src_addr: '10.0.0.1', dst_port: 25, bytes: 1000, packets: 10, tcp_flags: 0x1b, in_if: 1 },
      { reverse: 1, src_addr: '192.0.2.25', src_port: 25, bytes: 500, packets: 5, tcp_flags: 0x12, in_if: 2 },
    ]);
    expect(rows[0]?.record).not.toBe(rows[1]?.record);
  });

  it('a biflow that its destination began has the halves the other way round', () => {
    const rows = readIpfix(BIFLOW, biflow(500, 5, 2));
    expect(rows.map((row) => [row.src_addr, row.reverse])).toEqual([
      ['10.0.0.1', 1],
      ['192.0.2.25', 0],
    ]);
  });

  it('a biflow that nobody answered is one row', () => {
    expect(readIpfix(BIFLOW, biflow(0, 0, 1), biflow(1, 0, 1))).toHaveLength(3);
  });

  const onlyBack = (initiator: number) =>
    Buffer.concat([tuple('10.0.0.1', '192.0.2.25', 587, 25, 0, 0), biflow(500, 5, initiator).subarray(22)]);

  it('a biflow that counted nothing forward is one row, and its order says nothing of who began', () => {
    const REPLY = { src_addr: '192.0.2.25', src_port: 25, dst_port: 587, packets: 5, bytes: 500 };
    expect(readIpfix(BIFLOW.slice(0, -1), onlyBack(0).subarray(0, -1))).toMatchObject([
      { ...REPLY, reverse: 0 },
    ]);
    for (const [initiator, reverse] of [
      [0, 0],
      [1, 1],
      [2, 0],
      [3, 0],
    ] as const)
      expect(readIpfix(BIFLOW, onlyBack(initiator)), `${initiator}`).toMatchObject([{ ...REPLY, reverse }]);
  });

  it.each([0, 3])('a biflow whose direction is arbitrary (%i) has no reply', (direction) => {
    expect(readIpfix(BIFLOW, biflow(500, 5, direction)).map(({ reverse }) => reverse)).toEqual([0, 0]);
  });

  it('biflows of one row count as one data record for the sequence too', () => {
    const { decode, decoder, rows } = collector({}, 2);
    const both = biflow(1, 1, 1);
    decode(ipfix([set(2, template(256, BIFLOW)), set(256, onlyBack(1), both, onlyBack(1))], { sequence: 0 }));
    decode(ipfix([set(256, onlyBack(1), onlyBack(1))], { sequence: 3 }));
    expect([...decoder.exporters()][0]).toMatchObject({ sequenceLost: 0, sequenceReordered: 0, flows: 6 });
    expect(rows()).toHaveLength(6);
  });

  it('biflows count as one data record each for the sequence', () => {
    const { decode, decoder } = collector();
    decode(
      ipfix([set(2, template(256, BIFLOW)), set(256, biflow(1, 1, 1), biflow(1, 1, 1))], { sequence: 0 }),
    );
    decode(ipfix([set(256, biflow(1, 1, 1))], { sequence: 2 }));
    expect([...decoder.exporters()][0]).toMatchObject({ sequenceLost: 0, sequenceReordered: 0, flows: 6 });
  });
});

describe('the batch', () => {
  it.each([1, 2, 3, 7])('of %i rows is flushed in the middle of a set without loss', (capacity) => {
    const { decode, rows } = collector({}, capacity);
    decode(v5(Array.from({ length: 10 }, (_, i) => ({ srcPort: i + 1 }))));
    const fields = [...TUPLE, [1, 4, 29305] as const];
    const record = (port: number) => Buffer.concat([tuple('10.0.0.1', '192.0.2.1', port), u32(1)]);
    decode(ipfix([set(2, template(256, fields)), set(256, ...[1, 2, 3, 4, 5].map(record))]));
    const ports = rows().map((row) => (row.reverse ? row.dst_port : row.src_port));
    expect(ports).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
  });

  it('is left zero where a template has no field', () => {
    const { decode, rows } = collector();
    decode(v5([{}]));
    decode(ipfix([set(2, template(256, [[11, 2]])), set(256, u16(25))]));
    const written = new Set([
      'received_at',
      'exporter',
      'exporter_port',
      'version',
      'record',
      'present',
      'dst_port',
    ]);
    const row = rows()[1];
    for (const name of FLOW_COLUMN_NAMES) {
      if (!written.has(name)) expect([0, '::'], name).toContain(row?.[name]);
    }
    expect(row?.exporter).toBe('192.0.2.1');
    expect(EXPORTER).toHaveLength(16);
  });
});

describe('the generated source', () => {
  it('holds nothing of a template but numbers', () => {
    const field = fc.record({
      id: fc.integer({ min: 0, max: 65535 }),
      pen: fc.oneof(fc.constant(0), fc.constant(29305), fc.constant(6871), fc.nat()),
      length: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(65535)),
    });
    fc.assert(
      fc.property(fc.array(field, { maxLength: 40 }), (fields) => {
        const reader = compileReader(fields);
        if (reader === null) return;
        for (const read of [reader.read, reader.readReverse]) {
          const source = String(read).replaceAll(/"use strict";/g, '');
          expect(source).not.toMatch(/["'`\\]/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

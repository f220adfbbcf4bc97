import { describe, expect, it } from 'vitest';
import { PRESENT } from '../../src/flow/columns.ts';
import { type Field, integer, ipfix, ipv4, set, template, u16, u32, v9 } from '../support/datagrams.ts';
import { collector, type Row } from '../support/decoding.ts';

const ENDS: readonly Field[] = [
  [8, 4],
  [12, 4],
  [7, 2],
  [11, 2],
  [4, 1],
];
const ends = (source = '10.1.2.3', destination = '203.0.113.25', ports = [40_000, 25]) =>
  Buffer.concat([ipv4(source), ipv4(destination), u16(...ports), Buffer.from([6])]);

/** Records of the ends and these counters, each a list of values in the order of the fields. */
function read(
  fields: readonly Field[],
  records: readonly (readonly (number | bigint)[])[],
  version = ipfix,
  source?: string,
) {
  const { decode, rows, decoder } = collector();
  const body = records.map((values) =>
    Buffer.concat([ends(source), ...values.map((value, i) => integer(value, fields[i]?.[1] ?? 4))]),
  );
  decode(version([set(version === v9 ? 0 : 2, template(256, [...ENDS, ...fields])), set(256, ...body)]));
  return { rows: rows(), exporter: [...decoder.exporters()][0] };
}

const counts = (rows: readonly Row[]) => rows.map(({ packets, bytes }) => [packets, bytes]);
const MINUS_40 = (1n << 64n) - 40n;

describe('interval counters beside totals', () => {
  const fields: Field[] = [
    [2, 8],
    [86, 8],
    [1, 8],
    [85, 8],
  ];

  it.each([
    ['-1', [(1n << 64n) - 1n, 30, MINUS_40, 4500]],
    ['beyond all measure', [1n << 60n, 30, 1n << 61n, 4500]],
    ['zero, and never anything else', [0, 30, 0, 4500]],
  ] as const)('that are %s give way to the totals', (_, record) => {
    expect(counts(read(fields, [record]).rows)).toEqual([[30, 4500]]);
  });

  it('of four bytes that are negative do so too', () => {
    expect(
      counts(
        read(
          [
            [2, 4],
            [86, 4],
            [1, 4],
            [85, 4],
          ],
          [[0xffffffff, 30, 0xffffffd8, 4500]],
        ).rows,
      ),
    ).toEqual([[30, 4500]]);
  });

  it('that count on other records mean their zero', () => {
    const { rows } = read(fields, [
      [3, 3, 300, 300],
      [0, 3, 0, 300],
    ]);
    expect(counts(rows)).toEqual([
      [3, 300],
      [0, 0],
    ]);
  });

  it('leave what a long flow had before out of its next record', () => {
    const bad = (1n << 64n) - 1n;
    const { rows } = read(fields, [
      [bad, 30, bad, 4500],
      [bad, 31, bad, 4560],
      [bad, 2, bad, 80],
    ]);
    expect(counts(rows)).toEqual([
      [30, 4500],
      [1, 60],
      [2, 80],
    ]);
  });

  it('without totals stay what they are, so that the detector sees a wrong record', () => {
    expect(read([[2, 8]], [[1n << 63n]]).rows).toMatchObject([{ packets: 2 ** 63 }]);
  });
});

describe('OUT counters', () => {
  const fields: Field[] = [
    [1, 4],
    [2, 4],
    [23, 4],
    [24, 4],
  ];

  it.each([v9, ipfix])('are the count where IN is zero', (version) => {
    const { rows, exporter } = read(fields, [[0, 0, 3000, 20]], version);
    expect(counts(rows)).toEqual([[20, 3000]]);
    expect(exporter?.outMeaning).toBe('unknown');
  });

  it('equal to IN are of the same packets: one row', () => {
    const { rows, exporter } = read(fields, [
      [3000, 20, 3000, 20],
      [0, 0, 60, 1],
      [900, 9, 800, 8],
    ]);
    expect(counts(rows)).toEqual([
      [20, 3000],
      [1, 60],
      [9, 900],
    ]);
    expect(exporter?.outMeaning).toBe('post');
  });

  it.each([
    ['more than IN', [2500, 18, 3000, 20]],
    ['fewer, of another size', [3000, 20, 800, 12]],
    ['as many, of quite another size', [3000, 10, 600, 10]],
  ] as const)('that are %s are the other direction, from the first record on', (_, record) => {
    const { rows, exporter } = read(fields, [record, [0, 0, 60, 1]], v9, '203.0.113.9');
    const [inBytes, inPackets, outBytes, outPackets] = record;
    expect(counts(rows)).toEqual([
      [inPackets, inBytes],
      [outPackets, outBytes],
      [1, 60],
    ]);
    expect(rows[1]).toMatchObject({
      src_addr: '203.0.113.25',
      dst_addr: '203.0.113.9',
      src_port: 25,
      dst_port: 40_000,
      reverse: 1,
    });
    expect(exporter?.outMeaning).toBe('reverse');
  });

  it('of an exporter that drops packets now and then stay those of the same packets', () => {
    const same = Array.from({ length: 10 }, () => [1000, 10, 1000, 10]);
    const { rows } = read(fields, [...same, [900, 10, 450, 5], [1000, 10, 830, 8], [0, 0, 60, 1]]);
    expect(rows).toHaveLength(13);
    expect(counts(rows).at(-1)).toEqual([1, 60]);
  });

  it('of a server-first record give the client its half', () => {
    const { decode, rows } = collector();
    const record = Buffer.concat([ends('203.0.113.25', '10.1.2.3', [25, 40_001]), u32(2500, 18, 3000, 20)]);
    decode(v9([set(0, template(256, [...ENDS, ...fields])), set(256, record)]));
    expect(rows()).toMatchObject([
      { src_addr: '203.0.113.25', src_port: 25, packets: 18 },
      { src_addr: '10.1.2.3', src_port: 40_001, dst_port: 25, packets: 20, bytes: 3000, reverse: 1 },
    ]);
  });
});

describe('counters of initiator and responder', () => {
  it('are two halves', () => {
    const { rows } = read(
      [
        [231, 4],
        [232, 4],
        [298, 4],
        [299, 4],
      ],
      [
        [3000, 900, 20, 12],
        [60, 0, 1, 0],
      ],
    );
    expect(counts(rows)).toEqual([
      [20, 3000],
      [12, 900],
      [1, 60],
    ]);
    expect(rows[1]).toMatchObject({ src_addr: '203.0.113.25', dst_port: 40_000, reverse: 1 });
  });

  it('of octets alone are two halves too', () => {
    const { rows } = read(
      [
        [231, 4],
        [232, 4],
      ],
      [[3000, 900]],
      v9,
    );
    expect(rows).toMatchObject([{ bytes: 3000 }, { bytes: 900, reverse: 1 }]);
  });

  it('beside counters of the record itself are not counted again', () => {
    const { rows } = read(
      [
        [1, 4],
        [2, 4],
        [231, 4],
        [232, 4],
        [298, 4],
        [299, 4],
      ],
      [[3000, 20, 3000, 900, 20, 12]],
    );
    expect(counts(rows)).toEqual([[20, 3000]]);
  });

  it("of the responder alone, beside the record's own, are the other half", () => {
    expect(
      counts(
        read(
          [
            [1, 4],
            [2, 4],
            [232, 4],
            [299, 4],
          ],
          [[3000, 20, 900, 12]],
        ).rows,
      ),
    ).toEqual([
      [20, 3000],
      [12, 900],
    ]);
  });
});

describe('reverse counters of RFC 5103', () => {
  it('give way to reverse totals where they are negative', () => {
    const fields: Field[] = [
      [2, 8],
      [86, 8],
      [2, 8, 29_305],
      [86, 8, 29_305],
      [1, 8, 29_305],
      [85, 8, 29_305],
    ];
    const bad = (1n << 64n) - 1n;
    expect(counts(read(fields, [[bad, 30, bad, 28, bad, 4000]]).rows)).toEqual([
      [30, 0],
      [28, 4000],
    ]);
  });
});

describe('TCP flags in lists', () => {
  const nested = template(0x300, [
    [184, 4],
    [14, 1, 6871],
    [15, 1, 6871],
    [14 | 0x4000, 1, 6871],
    [15 | 0x4000, 1, 6871],
  ]);
  const record = Buffer.concat([u32(1), Buffer.from([0x02, 0x18, 0x12, 0x10])]);
  const listOf = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const stml = Buffer.concat([Buffer.from([3]), u16(0x300, 4 + record.length), record]);
  const biflow: Field[] = [
    [2, 4],
    [2, 4, 29_305],
  ];

  const flagsOf = (field: Field, list: Buffer, sets: Buffer[] = [nested]) => {
    const { decode, rows } = collector();
    const top = template(256, [...ENDS, ...biflow, field]);
    decode(ipfix([set(2, ...sets, top), set(256, ends(), u32(5, 4), listOf(list))]));
    return rows().map(({ tcp_flags, present }) => (Number(present) & PRESENT.TCP_FLAGS ? tcp_flags : null));
  };

  it.each([
    ['a subTemplateMultiList', [293, 65_535], stml, [0x1a, 0x12]],
    ['a subTemplateList', [292, 65_535], Buffer.concat([Buffer.from([3]), u16(0x300), record]), [0x1a, 0x12]],
    [
      'a basicList',
      [291, 65_535],
      Buffer.concat([Buffer.from([3]), u16(6, 1), Buffer.from([2, 0x18])]),
      [0x1a, null],
    ],
    [
      'a basicList with an enterprise number',
      [291, 65_535],
      Buffer.concat([Buffer.from([3]), u16(0x8006, 1), u32(29_305), Buffer.from([4])]),
      [null, 4],
    ],
    [
      'a list in a list',
      [291, 65_535],
      Buffer.concat([Buffer.from([3]), u16(293, 65_535), listOf(stml)]),
      [0x1a, 0x12],
    ],
  ] as const)('in %s are read, each direction its own', (_, field, list, flags) => {
    expect(flagsOf(field as unknown as Field, list)).toEqual(flags);
  });

  it('whose template is not known, or that are broken, are absent', () => {
    expect(flagsOf([293, 65_535], stml, [])).toEqual([null, null]);
    for (let length = 0; length < stml.length; length++) flagsOf([293, 65_535], stml.subarray(0, length));
    expect(flagsOf([293, 65_535], Buffer.concat([Buffer.from([3]), u16(0x300, 0)]))).toEqual([null, null]);
  });
});

describe('counters in lists', () => {
  const list = (...bytes: Buffer[]) => {
    const body = Buffer.concat(bytes);
    return Buffer.concat([Buffer.from([body.length]), body]);
  };
  const semantic = Buffer.from([3]);
  const nested = template(0x300, [
    [2, 4],
    [1, 8],
    [86, 4],
  ]);
  const inside = (packets: number, octets: bigint, total: number) =>
    Buffer.concat([u32(packets), integer(octets, 8), u32(total)]);
  const countsOf = (fields: readonly Field[], record: Buffer) => {
    const { decode, rows } = collector();
    decode(ipfix([set(2, nested, template(256, [...ENDS, ...fields])), set(256, ends(), record)]));
    return rows().map(({ packets, bytes, present }) => [
      Number(present) & PRESENT.PACKETS ? packets : null,
      Number(present) & PRESENT.BYTES ? bytes : null,
    ]);
  };

  it('are those of a record that has none itself', () => {
    const stl = list(semantic, u16(0x300), inside(20, 30_000n, 0));
    expect(countsOf([[292, 65_535]], stl)).toEqual([[20, 30_000]]);
    const stml = list(semantic, u16(0x300, 20), inside(20, 1n << 33n, 0));
    expect(countsOf([[293, 65_535]], stml)).toEqual([[20, 2 ** 33]]);
    expect(countsOf([[291, 65_535]], list(semantic, u16(2, 4), u32(7)))).toEqual([[7, null]]);
  });

  it('are the largest of several, never their sum, and an interval counter goes before a total', () => {
    const two = list(semantic, u16(0x300), inside(20, 3000n, 90), inside(15, 4000n, 90));
    expect(countsOf([[292, 65_535]], two)).toEqual([[20, 4000]]);
    const zero = list(semantic, u16(0x300), inside(0, (1n << 64n) - 1n, 9));
    expect(countsOf([[292, 65_535]], zero)).toEqual([[0, null]]);
  });

  it("do not stand in for the record's own", () => {
    const stl = list(semantic, u16(0x300), inside(20, 30_000n, 0));
    expect(
      countsOf(
        [
          [2, 4],
          [1, 4],
          [292, 65_535],
        ],
        Buffer.concat([u32(3, 120), stl]),
      ),
    ).toEqual([[3, 120]]);
  });

  it('that are broken are absent', () => {
    const whole = Buffer.concat([semantic, u16(0x300), inside(20, 30_000n, 0)]);
    for (let length = 0; length < whole.length; length++)
      expect(countsOf([[292, 65_535]], list(whole.subarray(0, length)))).toHaveLength(1);
    expect(countsOf([[292, 65_535]], list(semantic, u16(0x301), inside(20, 1n, 0)))).toEqual([[null, null]]);
  });
});

describe('a firewall event', () => {
  const eventOf = (extended: number) =>
    read(
      [
        [233, 1],
        [33_002, 2],
      ],
      [[3, extended]],
      v9,
    ).rows[0]?.firewall_event;
  it('"denied" is believed, unless only the beginning of the session was missed', () => {
    expect(eventOf(1001)).toBe(3);
    expect(eventOf(1004)).toBe(0);
  });
});

describe('elements that occur again', () => {
  const inner = Buffer.concat([ipv4('10.1.2.3'), ipv4('203.0.113.25')]);
  const outer6 = Buffer.concat([
    Buffer.from('20010db8000a0000000000000000000a', 'hex'),
    Buffer.from('20010db8000b0000000000000000000b', 'hex'),
  ]);
  const MAIL = {
    src_addr: '10.1.2.3',
    dst_addr: '203.0.113.25',
    src_port: 40_000,
    dst_port: 25,
    protocol: 6,
    tcp_flags: 0x1b,
    packets: 12,
    bytes: 1500,
  };
  const OUTER = {
    src_addr: '2001:db8:a::a',
    dst_addr: '2001:db8:b::b',
    src_port: 0,
    dst_port: 0,
    protocol: 4,
    packets: 12,
    bytes: 1500,
  };

  const decodeWith = (
    fields: readonly Field[],
    records: readonly Buffer[],
    tunnels: 'inner' | 'outer' | 'both' = 'inner',
  ) => {
    const { decode, rows } = collector({ tunnels });
    decode(ipfix([set(2, template(256, fields)), set(256, ...records)]));
    return rows();
  };
  const SRV6: Field[] = [
    [27, 16],
    [28, 16],
    [5, 1],
    [7, 2],
    [11, 2],
    [4, 1],
    [6, 1],
    [8, 4],
    [12, 4],
    [5, 1],
    [7, 2],
    [11, 2],
    [4, 1],
    [6, 1],
    [2, 4],
    [1, 4],
  ];
  const srv6 = (within = inner) =>
    Buffer.concat([
      outer6,
      Buffer.from([0]),
      u16(0, 0),
      Buffer.from([4, 0]),
      within,
      Buffer.from([0]),
      u16(40_000, 25),
      Buffer.from([6, 0x1b]),
      u32(12, 1500),
    ]);

  it('describe the packet inside (SRv6)', () => {
    expect(decodeWith(SRV6, [srv6()])).toMatchObject([MAIL]);
    expect(decodeWith(SRV6, [srv6()], 'outer')).toMatchObject([OUTER]);
    expect(decodeWith(SRV6, [srv6(), srv6()], 'both')).toMatchObject([MAIL, OUTER, MAIL, OUTER]);
  });

  it('that are zero leave the outer header', () => {
    expect(decodeWith(SRV6, [srv6(Buffer.alloc(8))], 'both')).toMatchObject([OUTER]);
  });

  it('of one family are told apart (GRE, L2TP)', () => {
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [4, 1],
      [7, 2],
      [11, 2],
      [8, 4],
      [12, 4],
      [4, 1],
      [7, 2],
      [11, 2],
      [6, 1],
      [2, 4],
      [1, 4],
    ];
    const record = Buffer.concat([
      ipv4('192.0.2.10'),
      ipv4('192.0.2.20'),
      Buffer.from([17]),
      u16(1701, 1701),
      inner,
      Buffer.from([6]),
      u16(40_000, 25),
      Buffer.from([0x1b]),
      u32(12, 1500),
    ]);
    expect(decodeWith(fields, [record], 'both')).toMatchObject([
      MAIL,
      { src_addr: '192.0.2.10', protocol: 17, src_port: 1701 },
    ]);
  });

  it('sorted by kind are read one by one', () => {
    const fields: Field[] = [
      [8, 4],
      [8, 4],
      [12, 4],
      [12, 4],
      [4, 1],
      [4, 1],
      [7, 2],
      [11, 2],
      [6, 1],
      [2, 4],
      [1, 4],
    ];
    const record = Buffer.concat([
      ipv4('192.0.2.10'),
      ipv4('10.1.2.3'),
      ipv4('192.0.2.20'),
      ipv4('203.0.113.25'),
      Buffer.from([47, 6]),
      u16(40_000, 25),
      Buffer.from([0x1b]),
      u32(12, 1500),
    ]);
    expect(decodeWith(fields, [record], 'both')).toMatchObject([
      MAIL,
      { src_addr: '192.0.2.10', dst_addr: '192.0.2.20', protocol: 47, dst_port: 0 },
    ]);
  });

  it('of IPv6 in IPv4, and both families inside, are read by what is not zero', () => {
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [4, 1],
      [27, 16],
      [28, 16],
      [8, 4],
      [12, 4],
      [4, 1],
      [7, 2],
      [11, 2],
      [6, 1],
      [2, 4],
      [1, 4],
    ];
    const head = [ipv4('192.0.2.10'), ipv4('192.0.2.20'), Buffer.from([41])];
    const tail = [Buffer.from([6]), u16(40_000, 25), Buffer.from([0x1b]), u32(12, 1500)];
    const v4 = Buffer.concat([...head, Buffer.alloc(32), inner, ...tail]);
    expect(decodeWith(fields, [v4])).toMatchObject([MAIL]);
  });

  it('as VMware calls them are the packet inside', () => {
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [7, 2],
      [11, 2],
      [4, 1],
      [880, 1, 6876],
      [881, 4, 6876],
      [882, 4, 6876],
      [886, 2, 6876],
      [887, 2, 6876],
      [2, 4],
      [1, 4],
    ];
    const record = Buffer.concat([
      ipv4('192.0.2.10'),
      ipv4('192.0.2.20'),
      u16(50_000, 4789),
      Buffer.from([17, 6]),
      inner,
      u16(40_000, 25),
      u32(12, 1500),
    ]);
    expect(decodeWith(fields, [record])).toMatchObject([{ ...MAIL, tcp_flags: 0 }]);
  });

  it('that are no addresses change nothing', () => {
    const fields: Field[] = [...ENDS, [10, 4], [10, 4], [6, 1], [6, 1], [2, 4], [1, 4]];
    const record = Buffer.concat([ends(), u32(3, 4), Buffer.from([0x1b, 0]), u32(12, 1500)]);
    expect(decodeWith(fields, [record])).toMatchObject([MAIL]);
  });
});

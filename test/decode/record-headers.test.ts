import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Field, ipfix, ipv4, set, template, u16, u32 } from '../support/datagrams.ts';
import { collector } from '../support/decoding.ts';

/** Fields by name, with the bytes that each has. */
const INNER = {
  s4: [[8, 4], ipv4('10.1.2.3')],
  d4: [[12, 4], ipv4('203.0.113.25')],
  sp: [[7, 2], u16(40_000)],
  dp: [[11, 2], u16(25)],
  pr: [[4, 1], Buffer.from([6])],
  fl: [[6, 1], Buffer.from([0x1b])],
  s6: [[27, 16], Buffer.from('20010db8000100000000000000000003', 'hex')],
  d6: [[28, 16], Buffer.from('20010db8ffff00000000000000000025', 'hex')],
} as const satisfies Record<string, readonly [Field, Buffer]>;
const OUTER = {
  S4: [[8, 4], ipv4('192.0.2.10')],
  D4: [[12, 4], ipv4('192.0.2.20')],
  SP: [[7, 2], u16(0)],
  DP: [[11, 2], u16(0)],
  PR: [[4, 1], Buffer.from([47])],
  FL: [[6, 1], Buffer.from([0])],
  S6: [[27, 16], Buffer.from('20010db8000a0000000000000000000a', 'hex')],
  D6: [[28, 16], Buffer.from('20010db8000b0000000000000000000b', 'hex')],
} as const satisfies Record<string, readonly [Field, Buffer]>;
/** Elements of a header that is not there. */
const NONE = {
  n4s: [[8, 4], Buffer.alloc(4)],
  n4d: [[12, 4], Buffer.alloc(4)],
  n6s: [[27, 16], Buffer.alloc(16)],
  n6d: [[28, 16], Buffer.alloc(16)],
  nsp: [[7, 2], Buffer.alloc(2)],
  ndp: [[11, 2], Buffer.alloc(2)],
  npr: [[4, 1], Buffer.alloc(1)],
} as const satisfies Record<string, readonly [Field, Buffer]>;
const ALL: Readonly<Record<string, readonly [Field, Buffer]>> = { ...INNER, ...OUTER, ...NONE };

/** Decodes one record of the named fields, those of the outer header in capitals. */
function decode(names: string, tunnels: 'inner' | 'outer' | 'both' = 'inner') {
  const parts = names.split(' ').map((name) => ALL[name] as readonly [Field, Buffer]);
  const { decode, rows, decoder } = collector({ tunnels });
  const fields: Field[] = [...parts.map(([field]) => field), [2, 4], [1, 4]];
  const body = Buffer.concat([...parts.map(([, bytes]) => bytes), u32(12, 1500)]);
  decode(ipfix([set(2, template(256, fields)), set(256, body)]));
  return { rows: rows(), unread: decoder.counters.unread };
}

const MAIL = {
  src_addr: '10.1.2.3',
  dst_addr: '203.0.113.25',
  src_port: 40_000,
  dst_port: 25,
  protocol: 6,
  packets: 12,
};
const MAIL6 = { ...MAIL, src_addr: '2001:db8:1::3', dst_addr: '2001:db8:ffff::25' };
const TUNNEL = { src_addr: '192.0.2.10', dst_addr: '192.0.2.20', src_port: 0, dst_port: 0 };

describe('two headers in one record', () => {
  it.each([
    'SP DP PR S4 D4 sp dp pr s4 d4',
    'SP DP PR S6 D6 sp dp pr s4 d4',
    'SP DP PR sp dp pr S6 D6 s4 d4',
    'SP DP PR sp dp pr S4 D4 s4 d4',
    'S6 D6 s4 d4 SP DP PR sp dp pr',
    'S4 s4 D4 d4 SP sp DP dp PR pr',
    'SP sp DP dp PR pr S4 s4 D4 d4',
    'PR S4 D4 pr s4 d4 sp dp',
    'sp dp S4 D4 PR s4 d4 pr',
    'sp dp PR S4 D4 pr s4 d4',
    'PR S4 D4 sp dp s4 d4 pr',
    'pr sp dp S4 D4 s4 d4',
    'S4 D4 pr sp dp s4 d4',
    'S4 D4 s4 d4 sp dp pr',
    'PR S4 SP D4 DP pr s4 sp d4 dp',
  ])('%s gives the inner one', (names) => {
    expect(decode(names)).toMatchObject({ rows: [MAIL], unread: { no_addresses: 0 } });
  });

  it.each(['S4 D4 PR SP DP s6 d6 pr sp dp', 'S4 D4 s6 d6 sp dp pr', 'sp dp pr S4 D4 s6 d6'])(
    '%s gives the inner one of the other family',
    (names) => {
      expect(decode(names).rows).toMatchObject([MAIL6]);
    },
  );

  it.each([
    's4 d4 sp dp pr n4s n4d',
    'sp dp pr s4 d4 n4s n4d',
    's4 d4 n4s n4d sp dp pr',
    's4 d4 sp dp pr n4s n4d nsp ndp npr',
    's4 n4s d4 n4d sp dp pr',
    's4 d4 n6s n6d sp dp pr',
    's4 d4 n4s n4d n6s n6d sp dp pr',
  ])('of which the inner one is not there, %s, give the other with its ports', (names) => {
    expect(decode(names).rows).toMatchObject([MAIL]);
    expect(decode(names, 'outer').rows).toMatchObject([MAIL]);
    expect(decode(names, 'both').rows).toMatchObject([MAIL]);
  });

  it('whose ports occur once leave the outer row without them', () => {
    expect(decode('sp dp PR S4 D4 pr s4 d4', 'both').rows).toMatchObject([MAIL, TUNNEL]);
    expect(decode('sp dp PR S4 D4 pr s4 d4', 'outer').rows).toMatchObject([TUNNEL]);
  });

  it.each(['S4 D4 PR s6 d6 n4s n4d pr sp dp', 'S4 D4 PR n4s n4d s6 d6 pr sp dp'])(
    'of which the inner one is of one of two families, %s, have its ports and protocol',
    (names) => {
      expect(decode(names).rows).toMatchObject([MAIL6]);
    },
  );

  it('an IPv4 address that stands in the IPv6 elements once more is one header', () => {
    const mapped = (text: string) =>
      Buffer.concat([Buffer.alloc(10), Buffer.from('ffff', 'hex'), ipv4(text)]);
    const { decode, rows } = collector();
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [27, 16],
      [28, 16],
      [7, 2],
      [11, 2],
      [4, 1],
      [2, 4],
    ];
    const ends = [ipv4('10.1.2.3'), ipv4('203.0.113.25'), mapped('10.1.2.3'), mapped('203.0.113.25')];
    decode(
      ipfix([set(2, template(256, fields)), set(256, ...ends, u16(40_000, 25), Buffer.from([6]), u32(12))]),
    );
    expect(rows()).toMatchObject([MAIL]);
  });
});

describe('two headers, and addresses of one only', () => {
  it.each(['SP DP PR sp dp pr s4 d4', 'SP DP sp dp s4 d4 pr'])('%s are those of the inner one', (names) => {
    expect(decode(names)).toMatchObject({ rows: [MAIL], unread: { no_addresses: 0 } });
  });

  it.each([
    'S4 D4 SP DP PR sp dp pr',
    'SP DP PR S4 D4 sp dp pr',
    'S4 D4 SP sp DP dp PR pr',
    'S4 s4 D4 sp dp pr',
    'S4 D4 PR SP DP s4 pr sp dp',
    'S4 D4 PR pr sp dp',
  ])('%s: the tunnel is not said to send mail, and the packet inside is counted', (names) => {
    for (const tunnels of ['inner', 'outer', 'both'] as const)
      expect(decode(names, tunnels)).toMatchObject({ rows: [TUNNEL], unread: { no_addresses: 1 } });
  });

  it.each(['s4 d4 sp dp pr nsp ndp npr', 's4 d4 sp dp pr sp dp', 's4 s4 d4 sp dp pr', 's4 d4 sp dp pr pr'])(
    '%s: there is one packet, and nothing to count',
    (names) => {
      expect(decode(names)).toMatchObject({ rows: [MAIL], unread: { no_addresses: 0 } });
    },
  );
});

describe('templates of any elements in any order', () => {
  it('are read or counted, and never throw', () => {
    const element = fc.constantFrom<Field[]>(
      [8, 4],
      [12, 4],
      [8, 2],
      [12, 1],
      [27, 16],
      [28, 16],
      [28, 8],
      [7, 2],
      [11, 2],
      [4, 1],
      [6, 1],
      [88, 2],
      [180, 2],
      [182, 2],
      [183, 2],
      [2, 4],
      [23, 4],
      [24, 4],
      [86, 4],
      [239, 1],
      [313, 24],
      [314, 8],
      [315, 40],
      [316, 4],
      [317, 24],
      [409, 2],
      [10, 4],
    );
    const fields = fc.array(element, { minLength: 1, maxLength: 14 });
    const bytes = fc.uint8Array({ minLength: 64, maxLength: 400 });
    fc.assert(
      fc.property(
        fields,
        bytes,
        fc.constantFrom('inner', 'outer', 'both'),
        fc.boolean(),
        (fields, body, tunnels, mail) => {
          const { decode, rows } = collector({ tunnels, ...(mail && { portsOnly: [25] }) }, 1024);
          decode(ipfix([set(2, template(256, fields)), set(256, Buffer.from(body))]));
          rows();
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('records of which the ends are not told', () => {
  it.each([
    ['with an address of zero', 's4 n4d sp dp pr', 'no_addresses', 1],
    ['with an IPv6 address of zero', 'n6s d6 sp dp pr', 'no_addresses', 1],
    ['with both zero, in elements of both families', 'n4s n4d n6s n6d sp dp pr', 'no_addresses', 1],
    ['with zero and no protocol told', 'n4s n4d sp dp npr', 'no_addresses', 1],
    ['with one address only', 's4 sp dp pr', 'no_addresses', 1],
    ['with neither ports nor protocol', 's4 d4', 'no_ports', 1],
    ['with ports of no protocol', 's4 d4 sp dp', 'no_ports', 1],
    ['of TCP without ports', 's4 d4 pr', 'no_ports', 1],
    ['of another protocol without ports', 'S4 D4 PR', 'no_ports', 0],
    ['of another protocol with an address of zero', 'n4s D4 PR SP DP', 'no_addresses', 0],
    ['that are whole', 's4 d4 sp dp pr', 'no_addresses', 0],
  ] as const)('%s are counted: %s', (_, names, reason, count) => {
    const { unread } = decode(names);
    expect(unread).toMatchObject({ no_addresses: 0, no_ports: 0, [reason]: count });
  });

  it('ports of TCP by their name need no protocol', () => {
    const { decode, rows, decoder } = collector();
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [182, 2],
      [183, 2],
      [180, 2],
      [181, 2],
      [2, 4],
    ];
    const ends = Buffer.concat([ipv4('10.1.2.3'), ipv4('203.0.113.25')]);
    decode(
      ipfix([
        set(2, template(256, fields)),
        set(256, ends, u16(40_000, 25, 0, 0), u32(12), ends, u16(0, 0, 40_000, 53), u32(12)),
      ]),
    );
    expect(rows()).toMatchObject([MAIL, { protocol: 17, dst_port: 53 }]);
    expect(decoder.counters.unread.no_ports).toBe(0);
  });
});

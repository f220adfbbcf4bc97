import { describe, expect, it } from 'vitest';
import { type Field, ipfix, ipv4, set, template, u16, u32, v9 } from '../support/datagrams.ts';
import { collector } from '../support/decoding.ts';

const FIELDS: readonly Field[] = [
  [8, 4],
  [12, 4],
  [7, 2],
  [11, 2],
  [4, 1],
  [1, 4],
  [2, 4],
  [23, 4],
  [24, 4],
];
type Counters = readonly [inBytes: number, inPackets: number, outBytes: number, outPackets: number];

const record = (counters: Counters, protocol = 6, source = '10.1.2.3', destination = '203.0.113.25') =>
  Buffer.concat([
    ipv4(source),
    ipv4(destination),
    u16(40_000, 25),
    Buffer.from([protocol]),
    u32(...counters),
  ]);

function exporter() {
  const { decode, rows, decoder } = collector({}, 512);
  const send = (...records: Buffer[]) => {
    const before = rows().length;
    for (const body of records) decode(v9([set(0, template(256, FIELDS)), set(256, body)]));
    return rows()
      .slice(before)
      .map(({ src_addr, packets, bytes }) => [src_addr, packets, bytes]);
  };
  return { send, meaning: () => [...decoder.exporters()][0]?.outMeaning };
}

const MANY = 200;
const times = (counters: Counters, protocol = 6) =>
  Array.from({ length: MANY }, () => record(counters, protocol));
/** The server's half only: the host is innocent of what came back to it. */
const ONLY_BACK: Counters = [0, 0, 1200, 20];
const BOTH: Counters = [9000, 30, 2500, 22];

describe('what OUT counters mean', () => {
  it.each([
    ['pings', [420, 5, 420, 5], 1],
    ['pings, some without an answer', [420, 5, 336, 4], 1],
    ['NTP', [76, 1, 76, 1], 17],
    ['connections that were refused', [40, 1, 40, 1], 6],
    ['repeated SYNs with one answer of their size', [180, 3, 60, 1], 6],
    ['keepalives', [104, 2, 104, 2], 6],
    ['echo without a protocol', [840, 2, 840, 2], 0],
  ] as const)('is not told by %s', (_, counters, protocol) => {
    const { send, meaning } = exporter();
    send(...times(counters, protocol));
    expect(meaning()).toBe('unknown');
    expect(send(record(BOTH), record(ONLY_BACK))).toEqual([
      ['10.1.2.3', 30, 9000],
      ['203.0.113.25', 22, 2500],
      ['203.0.113.25', 20, 1200],
    ]);
    expect(meaning()).toBe('reverse');
  });

  it('is corrected by records that contradict what was decided', () => {
    const { send, meaning } = exporter();
    send(...times([15_000, 20, 15_000, 20]));
    expect(meaning()).toBe('post');
    send(...times(BOTH));
    expect(meaning()).toBe('reverse');
    expect(send(record(ONLY_BACK))).toEqual([['203.0.113.25', 20, 1200]]);
    send(...times([15_000, 20, 15_000, 20]));
    expect(meaning()).toBe('post');
    expect(send(record(ONLY_BACK))).toEqual([['10.1.2.3', 20, 1200]]);
  });

  it('is corrected by few records that cannot be what was decided', () => {
    const { send, meaning } = exporter();
    send(...times([15_000, 20, 15_000, 20]));
    send(...times([2500, 18, 30_000, 40]).slice(0, 17));
    expect(meaning()).toBe('reverse');
  });

  it.each([
    ['a router that drops packets', [15_000, 20, 12_000, 16]],
    ['a tunnel that adds a header', [15_000, 20, 16_000, 20]],
    ['a router that fragments', [30_000, 20, 30_800, 40]],
  ] as const)('stays that of the same packets behind %s', (_, counters) => {
    const { send, meaning } = exporter();
    send(...times([15_000, 20, 15_000, 20]), ...times(counters));
    expect(meaning()).toBe('post');
    expect(send(record(ONLY_BACK))).toEqual([['10.1.2.3', 20, 1200]]);
  });
});

describe('interval counters that count octets only', () => {
  const fields: readonly Field[] = [...FIELDS.slice(0, 5), [2, 4], [86, 4], [1, 4], [85, 4]];

  it('do not make a zero of the packets, nor take from the octets what the flow had before', () => {
    const { decode, rows } = collector();
    const ends = record([0, 0, 0, 0]).subarray(0, 13);
    const body = [u32(0, 30, 4500, 4500), u32(0, 50, 3000, 7500)].map((counters) =>
      Buffer.concat([ends, counters]),
    );
    decode(ipfix([set(2, template(256, fields)), set(256, ...body)]));
    expect(rows().map(({ packets, bytes }) => [packets, bytes])).toEqual([
      [30, 4500],
      [20, 3000],
    ]);
  });
});

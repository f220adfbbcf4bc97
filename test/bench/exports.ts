/**
 * The datagrams of the benchmark: one flow in twenty on port 25, addresses and ports of a busy network.
 *
 * v5 with 30 records, v9 and IPFIX with 30 of the 18 fields that routers send by default; IPFIX with 6 of 60 fields and
 * sFlow with 7 samples of 128 bytes, which is what fits into 1500 bytes. The same for every run.
 */

import { type Field, integer, ipfix, ipv4, set, template, u16, u32, v5, v9 } from '../support/datagrams.ts';
import { type RandomBelow, randomBelow } from '../support/random.ts';

export interface ExportPool {
  readonly name: 'v5' | 'v9' | 'ipfix' | 'ipfix, 60 fields' | 'sflow';
  readonly version: 'v5' | 'v9' | 'ipfix' | 'sflow';
  /** Records in each datagram. */
  readonly records: number;
  /** Sent once, before the others. */
  readonly templates: readonly Buffer[];
  readonly datagrams: readonly Buffer[];
  /** Where the sequence number lies, and by how much it grows a datagram. */
  readonly sequenceOffset: number;
  readonly sequenceStep: number;
}

const RECORDS = 30;
const WIDE_RECORDS = 6;
const SAMPLES = 7;
/** So many different ones of each, unless more are asked for. */
const DATAGRAMS = 64;

/** What a record of 60 fields has besides the usual 18: application, timing, VLANs, MACs, MPLS, NAT, counters. */
const FURTHER: readonly Field[] = [
  ...[136, 230, 233].map((id): Field => [id, 1]),
  ...[32, 54, 58, 59, 192, 206, 227, 228, 243, 254].map(
    (id): Field => [id, id === 192 || id === 206 ? 1 : 2],
  ),
  ...[23, 24, 70, 71, 72, 225, 226, 234, 235].map(
    (id): Field => [id, id === 70 || id === 71 || id === 72 ? 3 : 4],
  ),
  ...[56, 57, 80, 81].map((id): Field => [id, 6]),
  ...[85, 86, 95, 130, 133, 148, 161, 184, 185, 186].map((id): Field => [id, 4]),
  ...[231, 232, 298, 299, 352, 353].map((id): Field => [id, 4]),
];
const FURTHER_BYTES = FURTHER.reduce((sum, [, length]) => sum + length, 0);

/** Times are what v9 and IPFIX tell differently: uptime there, absolute here. */
function fields(first: number, last: number, timeBytes: number): readonly Field[] {
  return [
    [1, 4],
    [2, 4],
    [4, 1],
    [5, 1],
    [6, 1],
    [7, 2],
    [8, 4],
    [9, 1],
    [10, 4],
    [11, 2],
    [12, 4],
    [13, 1],
    [14, 4],
    [15, 4],
    [16, 4],
    [last, timeBytes],
    [first, timeBytes],
    [61, 1],
  ];
}

function record(random: RandomBelow, times: Buffer): Buffer {
  const port = random(20) === 0 ? 25 : [443, 80, 53, 8443][random(4)];
  return Buffer.concat([
    u32(40 + random(100_000), 1 + random(100)),
    Buffer.from([6, 0, 0x1b]),
    u16(1024 + random(60_000)),
    Buffer.from([10, 0, random(256), random(256), 24]),
    u32(1 + random(48)),
    u16(port),
    Buffer.from([198, 51, 100, random(256), 24]),
    u32(1 + random(48), 0xc6336401, 64_500),
    times,
    Buffer.from([0]),
  ]);
}

/** Ethernet, IPv4, TCP: the first 128 bytes of a frame, as a switch samples it. */
function sample(random: RandomBelow): Buffer {
  const port = random(20) === 0 ? 25 : 443;
  const header = Buffer.concat([
    Buffer.alloc(12, 2),
    u16(0x0800),
    Buffer.from([0x45, 0]),
    u16(1400, 1, 0x4000),
    Buffer.from([64, 6, 0, 0]),
    ipv4(`10.0.${random(256)}.${random(256)}`),
    ipv4(`198.51.100.${random(256)}`),
    u16(1024 + random(60_000), port),
    u32(random(1e9), random(1e9)),
    Buffer.from([0x50, 0x18]),
    u16(1000, 0, 0),
    Buffer.alloc(74, 0x61),
  ]);
  const raw = Buffer.concat([u32(1, 16 + header.length), u32(1, 1414, 4, header.length), header]);
  return Buffer.concat([u32(1, 32 + raw.length), u32(1, 3, 512, 1000, 0, 7, 8, 1), raw]);
}

export function createPools(datagrams = DATAGRAMS): readonly ExportPool[] {
  const random = randomBelow(1);
  const repeat = <T>(count: number, make: () => T) => Array.from({ length: count }, make);
  const uptimes = () => u32(999_000 - random(5000), 990_000 - random(5000));
  const absolute = () => Buffer.concat([integer(1_767_225_590_000, 8), integer(1_767_225_580_000, 8)]);
  return [
    {
      name: 'v5',
      version: 'v5',
      records: RECORDS,
      templates: [],
      datagrams: repeat(datagrams, () =>
        v5(
          repeat(RECORDS, () => ({
            src: `10.0.${random(256)}.${random(256)}`,
            dst: `198.51.100.${random(256)}`,
            srcPort: 1024 + random(60_000),
            dstPort: random(20) === 0 ? 25 : 443,
            packets: 1 + random(100),
            bytes: 40 + random(100_000),
          })),
        ),
      ),
      sequenceOffset: 16,
      sequenceStep: RECORDS,
    },
    {
      name: 'v9',
      version: 'v9',
      records: RECORDS,
      templates: [v9([set(0, template(300, fields(22, 21, 4)))])],
      datagrams: repeat(datagrams, () => v9([set(300, ...repeat(RECORDS, () => record(random, uptimes())))])),
      sequenceOffset: 12,
      sequenceStep: 1,
    },
    {
      name: 'ipfix',
      version: 'ipfix',
      records: RECORDS,
      templates: [ipfix([set(2, template(300, fields(152, 153, 8)))])],
      datagrams: repeat(datagrams, () =>
        ipfix([set(300, ...repeat(RECORDS, () => record(random, absolute())))]),
      ),
      sequenceOffset: 8,
      sequenceStep: RECORDS,
    },
    {
      name: 'ipfix, 60 fields',
      version: 'ipfix',
      records: WIDE_RECORDS,
      templates: [ipfix([set(2, template(301, [...fields(152, 153, 8), ...FURTHER]))])],
      datagrams: repeat(datagrams, () =>
        ipfix([
          set(
            301,
            ...repeat(WIDE_RECORDS, () =>
              Buffer.concat([record(random, absolute()), Buffer.alloc(FURTHER_BYTES)]),
            ),
          ),
        ]),
      ),
      sequenceOffset: 8,
      sequenceStep: WIDE_RECORDS,
    },
    {
      name: 'sflow',
      version: 'sflow',
      records: SAMPLES,
      templates: [],
      datagrams: repeat(datagrams, () =>
        Buffer.concat([
          u32(5, 1),
          ipv4('192.0.2.7'),
          u32(2, 0, 60_000, SAMPLES),
          ...repeat(SAMPLES, () => sample(random)),
        ]),
      ),
      sequenceOffset: 16,
      sequenceStep: 1,
    },
  ];
}

/** The pool as the sender reads it. */
export function poolFile(pool: ExportPool): Buffer {
  return Buffer.concat(
    [...pool.templates, ...pool.datagrams].flatMap((datagram) => [u32(datagram.length), datagram]),
  );
}

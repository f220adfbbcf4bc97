/**
 * The datagrams of the benchmark: 30 records each, one in twenty on port 25, addresses and ports of a busy network.
 *
 * v9 and IPFIX with the 18 fields that routers send by default; v5 with its own. The same for every run.
 */

import { type Field, integer, ipfix, set, template, u16, u32, v5, v9 } from '../support/datagrams.ts';

export interface ExportPool {
  readonly name: 'v5' | 'v9' | 'ipfix';
  /** Sent once, before the others. */
  readonly templates: readonly Buffer[];
  readonly datagrams: readonly Buffer[];
  /** Where the sequence number lies, and by how much it grows a datagram. */
  readonly sequenceOffset: number;
  readonly sequenceStep: number;
}

export const RECORDS = 30;
const DATAGRAMS = 64;

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

/** A generator with a known beginning (Numerical Recipes' constants), since Math.random has none. */
function createRandom(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

function record(random: (below: number) => number, times: Buffer): Buffer {
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

export function createPools(): readonly ExportPool[] {
  const random = createRandom();
  const repeat = <T>(count: number, make: () => T) => Array.from({ length: count }, make);
  const uptimes = () => u32(999_000 - random(5000), 990_000 - random(5000));
  const absolute = () => Buffer.concat([integer(1_767_225_590_000, 8), integer(1_767_225_580_000, 8)]);
  return [
    {
      name: 'v5',
      templates: [],
      datagrams: repeat(DATAGRAMS, () =>
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
      templates: [v9([set(0, template(300, fields(22, 21, 4)))])],
      datagrams: repeat(DATAGRAMS, () => v9([set(300, ...repeat(RECORDS, () => record(random, uptimes())))])),
      sequenceOffset: 12,
      sequenceStep: 1,
    },
    {
      name: 'ipfix',
      templates: [ipfix([set(2, template(300, fields(152, 153, 8)))])],
      datagrams: repeat(DATAGRAMS, () =>
        ipfix([set(300, ...repeat(RECORDS, () => record(random, absolute())))]),
      ),
      sequenceOffset: 8,
      sequenceStep: RECORDS,
    },
  ];
}

/** The pool as the sender reads it. */
export function poolFile(pool: ExportPool): Buffer {
  return Buffer.concat(
    [...pool.templates, ...pool.datagrams].flatMap((datagram) => [u32(datagram.length), datagram]),
  );
}

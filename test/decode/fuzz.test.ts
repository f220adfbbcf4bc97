/**
 * Hostile bytes: whatever comes, the decoder neither throws nor hangs nor grows, and accounts for what it was given.
 */

import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/decode/decoder.ts';
import type { DecodeOutcome } from '../../src/decode/types.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import {
  ipfix,
  ipfixOptionsTemplate,
  set,
  TUPLE,
  template,
  tuple,
  u16,
  u32,
  v1,
  v5,
  v7,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import { collector, EXPORTER, LIMITS, NOW } from '../support/decoding.ts';
import { readPcap } from '../support/pcap.ts';
import { haveVectors, VECTORS_DIR } from '../support/vectors.ts';

/** xorshift32: the same mutations at every run. */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function mutate(bytes: Buffer, next: (below: number) => number): Buffer {
  let out = Buffer.from(bytes);
  for (let i = 1 + next(4); i > 0 && out.length > 0; i--) {
    const at = next(out.length);
    switch (next(6)) {
      case 0:
        out[at] = next(256);
        break;
      case 1:
        out[at] ^= 1 << next(8);
        break;
      case 2:
        out = out.subarray(0, at);
        break;
      case 3: {
        const value = [0, 1, 3, 4, 255, 256, 65535, out.length][next(8)] as number;
        if (at + 2 <= out.length) out.writeUInt16BE(value, at & ~1);
        break;
      }
      case 4:
        out = Buffer.concat([out, out.subarray(at)]).subarray(0, 4000);
        break;
      default:
        out.fill(0, at, Math.min(out.length, at + next(32)));
    }
  }
  return out;
}

const made: readonly Buffer[] = [
  v1([{}, {}]),
  v5([{}, {}, {}]),
  v7([{}, {}]),
  v9([
    set(0, template(256, TUPLE), template(258, [[371, 65535], ...TUPLE])),
    set(
      1,
      v9OptionsTemplate(
        257,
        [[1, 4]],
        [
          [34, 4],
          [48, 1],
        ],
      ),
    ),
    set(256, tuple(), tuple()),
    set(257, u32(0, 64), Buffer.from([1])),
    set(258, Buffer.from('\x03abc'), tuple()),
  ]),
  ipfix([
    set(2, template(256, [...TUPLE, [1, 4, 29305], [371, 65535]]), template(258, TUPLE)),
    set(
      3,
      ipfixOptionsTemplate(
        257,
        [[302, 4]],
        [
          [305, 4],
          [306, 4],
        ],
      ),
    ),
    set(256, tuple(), u32(5), Buffer.from('\x03abc')),
    set(257, u32(1, 1, 99)),
    set(258, tuple()),
  ]),
  // sFlow: one flow sample with the first 54 bytes of a TCP packet over IPv4.
  Buffer.concat([
    u32(5, 1, 0xc0000207, 2, 0, 60_000, 1),
    u32(1, 112, 1, 3, 512, 1000, 0, 7, 8, 1, 1, 72, 1, 1500, 4, 54),
    Buffer.alloc(12, 2),
    u16(0x0800, 0x4500, 40, 1, 0, 0x4006, 0),
    u32(0x0a000001, 0xc6336419),
    u16(40000, 25, 0, 1, 0, 2, 0x5012, 1000, 0, 0, 0),
  ]),
];

/** Every datagram of every capture, those of malformed/ and of sFlow too. */
function captured(): readonly Buffer[] {
  return readdirSync(VECTORS_DIR, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.pcap'))
    .sort()
    .flatMap((path) => readPcap(`${VECTORS_DIR}/${path}`).map(({ payload }) => payload));
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function flood(datagrams: readonly Buffer[], mutations: number, seed: number): void {
  const next = random(seed);
  let stored = 0;
  const sink = {
    batch: createFlowBatch(256),
    flush() {
      stored += sink.batch.length;
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = createDecoder(
    { templateScope: 'address', limits: { ...LIMITS, pendingBytes: 65_536 } },
    sink,
  );
  const sums = { flows: 0, dropped: 0, options: 0, templates: 0 };
  for (let i = 0; i < mutations; i++) {
    const bytes = mutate(datagrams[next(datagrams.length)] as Buffer, next);
    const exporter = Uint8Array.from(EXPORTER);
    exporter[15] = next(4);
    let outcome: DecodeOutcome;
    try {
      outcome = decoder.decode(bytes, exporter, 2055, NOW + i);
    } catch (error) {
      throw new Error(`datagram ${bytes.toString('hex')}`, { cause: error });
    }
    for (const key of ['flows', 'dropped', 'options', 'templates'] as const) sums[key] += outcome[key];
  }
  sink.flush();
  expect(decoder.counters).toMatchObject({
    datagrams: mutations,
    optionsRecords: sums.options,
    templates: sums.templates,
  });
  expect(stored).toBe(sums.flows);
  expect(total(decoder.counters.flows)).toBe(sums.flows);
  expect(total(decoder.counters.dropped)).toBe(sums.dropped);
  const states = [...decoder.exporters()];
  expect(states.reduce((sum, { flows }) => sum + flows, 0)).toBeLessThanOrEqual(sums.flows);
  expect(states.reduce((sum, { templates }) => sum + templates, 0)).toBeLessThanOrEqual(LIMITS.templates);
  // What still waits is let go in the end, and nothing waits twice.
  const before = decoder.counters.dropped.no_template;
  decoder.expire(NOW + 1e9);
  const waited = decoder.counters.dropped.no_template - before;
  expect(waited).toBeLessThanOrEqual(65_536 / 256);
  decoder.expire(NOW + 2e9);
  expect(decoder.counters.dropped.no_template - before).toBe(waited);
}

describe('hostile datagrams', () => {
  it('20 000 mutations of made datagrams are decoded or counted', () => flood(made, 20_000, 1));

  it.skipIf(!haveVectors)(
    '20 000 mutations of captures are decoded or counted (needs VECTORS_DIR or ../shared/vectors)',
    () => flood(captured(), 20_000, 2),
  );

  it('random bytes behind every version are decoded or counted', () => {
    const version = fc.constantFrom([0, 0, 0, 5], [0, 1], [0, 5], [0, 7], [0, 9], [0, 10], [255, 255]);
    const { decode, decoder } = collector();
    let flows = 0;
    fc.assert(
      fc.property(version, fc.uint8Array({ maxLength: 200 }), (first, rest) => {
        flows += decode(Buffer.concat([Buffer.from(first), rest])).flows;
      }),
      { numRuns: 2000 },
    );
    expect(total(decoder.counters.flows)).toBe(flows);
  });

  it('any template and any data of it are read within the bounds of the set', () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 18 }), fc.constant(65535), fc.constant(65534));
    const id = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 32767 }));
    const field = fc.tuple(id, length, fc.constantFrom(undefined, 29305, 6871, 9));
    fc.assert(
      fc.property(fc.array(field, { maxLength: 30 }), fc.uint8Array({ maxLength: 600 }), (fields, body) => {
        const { decode, rows } = collector();
        const ours = fields.map(([n, l, pen]) =>
          pen === undefined ? ([n, l] as const) : ([n, l, pen] as const),
        );
        const outcome = decode(ipfix([set(2, template(256, ours)), set(256, Buffer.from(body))]));
        expect(rows()).toHaveLength(outcome.flows);
        // A row stands for at least one byte of a record, a biflow for two rows.
        expect(outcome.flows).toBeLessThanOrEqual(2 * body.length);
      }),
      { numRuns: 500 },
    );
  });
});

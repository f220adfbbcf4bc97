import { describe, expect, it } from 'vitest';
import {
  type Field,
  ipfix,
  ipfixOptionsTemplate,
  set,
  TUPLE,
  template,
  tuple,
  u32,
  v5,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import { collector } from '../support/decoding.ts';

function double(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeDoubleBE(value);
  return out;
}

const sampled = (sampler: number) => Buffer.concat([tuple(), Buffer.from([sampler])]);

describe('sampling rates', () => {
  it.each([
    [0, 0],
    [100, 100],
    [0x4000 | 1000, 1000],
    [0x8000 | 16383, 16383],
    [0x4000, 0],
  ])('v5 header %i is a rate of %i', (field, rate) => {
    const { decode, rows, decoder } = collector();
    decode(v5([{}], { sampling: field }));
    expect(rows()[0]?.sampling_rate).toBe(rate);
    expect([...([...decoder.exporters()][0]?.samplingRates ?? [])]).toEqual(rate === 0 ? [] : [rate]);
  });

  it.each([
    ['of the whole', [[1, 4]] as const, [] as const, TUPLE, tuple()],
    ['of a sampler', [[1, 4]] as const, [[48, 1]] as const, [...TUPLE, [48, 1] as Field], sampled(3)],
  ])('%s that come in turn are those of two exporters: the larger holds', (_, scope, id, fields, record) => {
    const { decode, rows } = collector();
    const options = v9OptionsTemplate(257, scope, [...id, [34, 4]]);
    let sequence = 0;
    decode(v9([set(0, template(256, fields)), set(1, options, Buffer.alloc(2))], { sequence: sequence++ }));
    for (const rate of [1000, 1, 1000, 1, 1, 1000, 1]) {
      const named = id.length === 0 ? [] : [Buffer.from([3])];
      decode(v9([set(257, u32(0), ...named, u32(rate)), set(256, record)], { sequence: sequence++ }));
    }
    expect(rows().map((row) => row.sampling_rate)).toEqual([1000, 1, 1000, 1000, 1000, 1000, 1000]);
  });

  it('that change once are those of an exporter that was given another', () => {
    const { decode, rows } = collector();
    const options = set(1, v9OptionsTemplate(257, [[1, 4]], [[34, 4]]), Buffer.alloc(2));
    decode(v9([set(0, template(256, TUPLE)), options]));
    for (const [i, rate] of [1000, 1000, 10, 10, 1000, 1000].entries())
      decode(v9([set(257, u32(0, rate)), set(256, tuple())], { sequence: 1 + i }));
    expect(rows().map((row) => row.sampling_rate)).toEqual([1000, 1000, 10, 10, 1000, 1000]);
  });

  it('are unknown until told', () => {
    const { decode, rows } = collector();
    decode(v9([set(0, template(256, TUPLE)), set(256, tuple())]));
    expect(rows()[0]?.sampling_rate).toBe(0);
  });

  it('v9 options by sampler id belong to the records that name the sampler', () => {
    const { decode, rows, decoder } = collector();
    const options = v9OptionsTemplate(
      257,
      [[1, 4]],
      [
        [48, 1],
        [49, 1],
        [50, 4],
      ],
    );
    decode(v9([set(1, options, Buffer.alloc(2)), set(257, u32(0), Buffer.from([3, 2]), u32(500))]));
    const flows = template(256, [...TUPLE, [48, 1]]);
    const record = (sampler: number) => Buffer.concat([tuple(), Buffer.from([sampler])]);
    decode(v9([set(0, flows), set(256, record(3), record(4), record(3))], { sequence: 1 }));
    expect(rows().map((row) => row.sampling_rate)).toEqual([500, 0, 500]);
    expect([...([...decoder.exporters()][0]?.samplingRates ?? [])]).toEqual([500]);
  });

  it('v9 options with an interval and no id are the rate of the domain, and of no other', () => {
    const { decode, rows } = collector();
    const options = v9OptionsTemplate(
      257,
      [[1, 4]],
      [
        [34, 4],
        [35, 1],
      ],
    );
    decode(v9([set(1, options), set(257, u32(0, 64), Buffer.from([1]))], { domain: 1 }));
    for (const domain of [1, 2]) decode(v9([set(0, template(256, TUPLE)), set(256, tuple())], { domain }));
    expect(rows().map((row) => row.sampling_rate)).toEqual([64, 0]);
  });

  it('an interval in the record wins', () => {
    const { decode, rows } = collector();
    decode(v9([set(0, template(256, [...TUPLE, [34, 4]])), set(256, tuple(), u32(7))]));
    expect(rows()[0]?.sampling_rate).toBe(7);
  });

  const ipfixOptions: [string, Field[], Buffer, number][] = [
    [
      'interval and space',
      [
        [305, 4],
        [306, 4],
      ],
      u32(1, 99),
      100,
    ],
    [
      'an interval of several packets',
      [
        [305, 4],
        [306, 4],
      ],
      u32(2, 197),
      100,
    ],
    ['an interval alone', [[305, 4]], u32(128), 128],
    [
      'time interval and space',
      [
        [307, 4],
        [308, 4],
      ],
      u32(10, 90),
      10,
    ],
    [
      'n out of N',
      [
        [309, 4],
        [310, 4],
      ],
      u32(2, 2000),
      1000,
    ],
    ['a probability', [[311, 8]], double(0.001), 1000],
    ['a probability that is none', [[311, 8]], double(Number.NaN), 0],
    [
      'an interval of nothing',
      [
        [305, 4],
        [306, 4],
      ],
      u32(0, 99),
      0,
    ],
    ['the plain interval', [[34, 4]], u32(2048), 2048],
  ];

  it.each(ipfixOptions)('IPFIX selector with %s', (_, fields, values, rate) => {
    const { decode, rows } = collector();
    decode(ipfix([set(3, ipfixOptionsTemplate(257, [[302, 4]], fields)), set(257, u32(9), values)]));
    decode(ipfix([set(2, template(256, [...TUPLE, [302, 4]])), set(256, tuple(), u32(9), tuple(), u32(8))]));
    expect(rows().map((row) => row.sampling_rate)).toEqual([rate, 0]);
  });

  it('IPFIX interval and space in the record', () => {
    const { decode, rows } = collector();
    const fields: Field[] = [...TUPLE, [305, 4], [306, 4]];
    decode(ipfix([set(2, template(256, fields)), set(256, tuple(), u32(1, 9), tuple(), u32(0, 9))]));
    expect(rows().map((row) => row.sampling_rate)).toEqual([10, 0]);
  });

  it('samplers without end stay within a bound', () => {
    const { decode, decoder } = collector();
    const options = v9OptionsTemplate(
      257,
      [],
      [
        [48, 4],
        [34, 4],
      ],
    );
    decode(v9([set(1, options)]));
    for (let id = 0; id < 5000; id++) decode(v9([set(257, u32(id, id + 2))]));
    const saved = JSON.stringify(decoder.snapshot());
    expect(saved.length).toBeLessThan(10_000);
    expect([...decoder.exporters()][0]?.samplingRates.size).toBeLessThanOrEqual(16);
  });

  describe('told by options apply within their scope', () => {
    const INTERFACES: readonly Field[] = [...TUPLE, [10, 4], [14, 4], [61, 1]];
    const flow = (ingress: number, egress: number, direction = 0) =>
      Buffer.concat([tuple(), u32(ingress, egress), Buffer.from([direction])]);

    function v9Rates(scope: Field, records: readonly Buffer[]) {
      const { decode, rows } = collector();
      decode(v9([set(1, v9OptionsTemplate(300, [scope], [[34, 4]])), set(300, ...records)]));
      decode(v9([set(0, template(256, INTERFACES), template(257, INTERFACES))], { sequence: 1 }));
      return (id: number, ...flows: Buffer[]) => {
        decode(v9([set(id, ...flows)], { sequence: 2 }));
        return rows().map((row) => row.sampling_rate);
      };
    }

    it('of a v9 interface, on either side', () => {
      const rates = v9Rates([2, 4], [u32(1, 1000), u32(2, 1)]);
      const flows = [flow(1, 2), flow(2, 1), flow(3, 1), flow(1, 2, 1), flow(3, 4)];
      expect(rates(256, ...flows)).toEqual([1000, 1, 1000, 1, 0]);
    });

    it('of a v9 interface of two bytes', () => {
      const rates = v9Rates([2, 2], [Buffer.concat([Buffer.from([0, 1]), u32(1000)])]);
      expect(rates(256, flow(1, 9), flow(7, 9))).toEqual([1000, 0]);
    });

    it('of a v9 template', () => {
      const rates = v9Rates([5, 2], [Buffer.concat([Buffer.from([1, 1]), u32(50)])]);
      rates(256, flow(1, 2));
      expect(rates(257, flow(1, 2))).toEqual([0, 50]);
    });

    it.each([3, 4])('of v9 scope %i, a part of the router, only while all parts are alike', (scope) => {
      expect(v9Rates([scope, 4], [u32(1, 100)])(256, flow(1, 2))).toEqual([100]);
      expect(v9Rates([scope, 4], [u32(1, 100), u32(2, 100)])(256, flow(1, 2))).toEqual([100]);
      expect(v9Rates([scope, 4], [u32(1, 100), u32(2, 1)])(256, flow(1, 2))).toEqual([0]);
    });

    it('of the v9 system to all that have no other', () => {
      const { decode, rows } = collector();
      decode(v9([set(1, v9OptionsTemplate(300, [[1, 4]], [[34, 4]])), set(300, u32(0, 64))]));
      decode(v9([set(1, v9OptionsTemplate(301, [[2, 4]], [[34, 4]])), set(301, u32(5, 7))], { sequence: 1 }));
      decode(v9([set(0, template(256, INTERFACES)), set(256, flow(5, 1), flow(6, 1))], { sequence: 2 }));
      expect(rows().map((row) => row.sampling_rate)).toEqual([7, 64]);
    });

    function ipfixRates(scope: Field, records: readonly Buffer[], ...flows: Buffer[]) {
      const { decode, rows } = collector();
      decode(ipfix([set(3, ipfixOptionsTemplate(300, [scope], [[305, 4]])), set(300, ...records)]));
      decode(ipfix([set(2, template(256, INTERFACES)), set(256, ...flows)], { sequence: records.length }));
      return rows().map((row) => row.sampling_rate);
    }

    it('of an IPFIX interface, on the side that the scope names', () => {
      const flows = [flow(1, 2), flow(2, 1)];
      expect(ipfixRates([10, 4], [u32(1, 1000), u32(2, 1)], ...flows)).toEqual([1000, 1]);
      expect(ipfixRates([14, 4], [u32(1, 1000)], ...flows)).toEqual([0, 1000]);
    });

    it('of an IPFIX template, process, line card or other domain', () => {
      expect(ipfixRates([145, 2], [Buffer.concat([Buffer.from([1, 0]), u32(50)])], flow(1, 2))).toEqual([50]);
      expect(ipfixRates([145, 2], [Buffer.concat([Buffer.from([1, 1]), u32(50)])], flow(1, 2))).toEqual([0]);
      for (const part of [138, 141, 143, 144])
        expect(ipfixRates([part, 4], [u32(1, 50), u32(2, 5)], flow(1, 2))).toEqual([0]);
      expect(ipfixRates([149, 4], [u32(0, 50)], flow(1, 2))).toEqual([50]);
      expect(ipfixRates([149, 4], [u32(7, 50), u32(8, 5)], flow(1, 2))).toEqual([0]);
    });
  });
});

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
});

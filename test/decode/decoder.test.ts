import { describe, expect, it } from 'vitest';
import type { OptionsRecord } from '../../src/decode/types.ts';
import { parseAddress } from '../../src/flow/address.ts';
import {
  EXPORT_SECONDS,
  ipfix,
  ipfixOptionsTemplate,
  set,
  TUPLE,
  template,
  tuple,
  u16,
  u32,
  v5,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import { collector, NOW } from '../support/decoding.ts';

const address = (text: string) => parseAddress(text) as Uint8Array;

describe('what is no flow export', () => {
  it('is counted and leaves no exporter behind', () => {
    const { decode, decoder } = collector();
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(1),
      Buffer.alloc(21, 0xff),
      Buffer.from('GET / HTTP/1.1\r\n'),
    ]) {
      expect(decode(bytes)).toEqual({ version: null, flows: 0, options: 0, templates: 0, dropped: 1 });
    }
    expect(decoder.counters).toMatchObject({ datagrams: 4, dropped: { not_an_export: 4 } });
    expect([...decoder.exporters()]).toEqual([]);
  });
});

describe('templates', () => {
  it('that come again with another layout replace the old one, in the datagram that brings them', () => {
    for (const [wrap, id] of [
      [v9, 0],
      [ipfix, 2],
    ] as const) {
      const { decode, rows } = collector();
      decode(wrap([set(id, template(256, TUPLE)), set(256, tuple())]));
      decode(
        wrap([
          set(
            id,
            template(256, [
              [11, 2],
              [7, 2],
            ]),
          ),
          set(256, u16(25, 1)),
        ]),
      );
      expect(rows()).toMatchObject([
        { dst_port: 25, src_port: 40000 },
        { dst_port: 25, src_port: 1 },
      ]);
    }
  });

  it('may turn into options templates under the same id once they are withdrawn, and back', () => {
    const { decode } = collector();
    const options = set(3, ipfixOptionsTemplate(256, [[144, 4]], [[41, 4]]));
    decode(ipfix([set(2, template(256, TUPLE))]));
    decode(ipfix([set(2, u16(256, 0)), options]));
    expect(decode(ipfix([set(256, u32(1, 2))]))).toMatchObject({ flows: 0, options: 1 });
    decode(ipfix([set(3, u16(256, 0)), set(2, template(256, TUPLE))]));
    expect(decode(ipfix([set(256, tuple())]))).toMatchObject({ flows: 1, options: 0 });
  });

  it('of IPFIX are withdrawn one by one and all together (RFC 7011 section 8.1)', () => {
    const { decode, decoder } = collector();
    const held = () => [...decoder.exporters()][0]?.templates;
    const options = (id: number) => ipfixOptionsTemplate(id, [[144, 4]], [[41, 4]]);
    decode(ipfix([set(2, template(256, TUPLE), template(257, TUPLE)), set(3, options(258), options(259))]));
    expect(held()).toBe(4);
    decode(ipfix([set(2, u16(256, 0))]));
    decode(ipfix([set(3, u16(258, 0))]));
    expect(held()).toBe(2);
    // A data template is not withdrawn by an options template set, and the other way round.
    decode(ipfix([set(3, u16(257, 0)), set(2, u16(259, 0))]));
    expect(held()).toBe(2);
    decode(ipfix([set(2, u16(2, 0))]));
    expect(held()).toBe(1);
    decode(ipfix([set(3, u16(3, 0))]));
    expect(held()).toBe(0);
    expect(decode(ipfix([set(257, tuple())])).flows).toBe(0);
  });

  it('of ids below 256 and with too many fields are refused', () => {
    const { decode, decoder } = collector({ limits: { fieldsPerTemplate: 8 } });
    decode(v9([set(0, template(255, TUPLE), template(256, [...TUPLE, [10, 4]]), template(257, TUPLE))]));
    expect(decoder.counters.dropped).toMatchObject({ bad_template: 1, template_limit: 1 });
    expect([...decoder.exporters()][0]?.templates).toBe(1);
  });

  it('of v9 and of IPFIX do not mix', () => {
    const { decode } = collector();
    decode(v9([set(0, template(256, TUPLE))]));
    expect(decode(ipfix([set(256, tuple())])).flows).toBe(0);
  });
});

describe('what is kept of exporters', () => {
  it('has a bound on domains over all exporters, at the cost of whoever invents them', () => {
    const { decode, decoder } = collector({ limits: { exporters: 8 } });
    const quiet = { exporter: address('192.0.2.2') };
    decode(v9([set(0, template(256, TUPLE))]), quiet);
    for (let domain = 0; domain < 500; domain++) decode(v9([], { domain }));
    expect([...decoder.exporters()]).toHaveLength(32);
    expect(decode(v9([set(256, tuple())], { sequence: 1 }), quiet).flows).toBe(1);
  });

  it('has a bound on the fields of all templates together', () => {
    const { decode, decoder } = collector({ limits: { templates: 16, templatesPerExporter: 16 } });
    const long = Array.from({ length: 200 }, (_, i) => [i + 1, 2] as const);
    for (let id = 256; id < 266; id++) decode(ipfix([set(2, template(id, long))]));
    expect([...decoder.exporters()]).toMatchObject([{ templates: 2 }]);
    expect(decoder.counters.dropped.template_limit).toBe(8);
  });

  it('compiles a reader anew for a layout that was let go', () => {
    const { decode } = collector({ limits: { templates: 2000, templatesPerExporter: 2000 } });
    const layout = (i: number) =>
      [
        [8, 4],
        [20_000 + i, 4],
      ] as const;
    for (let i = 0; i < 1100; i++) {
      const outcome = decode(ipfix([set(2, template(256 + i, layout(i))), set(256 + i, Buffer.alloc(8, 1))]));
      expect(outcome.flows).toBe(1);
    }
    expect(decode(ipfix([set(256, Buffer.alloc(16, 1))])).flows).toBe(2);
  });
});

describe('data before its template', () => {
  it('waits, and keeps its own time, sequence and place', () => {
    const { decode, rows } = collector();
    const times = [...TUPLE, [22, 4] as const];
    const record = Buffer.concat([tuple(), u32(999_000)]);
    decode(v9([set(256, record)], { sequence: 7, seconds: EXPORT_SECONDS - 30 }), {
      nowMs: NOW - 20_000,
      port: 9,
    });
    expect(
      decode(v9([set(0, template(256, times)), set(256, record)], { sequence: 8 }), { port: 9 }).flows,
    ).toBe(2);
    expect(rows()).toMatchObject([
      {
        sequence: 7,
        received_at: NOW - 20_000,
        record: 24,
        exporter_port: 9,
        start: (EXPORT_SECONDS - 30) * 1000 - 1000,
      },
      { sequence: 8, received_at: NOW, exporter_port: 9, start: EXPORT_SECONDS * 1000 - 1000 },
    ]);
  });

  it('is decoded in the order of arrival', () => {
    const { decode, rows } = collector();
    for (let port = 1; port <= 5; port++) {
      decode(v9([set(256, tuple('10.0.0.1', '192.0.2.25', port))], { sequence: port }));
    }
    expect(decode(v9([set(0, template(256, TUPLE))], { sequence: 6 })).flows).toBe(5);
    expect(rows().map((row) => row.src_port)).toEqual([1, 2, 3, 4, 5]);
  });

  it('in one datagram with its template is found', () => {
    const { decode } = collector();
    expect(decode(ipfix([set(256, tuple()), set(2, template(256, TUPLE))]))).toMatchObject({
      flows: 1,
      dropped: 0,
    });
  });

  it('is let go after its time, and counted', () => {
    const { decode, decoder } = collector({ limits: { pendingAgeMs: 1000 } });
    decode(v9([set(256, tuple()), set(257, tuple())]), { nowMs: NOW });
    decode(v9([set(256, tuple())], { sequence: 1 }), { nowMs: NOW + 900 });
    decoder.expire(NOW + 1000);
    expect(decoder.counters.dropped.no_template).toBe(0);
    decoder.expire(NOW + 1001);
    expect(decoder.counters.dropped.no_template).toBe(2);
    expect(decode(v9([set(0, template(256, TUPLE))], { sequence: 2 })).flows).toBe(1);
    decoder.expire(NOW + 100_000);
    expect(decoder.counters.dropped.no_template).toBe(2);
  });

  it('takes no more than its room, of which one exporter has a share', () => {
    const { decode, decoder } = collector({ limits: { pendingBytes: 16_384 } });
    const big = set(256, Buffer.alloc(1000));
    for (let i = 0; i < 100; i++) decode(v9([big], { sequence: i }));
    const refused = decoder.counters.dropped.pending_limit;
    expect(refused).toBe(97);
    decode(v9([set(256, tuple())]), { exporter: address('192.0.2.2') });
    expect(decoder.counters.dropped.pending_limit).toBe(refused);
    expect(decode(v9([set(0, template(256, TUPLE))]), { exporter: address('192.0.2.2') }).flows).toBe(1);
  });

  it('waits no longer when its domain is forgotten', () => {
    const { decode, decoder } = collector();
    for (let domain = 0; domain < 300; domain++)
      decode(v9([set(256, tuple())], { domain }), { nowMs: NOW + domain });
    expect(decoder.counters.dropped.no_template).toBe(300 - [...decoder.exporters()].length);
    decoder.expire(NOW + 1e9);
    expect(decoder.counters.dropped.no_template).toBe(300);
  });
});

describe('exporters', () => {
  it('over the limit are refused, until one has been silent for an hour', () => {
    const { decode, decoder } = collector({ limits: { exporters: 2 } });
    for (const nowMs of [NOW - 60_000, NOW])
      for (let i = 1; i <= 2; i++) decode(v5([{}]), { exporter: address(`192.0.2.${i}`), nowMs });
    expect(decode(v5([{}]), { exporter: address('192.0.2.3') })).toMatchObject({ flows: 0, dropped: 1 });
    expect(decoder.counters.dropped.exporter_limit).toBe(1);
    expect(decode(v5([{}]), { exporter: address('192.0.2.1'), nowMs: NOW + 3_000_000 }).flows).toBe(1);
    const later = { exporter: address('192.0.2.3'), nowMs: NOW + 3_600_001 };
    expect(decode(v5([{}]), later).flows).toBe(1);
    const left = [...decoder.exporters()].map(({ address: bytes }) => bytes[15]);
    expect(left).toEqual([1, 3]);
  });

  it('of a flood of forged addresses push out each other, never a router, and a new router is admitted', () => {
    const { decode, decoder } = collector({ limits: { exporters: 16 } });
    const router = address('192.0.2.1');
    for (let i = 0; i < 3; i++) decode(v5([{}]), { exporter: router, nowMs: NOW - 120_000 + 60_000 * i });
    const newcomer = address('192.0.2.2');
    for (let i = 0; i < 2000; i++) {
      const nowMs = NOW + i * 100;
      const exporter = address(`198.18.${i >> 8}.${i & 255}`);
      expect(decode(v5([{}]), { exporter, nowMs }).flows).toBe(1);
      if (i % 10 === 0 && i > 200) expect(decode(v5([{}]), { exporter: newcomer, nowMs }).flows).toBe(1);
    }
    const known = new Set([...decoder.exporters()].map(({ address: bytes }) => bytes.join('.')));
    expect([known.size, known.has(router.join('.')), known.has(newcomer.join('.'))]).toEqual([
      16,
      true,
      true,
    ]);
    expect(decoder.counters.dropped.exporter_limit).toBe(0);
    expect(decoder.counters.exportersEvicted).toBe(2000 + 2 - 16);
    expect(decode(v5([{}]), { exporter: newcomer, nowMs: NOW + 400_000 }).flows).toBe(1);
  });

  it('that were heard for a moment only do not come back after a restart, when they crowd the table', () => {
    const { decode, decoder } = collector({ limits: { exporters: 16 } });
    const datagram = v9([set(0, template(256, TUPLE)), set(256, tuple())]);
    for (const nowMs of [NOW - 90_000, NOW]) decode(datagram, { exporter: address('192.0.2.1'), nowMs });
    for (let i = 0; i < 100; i++) decode(datagram, { exporter: address(`198.18.0.${i}`) });
    const next = collector({ limits: { exporters: 16 } });
    const marks = decoder.takeSequenceMarks();
    expect(next.decoder.restore(decoder.snapshot(), NOW)).toBe(1);
    next.decoder.resumeSequences(marks);
    expect([...next.decoder.exporters()].map(({ address: bytes }) => bytes[15])).toEqual([1]);
    expect([...next.decoder.exporters()][0].address).toEqual(address('192.0.2.1'));
  });

  it('that change the layout of a template in use are counted', () => {
    const { decode, decoder } = collector();
    decode(v9([set(0, template(256, TUPLE))]));
    decode(v9([set(0, template(256, TUPLE))]));
    expect(decoder.counters.templatesRedefined).toBe(0);
    decode(v9([set(0, template(256, [...TUPLE].reverse()))]));
    expect(decoder.counters.templatesRedefined).toBe(1);
    expect([...decoder.exporters()]).toMatchObject([{ templatesRedefined: 1 }]);
  });

  it('over IPv6 are told apart', () => {
    const { decode, decoder, rows } = collector();
    for (const text of ['2001:db8::1', '2001:db8::2']) decode(v5([{}]), { exporter: address(text) });
    expect([...decoder.exporters()]).toHaveLength(2);
    expect(rows().map((row) => row.exporter)).toEqual(['2001:db8::1', '2001:db8::2']);
  });

  it('do not change when the caller reuses the bytes of address and datagram', () => {
    const { decode, decoder } = collector();
    const exporter = address('192.0.2.9');
    const datagram = v9([set(256, tuple())]);
    decode(datagram, { exporter });
    exporter.fill(0);
    datagram.fill(0xff);
    expect([...decoder.exporters()][0]?.address).toEqual(address('192.0.2.9'));
    expect(decode(v9([set(0, template(256, TUPLE))]), { exporter: address('192.0.2.9') }).flows).toBe(1);
  });

  it('account for datagrams, flows, loss and clock', () => {
    const { decode, decoder } = collector();
    decode(v5([{}, {}], { sequence: 100 }));
    decode(v5([{}], { sequence: 107 }));
    expect([...decoder.exporters()]).toMatchObject([
      { version: 'v5', datagrams: 2, flows: 3, sequenceLost: 5, lastSeenMs: NOW, clockSkewMs: 10_000 },
    ]);
  });

  it('v9 counts datagrams, IPFIX data records with those of options', () => {
    const { decode, decoder } = collector();
    decode(v9([set(0, template(256, TUPLE)), set(256, tuple(), tuple())], { sequence: 5 }));
    decode(v9([set(256, tuple())], { sequence: 8 }));
    const options = ipfixOptionsTemplate(257, [[144, 4]], [[41, 4]]);
    decode(ipfix([set(2, template(256, TUPLE)), set(3, options)], { sequence: 0 }));
    decode(ipfix([set(256, tuple(), tuple()), set(257, u32(1, 1))], { sequence: 0 }));
    decode(ipfix([set(256, tuple())], { sequence: 3 }));
    decode(ipfix([set(256, tuple())], { sequence: 6 }));
    expect([...decoder.exporters()].map(({ version, sequenceLost }) => [version, sequenceLost])).toEqual([
      ['v9', 2],
      ['ipfix', 2],
    ]);
  });
});

describe('options records', () => {
  it('are handed over by name, of v9 and of IPFIX alike', () => {
    const records: OptionsRecord[] = [];
    const { decode } = collector({ onOptions: (record) => records.push(record) });
    const names = [
      [10, 4],
      [82, 8],
    ] as const;
    const value = Buffer.concat([u32(3), Buffer.from('ge-0/0/1')]);
    decode(v9([set(1, v9OptionsTemplate(257, [[1, 4]], names)), set(257, u32(0), value)], { domain: 4 }));
    decode(
      ipfix([set(3, ipfixOptionsTemplate(258, [[144, 4]], names)), set(258, u32(7), value)], { domain: 5 }),
    );
    expect(records).toEqual([
      {
        version: 'v9',
        domain: 4,
        templateId: 257,
        fields: expect.objectContaining({ input_snmp: 3, if_name: 'ge-0/0/1' }),
      },
      {
        version: 'ipfix',
        domain: 5,
        templateId: 258,
        fields: { exportingProcessId: 7, input_snmp: 3, if_name: 'ge-0/0/1' },
      },
    ]);
  });
});

describe('snapshots', () => {
  function taught() {
    const source = collector();
    source.decode(v9([set(0, template(256, TUPLE)), set(1, v9OptionsTemplate(257, [[1, 4]], [[34, 4]]))]));
    source.decode(v9([set(257, u32(0, 64))], { sequence: 1 }));
    source.decode(ipfix([set(2, template(256, [...TUPLE, [371, 65535]]))], { domain: 9 }));
    return JSON.parse(JSON.stringify(source.decoder.snapshot()));
  }

  it('give templates and sampling back after a restart', () => {
    const { decode, decoder, rows } = collector();
    expect(decoder.restore(taught(), NOW + 1000)).toBe(3);
    expect(decode(v9([set(256, tuple())])).flows).toBe(1);
    expect(decode(v9([set(257, u32(0, 32))]))).toMatchObject({ options: 1 });
    expect(decode(ipfix([set(256, tuple(), Buffer.from([0]))], { domain: 9 })).flows).toBe(1);
    expect(rows()[0]?.sampling_rate).toBe(64);
  });

  it('a day old are left', () => {
    expect(collector().decoder.restore(taught(), NOW + 86_400_001)).toBe(0);
  });

  it('that are damaged give back what is whole, and never throw', () => {
    for (const damaged of [
      null,
      1,
      'x',
      [],
      {},
      { format: 2, domains: [] },
      { format: 1, domains: [null, 7, {}] },
    ]) {
      expect(collector().decoder.restore(damaged, NOW)).toBe(0);
    }
    const half = taught();
    half.domains[0].templates[0].definition = 'AAAA';
    half.domains[0].templates[1].form = 'ipfix';
    expect(collector().decoder.restore(half, NOW)).toBe(1);
    half.domains[1].exporter = 'nowhere';
    expect(collector().decoder.restore(half, NOW)).toBe(0);
  });

  it('keep to the limits', () => {
    const { decoder } = collector({ limits: { templates: 2, templatesPerExporter: 1 } });
    decoder.restore(taught(), NOW);
    expect([...decoder.exporters()].reduce((sum, { templates }) => sum + templates, 0)).toBe(1);
  });
});

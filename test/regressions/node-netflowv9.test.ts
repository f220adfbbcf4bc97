/**
 * Faults of node-netflowv9 0.2.16 (design, section 4), each sent through our decoder: none may reach it.
 */

import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/flow/address.ts';
import { set, TUPLE, template, tuple, u16, v5, v9, v9OptionsTemplate } from '../support/datagrams.ts';
import { collector, NOW } from '../support/decoding.ts';

const good = v9([set(0, template(256, TUPLE)), set(256, tuple())], { sequence: 1 });

/** After whatever came, the decoder still reads a good datagram. */
function expectAlive({ decode }: ReturnType<typeof collector>): void {
  expect(decode(good)).toMatchObject({ flows: 1, templates: 1, dropped: 0 });
}

describe('node-netflowv9 behind our bounds check', () => {
  it('a flowset of length 0 ends the datagram instead of looping for ever', () => {
    const decoder = collector();
    const outcome = decoder.decode(Buffer.concat([v9([set(0, template(256, TUPLE))]), u16(256, 0), tuple()]));
    expect(outcome).toMatchObject({ templates: 1, flows: 0, dropped: 1 });
    expect(decoder.decoder.counters.dropped.bad_length).toBe(1);
    expectAlive(decoder);
  });

  it('flowset lengths of 1 to 3 end the datagram', () => {
    for (const length of [1, 2, 3]) {
      const decoder = collector();
      expect(decoder.decode(v9([u16(300, length), tuple()])).dropped).toBe(1);
      expectAlive(decoder);
    }
  });

  it('zeros behind the last flowset are padding', () => {
    const decoder = collector();
    expect(decoder.decode(Buffer.concat([good, Buffer.alloc(620)]))).toMatchObject({ flows: 1, dropped: 0 });
  });

  it('a template of total length 0 is refused, and its data does not loop', () => {
    const decoder = collector();
    const zero = template(300, [
      [8, 0],
      [12, 0],
    ]);
    expect(decoder.decode(v9([set(0, zero), set(300, tuple())]))).toMatchObject({ templates: 0, flows: 0 });
    expect(decoder.decoder.counters.dropped.bad_template).toBe(1);
    expectAlive(decoder);
  });

  it('an options template of total length 0 is refused, and its data does not loop', () => {
    const decoder = collector();
    const zero = v9OptionsTemplate(300, [[1, 0]], [[34, 0]]);
    expect(decoder.decode(v9([set(1, zero), set(300, tuple())]))).toMatchObject({ templates: 0, options: 0 });
    expect(decoder.decoder.counters.dropped.bad_template).toBe(1);
    expectAlive(decoder);
  });

  it('a v9 datagram cut anywhere is counted, never thrown', () => {
    const options = set(
      1,
      v9OptionsTemplate(
        257,
        [[1, 4]],
        [
          [34, 4],
          [35, 1],
        ],
      ),
      Buffer.alloc(2),
    );
    const whole = v9([
      set(0, template(256, TUPLE)),
      options,
      set(256, tuple()),
      set(257, Buffer.alloc(9, 1)),
    ]);
    for (let length = 0; length < whole.length; length++) {
      const decoder = collector();
      expect(() => decoder.decode(Buffer.from(whole.subarray(0, length)))).not.toThrow();
      expectAlive(decoder);
    }
  });

  it('a template that claims more fields than its flowset holds is refused', () => {
    const decoder = collector();
    const split = Buffer.concat([u16(256, 26), template(0, TUPLE).subarray(4)]);
    expect(decoder.decode(v9([set(0, split)]))).toMatchObject({ templates: 0, dropped: 1 });
    expect(decoder.decoder.counters.dropped.bad_template).toBe(1);
    expectAlive(decoder);
  });

  it('one to three bytes behind the last template do not throw', () => {
    for (const padding of [1, 2, 3]) {
      const decoder = collector();
      const outcome = decoder.decode(v9([set(0, template(256, TUPLE), Buffer.alloc(padding, 0xee))]));
      expect(outcome).toMatchObject({ templates: 1, dropped: 0 });
    }
  });

  it('all options templates of a flowset are taken, not only the first', () => {
    const decoder = collector();
    const templates = [256, 257].map((id) => v9OptionsTemplate(id, [[1, 4]], [[34, 4]]));
    expect(decoder.decode(v9([set(1, ...templates)])).templates).toBe(2);
  });

  it('a v5 record that is cut is counted, and the whole ones before it are kept', () => {
    const decoder = collector();
    const cut = v5([{ srcPort: 1 }, { srcPort: 2 }, { srcPort: 3 }]).subarray(0, -1);
    expect(decoder.decode(Buffer.from(cut))).toMatchObject({ flows: 2, dropped: 1 });
    expect(decoder.decoder.counters.dropped.truncated).toBe(1);
    expect(decoder.rows().map((row) => row.src_port)).toEqual([1, 2]);
  });

  it('a datagram of under 20 bytes does not stop the ones behind it', () => {
    for (let length = 0; length < 20; length++) {
      const decoder = collector();
      expect(decoder.decode(Buffer.from(good.subarray(0, length)))).toMatchObject({ flows: 0, dropped: 1 });
      expectAlive(decoder);
    }
  });

  it('templates are keyed by source id, so two domains may use one id for two layouts', () => {
    const { decode, rows } = collector();
    const other = [...TUPLE].reverse();
    decode(v9([set(0, template(256, TUPLE))], { domain: 1 }));
    decode(v9([set(0, template(256, other))], { domain: 2 }));
    decode(v9([set(256, tuple())], { domain: 1, sequence: 1 }));
    expect(rows()[0]).toMatchObject({ src_addr: '10.0.0.1', dst_port: 25, protocol: 6, domain: 1 });
    expect(decode(v9([set(256, tuple())], { domain: 3 }))).toMatchObject({ flows: 0 });
  });

  it('templates are keyed by exporter address', () => {
    const { decode } = collector();
    const b = parseAddress('192.0.2.2') as Uint8Array;
    decode(v9([set(0, template(256, TUPLE))]));
    expect(decode(v9([set(256, tuple())]), { exporter: b }).flows).toBe(0);
    expect(decode(v9([set(256, tuple())], { sequence: 1 })).flows).toBe(1);
  });

  it('templates are shared between the ports of an exporter that changes them, unless the scope says otherwise', () => {
    for (const [templateScope, flows] of [
      ['address', 12],
      ['address_port', 0],
    ] as const) {
      const { decode, rows } = collector({ templateScope });
      decode(v9([set(0, template(256, TUPLE))]), { port: 1000 });
      // The first wait until it is clear that no second exporter came.
      for (let n = 1; n <= 12; n++) decode(v9([set(256, tuple())], { sequence: n }), { port: 1000 + n });
      expect(rows()).toHaveLength(flows);
    }
  });

  it('the template cache is bounded per exporter, and an exporter pushes out only its own', () => {
    const { decode, decoder } = collector({ limits: { templatesPerExporter: 4, templates: 100 } });
    const quiet = parseAddress('192.0.2.2') as Uint8Array;
    decode(v9([set(0, template(256, TUPLE))]), { exporter: quiet });
    for (let id = 256; id < 1256; id++) decode(v9([set(0, template(id, TUPLE))], { sequence: id - 256 }));
    const held = [...decoder.exporters()].map(({ templates }) => templates);
    expect(held).toEqual([1, 4]);
    expect(decoder.counters.dropped.template_limit).toBe(996);
    expect(decode(v9([set(256, tuple())]), { exporter: quiet }).flows).toBe(1);
  });

  it('the template cache is bounded in total, also against domains without end', () => {
    const { decode, decoder } = collector({ limits: { templatesPerExporter: 50, templates: 20 } });
    for (let domain = 0; domain < 1000; domain++) decode(v9([set(0, template(256, TUPLE))], { domain }));
    const states = [...decoder.exporters()];
    expect(states.reduce((sum, { templates }) => sum + templates, 0)).toBe(20);
    expect(states.length).toBeLessThanOrEqual(256);
  });

  it('new layouts are taken at a bounded rate, since each is code, and known ones are not delayed', () => {
    const { decode, decoder } = collector({ limits: { templatesPerExporter: 4, templates: 8 } });
    const quiet = parseAddress('192.0.2.2') as Uint8Array;
    const flood = (from: number, nowMs: number) => {
      let taken = 0;
      for (let i = from; i < from + 3000; i++) {
        taken += decode(v9([set(0, template(300 + (i % 4), [[i % 400, 1 + (i % 97)]]))]), {
          nowMs,
        }).templates;
      }
      return taken;
    };
    expect(decode(good).templates).toBe(1);
    expect(flood(0, NOW)).toBe(1023);
    expect(decoder.counters.dropped.template_limit).toBeGreaterThanOrEqual(3000 - 1023);
    expect(flood(1, NOW + 1000)).toBe(100);
    expect(decode(good, { exporter: quiet, nowMs: NOW + 1000 })).toMatchObject({ flows: 1, templates: 1 });
    expect(decode(good, { exporter: quiet, nowMs: NOW + 1000 })).toMatchObject({ flows: 1, templates: 1 });
  });

  it('a layout that came too fast is not read with the one that it replaces', () => {
    const { decode } = collector();
    for (let i = 0; i < 1024; i++) decode(v9([set(0, template(256, [[1, 1 + i]]))]));
    const other = v9([set(0, template(256, TUPLE)), set(256, tuple())]);
    expect(decode(other)).toMatchObject({ flows: 0, templates: 0, dropped: 1 });
    expect(decode(v9([set(256, tuple())]))).toMatchObject({ flows: 0 });
    expect(decode(other, { nowMs: NOW + 1000 })).toMatchObject({ flows: 3, templates: 1 });
  });

  it('unknown field types leave no trace in the tables of the library', async () => {
    const { default: tables } = await import('node-netflowv9/js/nf9/nftypes.js');
    const before = [Object.keys(tables.nfTypes).length, Object.keys(tables.nfScope).length];
    const { decode } = collector();
    for (let type = 20000; type < 20100; type++) {
      decode(
        v9([set(0, template(256, [[type, 4]])), set(1, v9OptionsTemplate(257, [[type, 4]], [[type, 4]]))]),
      );
    }
    expect([Object.keys(tables.nfTypes).length, Object.keys(tables.nfScope).length]).toEqual(before);
  });
});

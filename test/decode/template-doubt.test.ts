/**
 * A layout that changes under the id of a template in use: an exporter that was given another configuration, or two that
 * share an address and a port. What is read with the wrong one of the two layouts would name the server as the sender.
 */

import { describe, expect, it } from 'vitest';
import {
  EXPORT_SECONDS,
  ipfix,
  ipfixOptionsTemplate,
  set,
  TUPLE,
  template,
  u32,
  v9,
} from '../support/datagrams.ts';
import { collector, NOW } from '../support/decoding.ts';
import { EXCHANGED, EXCHANGED_RECORD, RECORD, ROGUE } from '../support/exchanged-layout.ts';

const VERSIONS = [
  ['v9', v9, 0],
  ['ipfix', ipfix, 2],
] as const;

function fixture() {
  const { decoder, decode, rows } = collector();
  return {
    decoder,
    decode,
    /** Sends at second `at`, from one address and port; the system started at second `boot`. */
    send: (
      wrap: typeof v9,
      sets: readonly Buffer[],
      { at, sequence, boot = -1000 }: { at: number; sequence: number; boot?: number },
    ) =>
      decode(wrap(sets, { sequence, seconds: EXPORT_SECONDS + at, uptimeMs: 1000 * (at - boot) }), {
        nowMs: NOW + 1000 * at,
      }),
    sources: () => rows().map(({ src_addr }) => src_addr),
    state: () => [...decoder.exporters()][0],
  };
}

describe.each(VERSIONS)('two exporters behind one address and port, in %s', (_, wrap, setId) => {
  /** Two exporters that send a record a second each, and their template every tenth second. */
  function both(first: number, second: number, boot: number, seconds = 60) {
    const { send, ...rest } = fixture();
    const exporters = [
      { number: first, layout: TUPLE, record: RECORD, boot: -1000, tellsAt: 0 },
      { number: second, layout: EXCHANGED, record: EXCHANGED_RECORD, boot: -1000 + boot, tellsAt: 0 },
    ];
    for (let at = 0; at < seconds; at++)
      for (const one of exporters) {
        const tells = at % 10 === one.tellsAt;
        send(wrap, [...(tells ? [set(setId, template(256, one.layout))] : []), set(256, one.record)], {
          at,
          sequence: one.number + at,
          boot: one.boot,
        });
      }
    return rest;
  }

  it.each([
    ['the same', 1000, 1000],
    ['neighbours', 1000, 1001],
    ['neighbours, the second behind', 1000, 999],
    ['near', 1000, 1040],
    ['far apart', 1000, 700_000],
  ])('whose numbers are %s never name the wrong host', (_numbers, one, other) => {
    for (const boot of [0, 3]) {
      const { sources, decoder, state } = both(one, other, boot);
      expect(new Set(sources())).toEqual(new Set([ROGUE]));
      decoder.expire(Number.POSITIVE_INFINITY);
      const { dropped } = decoder.counters;
      // What is not read is counted: of each datagram there is one record.
      expect(sources().length + dropped.no_template + dropped.ambiguous_template).toBe(120);
      expect((state()?.unread?.ambiguous_template ?? 0) + (state()?.unread?.no_template ?? 0)).toBe(
        dropped.no_template + dropped.ambiguous_template,
      );
    }
  });

  it('whose numbers are neighbours are told of', () => {
    const { state } = both(1000, 1001, 0);
    expect(state()?.templatesRedefined).toBeGreaterThan(5);
    expect(state()?.unread?.ambiguous_template).toBeGreaterThan(50);
  });

  it('with one layout for both are read, and half of the numbers are late or come twice', () => {
    const { send, sources, state } = fixture();
    for (let at = 0; at < 60; at++)
      for (const first of [1000, 1001]) {
        const sets = [...(at % 10 === 0 ? [set(setId, template(256, TUPLE))] : []), set(256, RECORD)];
        send(wrap, sets, { at, sequence: first + at });
      }
    expect(sources()).toEqual(Array.from({ length: 120 }, () => ROGUE));
    expect(state()?.sequenceReordered).toBeGreaterThan(40);
    expect(state()).toMatchObject({ sequenceLost: 0, templatesRedefined: 0 });
  });

  it('that send their template with all data are read, each with its own', () => {
    const { send, sources } = fixture();
    for (let at = 0; at < 20; at++) {
      send(wrap, [set(setId, template(256, TUPLE)), set(256, RECORD)], { at, sequence: 50 + at });
      const other = [set(setId, template(256, EXCHANGED)), set(256, EXCHANGED_RECORD)];
      send(wrap, other, { at, sequence: 51 + at });
    }
    expect(sources()).toEqual(Array.from({ length: 40 }, () => ROGUE));
  });

  it('of which one speaks seldom never name the wrong host', () => {
    const { send, sources } = fixture();
    for (let at = 0; at < 900; at++) {
      const tells = at % 20 === 5;
      if (at >= 5)
        send(wrap, [...(tells ? [set(setId, template(256, EXCHANGED))] : []), set(256, EXCHANGED_RECORD)], {
          at,
          sequence: 7 + at,
        });
      // The other sends twice a minute, and its template once in ten.
      if (at % 30 !== 0) continue;
      send(wrap, [...(at % 600 === 0 ? [set(setId, template(256, TUPLE))] : []), set(256, RECORD)], {
        at,
        sequence: 7 + at / 30,
      });
    }
    expect(new Set(sources())).toEqual(new Set([ROGUE]));
  });

  it('are one again when the other has been silent for an hour', () => {
    const { send, sources } = fixture();
    for (let at = 0; at < 60; at++) {
      const tells = at % 10 === 0;
      send(wrap, [...(tells ? [set(setId, template(256, TUPLE))] : []), set(256, RECORD)], {
        at,
        sequence: 1000 + at,
      });
      if (at < 30)
        send(wrap, [...(tells ? [set(setId, template(256, EXCHANGED))] : []), set(256, EXCHANGED_RECORD)], {
          at,
          sequence: 1001 + at,
        });
    }
    const before = sources().length;
    for (let at = 4000; at < 4010; at++)
      send(wrap, [...(at === 4000 ? [set(setId, template(256, TUPLE))] : []), set(256, RECORD)], {
        at,
        sequence: 1060 + at - 4000,
      });
    expect(sources().length).toBe(before + 10);
  });
});

describe.each(VERSIONS)('an exporter that was given another layout, in %s', (_, wrap, setId) => {
  it('is read again once its numbers show that nobody else sends, and nothing is lost', () => {
    const { send, sources, decoder } = fixture();
    for (let at = 0; at < 40; at++) {
      const layout = at === 0 ? TUPLE : at === 20 ? EXCHANGED : null;
      send(
        wrap,
        [
          ...(layout === null ? [] : [set(setId, template(256, layout))]),
          set(256, at < 20 ? RECORD : EXCHANGED_RECORD),
        ],
        { at, sequence: 1000 + at },
      );
    }
    expect(sources()).toEqual(Array.from({ length: 40 }, () => ROGUE));
    expect(decoder.counters.dropped).toMatchObject({ no_template: 0, ambiguous_template: 0 });
  });

  it('and numbers that say nothing is read again when the layout of before is overdue', () => {
    const { send, sources } = fixture();
    for (let at = 0; at < 600; at += 10) {
      const layout = at < 200 ? TUPLE : EXCHANGED;
      const tells = at % 50 === 0;
      send(
        wrap,
        [
          ...(tells ? [set(setId, template(256, layout))] : []),
          set(256, at < 200 ? RECORD : EXCHANGED_RECORD),
        ],
        { at, sequence: 0 },
      );
    }
    // The former came every 50 s, and is missed after twice a minute: until then only what came with its template is read.
    expect(new Set(sources())).toEqual(new Set([ROGUE]));
    expect(sources().length).toBeGreaterThan(20 + 60 - 20 - 15);
  });

  it('while rogue-smtp was away is read at once', () => {
    const before = fixture();
    before.send(wrap, [set(setId, template(256, TUPLE))], { at: 0, sequence: 1 });
    const after = fixture();
    after.decoder.restore(before.decoder.snapshot(), NOW + 1000);
    after.send(wrap, [set(setId, template(256, EXCHANGED))], { at: 10, sequence: 2 });
    after.send(wrap, [set(256, EXCHANGED_RECORD)], { at: 11, sequence: wrap === v9 ? 3 : 2 });
    expect(after.sources()).toEqual([ROGUE]);
  });

  it('is not kept over a restart of ours while it is in doubt', () => {
    const { send, decoder } = fixture();
    send(wrap, [set(setId, template(256, TUPLE), template(257, TUPLE))], { at: 0, sequence: 1 });
    send(wrap, [set(setId, template(256, EXCHANGED))], { at: 1, sequence: 2 });
    expect(fixture().decoder.restore(decoder.snapshot(), NOW + 2000)).toBe(1);
  });
});

describe('an options template that changes', () => {
  it('is in doubt as well: no rate is learned by the wrong one', () => {
    const { send, state } = fixture();
    const rates = (first: number, second: number) =>
      set(
        3,
        ipfixOptionsTemplate(
          300,
          [[144, 4]],
          [
            [first, 4],
            [second, 4],
          ],
        ),
      );
    for (let at = 0; at < 20; at++) {
      send(ipfix, at % 10 === 0 ? [rates(34, 41)] : [set(300, u32(1, 100, 7))], { at, sequence: at });
      send(ipfix, at % 10 === 0 ? [rates(41, 34)] : [set(300, u32(1, 7, 100))], { at, sequence: at });
    }
    expect([...(state()?.samplingRates ?? [])]).toEqual([]);
  });
});

describe('data whose template never comes', () => {
  it('is a gap of its exporter', () => {
    const { send, state, decoder } = fixture();
    send(v9, [set(256, RECORD), set(257, RECORD)], { at: 0, sequence: 1 });
    decoder.expire(Number.POSITIVE_INFINITY);
    expect(state()?.unread).toMatchObject({ no_template: 2 });
    expect(decoder.counters.unread.no_template).toBe(2);
  });
});

/**
 * Who exports: restarts, probes on one host, agents behind a relay, numbers that nobody understands. Each datagram is made
 * by hand, a second apart unless said otherwise.
 */

import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/decode/decoder.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch } from '../../src/flow/batch.ts';
import {
  EXPORT_SECONDS,
  ipfix,
  ipfixOptionsTemplate,
  set,
  TUPLE,
  template,
  tuple,
  UPTIME_MS,
  u32,
  v5,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import { collector, LIMITS, NOW } from '../support/decoding.ts';
import { EXCHANGED, EXCHANGED_RECORD, RECORD, ROGUE } from '../support/exchanged-layout.ts';
import { flowSample, rawHeader, sflow } from '../support/sflow-datagrams.ts';

function fixture() {
  const { decoder, decode, rows } = collector();
  let second = 0;
  return {
    decoder,
    rows,
    /** Sends one datagram a second later than the last. */
    send(make: (seconds: number) => Buffer, port = 4000, step = 1) {
      second += step;
      return decode(make(EXPORT_SECONDS + second), { port, nowMs: NOW + 1000 * second });
    },
    sources: () => rows().map((row) => row.src_addr),
    sums() {
      const sum = { lost: 0, unknown: 0, resets: 0 };
      for (const state of decoder.exporters()) {
        sum.lost += state.sequenceLost;
        sum.unknown += state.sequenceUnknown;
        sum.resets += state.sequenceResets;
      }
      return sum;
    },
  };
}

const uptimeAt = (seconds: number, bootSeconds = 0) =>
  UPTIME_MS + 1000 * (seconds - EXPORT_SECONDS - bootSeconds);

describe('two probes on one address', () => {
  it.each([
    ['far apart', 1000, 500_000],
    ['close together', 1000, 1004],
    ['the same', 1000, 1000],
    ['at the roll-over', 4_294_967_290, 7],
  ])('with v9 numbers %s lose nothing, and each is read with its own template', (_, a, b) => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 40; i++) {
      for (const [port, number, layout, record, boot] of [
        [4000, a, TUPLE, RECORD, 0],
        [4001, b, EXCHANGED, EXCHANGED_RECORD, 90],
      ] as const) {
        const sets = i % 10 === 0 ? [set(0, template(256, layout))] : [];
        send(
          (seconds) =>
            v9([...sets, set(256, record)], {
              sequence: (number + i) >>> 0,
              seconds,
              uptimeMs: uptimeAt(seconds, boot),
            }),
          port,
        );
      }
    }
    expect(new Set(sources())).toEqual(new Set([ROGUE]));
    expect(sources()).toHaveLength(80);
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });

  it('lose what they lose, each for itself', () => {
    const { send, sums } = fixture();
    for (let i = 0; i < 60; i++) {
      for (const [port, number, lost] of [
        [4000, 1000, i >= 10 && i < 13],
        [4001, 700_000, i >= 20 && i < 22],
      ] as const) {
        if (lost) continue;
        send(
          (seconds) =>
            ipfix([set(2, template(256, TUPLE)), set(256, RECORD)], { sequence: number + i, seconds }),
          port,
        );
      }
    }
    expect(sums()).toEqual({ lost: 5, unknown: 0, resets: 0 });
  });

  it('whose data comes before its template is not read with that of the other', () => {
    const { send, sources } = fixture();
    for (let i = 0; i < 5; i++)
      send((seconds) =>
        v9([set(0, template(256, TUPLE)), set(256, RECORD)], { sequence: 1000 + i, seconds }),
      );
    for (let i = 0; i < 5; i++)
      send((seconds) => v9([set(256, EXCHANGED_RECORD)], { sequence: 90_000 + i, seconds }), 4001);
    expect(sources()).toHaveLength(5);
    send((seconds) => v9([set(0, template(256, EXCHANGED))], { sequence: 90_005, seconds }), 4001);
    expect(sources()).toEqual(Array.from({ length: 10 }, () => ROGUE));
  });

  it('behind a relay that gives both one port are told apart by their numbers', () => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 30; i++) {
      const begins = i % 10 === 0;
      send((seconds) =>
        v9([...(begins ? [set(0, template(256, TUPLE))] : []), set(256, RECORD)], {
          sequence: 1000 + i,
          seconds,
        }),
      );
      if (i < 5) continue;
      send((seconds) =>
        v9([...(i % 10 === 5 ? [set(0, template(256, EXCHANGED))] : []), set(256, EXCHANGED_RECORD)], {
          sequence: 800_000 + i,
          seconds,
          uptimeMs: uptimeAt(seconds, 500),
        }),
      );
    }
    expect(sources()).toEqual(Array.from({ length: 55 }, () => ROGUE));
    expect(sums().lost).toBe(0);
  });

  const two = (
    v9orIpfix: 'v9' | 'ipfix',
    one: number,
    other: number,
    boot: number,
    ports: [number, number],
  ) => {
    const fixtures = fixture();
    const probes = [
      { port: ports[0], number: one, layout: TUPLE, record: RECORD, boot: 0, tellsAt: 0 },
      { port: ports[1], number: other, layout: EXCHANGED, record: EXCHANGED_RECORD, boot, tellsAt: 6 },
    ];
    const make = v9orIpfix === 'v9' ? v9 : ipfix;
    for (let i = 0; i < 46; i++) {
      for (const probe of probes) {
        const tells = i % 20 === probe.tellsAt;
        const sets = tells ? [set(v9orIpfix === 'v9' ? 0 : 2, template(256, probe.layout))] : [];
        fixtures.send(
          (seconds) =>
            make([...sets, set(256, probe.record)], {
              sequence: (probe.number + i) >>> 0,
              seconds,
              uptimeMs: uptimeAt(seconds, probe.boot),
            }),
          probe.port,
        );
      }
    }
    return fixtures;
  };

  it.each([
    ['the same', 1000, 1000],
    ['neighbours', 1000, 1001],
    ['neighbours, the second behind', 1000, 999],
    ['far apart', 1000, 700_000],
  ])('from two ports whose numbers are %s are never read with the template of the other', (_, one, other) => {
    for (const version of ['v9', 'ipfix'] as const) {
      const { sources } = two(version, one, other, 0, [4000, 4001]);
      expect(sources()).toEqual(Array.from({ length: 92 }, () => ROGUE));
    }
  });

  it.each([
    ['the same', 1000, 1000],
    ['neighbours', 1000, 1001],
    ['near', 1000, 1040],
    ['far apart', 1000, 700_000],
  ])('from one port whose numbers are %s are told apart by the start of the system', (_, one, other) => {
    const { sources, sums } = two('v9', one, other, 30, [4000, 4000]);
    expect(sources()).toEqual(Array.from({ length: 92 }, () => ROGUE));
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });

  it('from one port that alternate strictly are told apart by their numbers', () => {
    const { sources, sums } = two('ipfix', 1000, 700_000, 0, [4000, 4000]);
    expect(sources()).toEqual(Array.from({ length: 92 }, () => ROGUE));
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });

  it.each(['v9', 'ipfix'] as const)(
    'that started together, from one port, are told apart from the first datagram of the other on: %s',
    (version) => {
      const [make, id] = version === 'v9' ? [v9, 0] : [ipfix, 2];
      const { send, sources } = fixture();
      for (let i = 0; i < 40; i++) {
        const own = i === 0 ? [set(id, template(256, TUPLE))] : [];
        send((seconds) =>
          make([...own, set(256, RECORD)], { sequence: 1000 + i, seconds, uptimeMs: uptimeAt(seconds) }),
        );
        if (i < 10) continue;
        const others = i === 20 ? [set(id, template(256, EXCHANGED))] : [];
        send((seconds) =>
          make([...others, set(256, EXCHANGED_RECORD)], {
            sequence: 900_000 + i,
            seconds,
            uptimeMs: uptimeAt(seconds, 2),
          }),
        );
      }
      expect(sources()).toEqual(Array.from({ length: 70 }, () => ROGUE));
    },
  );

  it('that are many are all told apart', () => {
    const { send, sums } = fixture();
    for (let i = 0; i < 10; i++)
      for (let probe = 0; probe < 30; probe++)
        send(
          (seconds) =>
            v5([{}], { sequence: 100_000 * probe + i, seconds, uptimeMs: uptimeAt(seconds, probe * 10) }),
          4000 + probe,
        );
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });
});

describe('one exporter with several ports', () => {
  it.each([
    ['two in turn', (i: number) => 4000 + (i % 2)],
    ['a new one each time', (i: number) => 4000 + i],
    ['a new one after a while', (i: number) => (i < 10 ? 4000 : 5000)],
  ])('is one: %s', (_, portOf) => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 40; i++) {
      if (i === 30) continue;
      send(
        (seconds) =>
          v9([...(i === 0 ? [set(0, template(256, TUPLE))] : []), set(256, RECORD)], {
            sequence: i,
            seconds,
            uptimeMs: uptimeAt(seconds),
          }),
        portOf(i),
      );
    }
    expect(sources()).toHaveLength(39);
    expect(sums()).toEqual({ lost: 1, unknown: 0, resets: 0 });
  });

  it('that loses some while its port changes goes on, and how many is unknown', () => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 10; i++)
      send((seconds) =>
        v9([set(0, template(256, TUPLE)), set(256, RECORD)], {
          sequence: i,
          seconds,
          uptimeMs: uptimeAt(seconds),
        }),
      );
    for (let i = 13; i < 20; i++)
      send((seconds) => v9([set(256, RECORD)], { sequence: i, seconds, uptimeMs: uptimeAt(seconds) }), 5000);
    expect(sources()).toHaveLength(17);
    expect(sums()).toEqual({ lost: 0, unknown: 1, resets: 0 });
  });
});

describe('a restart', () => {
  it.each([4000, 4001])('of v9 makes data wait for its template again, from port %i', (port) => {
    const { decoder, send, sources, sums } = fixture();
    for (let i = 0; i < 5; i++)
      send((seconds) => v9([set(0, template(256, TUPLE)), set(256, RECORD)], { sequence: 900 + i, seconds }));
    const afterwards = (i: number, ...sets: Buffer[]) =>
      send((seconds) => v9(sets, { sequence: i, seconds, uptimeMs: 10_000 + 1000 * i }), port);
    for (let i = 0; i < 5; i++) afterwards(i, set(256, EXCHANGED_RECORD));
    expect(sources()).toHaveLength(5);
    afterwards(5, set(0, template(256, EXCHANGED)), set(256, EXCHANGED_RECORD));
    expect(sources()).toEqual(Array.from({ length: 11 }, () => ROGUE));
    expect(sums()).toMatchObject({ lost: 0, unknown: 0 });
    expect(decoder.counters.dropped.no_template).toBe(0);
    expect([...decoder.exporters()]).toHaveLength(1);
  });

  it('of v9 whose uptime goes on, as one that is taken from the system does, is seen by the numbers', () => {
    const { send, sources } = fixture();
    for (let i = 0; i < 40; i++)
      send((seconds) =>
        v9([set(0, template(256, TUPLE)), set(256, RECORD)], {
          sequence: 900 + i,
          seconds,
          uptimeMs: 100_000 + 1000 * i,
        }),
      );
    const afterwards = (i: number, ...sets: Buffer[]) =>
      send((seconds) => v9(sets, { sequence: i, seconds, uptimeMs: 140_000 + 1000 * i }));
    for (let i = 0; i < 5; i++) afterwards(i, set(256, EXCHANGED_RECORD));
    expect(sources()).toHaveLength(40);
    afterwards(5, set(0, template(256, EXCHANGED)), set(256, EXCHANGED_RECORD));
    expect(sources()).toEqual(Array.from({ length: 46 }, () => ROGUE));
  });

  it.each([
    ['3.5 billion', 3_500_000_000],
    ['a million', 1_000_000],
    ['5000', 5000],
    ['the end of the range', 4_294_967_000],
  ])('of IPFIX from %s to 0 is no loss, and makes data wait', (_, before) => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 20; i++)
      send((seconds) =>
        ipfix([set(2, template(256, TUPLE)), set(256, RECORD)], { sequence: before + i, seconds }),
      );
    for (let i = 0; i < 8; i++)
      send(
        (seconds) => ipfix([set(256, EXCHANGED_RECORD)], { sequence: i, seconds }),
        4000,
        i === 0 ? 30 : 1,
      );
    expect(sums()).toMatchObject({ lost: 0 });
    expect(sources()).toHaveLength(20);
    send((seconds) => ipfix([set(2, template(256, EXCHANGED))], { sequence: 8, seconds }));
    expect(sources()).toEqual(Array.from({ length: 28 }, () => ROGUE));
  });

  it.each([0, 1])('of IPFIX after %i records, from a new port, makes data wait', (records) => {
    const { send, sources } = fixture();
    const before = records === 0 ? [] : [set(256, RECORD)];
    send((seconds) => ipfix([set(2, template(256, TUPLE)), ...before], { sequence: 0, seconds }));
    for (let i = 0; i < 5; i++)
      send((seconds) => ipfix([set(256, EXCHANGED_RECORD)], { sequence: i, seconds }), 4001);
    expect(sources()).toHaveLength(records);
    send((seconds) => ipfix([set(2, template(256, EXCHANGED))], { sequence: 5, seconds }), 4001);
    expect(sources()).toEqual(Array.from({ length: 5 + records }, () => ROGUE));
  });

  it.each([
    [1, 1],
    [2, 1],
    [5, 1],
    [30, 1],
    [1, 10],
    [4, 10],
    [60, 10],
  ])('of IPFIX after %i datagrams of %i records, from the same port, makes data wait', (before, records) => {
    const { send, sources, sums } = fixture();
    const many = (record: Buffer) => set(256, ...Array.from({ length: records }, () => record));
    for (let i = 0; i < before; i++)
      send((seconds) =>
        ipfix([...(i === 0 ? [set(2, template(256, TUPLE))] : []), many(RECORD)], {
          sequence: records * i,
          seconds,
        }),
      );
    for (let i = 0; i < 2 * before + 5; i++)
      send((seconds) => ipfix([many(EXCHANGED_RECORD)], { sequence: records * i, seconds }));
    expect(sources()).toHaveLength(records * before);
    send((seconds) =>
      ipfix([set(2, template(256, EXCHANGED))], { sequence: records * (2 * before + 5), seconds }),
    );
    expect(sources()).toEqual(Array.from({ length: records * (3 * before + 5) }, () => ROGUE));
    expect(sums()).toMatchObject({ lost: 0, unknown: 0 });
  });

  it('of IPFIX before any record is seen by the layout that changes', () => {
    const { send, sources } = fixture();
    send((seconds) => ipfix([set(2, template(256, TUPLE))], { sequence: 0, seconds }));
    send((seconds) => ipfix([set(2, template(256, EXCHANGED))], { sequence: 0, seconds }));
    for (let i = 0; i < 20; i++)
      send((seconds) => ipfix([set(256, EXCHANGED_RECORD)], { sequence: i, seconds }));
    expect(sources()).toEqual(Array.from({ length: 20 }, () => ROGUE));
  });

  it('is none of an exporter that never counts, nor of a datagram that comes twice', () => {
    const never = fixture();
    for (let i = 0; i < 20; i++)
      never.send((seconds) =>
        ipfix([...(i === 0 ? [set(2, template(256, TUPLE))] : []), set(256, RECORD)], {
          sequence: 0,
          seconds,
        }),
      );
    expect(never.sources()).toHaveLength(20);
    expect(never.sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
    const twice = fixture();
    const first = (seconds: number) =>
      ipfix([set(2, template(256, TUPLE)), set(256, RECORD)], { sequence: 0, seconds });
    twice.send(first);
    twice.send(first, 4000, 0);
    for (let i = 1; i < 5; i++) twice.send((seconds) => ipfix([set(256, RECORD)], { sequence: i, seconds }));
    expect(twice.sources()).toHaveLength(6);
    expect(twice.sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });

  it('forgets samplers too', () => {
    const { send, rows } = fixture();
    const flows = template(256, [...TUPLE, [48, 1]]);
    const record = Buffer.concat([tuple(), Buffer.from([3])]);
    const sampler = [
      set(
        1,
        v9OptionsTemplate(
          257,
          [[1, 4]],
          [
            [48, 1],
            [50, 4],
          ],
        ),
        Buffer.alloc(2),
      ),
      set(257, u32(0), Buffer.from([3]), u32(500)),
    ];
    send((seconds) =>
      v9([...sampler, set(0, flows), set(256, record)], { sequence: 50, seconds, uptimeMs: 900_000 }),
    );
    for (let i = 1; i < 5; i++)
      send((seconds) => v9([set(256, record)], { sequence: 50 + i, seconds, uptimeMs: 900_000 + 1000 * i }));
    for (let i = 0; i < 3; i++)
      send((seconds) =>
        v9([set(0, flows), set(256, record)], { sequence: i, seconds, uptimeMs: 5000 + 1000 * i }),
      );
    expect(rows().map((row) => row.sampling_rate)).toEqual([500, 500, 500, 500, 500, 0, 0, 0]);
  });

  it('of v5 counts as one', () => {
    const { send, sums } = fixture();
    for (let i = 0; i < 10; i++)
      send((seconds) => v5([{}], { sequence: 7_000_000 + i, seconds, uptimeMs: 900_000_000 + 1000 * i }));
    for (let i = 0; i < 10; i++) send((seconds) => v5([{}], { sequence: i, seconds, uptimeMs: 1000 * i }));
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 1 });
  });

  it('of IPFIX is seen by the start of the system that options tell (IE 160)', () => {
    const { send, sources } = fixture();
    const started = (seconds: number) => {
      const ms = Buffer.alloc(8);
      ms.writeBigUInt64BE(BigInt(seconds * 1000));
      return [set(3, ipfixOptionsTemplate(300, [[144, 4]], [[160, 8]])), set(300, u32(1), ms)];
    };
    const boot = EXPORT_SECONDS - 1000;
    send((seconds) => ipfix([...started(boot), set(2, template(256, TUPLE))], { sequence: 0, seconds }));
    send((seconds) => ipfix([set(256, RECORD)], { sequence: 1, seconds }));
    send((seconds) => ipfix(started(boot), { sequence: 2, seconds }));
    send((seconds) => ipfix([set(256, RECORD)], { sequence: 3, seconds }));
    expect(sources()).toHaveLength(2);
    // It sends the same numbers on, but says that it started two seconds ago.
    send(
      (seconds) => ipfix([...started(seconds - 2), set(256, EXCHANGED_RECORD)], { sequence: 4, seconds }),
      4000,
      300,
    );
    expect(sources()).toHaveLength(2);
    send((seconds) => ipfix([set(2, template(256, EXCHANGED))], { sequence: 6, seconds }));
    expect(sources()).toEqual([ROGUE, ROGUE, ROGUE]);
  });

  it('is none when the uptime rolls over', () => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 10; i++)
      send((seconds) =>
        v9([...(i === 0 ? [set(0, template(256, TUPLE))] : []), set(256, RECORD)], {
          sequence: i,
          seconds,
          uptimeMs: (4_294_962_296 + 1000 * i) % 4_294_967_296,
        }),
      );
    expect(sources()).toHaveLength(10);
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });

  it('while we were away makes templates of before wait, and only then', () => {
    const awayMs = 3_600_000;
    for (const [restarted, rows] of [
      [false, 1],
      [true, 0],
    ] as const) {
      const before = collector();
      for (let i = 0; i < 4; i++)
        before.decode(
          v9([set(0, template(256, TUPLE)), set(256, RECORD)], {
            sequence: 100 + i,
            uptimeMs: UPTIME_MS + i,
          }),
        );
      const again = collector();
      expect(again.decoder.restore(JSON.parse(JSON.stringify(before.decoder.snapshot())), NOW + awayMs)).toBe(
        1,
      );
      // The exporter has been up for longer than when it was heard last, but not for as long as we were away.
      const uptimeMs = restarted ? UPTIME_MS + 100_000 : UPTIME_MS + awayMs;
      again.decode(
        v9([set(256, RECORD)], { sequence: 3000, seconds: EXPORT_SECONDS + awayMs / 1000, uptimeMs }),
        {
          nowMs: NOW + awayMs,
        },
      );
      expect(again.rows()).toHaveLength(rows);
    }
  });

  it('of IPFIX while we were away is seen by the numbers', () => {
    const before = collector();
    for (let i = 0; i < 20; i++)
      before.decode(
        ipfix([set(2, template(256, TUPLE)), set(256, RECORD)], {
          sequence: 9_000_000 + i,
          seconds: EXPORT_SECONDS + i,
        }),
        { nowMs: NOW + 1000 * i },
      );
    const snapshot = JSON.parse(JSON.stringify(before.decoder.snapshot()));
    const marks = before.decoder.takeSequenceMarks();
    for (const [sequence, rows] of [
      [9_000_120, 1],
      [4, 0],
    ] as const) {
      const again = collector();
      again.decoder.restore(snapshot, NOW + 60_000);
      again.decoder.resumeSequences(marks);
      again.decode(ipfix([set(256, RECORD)], { sequence, seconds: EXPORT_SECONDS + 120 }), {
        nowMs: NOW + 120_000,
      });
      expect(again.rows()).toHaveLength(rows);
      expect([...again.decoder.exporters()][0]?.sequenceLost).toBe(rows === 1 ? 100 : 0);
    }
  });
});

describe('a forged datagram', () => {
  const numbers = [10_000_000, 4_000_000_000, 0, 300_000];

  it.each(numbers)('with number %i neither invents a loss nor makes data wait', (forged) => {
    const { send, sources, sums } = fixture();
    for (let i = 0; i < 60; i++) {
      if (i === 20) continue;
      if (i === 30) send((seconds) => ipfix([set(256, RECORD)], { sequence: forged, seconds }), 4000, 0);
      send((seconds) =>
        ipfix([...(i === 0 ? [set(2, template(256, TUPLE))] : []), set(256, RECORD)], {
          sequence: 100_000 + i,
          seconds,
        }),
      );
    }
    expect(sources().length).toBeGreaterThanOrEqual(59);
    expect(sums()).toEqual({ lost: 1, unknown: 0, resets: 0 });
  });

  it('with a late number does not take back a loss of long ago', () => {
    const { send, sums } = fixture();
    for (let i = 0; i < 60; i++) {
      if (i >= 10 && i < 20) continue;
      if (i === 50)
        for (let late = 10; late < 20; late++)
          send((seconds) => v9([], { sequence: late, seconds }), 4000, 0);
      send((seconds) => v9([], { sequence: i, seconds }));
    }
    expect(sums().lost).toBe(10);
  });
});

describe('numbers that cannot be understood', () => {
  it('never keep data waiting', () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state;
    };
    for (const numberOf of [() => 0, random, (i: number) => i * 100_000]) {
      const { send, sources } = fixture();
      for (let i = 0; i < 200; i++)
        send((seconds) =>
          v9([...(i === 0 ? [set(0, template(256, TUPLE))] : []), set(256, RECORD)], {
            sequence: numberOf(i),
            seconds,
            uptimeMs: uptimeAt(seconds),
          }),
        );
      expect(sources()).toHaveLength(200);
    }
  });

  it('that stop making sense cost a few datagrams of waiting, and no flow', () => {
    const { send, decoder, sources } = fixture();
    for (let i = 0; i < 300; i++)
      send((seconds) =>
        v9([...(i === 0 ? [set(0, template(256, TUPLE))] : []), set(256, RECORD)], {
          sequence: i < 50 ? i : (i * 99_999_989) >>> 0,
          seconds,
          uptimeMs: uptimeAt(seconds),
        }),
      );
    decoder.expire(Number.POSITIVE_INFINITY);
    expect(sources().length + decoder.counters.dropped.no_template).toBe(300);
    expect(sources().length).toBeGreaterThan(290);
  });

  it('because they never change are said to count nothing', () => {
    const { send, decoder, sums } = fixture();
    for (let i = 0; i < 100; i++)
      send((seconds) => ipfix([set(2, template(256, TUPLE)), set(256, RECORD)], { sequence: 0, seconds }));
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
    expect([...decoder.exporters()][0]?.counting).toBe('nothing');
  });
});

describe('ways of counting that are met in the field', () => {
  const options = [set(3, ipfixOptionsTemplate(300, [[144, 4]], [[41, 4]])), set(300, u32(1, 1))];

  it.each([
    ['records and templates', (data: number, templates: number) => data + templates],
    ['packets', () => 1],
    ['records', (data: number) => data],
    ['nothing', () => 0],
  ])('IPFIX that counts %s loses nothing, and what is lost is seen', (name, unitsOf) => {
    for (const lose of [false, true]) {
      const { send, sums } = fixture();
      let sequence = 5000;
      let lost = 0;
      for (let i = 0; i < 120; i++) {
        const withTemplates = i % 7 === 0;
        const records = 1 + (i % 5);
        const sets = [
          ...(withTemplates ? [set(2, template(256, TUPLE)), ...options] : []),
          set(256, ...Array.from({ length: records }, () => RECORD)),
        ];
        const own = unitsOf(records + (withTemplates ? 1 : 0), withTemplates ? 2 : 0);
        const at = sequence;
        if (lose && i >= 80 && i < 83) lost += own;
        else send((seconds) => ipfix(sets, { sequence: at, seconds }));
        sequence += own;
      }
      expect(sums(), name).toEqual({ lost, unknown: 0, resets: 0 });
    }
  });

  it.each([
    ['over all domains', true],
    ['for each domain', false],
  ])('numbers %s', (_, overall) => {
    const { send, sums } = fixture();
    const next = new Map<number, number>();
    for (let i = 0; i < 200; i++) {
      const domain = (i * i) % 3;
      const key = overall ? 0 : domain;
      const sequence = next.get(key) ?? 0;
      next.set(key, sequence + 1);
      if (i === 100) continue;
      send((seconds) =>
        v9([set(0, template(256, TUPLE)), set(256, RECORD)], {
          sequence,
          domain,
          seconds,
          uptimeMs: uptimeAt(seconds),
        }),
      );
    }
    expect(sums()).toEqual({ lost: 1, unknown: 0, resets: 0 });
  });

  it('engines of v5 count for themselves', () => {
    const { send, sums } = fixture();
    for (let i = 0; i < 50; i++)
      for (const engine of [0, 1, 256])
        send(
          (seconds) =>
            v5([{}, {}], { sequence: 1000 * engine + 2 * i, engine, seconds, uptimeMs: uptimeAt(seconds) }),
          4000,
          0,
        );
    expect(sums()).toEqual({ lost: 0, unknown: 0, resets: 0 });
  });
});

describe('sFlow agents behind a relay', () => {
  const sample = flowSample([rawHeader(1, Buffer.alloc(64))]);

  it('are exporters of their own, by agent address and sub-agent', () => {
    const { send, decoder, sums } = fixture();
    for (let i = 0; i < 30; i++) {
      for (const [agent, subAgent, number] of [
        ['192.0.2.11', 0, 1000],
        ['192.0.2.12', 0, 900_000],
        ['192.0.2.12', 1, 1000],
        ['192.0.2.13', 0, 1002],
        ['2001:db8::13', 0, 1001],
      ] as const) {
        if (agent === '192.0.2.12' && subAgent === 1 && i === 10) continue;
        send(
          () => sflow([sample], { sequence: number + i, subAgent, agent, uptimeMs: 60_000 + 1000 * i }),
          6343,
          0,
        );
      }
    }
    expect(sums()).toEqual({ lost: 1, unknown: 0, resets: 0 });
    expect([...decoder.exporters()]).toHaveLength(5);
  });

  it('go on where they stood after a restart of ours', () => {
    const first = fixture();
    for (const agent of ['192.0.2.11', '192.0.2.12'])
      for (let i = 0; i < 5; i++)
        first.send(() => sflow([sample], { sequence: 100 + i, agent, uptimeMs: 60_000 }), 6343);
    const marks = first.decoder.takeSequenceMarks();
    expect(marks).toHaveLength(2);
    const again = createDecoder(
      { templateScope: 'address', limits: LIMITS },
      { batch: createFlowBatch(64), flush: () => undefined },
    );
    again.resumeSequences(marks);
    const exporter = parseAddress('192.0.2.1') as Uint8Array;
    again.decode(
      sflow([sample], { sequence: 107, agent: '192.0.2.11', uptimeMs: 70_000 }),
      exporter,
      6343,
      NOW + 20_000,
    );
    again.decode(
      sflow([sample], { sequence: 105, agent: '192.0.2.12', uptimeMs: 70_000 }),
      exporter,
      6343,
      NOW + 20_000,
    );
    expect([...again.exporters()].map(({ sequenceLost }) => sequenceLost)).toEqual([2, 0]);
  });
});

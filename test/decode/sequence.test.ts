import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ExporterSequence,
  NO_UPTIME,
  SequenceAccount,
  type SequencedVersion,
} from '../../src/decode/sequence.ts';

/** Feeds [sequence, units, exportMs, uptimeMs] and gives the counts. */
function account(
  ...datagrams: [sequence: number, units: number | null, exportMs?: number, uptimeMs?: number][]
) {
  const sequence = new SequenceAccount();
  for (const [number, units, exportMs = 0, uptimeMs] of datagrams) {
    sequence.observe(number, units, exportMs, uptimeMs ?? NO_UPTIME, 0);
  }
  return [sequence.sequenceLost, sequence.sequenceReordered, sequence.sequenceResets];
}

/** The same, each a second behind the last, with the unknown. */
function timed(datagrams: readonly [sequence: number, units: number][]) {
  const sequence = new SequenceAccount();
  for (const [i, [number, units]] of datagrams.entries())
    sequence.observe(number, units, 0, NO_UPTIME, 1000 * i);
  return [
    sequence.sequenceLost,
    sequence.sequenceReordered,
    sequence.sequenceResets,
    sequence.sequenceUnknown,
  ];
}

describe('sequence accounting', () => {
  it('finds nothing in a sequence without gaps, over the roll-over too', () => {
    expect(account([4294967280, 10], [4294967290, 10], [4, 10], [14, 1])).toEqual([0, 0, 0]);
  });

  it('begins wherever the exporter is', () => {
    expect(account([123456, 30], [123486, 30])).toEqual([0, 0, 0]);
  });

  it('counts the units of a gap, over the roll-over too', () => {
    expect(account([0, 30], [60, 30])).toEqual([30, 0, 0]);
    expect(account([4294967290, 1], [5, 1])).toEqual([10, 0, 0]);
  });

  it('takes back the loss of what comes late', () => {
    expect(account([0, 10], [20, 10], [10, 10], [30, 10])).toEqual([0, 1, 0]);
    expect(account([0, 10], [40, 10], [30, 10], [10, 10], [50, 1])).toEqual([10, 2, 0]);
  });

  it('takes back nothing for a datagram that comes twice', () => {
    expect(account([0, 10], [10, 10], [10, 10], [20, 10])).toEqual([0, 1, 0]);
    expect(account([0, 10], [20, 10], [10, 10], [10, 10], [30, 1])).toEqual([0, 2, 0]);
  });

  it('sees a restart by the uptime, and counts no loss for it', () => {
    expect(account([5000, 10, 0, 9_000_000], [0, 10, 1000, 5_000], [10, 10, 2000, 6_000])).toEqual([0, 0, 1]);
    expect(account([5000, 10, 0, 9_000_000], [700_000, 10, 1000, 5_000])).toEqual([0, 0, 1]);
  });

  it('does not take the roll-over of the uptime for a restart', () => {
    expect(account([0, 10, 0, 4294967000], [20, 10, 1000, 704])).toEqual([10, 0, 0]);
  });

  it('sees a restart by a far jump back', () => {
    expect(account([3_000_000, 10], [0, 10], [10, 10])).toEqual([0, 0, 1]);
  });

  it('sees a restart near the beginning by the time of the export', () => {
    expect(account([100, 10, 1000], [0, 10, 60_000], [10, 10, 61_000])).toEqual([0, 0, 1]);
  });

  it('sees a restart by datagrams that all seem late and follow each other', () => {
    const run = Array.from({ length: 20 }, (_, i): [number, number] => [10 * i, 10]);
    expect(account([30_000, 10], ...run)).toEqual([0, 7, 1]);
  });

  it('believes the next datagram after one whose records are unknown', () => {
    expect(account([0, 10], [10, null], [47, 10], [57, 1])).toEqual([0, 0, 0]);
  });

  it('calls a gap unknown that the exporter cannot have made, and a beginning a restart', () => {
    const steady = (count: number) =>
      Array.from({ length: count }, (_, i): [number, number] => [500_000 + 10 * i, 10]);
    expect(timed([...steady(60), [900_000, 10], [900_010, 10]])).toEqual([0, 0, 1, 1]);
    expect(timed([...steady(60), [4_000_000_000, 10]])).toEqual([0, 0, 1, 1]);
    expect(timed([...steady(60), [0, 10], [10, 10]])).toEqual([0, 0, 1, 0]);
    expect(timed([...steady(60), [500_620, 10], [500_630, 10]])).toEqual([20, 0, 0, 0]);
  });

  it('never counts more than the exporter can have sent, whatever numbers come', () => {
    const number = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.array(number, { maxLength: 60 }), (numbers) => {
        const real = Array.from({ length: 60 }, (_, i): [number, number] => [10 * i, 10]);
        const mixed = real.flatMap((datagram, i): [number, number][] =>
          i < 15 || numbers[i] === undefined ? [datagram] : [datagram, [numbers[i], 10]],
        );
        const [lost] = timed(mixed);
        // Each is a second behind the last: four times ten units a second, twice, and 128.
        expect(lost).toBeLessThanOrEqual(numbers.length * 2 * (4 * 20 * 2 + 128));
      }),
    );
  });

  it('takes nothing back for what comes after the time of reordering', () => {
    const early: [number, number][] = Array.from({ length: 20 }, (_, i) => [10 * i, 10]);
    const later: [number, number][] = Array.from({ length: 20 }, (_, i) => [220 + 10 * i, 10]);
    expect(timed([...early, ...later, [200, 10], [420, 10]])).toEqual([20, 1, 0, 0]);
  });

  it('never counts less than nothing, whatever comes', () => {
    const number = fc.oneof(
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 4294967000, max: 4294967295 }),
    );
    const datagram = fc.tuple(number, fc.option(fc.nat(40)), fc.nat(5000), fc.nat(200_000));
    fc.assert(
      fc.property(fc.array(datagram, { maxLength: 100 }), (datagrams) => {
        for (const count of account(...datagrams)) expect(count).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('loses exactly what did not arrive, in any order within the window', () => {
    const kept = fc.array(fc.boolean(), { minLength: 10, maxLength: 60 });
    fc.assert(
      fc.property(kept, fc.array(fc.nat(59), { maxLength: 6 }), (arrives, swaps) => {
        const order = arrives.flatMap((arrived, i) => (arrived ? [i] : []));
        for (const swap of swaps) {
          const i = 1 + (swap % Math.max(1, order.length - 3));
          if (i + 1 < order.length - 1) [order[i], order[i + 1]] = [order[i + 1]!, order[i]!];
        }
        if (order.length < 4) return;
        const first = Math.min(...order);
        if (order[0] !== first) return;
        const [lost] = account(...order.map((i): [number, number] => [10 * i, 10]));
        const span = Math.max(...order) - first + 1;
        expect(lost).toBe(10 * (span - order.length));
      }),
    );
  });
});

describe('ways of counting', () => {
  function counts(
    version: SequencedVersion,
    datagrams: [sequence: number, flows: number | null, options?: number][],
  ) {
    const sequence = new ExporterSequence(version);
    const out = { sequenceLost: 0, sequenceReordered: 0, sequenceResets: 0, sequenceUnknown: 0 };
    for (const [number, flows, options = 0] of datagrams) {
      sequence.observe(number, { flows, options, templates: 0 }, 0, NO_UPTIME, 0, out);
    }
    return [out.sequenceLost, out.sequenceReordered, out.sequenceResets];
  }

  it('IPFIX counts data records with those of options, as the RFC says', () => {
    expect(
      counts('ipfix', [
        [0, 10, 1],
        [11, 10],
        [31, 5],
      ]),
    ).toEqual([10, 0, 0]);
  });

  it('softflowd numbers an IPFIX message with the flows up to and including its own', () => {
    expect(
      counts('ipfix', [
        [6, 6, 1],
        [7, 1],
        [12, 5],
        [20, 8],
      ]),
    ).toEqual([0, 0, 0]);
    expect(
      counts('ipfix', [
        [6, 6, 1],
        [7, 1],
        [12, 5],
        [40, 8],
        [42, 2],
      ]),
    ).toEqual([20, 0, 0]);
  });

  it('v9 counts datagrams, and flows where an exporter does so', () => {
    expect(
      counts('v9', [
        [5, 30],
        [6, 30],
        [9, 30],
      ]),
    ).toEqual([2, 0, 0]);
    expect(
      counts('v9', [
        [0, 30],
        [30, 20],
        [50, 30],
        [110, 1],
      ]),
    ).toEqual([30, 0, 0]);
  });

  it('of equals the one of the specification is believed', () => {
    expect(
      counts('v9', [
        [0, 1],
        [1, 1],
        [3, 1],
      ]),
    ).toEqual([1, 0, 0]);
  });

  it('data without a template leaves the ways that need its count without a word', () => {
    expect(
      counts('ipfix', [
        [0, 10],
        [10, null],
        [77, 10],
        [87, 10],
      ]),
    ).toEqual([0, 0, 0]);
  });

  it('loses exactly what did not arrive, once it is known how the exporter counts, under heavy loss and reorder', () => {
    const step = { v5: 30, v9: 1, ipfix: 30, sflow: 1 };
    const version = fc.constantFrom('v5' as const, 'v9' as const, 'ipfix' as const, 'sflow' as const);
    // Without bias: a pattern that an exporter of another way would make is another exporter.
    const datagram = fc.noShrink(fc.noBias(fc.record({ arrives: fc.boolean(), late: fc.nat(24) })));
    fc.assert(
      fc.property(version, fc.array(datagram, { minLength: 300, maxLength: 600 }), (name, datagrams) => {
        const last = datagrams.length - 1;
        const arrived = datagrams
          .map(({ arrives, late }, i) => ({
            arrives: arrives || i < 64 || i === last,
            i,
            at: i < 64 ? i : i + late,
          }))
          .filter(({ arrives }) => arrives)
          .sort((a, b) => (b.i === last ? -1 : a.i === last ? 1 : a.at - b.at));
        const [lost] = counts(
          name,
          arrived.map(({ i }) => [i * step[name], 30]),
        );
        expect(lost).toBe((datagrams.length - arrived.length) * step[name]);
      }),
    );
  });

  it('an exporter that begins to count in another way is followed, and what was lost before stays', () => {
    const byDatagrams = Array.from({ length: 130 }, (_, i): [number, number] => [i < 100 ? i : i + 5, 30]);
    const byFlows = Array.from({ length: 300 }, (_, i): [number, number] => [135 + i * 30, 30]);
    const before = counts('v9', [...byDatagrams, ...byFlows.slice(0, 250)]);
    const after = counts('v9', [...byDatagrams, ...byFlows]);
    expect(after).toEqual(before);
    expect(after[0]).toBeGreaterThanOrEqual(5);
  });
});

describe('numbers that count something else', () => {
  /** Datagrams of 10 flows; the counts after each of them. */
  function numbered(
    version: SequencedVersion,
    count: number,
    numberOf: (i: number) => number,
    stepMs = 1000,
  ) {
    const sequence = new ExporterSequence(version);
    const counts = { sequenceLost: 0, sequenceReordered: 0, sequenceResets: 0, sequenceUnknown: 0 };
    return Array.from({ length: count }, (_, i) => {
      const units = { flows: 10, options: 0, templates: 0 };
      sequence.observe(numberOf(i) >>> 0, units, stepMs * i, NO_UPTIME, stepMs * i, counts);
      return { ...counts };
    });
  }

  it.each([
    ['octets', 1000, (i: number) => 5000 + 1420 * i],
    ['octets of datagrams that differ', 1000, (i: number) => 5000 + 1300 * i + ((i * 37) % 90)],
    ['octets, at a thousand datagrams a second', 1, (i: number) => 5000 + 1420 * i],
    ['milliseconds', 1000, (i: number) => 77_000 + 1000 * i + ((i * 13) % 7)],
    ['milliseconds, at fifty datagrams a second', 20, (i: number) => 77_000 + 20 * i],
    ['every other datagram', 1000, (i: number) => 200 * i],
  ])('%s lose nothing that has a number', (_, stepMs, numberOf) => {
    for (const version of ['v5', 'v9', 'ipfix', 'sflow'] as const) {
      const counts = numbered(version, 300, numberOf, stepMs);
      // Two numbers show nothing yet.
      expect(
        counts
          .slice(3)
          .map(({ sequenceLost }) => sequenceLost)
          .filter((lost) => lost > 0),
      ).toEqual([]);
      expect(counts.at(-1)?.sequenceUnknown).toBeGreaterThan(0);
    }
  });

  it('are told from losses of half of all datagrams', () => {
    const kept = Array.from({ length: 600 }, (_, i) => i).filter((i) => (i * 7919) % 13 < 7);
    const counts = numbered('v9', kept.length, (i) => kept[i]);
    const last = kept[kept.length - 1];
    expect(counts.at(-1)?.sequenceLost).toBe(last + 1 - kept.length);
  });
});

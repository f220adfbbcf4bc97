/** The small bounded structures under the detector. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlockLedger } from '../../src/detect/block-ledger.ts';
import { createDeadlines } from '../../src/detect/deadlines.ts';
import { createRecentRecords, recordHash } from '../../src/detect/recent-records.ts';
import { batchOf, HOUR } from '../support/flows.ts';

describe('deadlines', () => {
  it('come out in the order of their times, equal ones in the order in which they were set; each slot has one', () => {
    const step = fc.record({ slot: fc.nat(200), atMs: fc.nat(20), deleted: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const deadlines = createDeadlines();
        // In a Map, what is set anew after being deleted comes last.
        const model = new Map<number, number>();
        for (const { slot, atMs, deleted } of steps) {
          model.delete(slot);
          if (deleted === 0) {
            deadlines.delete(slot);
          } else {
            deadlines.set(slot, atMs);
            model.set(slot, atMs);
          }
        }
        const left = [...model].sort(([, a], [, b]) => a - b);
        for (const [i, [slot, atMs]] of left.entries()) {
          expect([deadlines.size, deadlines.nextMs(), deadlines.pop()]).toEqual([
            left.length - i,
            atMs,
            slot,
          ]);
        }
        expect([deadlines.pop(), deadlines.nextMs()]).toEqual([-1, Number.POSITIVE_INFINITY]);
      }),
    );
  });
});

describe('the memory of records', () => {
  it('knows what it took within the horizon, over its growth and its turning over', () => {
    const recent = createRecentRecords(1000);
    for (let i = 1; i <= 5000; i++) expect(recent.add(i * 7919, 0)).toBe(true);
    for (let i = 1; i <= 5000; i++) expect(recent.add(i * 7919, 999)).toBe(false);
    expect(recent.add(1, 1500)).toBe(true);
    expect(recent.add(7919, 1600)).toBe(false);
    expect(recent.add(7919, 9000)).toBe(true);
  });

  it('takes a hash of zero like any other', () => {
    const recent = createRecentRecords(1000);
    expect(recent.add(0, 0)).toBe(true);
    expect(recent.add(0, 0)).toBe(false);
  });

  it('tells records apart by every field that can differ, and not by when they came', () => {
    const flow = { from: '10.0.0.1', to: '198.51.100.1', sequence: 5, startAt: 10, endAt: 20 };
    const variants = [
      flow,
      { ...flow, sequence: 6 },
      { ...flow, record: 1 },
      { ...flow, domain: 1 },
      { ...flow, exporter: '192.0.2.9' },
      { ...flow, fromPort: 1 },
      { ...flow, to: '198.51.100.2' },
      { ...flow, packets: 21 },
      { ...flow, bytes: 1 },
      { ...flow, endAt: 21 },
      { ...flow, reverse: true },
      { ...flow, from: flow.to, to: flow.from, fromPort: 25, toPort: 40000 },
    ];
    const hash = (each: (typeof variants)[number]) => recordHash(batchOf([each]).columns, 0);
    expect(new Set(variants.map(hash)).size).toBe(variants.length);
    expect(hash({ ...flow, at: 99 } as typeof flow)).toBe(hash(flow));
    for (const each of variants) expect(Number.isSafeInteger(hash(each))).toBe(true);
  });

  it('has no collisions among a hundred thousand similar records', () => {
    const batch = batchOf([{ from: '10.0.0.1', to: '198.51.100.1' }]);
    const seen = new Set<number>();
    for (let i = 0; i < 100_000; i++) {
      batch.columns.sequence[0] = i >> 5;
      batch.columns.record[0] = i & 31;
      seen.add(recordHash(batch.columns, 0));
    }
    expect(seen.size).toBe(100_000);
  });
});

describe('the ledger of blocks', () => {
  it('counts others as they stood at the time asked for', () => {
    const ledger = createBlockLedger<string>();
    const [x, y] = [0, 1];
    ledger.set('a', 0, 2 * HOUR, x);
    ledger.set('b', HOUR, 3 * HOUR, y);
    const countOf = (host: string, atMs: number, exporter: number, newcomers: readonly number[] = []) =>
      ledger.count(host, atMs, exporter, 1, (one) => newcomers.includes(one));
    const count = (host: string, atMs: number) => {
      const { active, recent } = countOf(host, atMs, x);
      return { active, recent };
    };
    expect(countOf('c', HOUR, y)).toMatchObject({ recent: 1, ofExporter: 1, ofNewcomers: null });
    expect(countOf('c', HOUR, x)).toMatchObject({ recent: 1, ofExporter: 0 });
    expect(countOf('c', HOUR, x, [x, y])).toMatchObject({ ofExporter: 0, ofNewcomers: 1 });
    expect(count('c', HOUR / 2)).toEqual({ active: 1, recent: 1 });
    expect(count('c', HOUR)).toEqual({ active: 2, recent: 1 });
    expect(count('b', HOUR)).toEqual({ active: 1, recent: 0 });
    expect(count('c', 2 * HOUR)).toEqual({ active: 1, recent: 0 });
    expect(count('c', 3 * HOUR)).toEqual({ active: 0, recent: 0 });
  });

  it('ranks the hosts that one exporter has waiting, as many as there can be room for', () => {
    const ledger = createBlockLedger<number>();
    for (let host = 0; host < 100; host++) ledger.hold(host, host % 2, host, 0, 10);
    const stronger = (strength: number, exporter: number, atMs = 0) =>
      ledger.count(1000, atMs, exporter, strength, () => false).stronger;
    expect([stronger(0, 0), stronger(94, 0), stronger(98, 0), stronger(0, 2)]).toEqual([10, 2, 0, 0]);
    expect(stronger(0, 0, HOUR)).toBe(0);
  });
});

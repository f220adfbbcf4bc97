/** The small bounded structures under the detector. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlockLedger } from '../../src/detect/block-ledger.ts';
import { createDeadlines } from '../../src/detect/deadlines.ts';
import { createRecentRecords, recordHash } from '../../src/detect/recent-records.ts';
import { addressKey, addressOfKey } from '../../src/detect/sessions.ts';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';
import { batchOf, HOUR } from '../support/flows.ts';

describe('deadlines', () => {
  it('come out in the order of their times, equal ones in the order of entry', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), (times) => {
        const deadlines = createDeadlines<number>();
        times.forEach((time, i) => {
          deadlines.push(time, i);
        });
        const out: number[] = [];
        while (deadlines.size > 0) {
          expect(deadlines.nextMs()).toBe(times[deadlines.size === 0 ? 0 : peek(times, out)]);
          out.push(deadlines.pop() ?? -1);
        }
        expect(out).toEqual(times.map((_, i) => i).sort((a, b) => times[a] - times[b] || a - b));
        expect(deadlines.pop()).toBeUndefined();
        expect(deadlines.nextMs()).toBe(Number.POSITIVE_INFINITY);
      }),
    );
  });

  function peek(times: readonly number[], out: readonly number[]): number {
    const left = times.map((_, i) => i).filter((i) => !out.includes(i));
    return left.sort((a, b) => times[a] - times[b] || a - b)[0];
  }
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

describe('keys', () => {
  it('an address comes back from its key', () => {
    for (const text of ['10.0.0.1', '0.0.0.0', '255.255.255.255', '::', '2001:db8::1', 'fe80::ffff:a00:1']) {
      const bytes = parseAddress(text)!;
      expect(formatAddress(addressOfKey(addressKey(bytes, 0)))).toBe(text);
    }
  });
});

describe('the ledger of blocks', () => {
  it('counts others as they stood at the time asked for', () => {
    const ledger = createBlockLedger<string>();
    ledger.set('a', 0, 2 * HOUR);
    ledger.set('b', HOUR, 3 * HOUR);
    expect(ledger.count('c', HOUR / 2)).toEqual({ active: 1, recent: 1 });
    expect(ledger.count('c', HOUR)).toEqual({ active: 2, recent: 1 });
    expect(ledger.count('b', HOUR)).toEqual({ active: 1, recent: 0 });
    expect(ledger.count('c', 2 * HOUR)).toEqual({ active: 1, recent: 0 });
    expect(ledger.count('c', 3 * HOUR)).toEqual({ active: 0, recent: 0 });
  });
});

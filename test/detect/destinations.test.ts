/** The destinations of hosts, against a Map of Maps. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCaseTables } from '../../src/detect/case-tables.ts';
import { CellLists } from '../../src/detect/cell-lists.ts';

const MOST_OF_HOST = 4;
const MOST = 10;

interface Entry {
  sessions: number;
  packets: number;
  connectedMs: number;
}

describe('the destinations', () => {
  it('are a Map for each host that gives up the oldest attempt for one that was reached', () => {
    const step = fc.record({
      host: fc.nat(4),
      server: fc.nat(12),
      sessions: fc.constantFrom(0, 0, 1, 1, -1),
      packets: fc.nat(5),
      forget: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { hosts, destinations } = createCaseTables(MOST_OF_HOST, MOST);
        const slots = Array.from({ length: 5 }, () => hosts.allocate());
        const model = slots.map(() => new Map<number, Entry>());
        for (const [now, { host, server, sessions, packets, forget }] of steps.entries()) {
          const slot = slots[host];
          const known = model[host];
          if (forget === 0) {
            destinations.empty(slot);
            known.clear();
          }
          const entry = makeRoom(model, known, server, sessions > 0);
          const found = destinations.findOrMake(slot, address(server), 0, sessions > 0);
          expect(found >= 0).toBe(entry !== undefined);
          if (entry !== undefined) {
            destinations.add(found, sessions, packets, 0);
            destinations.noteMessage(found, false, now);
            if ((entry.sessions === 0) !== entry.sessions + sessions <= 0) {
              // What changes its list goes to the end of the other.
              known.delete(server);
              known.set(server, entry);
            }
            entry.sessions = Math.max(0, entry.sessions + sessions);
            entry.packets += packets;
            entry.connectedMs = now;
          }
          const list = [...known];
          expect(
            destinations.of(slot).map((each) => [each.address[15], each.sessions, each.packets]),
          ).toEqual(
            [
              ...list.filter(([, each]) => each.sessions > 0),
              ...list.filter(([, each]) => each.sessions === 0),
            ].map(([key, each]) => [key, each.sessions, each.packets]),
          );
          expect(destinations.count(slot)).toBe(known.size);
          expect(destinations.countSince(slot, false, now - 5)).toBe(
            list.filter(([, each]) => each.connectedMs >= now - 5).length,
          );
          expect(destinations.size).toBe(total(model));
        }
      }),
    );
  });

  function makeRoom(
    model: readonly Map<number, Entry>[],
    known: Map<number, Entry>,
    server: number,
    reached: boolean,
  ): Entry | undefined {
    const there = known.get(server);
    if (there !== undefined) return there;
    if (known.size >= MOST_OF_HOST || total(model) >= MOST) {
      const spare = [...known].find(([, { sessions }]) => sessions === 0);
      if (!reached || spare === undefined) return undefined;
      known.delete(spare[0]);
    }
    const made = { sessions: 0, packets: 0, connectedMs: 0 };
    known.set(server, made);
    return made;
  }

  const total = (model: readonly ReadonlyMap<number, Entry>[]): number =>
    model.reduce((sum, { size }) => sum + size, 0);

  function address(server: number): Uint8Array {
    const bytes = new Uint8Array(16);
    bytes[15] = server;
    return bytes;
  }
});

describe('cells', () => {
  it('make lists in the order of entry or of value, and give their memory back', () => {
    const lists = new CellLists();
    let sorted = 0;
    let queued = 0;
    for (const value of [5, 1, 9, 7]) {
      expect(lists.has(sorted, value, 0)).toBe(false);
      sorted = lists.add(sorted, value, 0, true);
      queued = lists.add(queued, value, 2 * value, false);
      expect(lists.has(sorted, value, 0)).toBe(true);
    }
    expect(lists.toArray(sorted, (first) => first)).toEqual([1, 5, 7, 9]);
    expect(lists.toArray(queued, (first, second) => [first, second])).toEqual([
      [5, 10],
      [1, 2],
      [9, 18],
      [7, 14],
    ]);
    lists.empty(sorted);
    lists.empty(queued);
    // All eight are used again before a ninth is made.
    let head = 0;
    for (let value = 1; value <= 8; value++) head = lists.add(head, value, 0, true);
    expect(head).toBeLessThanOrEqual(8);
  });

  it('make rings of the newest times', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('push', 'replace', 'drop')), (steps) => {
        const lists = new CellLists();
        let ring = 0;
        const model: number[] = [];
        for (const [atMs, step] of steps.entries()) {
          if (step === 'push') {
            ring = lists.push(ring, atMs);
            model.push(atMs);
          } else if (model.length > 0) {
            model.shift();
            if (step === 'replace') {
              model.push(atMs);
              ring = lists.cellAfter(ring);
              lists.setTime(ring, atMs);
            } else ring = lists.dropOldest(ring);
          }
          expect(ring === 0).toBe(model.length === 0);
          if (ring !== 0) expect(lists.timeOf(lists.cellAfter(ring))).toBe(model[0]);
        }
      }),
    );
  });
});

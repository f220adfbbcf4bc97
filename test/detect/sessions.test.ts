/** The table of sessions, against a plain Map that holds objects. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createHalfSessions, HALF_WAIT_MS } from '../../src/detect/half-sessions.ts';
import { emptySighting } from '../../src/detect/screen.ts';
import { createSessionTable, LATENESS_MS, type SessionKey } from '../../src/detect/sessions.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { batchOf, type Flow, T0 } from '../support/flows.ts';

const ENDS: Flow = { from: '10.0.0.1', to: '198.51.100.1' };

function keyOf(
  changes: Partial<{ site: number; client: string; clientPort: number; server: string; port: number }> = {},
): SessionKey {
  const given = {
    site: 0,
    client: '10.0.0.1',
    clientPort: 40000,
    server: '198.51.100.1',
    port: 25,
    ...changes,
  };
  return {
    ...given,
    client: parseAddress(given.client)!,
    clientAt: 0,
    server: parseAddress(given.server)!,
    serverAt: 0,
  };
}

describe('the table of sessions', () => {
  it('tells sessions apart by site, either end, and either port', () => {
    const table = createSessionTable({ timeoutMs: 1000, maxSessions: 100 });
    const keys = [
      keyOf(),
      keyOf({ site: 1 }),
      keyOf({ clientPort: 40001 }),
      keyOf({ port: 26 }),
      keyOf({ client: '198.51.100.1', server: '10.0.0.1' }),
      keyOf({ client: '2001:db8::1' }),
      keyOf({ server: '2001:db8::1' }),
    ];
    const slots = keys.map((key) => {
      expect(table.find(key, T0)).toBeUndefined();
      return table.create(1, T0).slot;
    });
    expect(new Set(slots).size).toBe(keys.length);
    for (const [i, key] of keys.entries()) expect(table.find(key, T0)?.slot).toBe(slots[i]);
  });

  it('forgets what ended, some time after, and never what goes on', () => {
    const table = createSessionTable({ timeoutMs: 1000, maxSessions: 100 });
    const { columns } = batchOf([ENDS]);
    table.find(keyOf(), T0);
    table.create(1, T0);
    table.add(columns, 0, true, 0);
    table.expire(T0 + 60_000);
    expect(table.size).toBe(1);
    expect(table.find(keyOf(), T0 + 1000)).toBeDefined();
    table.expire(T0 + 61_001);
    expect(table.size).toBe(0);
  });

  it('has the largest view of many vantage points, bounded', () => {
    const table = createSessionTable({ timeoutMs: 1000, maxSessions: 100 });
    table.find(keyOf(), T0);
    const session = table.create(1, T0);
    for (let vantage = 0; vantage < 100; vantage++) {
      const { columns } = batchOf([{ ...ENDS, packets: vantage, bytes: 5000 - vantage }]);
      table.add(columns, 0, true, vantage);
    }
    // The first, and sixteen more.
    expect(session.forwardPackets).toBe(16);
    expect(session.forwardBytes).toBe(5000);
    expect(session.replyPackets).toBe(0);
  });

  it('adds up what one vantage point says, and starts anew in the memory of a session that is gone', () => {
    const table = createSessionTable({ timeoutMs: 1000, maxSessions: 1 });
    const { columns } = batchOf([{ ...ENDS, packets: 3, bytes: 300, sampling: 7, forwarding: 0x80 }]);
    for (const clientPort of [1, 2, 3]) {
      table.find(keyOf({ clientPort }), T0);
      const session = table.create(clientPort, T0);
      expect(session.sampled || session.denied || session.forwardSeen || session.forwardFlags > 0).toBe(
        false,
      );
      for (const vantage of [0, 0, 1, 1, 1]) table.add(columns, 0, true, vantage);
      expect([session.forwardPackets, session.forwardBytes]).toEqual([9, 900]);
      expect([session.sampled, session.denied, session.replySeen]).toEqual([true, true, false]);
    }
    expect([table.size, table.evicted]).toEqual([1, 2]);
  });

  it('keeps the memory of a session that leaves while it waits for its other half', () => {
    const table = createSessionTable({ timeoutMs: 1000, maxSessions: 1 });
    const halves = createHalfSessions(table);
    const first = { ...emptySighting(), ...keyOf({ clientPort: 1 }), receivedMs: T0, interface: 9 };
    table.find(first, T0);
    const session = table.create(77, T0);
    session.waiting = true;
    halves.add(session.slot, first, T0);
    table.find(keyOf({ clientPort: 2 }), T0);
    table.create(78, T0);
    expect([table.size, table.evicted, halves.nextMs()]).toEqual([1, 1, T0 + HALF_WAIT_MS]);
    const again = emptySighting();
    const slot = halves.take(again);
    expect(table.at(slot).firstRecord).toBe(77);
    expect(again).toEqual({ ...first, forward: false });
    table.endWait(slot);
    table.find(keyOf({ clientPort: 3 }), T0);
    expect(table.create(79, T0).slot).toBeLessThan(2);
    expect(halves.take(again)).toBe(-1);
  });

  it('is a Map that forgets by age and by number, whatever comes in which order', () => {
    const timeoutMs = 50;
    const step = fc.record({
      clientPort: fc.integer({ min: 1, max: 30 }),
      server: fc.constantFrom('198.51.100.1', '198.51.100.2', '2001:db8::2'),
      forward: fc.boolean(),
      packets: fc.nat(9),
      vantage: fc.nat(2),
      laterMs: fc.oneof(fc.nat(30), fc.constant(LATENESS_MS)),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 40 }),
        (steps, maxSessions) => {
          const table = createSessionTable({ timeoutMs, maxSessions });
          // In a Map, too, what was touched last is last.
          const model = new Map<string, { openUntilMs: number; first: number; sums: Map<string, number> }>();
          let nowMs = T0;
          let evicted = 0;
          for (const [i, { clientPort, server, forward, packets, vantage, laterMs }] of steps.entries()) {
            nowMs += laterMs;
            table.expire(nowMs);
            for (const [key, { openUntilMs }] of model) {
              if (openUntilMs + LATENESS_MS >= nowMs) break;
              model.delete(key);
            }

            const text = `${clientPort} ${server}`;
            let known = model.get(text);
            if (known !== undefined && nowMs > known.openUntilMs) {
              model.delete(text);
              known = undefined;
            }
            const found = table.find(keyOf({ clientPort, server }), nowMs);
            expect(found?.firstRecord).toBe(known?.first);
            if (known === undefined && model.size >= maxSessions) {
              for (const oldest of [...model.keys()].slice(0, 1)) model.delete(oldest);
              evicted++;
            }
            known ??= { openUntilMs: nowMs, first: i, sums: new Map() };
            model.delete(text);
            model.set(text, known);
            known.openUntilMs = Math.max(known.openUntilMs, nowMs + timeoutMs);
            const half = `${forward ? 'forward' : 'reply'} ${vantage}`;
            known.sums.set(half, (known.sums.get(half) ?? 0) + packets);

            const session = found ?? table.create(i, nowMs);
            table.add(batchOf([{ ...ENDS, at: nowMs - T0, packets }]).columns, 0, forward, vantage);
            expect(session.openUntilMs).toBe(known.openUntilMs);
            expect(session.forwardPackets).toBe(largest(known.sums, 'forward'));
            expect(session.replyPackets).toBe(largest(known.sums, 'reply'));
            expect([table.size, table.evicted]).toEqual([model.size, evicted]);
          }
        },
      ),
    );
  });
});

function largest(sums: ReadonlyMap<string, number>, half: string): number {
  return Math.max(0, ...[...sums].filter(([view]) => view.startsWith(half)).map(([, packets]) => packets));
}

/** What must hold whatever comes in. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES } from '../../src/flow/columns.ts';
import { alertSchema, incidentSchema } from '../../src/messages/alert.ts';
import { detect, detectorFor, MAIL_SERVER, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';

const NEVER = '10.0.0.99';
const config: ConfigInput = {
  ...STRICT,
  block: { mode: 'publish', never: [NEVER, '10.9.0.0/16'], ttl: '10m' },
  detection: { bulk: { sessions: 5, destinations: 3, window: '10m' }, quiet: '1h', update_interval: '2m' },
};

const inside = fc.constantFrom('10.0.0.1', '10.0.0.2', MAIL_SERVER, NEVER, '10.9.1.1', '2001:db8:1::5');
const outside = fc.constantFrom('198.51.100.1', '198.51.100.2', '198.51.100.3', '2001:db8:ffff::1');

const flow: fc.Arbitrary<Flow> = fc
  .record({
    ends: fc.tuple(inside, outside),
    turned: fc.boolean(),
    ports: fc.tuple(fc.constantFrom(25, 40000, 40001, 587), fc.constantFrom(25, 25, 25, 587)),
    protocol: fc.constantFrom(6, 6, 6, 17),
    flags: fc.constantFrom('S', 'SA', 'R', 'RA', 'SPA', 'FSPA', 'A', '', null),
    packets: fc.nat(30),
    bytes: fc.nat(5000),
    exporter: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8:e::1'),
    sampling: fc.constantFrom(0, 1, 512),
    forwarding: fc.constantFrom(0x40, 0x80),
    reverse: fc.boolean(),
    at: fc.nat(30 * MINUTE),
  })
  .map(({ ends: [host, peer], turned, ports: [clientPort, serverPort], ...rest }) =>
    turned
      ? { ...rest, from: peer, to: host, fromPort: serverPort, toPort: clientPort }
      : { ...rest, from: host, to: peer, fromPort: clientPort, toPort: serverPort },
  );

/** In the order of receipt, each in a datagram of its own. */
const flows = fc
  .array(flow, { minLength: 1, maxLength: 80 })
  .map((list) =>
    [...list]
      .sort((a, b) => (a.at ?? 0) - (b.at ?? 0))
      .map((each, i): Flow => ({ ...each, sequence: i + 1 })),
  );

function outcome(batches: readonly FlowBatch[]) {
  const detector = detectorFor(config);
  for (const [offset, batch] of batches.entries()) detector.observe(batch, { partition: 0, offset });
  detector.advance(T0 + 10 * HOUR);
  const { alerts, incidents } = detector.take();
  return { alerts, incidents: incidents.map(({ resume: _, ...rest }) => rest) };
}

describe('the detector', () => {
  it('says the same however the records are batched', () => {
    fc.assert(
      fc.property(flows, fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (list, sizes) => {
        const batches: FlowBatch[] = [];
        for (let at = 0, i = 0; at < list.length; i++) {
          const size = sizes[i % sizes.length];
          batches.push(batchOf(list.slice(at, at + size)));
          at += size;
        }
        expect(outcome(batches)).toEqual(outcome([batchOf(list)]));
      }),
    );
  });

  it('says the same when records come twice', () => {
    fc.assert(
      fc.property(flows, fc.infiniteStream(fc.boolean()), (list, again) => {
        const doubled = list.flatMap((each) => (again.next().value === true ? [each, each] : [each]));
        expect(outcome([batchOf(doubled)])).toEqual(outcome([batchOf(list)]));
      }),
    );
  });

  it('says the same when the clock is also moved from outside', () => {
    fc.assert(
      fc.property(flows, fc.infiniteStream(fc.boolean()), (list, tick) => {
        const detector = detectorFor(config);
        for (const [offset, each] of list.entries()) {
          detector.observe(batchOf([each]), { partition: 0, offset });
          const next = list[offset + 1]?.at;
          if (next !== undefined && tick.next().value === true) detector.advance(T0 + next);
        }
        detector.advance(T0 + 10 * HOUR);
        expect(detector.take().alerts).toEqual(outcome([batchOf(list)]).alerts);
      }),
    );
  });

  it('never blocks an authorised or a never-block host, and never opens an incident of an authorised one', () => {
    fc.assert(
      fc.property(flows, (list) => {
        const { alerts, incidents } = detect(list, { config, upTo: 5 * HOUR });
        for (const { host, block } of [...alerts, ...incidents]) {
          expect(host).not.toBe(MAIL_SERVER);
          if (host === NEVER || host.startsWith('10.9.')) {
            expect(['none', 'refused']).toContain(block.state);
          }
        }
      }),
    );
  });

  it('accounts for every record: it is looked at, or ignored for a reason; and its gauges add up', () => {
    fc.assert(
      fc.property(flows, (list) => {
        const { detector, alerts } = detect(list, { config, upTo: 10 * MINUTE });
        const { counters } = detector;
        expect(counters.mailFlows + counters.ignored.not_mail).toBe(list.length);
        const open = detector.openIncidents();
        for (const [grade, count] of Object.entries(counters.open)) {
          expect(count).toBe(open.filter((incident) => incident.grade === grade).length);
        }
        expect(Object.values(counters.blocks).reduce((a, b) => a + b)).toBe(counters.hosts);
        expect(Object.values(counters.alerts).reduce((a, b) => a + b)).toBe(alerts.length);
        expect(new Set(alerts.map(({ alert_id }) => alert_id)).size).toBe(alerts.length);
      }),
    );
  });

  it('says only what its schemas allow, even of records that are noise in every column', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 400, maxLength: 4000 }), (noise) => {
        const rows = 20;
        const batch = createFlowBatch(rows);
        let at = 0;
        for (const name of FLOW_COLUMN_NAMES) {
          const column = batch.columns[name];
          for (let i = 0; i < column.length; i++) {
            column[i] = noise[at++ % noise.length] * 0x01010101;
          }
        }
        // Enough of it looks like mail of ours.
        for (let row = 0; row < rows; row++) {
          batch.columns.protocol[row] = 6;
          batch.columns.dst_port[row] = 25;
          batch.columns.src_addr.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10], 16 * row);
          batch.columns.received_at[2 * row] = row * SECOND;
          batch.columns.received_at[2 * row + 1] = 400;
        }
        batch.length = rows;
        const detector = detectorFor(config);
        detector.observe(batch, { partition: 0, offset: 0 });
        detector.advance(400 * 4294967296 + HOUR);
        const { alerts, incidents } = detector.take();
        for (const alert of alerts) alertSchema.parse(alert);
        for (const incident of incidents) incidentSchema.parse(JSON.parse(JSON.stringify(incident)));
      }),
    );
  });
});

describe('bounds', () => {
  it('a flood of sessions pushes out the oldest, counted', () => {
    const list = Array.from(
      { length: 50 },
      (_, i): Flow => ({ from: '10.0.0.1', to: '198.51.100.1', fromPort: i + 1000 }),
    );
    const { detector } = detect(list, { config: { ...STRICT, detection: { max_sessions: 10 } } });
    expect(detector.counters).toMatchObject({ sessions: 10, evictedSessions: 40, hosts: 1 });
  });

  it('a flood of replies waits for its other halves within the same bound', () => {
    const list = Array.from(
      { length: 50 },
      (_, i): Flow => ({ from: '198.51.100.1', to: '10.0.0.1', fromPort: 25, toPort: i + 1000 }),
    );
    const { of } = detect(list, { config: { ...STRICT, detection: { max_sessions: 10 } } });
    expect(of('10.0.0.1')).toMatchObject({ sessions: 40, flags: ['half_seen'] });
  });

  it('a flood of hosts is bounded, and who had to leave is told as closed', () => {
    const list = Array.from({ length: 30 }, (_, i): Flow => ({ from: `10.0.1.${i}`, to: '198.51.100.1' }));
    const { detector, alerts } = detect(list, { config: { ...STRICT, detection: { max_hosts: 10 } } });
    expect(detector.counters).toMatchObject({ hosts: 10, evictedHosts: 20 });
    expect(alerts.filter(({ kind }) => kind === 'closed')).toHaveLength(20);
  });

  it('hosts invented in one IPv6 /64 push out each other, not those of other networks', () => {
    const invented = Array.from(
      { length: 3000 },
      (_, i): Flow => ({
        from: `2001:db8:1:1::${(i + 1).toString(16)}`,
        to: '2001:db8:9::1',
        fromPort: 30_000 + i,
      }),
    );
    const real = Array.from({ length: 20 }, (_, i): Flow => ({ from: `10.0.1.${i}`, to: '198.51.100.1' }));
    const { detector, of } = detect([...real, ...invented], {
      config: { ...STRICT, detection: { max_hosts: 2000 } },
    });
    expect(detector.counters).toMatchObject({ hosts: 1024 + 20, evictedHosts: 3000 - 1024 });
    expect(real.every(({ from }) => of(from)?.state === 'open')).toBe(true);
  });

  it('offsets become safe only when the time that a restart must see again is over', () => {
    const detector = detectorFor(STRICT);
    expect(detector.safeOffset(0)).toBe(-1);
    for (let i = 0; i < 40; i++) {
      detector.observe(batchOf([{ from: '10.0.0.1', to: '198.51.100.1', at: i * MINUTE }]), {
        partition: 0,
        offset: i,
      });
      detector.take();
    }
    // Session timeout 5 min, bulk window 10 min, checkpoint 1 min, lateness twice 1 min; and one message more.
    expect(detector.safeOffset(0)).toBe(39 - 18 - 1);
    expect(detector.safeOffset(1)).toBe(-1);
    // Time that passes without records proves nothing of what was read.
    detector.advance(T0 + 2 * HOUR);
    expect(detector.safeOffset(0)).toBe(39 - 18 - 1);
    const later = batchOf([{ from: '10.0.0.1', to: '198.51.100.1', at: 2 * HOUR }]);
    detector.observe(later, { partition: 0, offset: 40 });
    expect(detector.safeOffset(0)).toBe(38);
  });
});

/**
 * Restarts: a detector that is killed at any message, restored from what was published and fed again from what was
 * committed, ends with the alerts and incidents of one that was never killed.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { type Alert, type Incident, incidentSchema } from '../../src/messages/alert.ts';
import { detectorFor, MAIL_SERVER, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, MINUTE, replyTo, SECOND, T0 } from '../support/flows.ts';

const config: ConfigInput = {
  ...STRICT,
  expected: [
    { name: 'monitor', hosts: ['10.0.0.2'], does: 'check', to: ['198.51.100.0/30'] },
    {
      name: 'tester',
      hosts: ['10.0.0.3'],
      does: 'send',
      to: ['198.51.100.0/30', '198.51.100.4'],
      until: new Date(T0 + 20 * MINUTE).toISOString(),
    },
  ],
  alerts: { groups: [{ name: 'quiet', hosts: ['10.0.0.1'], grade: 'conversed' }] },
  block: { mode: 'publish', ttl: '20m', never: ['10.0.0.3'] },
  detection: {
    bulk: { sessions: 6, destinations: 4, window: '10m' },
    quiet: '30m',
    update_interval: '5m',
    internal: { alert: true },
  },
};

/** What the stream holds after a run: alerts by id (the first stays), incidents by key (the newest stays), the commit. */
class World {
  readonly alerts = new Map<string, Alert>();
  readonly incidents = new Map<string, Incident>();
  readonly byId = new Map<string, Incident>();
  committed = -1;

  publishAlerts(alerts: readonly Alert[]): void {
    for (const alert of alerts) if (!this.alerts.has(alert.alert_id)) this.alerts.set(alert.alert_id, alert);
  }
  publishIncidents(incidents: readonly Incident[]): void {
    for (const incident of incidents) {
      const parsed = incidentSchema.parse(JSON.parse(JSON.stringify(incident)));
      this.incidents.set(`${parsed.site}|${parsed.host}`, parsed);
      this.byId.set(parsed.incident_id, parsed);
    }
  }
  /** `end`: how many messages are in the stream. */
  start(end: number): Detector {
    const detector = detectorFor(config);
    detector.resume(0, { from: this.committed < 0 ? null : this.committed + 1, end });
    for (const incident of this.incidents.values()) detector.restore(incident);
    return detector;
  }
}

type Crash = { at: number; how: 'before publishing' | 'after alerts' | 'before commit' | 'after commit' };

/** Feeds all messages with crashes on the way; `every` messages make one delivery. */
function run(messages: readonly (readonly Flow[])[], crashes: readonly Crash[], every = 1): World {
  const world = new World();
  const batches = messages.map(batchOf);
  const pendingCrashes = [...crashes].sort((a, b) => a.at - b.at);
  let detector = world.start(0);
  for (let at = 0; at < batches.length; ) {
    const end = Math.min(batches.length, at + every);
    for (let offset = at; offset < end; offset++) detector.observe(batches[offset], { partition: 0, offset });
    const taken = detector.take();
    const crash =
      pendingCrashes.length > 0 && pendingCrashes[0].at < end ? pendingCrashes.shift() : undefined;
    if (crash?.how !== 'before publishing') world.publishAlerts(taken.alerts);
    if (crash === undefined || crash.how === 'before commit' || crash.how === 'after commit') {
      world.publishIncidents(taken.incidents);
    }
    if (crash === undefined || crash.how === 'after commit') {
      world.committed = Math.max(world.committed, detector.safeOffset(0));
    }
    at = end;
    if (crash !== undefined) {
      detector = world.start(end);
      at = world.committed + 1;
    }
  }
  detector.advance(T0 + 1000 * MINUTE);
  const taken = detector.take();
  world.publishAlerts(taken.alerts);
  world.publishIncidents(taken.incidents);
  return world;
}

function comparable(world: World) {
  return {
    alerts: [...world.alerts.values()].sort((a, b) => a.alert_id.localeCompare(b.alert_id)),
    incidents: [...world.byId.values()].sort((a, b) => a.incident_id.localeCompare(b.incident_id)),
  };
}

const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', MAIL_SERVER];
const flags = fc.constantFrom('S', 'SA', 'SPA', 'FSPA', 'R', 'PA', 'A', null);

/** A stream of messages whose records belong to few sessions, so that splits, views, replies and duplicates are common. */
const stream = fc
  .array(
    fc.record({
      gap: fc.oneof(
        { weight: 8, arbitrary: fc.nat(20 * SECOND) },
        { weight: 1, arbitrary: fc.integer({ min: 2 * MINUTE, max: 50 * MINUTE }) },
      ),
      late: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(30 * SECOND) }),
      flow: fc.record({
        from: fc.constantFrom(...hosts),
        to: fc.constantFrom(
          '198.51.100.1',
          '198.51.100.2',
          '198.51.100.3',
          '198.51.100.4',
          '198.51.100.5',
          '10.0.0.9',
        ),
        fromPort: fc.integer({ min: 40000, max: 40002 }),
        flags,
        packets: fc.integer({ min: 1, max: 12 }),
        bytes: fc.integer({ min: 40, max: 2000 }),
        exporter: fc.constantFrom('192.0.2.1', '192.0.2.2'),
        sampling: fc.constantFrom(0, 1, 100),
        forwarding: fc.constantFrom(0x40, 0x40, 0x40, 0x80),
      }),
      reply: fc.boolean(),
      again: fc.boolean(),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .chain((steps) =>
    fc.record({
      messages: fc.constant(toMessages(steps)),
      sizes: fc.constant(steps.length),
    }),
  );

interface Step {
  gap: number;
  late: number;
  flow: Flow;
  reply: boolean;
  again: boolean;
}

function toMessages(steps: readonly Step[]): Flow[][] {
  let clock = 0;
  let sequence = 1;
  const messages: Flow[][] = [];
  let message: Flow[] = [];
  for (const step of steps) {
    clock += step.gap;
    const flow: Flow = { ...step.flow, at: Math.max(0, clock - step.late), sequence: sequence++ };
    message.push(step.reply ? replyTo(flow, { sequence: flow.sequence ?? 0 }) : flow);
    if (step.again) message.push(message[message.length - 1]);
    if (sequence % 3 === 0) {
      messages.push(message);
      message = [];
    }
  }
  if (message.length > 0) messages.push(message);
  return messages;
}

describe('a detector that is killed', () => {
  it('at any message and any step of publishing tells the same, under the same ids', () => {
    fc.assert(
      fc.property(stream, ({ messages }) => {
        const whole = comparable(run(messages, []));
        for (let at = 0; at < messages.length; at++) {
          for (const how of ['before publishing', 'after alerts', 'before commit', 'after commit'] as const) {
            expect(comparable(run(messages, [{ at, how }]))).toEqual(whole);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('again and again tells the same', () => {
    fc.assert(
      fc.property(
        stream,
        fc.array(
          fc.record({
            at: fc.nat(30),
            how: fc.constantFrom('before publishing', 'after alerts', 'before commit', 'after commit'),
          }),
          { maxLength: 8 },
        ),
        ({ messages }, crashes) => {
          expect(comparable(run(messages, crashes))).toEqual(comparable(run(messages, [])));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('tells the same with other deliveries', () => {
    fc.assert(
      fc.property(stream, fc.integer({ min: 2, max: 7 }), ({ messages }, every) => {
        expect(comparable(run(messages, [], every))).toEqual(comparable(run(messages, [])));
      }),
      { numRuns: 200 },
    );
  });

  it('and comes back when much of the stream is committed tells the same', () => {
    // Forty minutes of a busy host, of which the first part may be committed.
    const messages = Array.from({ length: 240 }, (_, i): Flow[] => [
      {
        from: '10.0.0.1',
        to: `198.51.100.${i % 7}`,
        fromPort: 40000 + (i >> 2),
        at: i * 20 * SECOND,
        sequence: i,
        packets: 3 + (i % 5),
        bytes: 200 + 10 * i,
      },
      {
        from: '10.0.0.2',
        to: '198.51.100.9',
        at: i * 20 * SECOND,
        sequence: 10_000 + i,
        packets: 2,
        bytes: 100,
      },
    ]);
    const whole = run(messages, []);
    expect(whole.committed).toBeGreaterThan(100);
    for (let at = 0; at < messages.length; at += 7) {
      expect(comparable(run(messages, [{ at, how: 'after commit' }]))).toEqual(comparable(whole));
      expect(comparable(run(messages, [{ at, how: 'after alerts' }]))).toEqual(comparable(whole));
    }
  });
});

describe('the test over sampled packets', () => {
  it('goes on over a restart as if there had been none, to the grade and the block', () => {
    const messages = Array.from({ length: 90 }, (_, i): Flow[] => [
      {
        from: '10.0.0.1',
        to: `198.51.100.${i % 3}`,
        fromPort: 1000 + i,
        flags: 'A',
        packets: 1,
        bytes: i % 2 === 0 ? 1500 : 52,
        sampling: 1000,
        at: i * 20 * SECOND,
        sequence: i,
      },
    ]);
    const whole = run(messages, []);
    const [incident] = [...whole.byId.values()];
    expect(incident).toMatchObject({ flags: ['sampled'], block: { state: 'expired' } });
    expect(incident.reasons.join()).toContain('samples prove messages');
    for (let at = 0; at < messages.length; at++) {
      for (const how of ['before publishing', 'after alerts', 'after commit'] as const) {
        expect(comparable(run(messages, [{ at, how }]))).toEqual(comparable(whole));
      }
    }
  });
});

describe('a session of which a restart sees only a part', () => {
  // The request in the first message, the reply in the second, long silence of the host, and the first is committed.
  const flow: Flow = { from: '10.0.0.1', to: '198.51.100.1', at: 0, sequence: 1 };
  const other = (at: number, sequence: number): Flow => ({
    from: '10.0.0.2',
    to: '198.51.100.1',
    fromPort: sequence,
    at,
    sequence,
  });

  it('is not told a second time as a half', () => {
    const messages = [
      [flow],
      [replyTo(flow, { at: 2 * SECOND, sequence: 2 })],
      ...Array.from({ length: 30 }, (_, i) => [other((i + 1) * MINUTE, i + 10)]),
    ];
    const whole = comparable(run(messages, []));
    for (let at = 0; at < messages.length; at++) {
      expect(comparable(run(messages, [{ at, how: 'after commit' }]))).toEqual(whole);
    }
  });

  it('is told when it still waited', () => {
    const half: Flow = replyTo({ ...flow, fromPort: 7 }, { at: 20 * MINUTE, sequence: 3 });
    const messages = [
      [flow],
      [half, { ...flow, fromPort: 9, at: 20 * MINUTE, sequence: 4 }],
      [other(25 * MINUTE, 5)],
    ];
    const whole = run(messages, []);
    expect([...whole.byId.values()].find(({ host }) => host === '10.0.0.1')?.flags).toContain('half_seen');
    for (let at = 0; at < messages.length; at++) {
      for (const how of ['before commit', 'after commit'] as const) {
        expect(comparable(run(messages, [{ at, how }]))).toEqual(comparable(whole));
      }
    }
  });
});

describe('an incident that is restored', () => {
  const published = () => {
    const world = run(
      [[{ from: '10.0.0.1', to: '198.51.100.1' }], [{ from: '10.0.0.1', to: '198.51.100.2' }]],
      [],
    );
    return [...world.incidents.values()][0];
  };

  it('is ignored and counted when its resume state cannot have come from here', () => {
    const incident = published();
    for (const resume of [
      undefined,
      null,
      7,
      {},
      { ...(incident.resume as object), v: 2 },
      { ...(incident.resume as object), destinations: [['nonsense', 1, 1, 1]] },
      { ...(incident.resume as object), at: [0, 0, -5] },
    ]) {
      const detector = detectorFor(config);
      detector.restore({ ...incident, resume });
      expect(detector.counters).toMatchObject({ restored: 0, restoreIgnored: 1, hosts: 0 });
    }
  });

  it('whose block the policy of today forbids has it taken back, and says so', () => {
    const detector = detectorFor(config);
    detector.observe(batchOf([{ from: '10.0.0.1', to: '198.51.100.1' }]), { partition: 0, offset: 0 });
    detector.observe(batchOf([{ from: '10.0.0.1', to: '198.51.100.2' }]), { partition: 0, offset: 1 });
    const [incident] = detector.take().incidents;
    expect(incident.block.state).toBe('published');
    const changes: [ConfigInput, string][] = [
      [{ ...config, block: { mode: 'publish', never: ['10.0.0.0/24'] } }, 'refused'],
      [{ ...config, senders: [{ name: 'new', hosts: ['10.0.0.1'] }] }, 'refused'],
      [{ ...config, senders: [] }, 'refused'],
      [{ ...config, block: { mode: 'observe' } }, 'observed'],
      [{ ...config, block: { mode: 'propose' } }, 'proposed'],
    ];
    for (const [changed, state] of changes) {
      const next = detectorFor(changed);
      next.restore(incident);
      const { alerts, incidents } = next.take();
      expect(alerts).toMatchObject([{ kind: 'updated', block: { state } }]);
      expect(incidents).toMatchObject([{ block: { state } }]);
    }
  });

  it('does not swallow the flows of a stream that began anew', () => {
    const detector = detectorFor(config);
    for (let offset = 0; offset < 10; offset++) {
      detector.observe(
        batchOf([{ from: '10.0.0.1', to: '198.51.100.1', fromPort: offset + 1, at: offset }]),
        {
          partition: 0,
          offset,
        },
      );
    }
    const [incident] = detector.openIncidents();
    const next = detectorFor(config);
    next.restore(incident);
    next.observe(batchOf([{ from: '10.0.0.1', to: '198.51.100.1', fromPort: 99, at: MINUTE }]), {
      partition: 0,
      offset: 0,
    });
    expect(next.openIncidents()[0].sessions).toBe(11);
  });
});

describe('a host whose first mail falls into the moment of a restart', () => {
  const session = (from: string, at: number, sequence: number): Flow & { at: number } => ({
    from,
    to: '198.51.100.1',
    fromPort: sequence,
    at,
    sequence,
  });
  /** Somebody who is known from before, once a minute. */
  const known = (minutes: number) =>
    Array.from({ length: minutes }, (_, i) => [session('10.0.0.1', i * MINUTE, i + 1)]);

  /** Over all its incidents: with a clock that went back, one may end sooner after a restart. */
  const sessionsOf = (world: World, host: string) =>
    [...world.byId.values()]
      .filter((incident) => incident.host === host)
      .reduce((sum, { sessions }) => sum + sessions, 0);

  it.each([0, 1, 3, 5, 8, 12, 20, 40])('%i minutes after the first mail of all is found', (minutes) => {
    const messages = known(60);
    messages.splice(minutes + 1, 0, [session('10.0.0.2', minutes * MINUTE + SECOND, 1000)]);
    for (const how of ['before publishing', 'after alerts', 'before commit', 'after commit'] as const) {
      for (let at = Math.max(0, minutes - 1); at < minutes + 4; at++)
        expect([at, how, sessionsOf(run(messages, [{ at, how }]), '10.0.0.2')]).toEqual([at, how, 1]);
    }
  });

  it('is found when the offsets begin at a large number, and nothing was committed', () => {
    const before = detectorFor(config);
    before.observe(batchOf([session('10.0.0.1', 0, 1)]), { partition: 0, offset: 1e12 });
    const [incident] = before.take().incidents;
    const next = detectorFor(config);
    next.resume(0, { from: null, end: 1e12 + 2 });
    next.restore(incident);
    next.observe(batchOf([session('10.0.0.1', 0, 1)]), { partition: 0, offset: 1e12 });
    next.observe(batchOf([session('10.0.0.2', SECOND, 2)]), { partition: 0, offset: 1e12 + 1 });
    expect(next.take().alerts).toMatchObject([{ kind: 'opened', host: '10.0.0.2' }]);
    expect(next.openIncidents().map(({ sessions }) => sessions)).toEqual([1, 1]);
  });

  it('is found when the stream no longer holds what came next, and a long silence was before', () => {
    const world = run(known(60), []);
    const next = detectorFor(config);
    next.resume(0, { from: world.committed + 1, end: 1000 });
    for (const incident of world.incidents.values()) next.restore(incident);
    next.observe(batchOf([session('10.0.0.2', 300 * MINUTE, 500)]), { partition: 0, offset: 500 });
    expect(next.take().alerts.map(({ kind, host }) => `${kind} ${host}`)).toContain('opened 10.0.0.2');
  });

  it.each([
    ['back by a day', -24 * 60 * MINUTE],
    ['back by an hour', -60 * MINUTE],
    ['back by twelve minutes', -12 * MINUTE],
    ['ahead by an hour', 60 * MINUTE],
    ['ahead by a day', 24 * 60 * MINUTE],
  ])('is found when the clock was set %s, before the kill and after', (_, step) => {
    const clockAt = 40;
    const flows = known(80).map((message, i) =>
      message.map((flow) => ({ ...flow, at: flow.at + (i >= clockAt ? step : 0) + 30 * 60 * MINUTE })),
    );
    for (const minute of [39, 40, 41, 60]) {
      const messages = [...flows];
      const at = flows[minute][0].at + SECOND;
      messages.splice(
        minute + 1,
        0,
        [session('10.0.0.2', at, 1000)],
        [session('10.0.0.2', at + SECOND, 1001)],
      );
      const whole = sessionsOf(run(messages, []), '10.0.0.2');
      expect(whole).toBe(2);
      for (const how of ['before publishing', 'after alerts', 'before commit', 'after commit'] as const) {
        for (const kill of [clockAt, minute + 1, minute + 2])
          expect([minute, kill, how, sessionsOf(run(messages, [{ at: kill, how }]), '10.0.0.2')]).toEqual([
            minute,
            kill,
            how,
            whole,
          ]);
      }
    }
  });
});

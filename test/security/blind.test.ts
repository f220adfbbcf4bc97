/**
 * What forged datagrams can do to the detector's tables and quotas: never keep a real offender out, push it out, or cost more memory
 * than a bound says. The other ways to blind it are tested where the parts are; SECURITY.md names each test.
 */

import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { detectorFor, OUTSIDE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';

const REAL = '192.0.2.1';
const OFFENDER = '10.0.0.66';

interface Run {
  readonly detector: Detector;
  readonly alerts: Alert[];
  /** The newest message of every host. */
  readonly published: Map<string, Incident>;
  see(...flows: Flow[]): void;
  incident(host: string): Incident | undefined;
}

/** A detector, and what came out of it; goes on with another after `restart`. */
function run(
  config: ConfigInput,
  detector = detectorFor(config),
  published = new Map<string, Incident>(),
): Run {
  const alerts: Alert[] = [];
  let offset = 0;
  return {
    detector,
    alerts,
    published,
    see(...flows) {
      detector.observe(batchOf(flows), { partition: 0, offset: offset++ });
      const taken = detector.take();
      alerts.push(...taken.alerts);
      for (const incident of taken.incidents) published.set(incident.host, incident);
    },
    incident: (host) => detector.openIncidents().find((incident) => incident.host === host),
  };
}

let port = 1024;
const mail = (from: string, exporter: string, at: number, sequence: number): Flow => ({
  from,
  to: from.includes(':') ? '2001:db8:9::1' : OUTSIDE,
  fromPort: 1024 + (port++ % 60_000),
  flags: 'SPAF',
  packets: 20,
  bytes: 4000,
  exporter,
  sequence,
  at,
});
const syn = (from: string, exporter: string, at: number, sequence: number): Flow => ({
  ...mail(from, exporter, at, sequence),
  flags: 'S',
  packets: 1,
  bytes: 60,
});

const forgedExporter = (n: number) =>
  `203.0.113.${n % 250}`.replace('203.0.113', `203.0.${113 + Math.floor(n / 250)}`);
const invented = (n: number) => `10.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
const inventedV6 = (n: number) => `2001:db8:1:${(n >> 8).toString(16)}::${((n & 255) + 1).toString(16)}`;

describe('the table of hosts', () => {
  const MOST = 2000;
  const config: ConfigInput = { ...STRICT, detection: { max_hosts: MOST } };

  it.each([
    ['IPv4 hosts', mail, invented],
    ['IPv6 hosts', mail, inventedV6],
    ['hosts that were never answered', syn, invented],
  ] as const)('is not filled by one forged exporter with twice as many %s', (_, flow, host) => {
    const { see, incident, detector } = run(config);
    for (let i = 0; i < 20; i++) see(mail(`10.0.1.${i}`, REAL, i * SECOND, i));
    const flood = (from: number, to: number) => {
      for (let i = from; i < to; i++) see(flow(host(i), '203.0.113.9', MINUTE + i * 10, i));
    };
    flood(0, 2 * MOST);
    const after = MINUTE + 2 * MOST * 10;
    for (let n = 0; n < 2; n++) see(mail(OFFENDER, REAL, after + n * SECOND, 1000 + n));
    flood(2 * MOST, 4 * MOST);
    expect(incident(OFFENDER)).toMatchObject({ sessions: 2, block: { state: 'published' } });
    for (let i = 0; i < 20; i++) expect(incident(`10.0.1.${i}`)).toMatchObject({ sessions: 1 });
    expect(detector.counters.hosts).toBeLessThanOrEqual(MOST);
  });

  it.each([2, 10, 100])('is shared fairly with %i forged exporters', (exporters) => {
    const { see, incident, detector } = run(config);
    for (let i = 0; i < 15; i++) see(mail(`10.0.1.${i}`, REAL, i * SECOND, i));
    for (let i = 0; i < 2 * MOST; i++)
      see(mail(invented(i), forgedExporter(i % exporters), MINUTE + i * 10, i));
    for (let i = 0; i < 15; i++) expect(incident(`10.0.1.${i}`)).toMatchObject({ sessions: 1 });
    expect(detector.counters.evictedFor.exporter_share).toBeGreaterThan(0);
    expect(detector.counters.crowdedBy).toMatch(/^203\.0\./);
  });

  it('is not filled by one /64, however many others are active in between', () => {
    const { see, incident, detector } = run({ ...STRICT, detection: { max_hosts: 4000 } });
    for (let i = 0; i < 3000; i++) {
      see(mail(`2001:db8:1:1::${(i + 1).toString(16)}`, REAL, i * 100, 2 * i));
      // A hundred hosts that go on all the time.
      see(mail(`10.0.1.${i % 100}`, REAL, i * 100, 2 * i + 1));
    }
    expect(detector.counters.hosts).toBe(1024 + 100);
    expect(detector.counters.evictedFor.prefix_share).toBe(3000 - 1024);
    expect(incident('10.0.1.99')?.sessions).toBe(30);
  });
});

describe('first evidence', () => {
  const config: ConfigInput = { ...STRICT, detection: { max_hosts: 20_000 } };
  /** So many hosts may have unanswered attempts only before others wait. */
  const CROWD = 1024;
  function crowded(): Run {
    const crowd = run(config);
    for (let i = 0; i < CROWD; i += 500)
      crowd.see(
        ...Array.from({ length: Math.min(500, CROWD - i) }, (_, n) => syn(inventedV6(i + n), REAL, i, i + n)),
      );
    return crowd;
  }

  it('of an invented host costs no incident once there are many, until it is more than one attempt', () => {
    const { see, incident, detector, alerts } = crowded();
    expect(detector.counters).toMatchObject({ hosts: CROWD, waitingAttempts: 0 });
    const at = MINUTE;
    see(...Array.from({ length: 1000 }, (_, n) => syn(invented(n), REAL, at, 50_000 + n)));
    expect(detector.counters).toMatchObject({ hosts: CROWD, waitingAttempts: 1000 });
    expect(alerts.filter(({ kind }) => kind === 'opened')).toHaveLength(CROWD);

    // A second attempt, and an answer to the first one.
    const first = syn(OFFENDER, REAL, at + SECOND, 60_000);
    see({ ...first, packets: 3, bytes: 180 });
    see({ ...syn(OFFENDER, REAL, at + 5 * SECOND, 60_001), to: '198.51.100.8' });
    expect(incident(OFFENDER)).toMatchObject({
      grade: 'attempted',
      sessions: 0,
      attempts: 2,
      packets: 4,
      bytes: 240,
      destinations: { count: 2 },
      first_seen: new Date(T0 + at + SECOND).toISOString(),
    });
    const answered = { ...syn('10.0.0.67', REAL, at + 6 * SECOND, 60_002), fromPort: 5555 };
    see(answered);
    expect(incident('10.0.0.67')).toBeUndefined();
    see({ ...answered, flags: 'SPAF', packets: 20, bytes: 4000, at: at + 7 * SECOND, sequence: 60_003 });
    expect(incident('10.0.0.67')).toMatchObject({
      sessions: 1,
      attempts: 0,
      packets: 21,
      bytes: 4060,
      first_seen: new Date(T0 + at + 6 * SECOND).toISOString(),
    });
    expect(detector.counters.waitingAttempts).toBe(1000);
  });

  it('comes to the same figures as without a crowd, whatever follows', () => {
    const steps: Flow[][] = [
      [
        syn(OFFENDER, REAL, MINUTE, 1),
        syn(OFFENDER, REAL, 2 * MINUTE, 2),
        mail(OFFENDER, REAL, 3 * MINUTE, 3),
      ],
      [{ ...syn(OFFENDER, REAL, MINUTE, 4), forwarding: 0x80 }, mail(OFFENDER, REAL, 2 * MINUTE, 5)],
      [
        syn(OFFENDER, REAL, MINUTE, 6),
        mail(OFFENDER, REAL, 5 * MINUTE, 7),
        mail(OFFENDER, REAL, 6 * MINUTE, 8),
      ],
    ];
    for (const flows of steps) {
      const [quiet, busy] = [run(config), crowded()];
      for (const flow of flows) {
        quiet.see(flow);
        busy.see(flow);
      }
      const figures = (incident: Incident | undefined) =>
        (
          [
            ...['grade', 'sessions', 'attempts', 'packets', 'bytes'],
            ...['first_seen', 'last_seen', 'destinations', 'ports', 'flags'],
          ] as (keyof Incident)[]
        ).map((name) => incident?.[name]);
      expect(figures(busy.incident(OFFENDER))).toEqual(figures(quiet.incident(OFFENDER)));
      expect(busy.incident(OFFENDER)?.incident_id).toBe(quiet.incident(OFFENDER)?.incident_id);
    }
  });

  it('is rebuilt after a restart, and forgotten when a restart would not read it again', () => {
    for (const restart of [false, true]) {
      for (const [wait, attempts] of [
        [10 * MINUTE, 2],
        [17 * MINUTE, 2],
        [19 * MINUTE, undefined],
      ] as const) {
        const before = crowded();
        const lone = syn(OFFENDER, REAL, MINUTE, 70_000);
        before.see(lone);
        const second = { ...syn(OFFENDER, REAL, MINUTE + wait, 70_001), to: '198.51.100.8' };
        let after = before;
        if (restart) {
          const detector = detectorFor(config);
          for (const incident of before.published.values()) detector.restore(incident);
          detector.resume(0, { from: 0, end: 2 });
          after = run(config, detector);
          after.see(lone);
        }
        after.see(second);
        expect(after.incident(OFFENDER)?.attempts).toBe(attempts);
      }
    }
  });

  it('is bounded, and an exporter that invents pushes out its own', () => {
    const { see, incident, detector } = run({ ...STRICT, detection: { max_hosts: 1500 } });
    for (let i = 0; i < 1024; i++) see(syn(invented(i), '203.0.113.9', i, i));
    see(syn(OFFENDER, REAL, 5 * SECOND, 1));
    for (let i = 1024; i < 5000; i++) see(syn(invented(i), '203.0.113.9', 5 * SECOND + i, i));
    see({ ...syn(OFFENDER, REAL, MINUTE, 2), to: '198.51.100.8' });
    expect(incident(OFFENDER)?.attempts).toBe(2);
    expect(detector.counters.waitingAttempts).toBeLessThanOrEqual(1500);
    expect(detector.counters.evictedAttempts).toBeGreaterThan(2000);
  });
});

describe('the rate of new blocks', () => {
  const ROOM = 50;
  const config: ConfigInput = { ...STRICT, block: { mode: 'publish', max_new_per_hour: ROOM } };

  /** So many forged exporters report innocents, three each or 200 in all, with more evidence than the offender has. */
  function attack(exporters: number, offset: number, history: (see: Run['see']) => void): Run {
    const attacked = run(config);
    const { see } = attacked;
    history(see);
    const hosts = Math.max(200, 3 * exporters);
    for (let i = 0; i < hosts; i++)
      for (let n = 0; n < 4; n++)
        see(mail(invented(i), forgedExporter(i % exporters), offset + i * 100, 4 * i + n));
    const after = offset + hosts * 100;
    for (let n = 0; n < 2; n++) see(mail(OFFENDER, REAL, after + n * SECOND, 90_000 + n));
    return attacked;
  }
  /** An authorised sender behind the real router, each ten minutes. */
  const heard = (fromMs: number, toMs: number) => (see: Run['see']) => {
    for (let at = fromMs; at <= toMs; at += 10 * MINUTE) see(mail('10.0.0.25', REAL, at, at / 1000));
  };

  it.each([1, 2, 10, 100, 500])('leaves room for a real offender, with %i forged exporters', (exporters) => {
    const { incident, detector } = attack(exporters, 2 * HOUR, heard(0, 2 * HOUR));
    expect(incident(OFFENDER)?.block).toMatchObject({ state: 'published' });
    // All newcomers together have half of the room.
    expect(detector.counters.blocks.published).toBeLessThanOrEqual(ROOM / 2 + 1);
    const held = detector.openIncidents().filter(({ block }) => block.state === 'refused');
    expect(held.length).toBeGreaterThan(100);
  });

  it.each([1, 2, 10])('does so where nobody was there before, with %i forged exporters', (exporters) => {
    const { incident } = attack(exporters, 0, heard(0, 0));
    expect(incident(OFFENDER)?.block).toMatchObject({ state: 'published' });
  });

  it('does so after a restart, as far as incidents say who was there', () => {
    const early = run(config);
    for (let n = 0; n < 2; n++) early.see(mail('10.0.0.99', REAL, n * SECOND, n));
    const detector = detectorFor(config);
    for (const incident of early.published.values()) detector.restore(incident);
    const { see, incident } = run(config, detector);
    const from = 3 * HOUR;
    for (let i = 0; i < 300; i++)
      for (let n = 0; n < 2; n++) see(mail(invented(i), forgedExporter(i), from + i * 100, 2 * i + n));
    for (let n = 0; n < 2; n++) see(mail(OFFENDER, REAL, from + MINUTE + n * SECOND, 900 + n));
    expect(incident(OFFENDER)?.block).toMatchObject({ state: 'published' });
  });

  it('tells of those that are held back at once, and blocks them when there is room', () => {
    const { alerts, see, incident } = attack(3, 2 * HOUR, heard(0, 2 * HOUR));
    const held = alerts.filter(
      ({ host, block }) => host.startsWith('10.1.') && block.reason.includes('held back'),
    );
    expect(held.length).toBeGreaterThan(0);
    const last = invented(199);
    expect(alerts.some(({ host }) => host === last)).toBe(true);
    see(mail(last, forgedExporter(1), 4 * HOUR, 1_000_000));
    expect(incident(last)?.block.state).toBe('published');
  });
});

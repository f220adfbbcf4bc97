/** Whether a published block works, by the records that come after it. */

import { describe, expect, it } from 'vitest';
import type { Detector } from '../../src/detect/detector.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { detectorFor, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';

const CONFIG = { ...STRICT, block: { mode: 'publish' as const, grace: '5m' } };
const mail = (at: number, more: Partial<Flow> = {}): Flow => ({
  from: ROGUE,
  to: OUTSIDE,
  fromPort: 1024 + ((at / SECOND) % 60_000),
  flags: 'SPAF',
  packets: 20,
  bytes: 4000,
  inIf: 7,
  at,
  ...more,
});

function run(flows: readonly Flow[], upTo = 0, detector = detectorFor(CONFIG), from = 0) {
  for (const [i, flow] of flows.entries())
    detector.observe(batchOf([flow]), { partition: 0, offset: from + i });
  if (upTo > 0) detector.advance(T0 + upTo);
  const { alerts } = detector.take();
  return { detector, alerts, effect: newest(detector).block.effect };
}

const newest = (detector: Detector): Incident => detector.openIncidents()[0];
const BLOCKED = [mail(0), mail(SECOND)];

describe('a published block', () => {
  it('is not effective where packets still pass after the grace time: named, flagged and alerted once', () => {
    const { alerts, effect, detector } = run([...BLOCKED, mail(6 * MINUTE), mail(7 * MINUTE)]);
    expect(effect).toMatchObject({
      state: 'not_effective',
      since: new Date(T0 + 6 * MINUTE).toISOString(),
      passing: [{ address: '192.0.2.1', domain: 0, interface: 7 }],
    });
    const telling = alerts.filter(({ flags }) => flags.includes('not_effective'));
    expect(telling.map(({ kind }) => kind)).toEqual(['updated']);
    expect(telling[0].reasons.join()).toContain('not effective on exporter 192.0.2.1 interface 7');
    expect(newest(detector).block.state).toBe('published');
  });

  it('is effective when connections are tried in vain', () => {
    const syn = (at: number) => mail(at, { flags: 'S', packets: 1, bytes: 60 });
    const { effect, alerts } = run([...BLOCKED, syn(6 * MINUTE), syn(7 * MINUTE)]);
    expect(effect).toMatchObject({
      state: 'effective',
      passing: [],
      reason: expect.stringContaining('in vain'),
    });
    expect(alerts.flatMap(({ flags }) => flags)).not.toContain('not_effective');
  });

  it('is effective when nothing came through for the grace time, said without an alert', () => {
    const { effect, alerts } = run(BLOCKED, 11 * MINUTE);
    expect(effect).toMatchObject({
      state: 'effective',
      since: new Date(T0 + 10 * MINUTE + SECOND).toISOString(),
    });
    expect(alerts.at(-1)?.block.effect).toBeUndefined();
  });

  it('that did not work and now does says so', () => {
    const { alerts } = run([...BLOCKED, mail(6 * MINUTE)], 12 * MINUTE);
    expect(alerts.at(-1)).toMatchObject({
      kind: 'updated',
      flags: [],
      block: { effect: { state: 'effective' } },
    });
  });

  it.each<[string, Partial<Flow>]>([
    ['whose packets were sent before the grace time was over', { startAt: 0, endAt: 2 * MINUTE }],
    [
      'of a few packets without a handshake: retransmissions of an old connection',
      { flags: 'PA', packets: 3, bytes: 900 },
    ],
    ['that a router says it dropped', { forwarding: 128 }],
    ['to submission', { toPort: 587 }],
  ])('is not doubted for a record %s', (_what, more) => {
    const at = 6 * MINUTE;
    const { effect } = run([...BLOCKED, mail(at, more)]);
    expect(effect?.state).not.toBe('not_effective');
  });

  it('is doubted for a server that answers, but not for a reset, which the list itself may send', () => {
    const attempt = mail(6 * MINUTE, { flags: 'S', packets: 1, bytes: 60, fromPort: 999 });
    const reply = (flags: string): Flow => ({
      from: OUTSIDE,
      to: ROGUE,
      fromPort: 25,
      toPort: 999,
      flags,
      packets: 2,
      bytes: 104,
      at: 6 * MINUTE + SECOND,
    });
    expect(run([...BLOCKED, attempt, reply('RA')]).effect).toBeUndefined();
    expect(run([...BLOCKED, attempt, reply('SA')]).effect?.state).toBe('not_effective');
  });

  it('is watched on over a restart', () => {
    const { detector } = run([...BLOCKED, mail(6 * MINUTE)]);
    const next = detectorFor(CONFIG);
    next.restore(newest(detector));
    expect(newest(next).block.effect).toEqual(newest(detector).block.effect);
    const { alerts } = run([], 12 * MINUTE, next);
    expect(alerts.at(-1)?.block.effect?.state).toBe('effective');
  });

  it('has no effect any more when it ends', () => {
    const detector = detectorFor({ ...CONFIG, block: { ...CONFIG.block, ttl: '1h' } });
    const { effect } = run(BLOCKED, 2 * HOUR, detector);
    expect(newest(detector).block.state).toBe('expired');
    expect(effect).toBeUndefined();
  });
});

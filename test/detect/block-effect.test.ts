/** Whether a published block works, by the records that come after it. */

import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createDetector, type Detector } from '../../src/detect/detector.ts';
import { sightOfFile } from '../../src/detect/detector-state.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
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
/** A host whose silence says something: it is blocked from the second mail on, and mails on within the grace time. */
const BUSY = Array.from({ length: 12 }, (_, i) => mail(i * SECOND));

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
    const { effect, alerts } = run(BUSY, 11 * MINUTE);
    expect(effect).toMatchObject({
      state: 'effective',
      since: new Date(T0 + 10 * MINUTE + SECOND).toISOString(),
    });
    expect(alerts.at(-1)?.block.effect).toBeUndefined();
  });

  it('that did not work and now does says so', () => {
    const { alerts } = run([...BUSY, mail(6 * MINUTE)], 15 * MINUTE);
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

  it('is not called effective for the silence of a slow sender, and one alert says that it is not', () => {
    for (const minutes of [7, 20, 60, 180]) {
      const slow = Array.from({ length: 20 }, (_, i) => mail((i + 1) * minutes * MINUTE));
      const { alerts, effect } = run([...BLOCKED, ...slow]);
      const told = alerts.filter(
        ({ block }) => block.effect !== undefined && block.effect.state === 'effective',
      );
      expect(told).toEqual([]);
      expect(effect?.state).toBe('not_effective');
      const updates = alerts.filter(
        ({ kind, flags }) => kind === 'updated' && flags.includes('not_effective'),
      );
      // Those after the first are the ones of `update_interval`.
      expect(new Set(updates.map(({ block }) => block.effect?.since)).size).toBe(1);
    }
  });

  it('is called effective when a host that is silent for hours keeps trying', () => {
    const slow = [mail(20 * MINUTE), mail(40 * MINUTE)];
    const tries = Array.from({ length: 9 }, (_, i) =>
      mail((60 + 20 * i) * MINUTE, { flags: 'S', packets: 3, bytes: 180 }),
    );
    const { effect, alerts } = run([...BLOCKED, ...slow, ...tries]);
    expect(effect).toMatchObject({ state: 'effective', since: new Date(T0 + 100 * MINUTE).toISOString() });
    const states = alerts.map(({ block }) => block.effect?.state);
    expect(states.filter((state, i) => i === 0 || state !== states[i - 1])).toEqual([
      undefined,
      'not_effective',
      'effective',
    ]);
  });

  it.each<[string, Partial<Flow>, string | undefined]>([
    ['mails of 8 packets', { packets: 8, bytes: 1300 }, 'not_effective'],
    ['attempts', { packets: 3, bytes: 180 }, 'effective'],
    ['many bare packets', { packets: 12, bytes: 624 }, undefined],
  ])('is judged without TCP flags by payload: %s', (_what, more, state) => {
    const config = { ...CONFIG, block: { ...CONFIG.block, grade: 'connected' as const } };
    const plain = (at: number, fields: Partial<Flow> = {}) =>
      mail(at, { flags: null, packets: 8, bytes: 1300, ...fields });
    const flows = [plain(0), plain(SECOND), plain(6 * MINUTE, more), plain(7 * MINUTE, more)];
    expect(run(flows, 0, detectorFor(config)).effect?.state).toBe(state);
  });

  it('is judged by nothing in a file, where no block is real', () => {
    const config = configSchema.parse(CONFIG);
    const detector = createDetector({ policy: compilePolicy(config), ...config }, sightOfFile());
    expect(run([...BUSY, mail(6 * MINUTE), mail(7 * MINUTE)], 30 * MINUTE, detector)).toMatchObject({
      effect: undefined,
      alerts: [{ flags: [] }, { flags: [] }],
    });
  });

  it('is watched on over a restart', () => {
    const { detector } = run([...BUSY, mail(6 * MINUTE)]);
    const next = detectorFor(CONFIG);
    next.restore(newest(detector));
    expect(newest(next).block.effect).toEqual(newest(detector).block.effect);
    const { alerts } = run([], 15 * MINUTE, next);
    expect(alerts.at(-1)?.block.effect?.state).toBe('effective');
  });

  it('has no effect any more when it ends', () => {
    const detector = detectorFor({ ...CONFIG, block: { ...CONFIG.block, ttl: '1h' } });
    const { effect } = run(BLOCKED, 2 * HOUR, detector);
    expect(newest(detector).block.state).toBe('expired');
    expect(effect).toBeUndefined();
  });
});

/** `alerts`: from which grade on incidents are told, for all hosts and for groups; what is not told is kept and blocked all the same. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { detect, detectorFor, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, replyTo, SECOND } from '../support/flows.ts';

const GUEST = '10.20.0.7';
const config: ConfigInput = {
  ...STRICT,
  alerts: { groups: [{ name: 'guests', hosts: ['10.20.0.0/16'], grade: 'bulk' }] },
};

/** So many mails, each to another server. */
const mails = (from: string, count: number, at = 0): Flow[] =>
  Array.from({ length: count }, (_, i) => {
    const flow: Flow = { from, to: `198.51.100.${i + 1}`, fromPort: 2000 + i, at: at + i * SECOND };
    return [flow, replyTo(flow)];
  }).flat();

function observe(detector: Detector, flows: readonly Flow[], fromOffset: number): void {
  for (const [i, flow] of flows.entries())
    detector.observe(batchOf([flow]), { partition: 0, offset: fromOffset + i });
}

describe('an incident below the grade of its group', () => {
  it('raises no alert, is kept with its figures and is blocked by its own rule', () => {
    const { alerts, of } = detect([...mails(GUEST, 3), ...mails(ROGUE, 3)], { config, upTo: 30 * HOUR });
    expect(of(GUEST)).toMatchObject({
      grade: 'conversed',
      sessions: 3,
      state: 'closed',
      block: { state: 'expired' },
    });
    expect(detect(mails(GUEST, 3), { config }).of(GUEST)?.block.state).toBe('published');
    expect(new Set(alerts.map(({ host }) => host))).toEqual(new Set([ROGUE]));
  });

  it('is told as opened once it comes to the grade, and as closed then', () => {
    const { alerts, of } = detect(mails(GUEST, 20), { config, upTo: 30 * HOUR });
    expect(alerts[0]).toMatchObject({
      kind: 'opened',
      grade: 'bulk',
      sessions: 20,
      incident_id: of(GUEST)?.incident_id,
    });
    expect(alerts.map(({ kind }) => kind)).toContain('closed');
    expect(alerts.filter(({ kind }) => kind === 'opened')).toHaveLength(1);
  });

  it('is told by the grade of all hosts where no group has it, and by the first group that has it', () => {
    const graded = (alerts: ConfigInput['alerts']) =>
      detect(mails(GUEST, 3), { config: { ...STRICT, alerts } }).kinds(GUEST)[0];
    expect(graded({})).toBe('opened');
    expect(graded({ grade: 'bulk' })).toBeUndefined();
    const first = { name: 'one', hosts: ['10.20.0.0/24'], grade: 'conversed' as const };
    expect(graded({ grade: 'bulk', groups: [first] })).toBe('opened');
    expect(
      graded({
        groups: [
          { ...first, grade: 'bulk' },
          { ...first, name: 'two' },
        ],
      }),
    ).toBeUndefined();
  });

  it('may be one of a site', () => {
    const sites: ConfigInput = {
      ...STRICT,
      networks: { ...STRICT.networks, sites: [{ name: 'wifi', exporters: ['192.0.2.9/32'] }] },
      alerts: { groups: [{ name: 'wifi', sites: ['wifi'], grade: 'bulk' }] },
    };
    const there = mails(ROGUE, 3).map((flow) => ({ ...flow, exporter: '192.0.2.9' }));
    expect(detect(there, { config: sites }).alerts).toEqual([]);
    expect(detect(mails(ROGUE, 3), { config: sites }).kinds()).toContain('opened');
  });

  it('is told when the configuration lowers the grade, and goes on quietly when it raises it', () => {
    const detector = detectorFor(config);
    const send = (flows: readonly Flow[], offset: number) => {
      observe(detector, flows, offset);
      return detector.take().alerts.map(({ kind }) => kind);
    };
    const reload = (input: ConfigInput) => {
      const next = configSchema.parse(input);
      detector.reload({ policy: compilePolicy(next), ...next });
      return detector.take().alerts.map(({ kind }) => kind);
    };
    expect(send(mails(GUEST, 3), 0)).toEqual([]);
    expect(reload(STRICT)).toEqual(['opened']);
    expect(reload(STRICT)).toEqual([]);
    expect(reload(config)).toEqual([]);
    expect(send(mails(GUEST, 3, 2 * HOUR), 10)).toEqual([]);
    detector.advance(Date.parse('2026-03-03T10:00:00Z'));
    // Whoever heard that it opened hears that it ended.
    expect(detector.take().alerts.map(({ kind }) => kind)).toEqual(['closed']);
  });

  it('is not told again after a restart, nor forgotten to be told', () => {
    const first = detectorFor(config);
    const flows = mails(GUEST, 20);
    observe(first, flows.slice(0, 6), 0);
    const { alerts, incidents } = first.take();
    expect(alerts).toEqual([]);
    const next = detectorFor(config);
    next.restore(JSON.parse(JSON.stringify(incidents.at(-1))));
    observe(
      next,
      flows.map((flow) => ({ ...flow, at: (flow.at ?? 0) + MINUTE })),
      10,
    );
    expect(next.take().alerts[0]).toMatchObject({ kind: 'opened', grade: 'bulk' });
  });
});

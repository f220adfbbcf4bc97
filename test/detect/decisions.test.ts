/** What a person decides about a host, and what becomes of its block: now, after a restart, in the next incident. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { parseAddress } from '../../src/flow/address.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { decision, detectorFor, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';

const PROPOSE: ConfigInput = { ...STRICT, block: { mode: 'propose', ttl: '1h' } };

let offset = 0;
function mails(detector: Detector, at: number, from = ROGUE): void {
  for (const n of [1, 2]) {
    const flow = {
      from,
      to: OUTSIDE,
      fromPort: 1000 + (at % 50_000) + n,
      flags: 'SPAF',
      packets: 20,
      bytes: 4000,
    };
    detector.observe(batchOf([{ ...flow, at: at + n * SECOND }]), { partition: 0, offset: offset++ });
  }
}

const newest = (detector: Detector): Incident => detector.openIncidents()[0];
const block = (detector: Detector) => newest(detector).block;

function started(config: ConfigInput = PROPOSE): Detector {
  const detector = detectorFor(config);
  mails(detector, 0);
  detector.take();
  return detector;
}

describe('a decision', () => {
  it('approves a proposed block, with a full life from then on, and tells it once', () => {
    const detector = started();
    expect(block(detector).state).toBe('proposed');
    detector.advance(T0 + 50 * MINUTE);
    const approval = decision('approve', newest(detector));
    detector.decide(approval);
    detector.decide(approval);
    expect(detector.take().alerts).toMatchObject([
      {
        kind: 'updated',
        block: { state: 'published', reason: 'approved by ada: looked at it', approved_by: 'ada' },
      },
    ]);
    expect(block(detector).until).toBe(new Date(T0 + 110 * MINUTE).toISOString());
  });

  it('stays approved over a restart, and comes to the same where the restart came first', () => {
    const before = started();
    const [incident] = before.openIncidents();
    const approval = decision('approve', incident);
    before.decide(approval);
    const [approved] = before.take().incidents;
    for (const kept of [approved, incident]) {
      const detector = detectorFor(PROPOSE);
      detector.restore(kept);
      detector.decide(approval);
      expect(block(detector)).toMatchObject({ state: 'published', approved_by: 'ada' });
      expect(detector.take().alerts).toHaveLength(kept === approved ? 0 : 1);
    }
  });

  it('rejects a block for this incident: it is not proposed again, and the next incident is judged anew', () => {
    const config = { ...PROPOSE, detection: { quiet: '2h' } };
    const detector = started(config);
    detector.decide(decision('reject', newest(detector)));
    mails(detector, HOUR);
    expect(block(detector)).toMatchObject({ state: 'refused', reason: 'rejected by ada: looked at it' });
    mails(detector, 10 * HOUR);
    expect(newest(detector).recurrence).toBe(1);
    expect(block(detector).state).toBe('proposed');
  });

  it('does not approve what an interlock forbids, nor anything while the mode is observe', () => {
    const never: ConfigInput = { ...STRICT, block: { mode: 'propose', never: [ROGUE] } };
    const observe: ConfigInput = { ...STRICT, block: { mode: 'observe' } };
    for (const [config, state] of [
      [never, 'refused'],
      [observe, 'observed'],
    ] as const) {
      const detector = started(config);
      detector.decide(decision('approve', newest(detector)));
      mails(detector, MINUTE);
      expect(block(detector).state).toBe(state);
    }
  });

  it('approves what was held back for coming with too many others', () => {
    const detector = detectorFor({ ...STRICT, block: { mode: 'publish', max_new_per_hour: 1 } });
    mails(detector, 0, '10.0.0.1');
    mails(detector, 5000, '10.0.0.2');
    const held = detector.openIncidents().find(({ host }) => host === '10.0.0.2');
    expect(held?.block).toMatchObject({ state: 'refused', reason: expect.stringContaining('held back') });
    detector.decide(decision('approve', held!));
    expect(detector.openIncidents().find(({ host }) => host === '10.0.0.2')?.block).toMatchObject({
      state: 'published',
      approved_by: 'ada',
    });
  });

  it('of another incident approves nothing, and the later one replaces the earlier, whatever their clocks say', () => {
    const detector = started();
    detector.decide(decision('approve', newest(detector), { incident_id: 'another' }));
    expect(block(detector).state).toBe('proposed');
    detector.decide(decision('approve', newest(detector)));
    detector.decide(decision('reject', newest(detector), { decided_at: new Date(T0).toISOString() }));
    expect(block(detector).state).toBe('refused');
  });

  it('releases a host at once, and blocks it again only after the time said and on new evidence', () => {
    const detector = started({ ...STRICT, block: { mode: 'publish' } });
    expect(block(detector).state).toBe('published');
    const release = decision('release', newest(detector));
    detector.decide(release);
    expect(detector.take().alerts).toMatchObject([{ kind: 'updated', block: { state: 'expired' } }]);
    mails(detector, HOUR);
    expect(block(detector)).toMatchObject({
      state: 'expired',
      reason: expect.stringContaining('released by ada'),
    });

    const again = detectorFor({ ...STRICT, block: { mode: 'publish' } });
    again.restore(newest(detector));
    again.decide(release);
    mails(again, 2 * HOUR);
    expect(block(again).state).toBe('expired');
    mails(again, 6 * HOUR);
    expect(block(again).state).toBe('published');
  });

  it('about a host that nobody knows, or at a site that is not configured, is kept or passed over', () => {
    const detector = detectorFor({ ...STRICT, block: { mode: 'publish' } });
    const other = started();
    detector.decide(decision('release', newest(other)));
    detector.decide(decision('release', newest(other), { site: 'nowhere' }));
    detector.decide(decision('release', newest(other), { host: 'nobody' }));
    mails(detector, 0);
    expect(block(detector)).toMatchObject({ state: 'refused', reason: expect.stringContaining('released') });
  });
});

/** An attempt, which is no reason for a block. */
function attempts(detector: Detector, at: number, from = ROGUE): void {
  const flow = { from, to: OUTSIDE, fromPort: 1000 + (at % 50_000), flags: 'S', packets: 1, bytes: 60, at };
  detector.observe(batchOf([flow]), { partition: 0, offset: offset++ });
}

describe('a block by hand', () => {
  const PUBLISH: ConfigInput = { ...STRICT, block: { mode: 'publish', ttl: '1h' } };
  const until = (ms: number) => new Date(T0 + ms).toISOString();
  const nobody = { host: ROGUE, site: '', incident_id: '' } as Incident;
  const ordered = (fields: Parameters<typeof decision>[2] = {}) =>
    decision('block', nobody, { until: until(5 * HOUR), ...fields });
  const STANDS = {
    state: 'published',
    reason: 'blocked by ada: looked at it',
    approved_by: 'ada',
    until: until(5 * HOUR),
  };
  const below = (config = PUBLISH) => {
    const detector = detectorFor(config);
    attempts(detector, 0);
    detector.take();
    return detector;
  };

  it('is written into an incident below the grade and told once; it ends by its own time, whatever the host does', () => {
    const detector = below();
    expect(block(detector).state).toBe('none');
    detector.decide(ordered());
    detector.decide(ordered());
    expect(detector.take().alerts).toMatchObject([{ kind: 'updated', block: STANDS }]);
    for (let at = MINUTE; at < 5 * HOUR; at += 20 * MINUTE) attempts(detector, at);
    expect(block(detector)).toMatchObject(STANDS);
    detector.advance(T0 + 5 * HOUR);
    expect(block(detector)).toMatchObject({
      state: 'expired',
      reason: 'the time of the block by hand is over (it was blocked by ada: looked at it)',
      until: until(5 * HOUR),
    });
    attempts(detector, 5 * HOUR + MINUTE);
    expect(block(detector).state).toBe('expired');
  });

  it('given before the first record of a host is that of its first incident, and of the next', () => {
    const detector = detectorFor({ ...PUBLISH, detection: { quiet: '1h' } });
    detector.decide(ordered());
    expect(detector.take().incidents).toEqual([]);
    attempts(detector, 0);
    expect(block(detector)).toMatchObject(STANDS);
    detector.advance(T0 + 3 * HOUR);
    expect(detector.openIncidents()).toEqual([]);
    attempts(detector, 4 * HOUR);
    expect(block(detector)).toMatchObject(STANDS);
  });

  it.each(['before', 'after'])('stands over a restart: %s the detector wrote it down', (when) => {
    const detector = below();
    if (when === 'after') detector.decide(ordered());
    const [incident] = detector.openIncidents();
    const next = detectorFor(PUBLISH);
    next.restore(incident);
    if (when === 'after') expect(block(next)).toMatchObject(STANDS);
    next.take();
    next.decide(ordered());
    expect(block(next)).toMatchObject(STANDS);
    expect(next.take().alerts).toHaveLength(when === 'after' ? 0 : 1);
  });

  it('is not made longer by the grade that a host reaches in mode propose, and is in mode publish', () => {
    for (const mode of ['propose', 'publish'] as const) {
      const detector = below({ ...STRICT, block: { mode, ttl: '1h' } });
      detector.decide(ordered());
      mails(detector, 4 * HOUR + 50 * MINUTE);
      detector.advance(T0 + 5 * HOUR + MINUTE);
      expect(block(detector).state).toBe(mode === 'propose' ? 'expired' : 'published');
      if (mode === 'propose') continue;
      // The decision found again at a restart does not take that back.
      const next = detectorFor({ ...STRICT, block: { mode, ttl: '1h' } });
      next.restore(newest(detector));
      next.decide(ordered());
      expect(block(next)).toMatchObject({ state: 'published', until: block(detector).until });
    }
  });

  it('does not shorten a block that stands by evidence, and a later word by hand replaces an earlier one', () => {
    const evident = started(PUBLISH);
    const before = block(evident).until ?? '';
    evident.decide(ordered({ until: until(10 * MINUTE) }));
    expect(block(evident)).toMatchObject({ approved_by: 'ada', until: before });
    const detector = below();
    detector.decide(ordered());
    detector.decide(ordered({ decision_id: 'e', until: until(2 * HOUR), reason: 'less' }));
    expect(block(detector)).toMatchObject({ reason: 'blocked by ada: less', until: until(2 * HOUR) });
  });

  it('is ended by a release and by a rejection', () => {
    for (const action of ['release', 'reject'] as const) {
      const detector = below();
      detector.decide(ordered());
      detector.decide(decision(action, newest(detector)));
      expect(block(detector).state).toBe(action === 'release' ? 'expired' : 'refused');
      attempts(detector, HOUR);
      expect(block(detector).state).not.toBe('published');
    }
  });

  it.each<[string, ConfigInput, string]>([
    ['in mode observe', { ...STRICT, block: { mode: 'observe' } }, 'observed'],
    ['of a declared sender', { ...STRICT, senders: [{ name: 'mail', hosts: [ROGUE] }] }, 'refused'],
    ['of a never-blocked host', { ...STRICT, block: { mode: 'publish', never: [ROGUE] } }, 'refused'],
    ['of an outside host', { ...STRICT, networks: { internal: ['192.168.0.0/16'] } }, 'refused'],
  ])('rests %s, and stands again when that is over', (_what, config, state) => {
    const detector = below();
    detector.decide(ordered());
    detector.take();
    const rules = (input: ConfigInput) => {
      const parsed = configSchema.parse(input);
      return { policy: compilePolicy(parsed), detection: parsed.detection, block: parsed.block };
    };
    detector.reload(rules(config));
    detector.reload(rules(config));
    const told = detector.take();
    expect(told.incidents.at(-1)?.block.state).toBe(state);
    expect(told.alerts.filter(({ kind }) => kind !== 'closed').length).toBeLessThanOrEqual(1);
    detector.reload(rules(PUBLISH));
    attempts(detector, HOUR);
    expect(block(detector)).toMatchObject(STANDS);
  });

  it('of a host that turns out to be a mail server later stands: somebody has named it', () => {
    const detector = below();
    detector.decide(ordered());
    for (const n of [1, 2, 3])
      detector.observe(
        batchOf([
          {
            from: `203.0.113.${n}`,
            to: ROGUE,
            fromPort: 2000 + n,
            flags: 'SPAF',
            packets: 16,
            bytes: 6000,
            at: n * MINUTE,
          },
        ]),
        { partition: 0, offset: offset++ },
      );
    const bytes = parseAddress(ROGUE) ?? new Uint8Array();
    expect(detector.probableServer(bytes, '', T0 + HOUR)).toMatch(/SMTP|mail/);
    expect(detector.probableServer(bytes, 'nowhere', T0 + HOUR)).toBeNull();
    expect(block(detector).state).toBe('published');
  });
});

describe('the rate of new blocks', () => {
  const conversation = (from: string, exporter: string, at: number, sequence: number): Flow => ({
    from,
    to: `198.51.100.${sequence % 5}`,
    fromPort: 1024 + sequence,
    flags: 'SPAF',
    packets: 20,
    bytes: 4000,
    exporter,
    sequence,
    at,
  });
  const blockOf = (detector: Detector, host: string) =>
    detector.openIncidents().find((incident) => incident.host === host)?.block;

  it('is not used up by one exporter while another reports, too', () => {
    const detector = detectorFor({ ...STRICT, block: { mode: 'publish', max_new_per_hour: 50 } });
    let offset = 0;
    const see = (...flows: Flow[]) => {
      for (const flow of flows) detector.observe(batchOf([flow]), { partition: 0, offset: offset++ });
    };
    // Somebody whom the real router reports lets it be known that there are two.
    see(conversation('10.9.0.1', '192.0.2.1', 0, 9000));
    for (let i = 0; i < 60; i++)
      for (let n = 0; n < 2; n++) see(conversation(`10.1.0.${i + 1}`, '192.0.2.66', i * 1000, 2 * i + n));
    expect(detector.counters.blocks).toMatchObject({ published: 25, refused: 35 });
    for (let n = 0; n < 3; n++) see(conversation('10.0.0.66', '192.0.2.1', 70_000 + n, 5000 + n));
    expect(blockOf(detector, '10.0.0.66')?.state).toBe('published');
    expect(blockOf(detector, '10.1.0.60')?.reason).toContain('from one exporter');
  });

  it('leaves all of it to the only exporter', () => {
    const detector = detectorFor({ ...STRICT, block: { mode: 'publish', max_new_per_hour: 6 } });
    for (let i = 0; i < 20; i++)
      detector.observe(batchOf([conversation(`10.1.0.${i >> 1}`, '192.0.2.1', i, i)]), {
        partition: 0,
        offset: i,
      });
    expect(detector.counters.blocks).toMatchObject({ published: 6, refused: 4 });
  });

  it('gives the room that comes to whoever has the most evidence against it and goes on', () => {
    const detector = detectorFor({ ...STRICT, block: { mode: 'publish', max_new_per_hour: 1 } });
    let sequence = 0;
    const see = (host: string, at: number) => {
      detector.observe(batchOf([conversation(host, '192.0.2.1', at, sequence)]), {
        partition: 0,
        offset: sequence++,
      });
    };
    for (let n = 0; n < 2; n++) see('10.0.0.1', n);
    for (let n = 0; n < 2; n++) see('10.0.0.2', 10 + n);
    for (let n = 0; n < 40; n++) see('10.0.0.3', 20 + n);
    const later = HOUR + MINUTE;
    see('10.0.0.3', later - 3 * MINUTE);
    see('10.0.0.2', later);
    expect(blockOf(detector, '10.0.0.2')).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('more evidence'),
    });
    see('10.0.0.3', later + 1);
    expect(blockOf(detector, '10.0.0.3')?.state).toBe('published');
    see('10.0.0.2', later + HOUR + MINUTE);
    expect(blockOf(detector, '10.0.0.2')?.state).toBe('published');
  });
});

describe('after a no to a block', () => {
  it.each(['release', 'reject'] as const)('a host that goes on is reported once a step: %s', (action) => {
    const detector = started({ ...STRICT, detection: { update_interval: '30d' } });
    detector.decide(decision(action, newest(detector), { until: new Date(T0 + 90 * HOUR).toISOString() }));
    detector.take();
    const told: [number, string | undefined][] = [];
    for (let i = 1; i <= 600; i++) {
      mails(detector, MINUTE + i * 7001);
      for (const { reasons, kind } of detector.take().alerts)
        if (kind === 'updated') told.push([2 * i, reasons.find((reason) => reason.startsWith('goes on'))]);
    }
    const did = action === 'release' ? 'released by ada until ' : 'rejected by ada: looked at it';
    expect(told).toEqual([
      [2, expect.stringContaining(`goes on: 2 sessions since it was ${did}`)],
      [100, expect.stringContaining('goes on, and is worse than before: 100 sessions since')],
      [1000, expect.stringContaining('goes on, and is worse than before: 1000 sessions since')],
    ]);
    expect(told[0][1]).toContain('looked at it');
  });

  it('is reported when its grade rises, with who decided', () => {
    const detector = started();
    detector.decide(decision('reject', newest(detector)));
    detector.take();
    for (let i = 1; i <= 60; i++) mails(detector, MINUTE + i * 1003);
    const escalated = detector.take().alerts.filter(({ kind }) => kind === 'escalated');
    expect(escalated).toMatchObject([
      { grade: 'bulk', block: { state: 'refused', reason: 'rejected by ada: looked at it' } },
    ]);
  });

  it('is not reported again for a restart', () => {
    const detector = started();
    const no = decision('reject', newest(detector));
    detector.decide(no);
    mails(detector, MINUTE);
    expect(detector.take().alerts.at(-1)?.reasons.join()).toContain('goes on: 2 sessions');
    const next = detectorFor(PROPOSE);
    next.restore(newest(detector));
    next.decide(no);
    mails(next, 2 * MINUTE);
    expect(next.take().alerts).toEqual([]);
  });
});

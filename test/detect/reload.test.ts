/** A policy that changes while the detector runs: flows before, the change, flows after; incidents and blocks out. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { detectorFor, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, replyTo, SECOND } from '../support/flows.ts';

const OTHER = '10.0.0.67';

function running(config: ConfigInput = STRICT) {
  const detector: Detector = detectorFor(config);
  const alerts: Alert[] = [];
  const newest = new Map<string, Incident>();
  let offset = 0;
  const take = () => {
    const taken = detector.take();
    alerts.push(...taken.alerts);
    for (const incident of taken.incidents) newest.set(incident.host, incident);
    return taken.alerts;
  };
  return {
    detector,
    alerts,
    of: (host: string) => newest.get(host),
    send(...flows: Flow[]) {
      for (const flow of flows) detector.observe(batchOf([flow]), { partition: 0, offset: offset++ });
      return take();
    },
    reload(input: ConfigInput) {
      const next = configSchema.parse(input);
      detector.reload({ policy: compilePolicy(next), detection: next.detection, block: next.block });
      return take();
    },
  };
}

function mail(from: string, changes: Partial<Flow> = {}): Flow[] {
  const flow: Flow = { from, to: OUTSIDE, ...changes };
  return [flow, replyTo(flow)];
}

const versionOf = (input: ConfigInput) => compilePolicy(configSchema.parse(input)).version;
const allowing = (hosts: string[], to?: string[]): ConfigInput => ({
  ...STRICT,
  senders: [
    { name: 'mail', hosts: [MAIL_SERVER] },
    { name: 'late', hosts, ...(to !== undefined && { to }) },
  ],
});

describe('a policy that changes while the detector runs', () => {
  it('closes the incident of a host that may send now and lifts its block at once, under the new version', () => {
    const { send, reload, of, detector } = running();
    send(...mail(ROGUE), ...mail(OTHER));
    expect(of(ROGUE)?.block.state).toBe('published');
    const alerts = reload(allowing([ROGUE]));
    expect(alerts).toMatchObject([
      {
        kind: 'closed',
        host: ROGUE,
        policy_version: versionOf(allowing([ROGUE])),
        block: { state: 'refused', reason: expect.stringContaining('configured sender') },
        reasons: expect.arrayContaining([`${ROGUE} is the authorised sender "late"`]),
      },
    ]);
    expect(of(ROGUE)).toMatchObject({ state: 'closed', block: { state: 'refused' } });
    expect(detector.counters.open.conversed).toBe(1);
    expect(detector.counters.blocks).toMatchObject({ published: 1, refused: 1 });
    expect(send(...mail(ROGUE, { fromPort: 5, at: SECOND }))).toEqual([]);
    expect(send(...mail(OTHER, { fromPort: 5, at: SECOND }))).toEqual([]);
    expect(of(OTHER)?.block.state).toBe('published');
  });

  it('keeps the incident and the block of a host that may send elsewhere only', () => {
    const { send, reload, of } = running();
    send(...mail(ROGUE));
    expect(reload(allowing([ROGUE], ['203.0.113.0/24']))).toEqual([]);
    expect(of(ROGUE)).toMatchObject({ state: 'open', block: { state: 'published' } });
    expect(of(ROGUE)?.reasons[0]).toContain('"late"');
    expect(reload(allowing([ROGUE], ['198.51.100.0/24']))).toMatchObject([{ kind: 'closed', host: ROGUE }]);
  });

  it('opens an incident for a host that may no longer send, with its next record', () => {
    const { send, reload } = running(allowing([ROGUE]));
    expect(send(...mail(ROGUE))).toEqual([]);
    expect(reload(STRICT)).toEqual([]);
    expect(send(...mail(ROGUE, { at: SECOND })).map(({ kind }) => kind)).toEqual(['opened', 'updated']);
  });

  it('closes what is no internal host any more', () => {
    const { send, reload, of } = running();
    send(...mail(ROGUE));
    reload({ ...STRICT, networks: { internal: ['192.168.0.0/16'] } });
    expect(of(ROGUE)).toMatchObject({ state: 'closed', block: { state: 'refused' } });
    expect(of(ROGUE)?.block.reason).toContain('no internal host');
  });

  it('takes back blocks that the mode, the never-block list or the grade of now would not give', () => {
    for (const block of [
      { mode: 'observe' as const },
      { mode: 'publish' as const, never: [ROGUE] },
      { mode: 'publish' as const, grade: 'bulk' as const },
    ]) {
      const { send, reload, of, detector } = running();
      send(...mail(ROGUE));
      expect(reload({ ...STRICT, block })).toMatchObject([{ kind: 'updated', host: ROGUE }]);
      expect(of(ROGUE)?.state).toBe('open');
      expect(['observed', 'refused', 'none']).toContain(of(ROGUE)?.block.state);
      expect(detector.counters.blocks.published).toBe(0);
    }
  });

  it('blocks what was only observed once the mode says so, but not what was quiet for longer than a block lasts', () => {
    const observing: ConfigInput = { ...STRICT, block: { mode: 'observe', ttl: '1h' } };
    const publishing: ConfigInput = { ...STRICT, block: { mode: 'publish', ttl: '1h' } };
    const { send, reload, of } = running(observing);
    send(...mail(ROGUE), ...mail(OTHER, { at: 2 * HOUR }));
    expect(of(ROGUE)?.block.state).toBe('observed');
    expect(reload(publishing)).toMatchObject([
      { kind: 'updated', host: OTHER, block: { state: 'published' } },
    ]);
    expect(of(ROGUE)?.block.state).toBe('observed');
    send(...mail(ROGUE, { at: 2 * HOUR + SECOND, fromPort: 7 }));
    expect(of(ROGUE)?.block.state).toBe('published');
  });

  it('judges later records by the thresholds of now, also where a window holds other numbers of sessions', () => {
    const small = (sessions: number): ConfigInput => ({
      ...STRICT,
      detection: { bulk: { sessions, destinations: 1000 } },
    });
    const { send, reload, of } = running(small(50));
    const sessions = (from: number, to: number) =>
      Array.from(
        { length: to - from },
        (_, i): Flow => ({
          from: ROGUE,
          to: OUTSIDE,
          fromPort: 1000 + from + i,
          at: (from + i) * SECOND,
        }),
      );
    send(...sessions(0, 40));
    expect(of(ROGUE)?.grade).toBe('conversed');
    reload(small(20));
    send(...sessions(40, 41));
    expect(of(ROGUE)?.grade).toBe('bulk');
  });

  it('begins no block while a list that is used is missing, and takes none back for it', () => {
    const { send, reload, of, detector } = running();
    send(...mail(ROGUE));
    const next = { ...configSchema.parse(STRICT), missingLists: ['provider'] };
    detector.reload({ policy: compilePolicy(next), detection: next.detection, block: next.block });
    send(...mail(OTHER));
    expect(of(ROGUE)?.block.state).toBe('published');
    expect(of(OTHER)?.block).toMatchObject({ state: 'none', reason: expect.stringContaining('"provider"') });
    reload(STRICT);
    send(...mail(OTHER));
    expect(of(OTHER)?.block.state).toBe('published');
  });

  it('says nothing when nothing changes, and nothing twice', () => {
    const { send, reload } = running();
    send(...mail(ROGUE));
    expect(reload(STRICT)).toEqual([]);
    expect(reload(allowing([ROGUE]))).toHaveLength(1);
    expect(reload(allowing([ROGUE]))).toEqual([]);
  });
});

/** Who is probably a mail server that nobody declared: its block waits for a person, whatever grade it has. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createDetector } from '../../src/detect/detector.ts';
import { sightOfOne } from '../../src/detect/detector-state.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { decision, detect, MAIL_SERVER, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, MINUTE, replyTo, SECOND } from '../support/flows.ts';

/** Conversations of a host with as many servers outside. */
function mails(from: string, count: number, fields: Partial<Flow> = {}): Flow[] {
  return Array.from({ length: count }, (_, i) => ({
    from,
    to: from.includes(':') ? `2001:db8:ffff::${i + 1}` : `198.51.100.${i + 1}`,
    fromPort: 41_000 + 7 * i,
    flags: 'SPAF',
    packets: 16,
    bytes: 6200 + i,
    at: 10 * SECOND * (i + 1),
    ...fields,
  }));
}

/** A session that comes in from outside, and the server's answer. */
function delivery(to: string, source: string, fields: Partial<Flow> = {}): [Flow, Flow] {
  const flow: Flow = {
    from: source,
    to,
    fromPort: 50_000,
    flags: 'SPAF',
    packets: 16,
    bytes: 6200,
    ...fields,
  };
  return [flow, replyTo(flow, { flags: 'SPAF', packets: 14, bytes: 1500 })];
}

const greeting = (to: string, source: string, fields: Partial<Flow> = {}): [Flow, Flow] =>
  delivery(to, source, { packets: 6, bytes: 330, ...fields });

const stateOf = (flows: readonly Flow[], config: ConfigInput = STRICT, host = ROGUE) => {
  const { of, alerts } = detect(flows, { config });
  const held = alerts.filter((alert) => alert.host === host && alert.block.state === 'held');
  return { block: of(host)?.block, held: held.length, grade: of(host)?.grade };
};

const HELD = {
  block: { state: 'held', reason: expect.stringMatching(/^probable mail server/), since: null },
  held: 1,
};

describe('a host that takes mail', () => {
  it('from outside is held, with one alert, however much it sends', () => {
    const verdict = stateOf([...delivery(ROGUE, '203.0.113.9'), ...mails(ROGUE, 40)]);
    expect(verdict).toMatchObject({ ...HELD, grade: 'bulk' });
    expect(verdict.block?.reason).toContain('takes mail from outside');
    expect(verdict.block?.reason).toMatch(/approve the block, or declare the host in senders$/);
  });

  it('is unblocked when that shows only later', () => {
    const { of, alerts } = detect([
      ...mails(ROGUE, 5),
      ...delivery(ROGUE, '203.0.113.9', { at: 70 * SECOND }),
    ]);
    expect(alerts.map(({ block }) => block.state)).toEqual(['none', 'published', 'held']);
    expect(of(ROGUE)?.block).toMatchObject({ state: 'held', since: null, until: null });
  });

  it.each<[string, (source: string, i: number) => Flow[]]>([
    ['both halves', (source, i) => greeting(ROGUE, source, { fromPort: 50_000 + i })],
    ['the replies only', (source, i) => [greeting(ROGUE, source, { fromPort: 50_000 + i })[1]]],
    ['what comes in only', (source, i) => [greeting(ROGUE, source, { fromPort: 50_000 + i })[0]]],
    [
      'no TCP flags',
      (source, i) => greeting(ROGUE, source, { fromPort: 50_000 + i, flags: null, bytes: 900 }).slice(0, 1),
    ],
  ])('of which two hosts outside get a greeting is held: %s', (_, flows) => {
    const sources = ['203.0.113.9', '203.0.113.10'].flatMap(flows);
    expect(stateOf([...sources, ...mails(ROGUE, 5)])).toMatchObject(HELD);
  });

  it('of which one host outside gets greetings again and again is held', () => {
    const sessions = [1, 2, 3].flatMap((i) => greeting(ROGUE, '203.0.113.9', { fromPort: 50_000 + i }));
    expect(stateOf([...sessions, ...mails(ROGUE, 5)])).toMatchObject(HELD);
    expect(stateOf([...sessions.slice(0, 2), ...mails(ROGUE, 5)]).block?.state).toBe('published');
  });

  it.each<[string, Partial<Flow>, Partial<Flow>]>([
    ['refuses', { flags: 'S', packets: 1, bytes: 60 }, { flags: 'RA', packets: 1, bytes: 40 }],
    ['is only scanned', { flags: 'S', packets: 3, bytes: 180 }, { flags: 'SA', packets: 1, bytes: 44 }],
    [
      'is behind a firewall that denies it',
      { flags: 'S', packets: 20, bytes: 6000, forwarding: 128 },
      { flags: 'RA', packets: 1, bytes: 40 },
    ],
  ])('is no such host when it %s', (_, forward, reply) => {
    const knocks = Array.from({ length: 30 }, (_, i) => {
      const [flow] = delivery(ROGUE, `203.0.113.${i + 1}`, { fromPort: 50_000 + i, ...forward });
      return [flow, replyTo(flow, reply)];
    }).flat();
    expect(stateOf([...knocks, ...mails(ROGUE, 5)]).block?.state).toBe('published');
  });

  it('from a declared sender is held: a node behind the declared address', () => {
    const handed = delivery(ROGUE, MAIL_SERVER, { fromPort: 50_001 });
    expect(stateOf([...handed, ...mails(ROGUE, 5)])).toMatchObject(HELD);
  });

  it('from three internal hosts is held; probes of one monitor do not count', () => {
    const clients = ['10.0.1.1', '10.0.1.2', '10.0.1.3'].flatMap((client) => delivery(ROGUE, client));
    expect(stateOf([...clients, ...mails(ROGUE, 5)])).toMatchObject(HELD);
    const probes = Array.from({ length: 20 }, (_, i) =>
      greeting(ROGUE, '10.0.1.9', { fromPort: 50_000 + i }),
    );
    expect(stateOf([...probes.flat(), ...mails(ROGUE, 5)]).block?.state).toBe('published');
  });

  it.each(['observe', 'propose'] as const)('is held in mode %s, too', (mode) => {
    const config = { ...STRICT, block: { mode } };
    expect(stateOf([...delivery(ROGUE, '203.0.113.9'), ...mails(ROGUE, 5)], config)).toMatchObject(HELD);
  });

  it('is blocked when a person approves it, and not held again', () => {
    const { detector, of } = detect([...delivery(ROGUE, '203.0.113.9'), ...mails(ROGUE, 5)]);
    const incident = of(ROGUE);
    if (incident === undefined) throw new Error('no incident');
    detector.decide(decision('approve', incident));
    const more = batchOf([
      ...delivery(ROGUE, '203.0.113.77', { at: 2 * MINUTE }),
      ...mails(ROGUE, 2, { at: 2 * MINUTE }),
    ]);
    detector.observe(more, { partition: 0, offset: 99 });
    expect(detector.openIncidents()[0].block).toMatchObject({ state: 'published', approved_by: 'ada' });
  });

  it('stays held after a restart that has lost what it took', () => {
    const { detector, of } = detect([...delivery(ROGUE, '203.0.113.9'), ...mails(ROGUE, 5)]);
    const incident = of(ROGUE);
    if (incident === undefined) throw new Error('no incident');
    for (const servers of [[], detector.mailServers()]) {
      const config = configSchema.parse(STRICT);
      const next = createDetector({ policy: compilePolicy(config), ...config });
      next.restoreMailServers(servers);
      next.restore(incident);
      next.observe(batchOf(mails(ROGUE, 9, { at: 20 * MINUTE })), { partition: 0, offset: 100 });
      expect(next.openIncidents()[0].block.state).toBe('held');
    }
  });

  it('is known after a restart although it had no incident yet', () => {
    const config = configSchema.parse(STRICT);
    const options = { policy: compilePolicy(config), ...config };
    const { detector } = detect(delivery(ROGUE, '203.0.113.9'));
    const next = createDetector(options);
    next.restoreMailServers(JSON.parse(JSON.stringify(detector.mailServers())));
    next.observe(batchOf(mails(ROGUE, 5)), { partition: 0, offset: 0 });
    expect(next.openIncidents()[0].block.state).toBe('held');
  });
});

describe('an address of a declared sender', () => {
  const v6: ConfigInput = {
    ...STRICT,
    senders: [{ name: 'mail', hosts: ['2001:db8:1:5::25'] }],
  };

  it('in the /64 of the declared one is held', () => {
    const other = '2001:db8:1:5:a1b2:c3d4:e5f6:1';
    expect(stateOf(mails(other, 30), v6, other)).toMatchObject(HELD);
    expect(stateOf([...mails('2001:db8:1:5::25', 9), ...mails(other, 30)], v6, other)).toMatchObject(HELD);
  });

  it('is not assumed in another /64, nor in one that many hosts share', () => {
    const elsewhere = '2001:db8:1:6::77';
    expect(stateOf(mails(elsewhere, 30), v6, elsewhere).block?.state).toBe('published');
    const others = [1, 2, 3].flatMap((i) => mails(`2001:db8:1:5::a${i}`, 2, { bytes: 5000 }));
    const bot = '2001:db8:1:5::bad';
    const flows = [...mails('2001:db8:1:5::25', 2), ...others, ...mails(bot, 30, { bytes: 5000 })];
    expect(stateOf(flows, v6, bot).block?.state).toBe('published');
  });

  it('in a /64 that is declared as a network of its own is another host', () => {
    const lan: ConfigInput = { ...v6, networks: { internal: ['10.0.0.0/8', '2001:db8:1:5::/64'] } };
    const bot = '2001:db8:1:5::bad';
    expect(stateOf(mails(bot, 30), lan, bot).block?.state).toBe('published');
  });

  const natted: ConfigInput = {
    ...STRICT,
    networks: { internal: ['10.0.0.0/8', '192.0.2.0/24'] },
  };
  const NAT = '192.0.2.1';

  it.each([0, 1000])('is seen by its sessions on the other side of NAT, ports moved by %i', (moved) => {
    const inside = mails(MAIL_SERVER, 8);
    const outside = inside.map(
      (flow): Flow => ({
        ...flow,
        from: NAT,
        fromPort: (flow.fromPort ?? 0) + moved,
        exporter: '192.0.2.254',
        at: (flow.at ?? 0) + 2 * SECOND,
      }),
    );
    const after = inside.flatMap((flow, i) => [flow, outside[i]]);
    expect(stateOf(after, natted, NAT)).toMatchObject(HELD);
    const before = inside.flatMap((flow, i) => [outside[i], flow]);
    expect(stateOf(before, natted, NAT).block?.state).toBe('held');
  });

  it('is told by post-NAT fields', () => {
    const translated = mails(MAIL_SERVER, 3, { natFrom: [NAT, 50_000] });
    expect(stateOf([...translated, ...mails(NAT, 9, { fromPort: 60_001 })], natted, NAT)).toMatchObject(HELD);
  });

  it('is assumed where all senders are private, and none was seen', () => {
    expect(stateOf(mails(NAT, 9), natted, NAT)).toMatchObject(HELD);
    const seen = [...mails(MAIL_SERVER, 2, { to: '198.51.100.250' }), ...mails(NAT, 9)];
    expect(stateOf(seen, natted, NAT).block?.state).toBe('published');
  });

  it('is not assumed of a bot that mails the same servers', () => {
    const flows = mails(MAIL_SERVER, 20).flatMap((flow, i) => [
      flow,
      { ...flow, from: ROGUE, fromPort: 30_000 + i, bytes: 3000 + 11 * i },
    ]);
    expect(stateOf(flows).block?.state).toBe('published');
    // As synthetic traffic does, and worms with one text: the same counts, seen at the same interface.
    const alike = mails(MAIL_SERVER, 20).flatMap((flow) => [flow, { ...flow, from: ROGUE }]);
    expect(stateOf(alike).block?.state).toBe('published');
  });
});

describe('a network in which no declared sender was ever seen', () => {
  const live = () => {
    const config = configSchema.parse(STRICT);
    const sight = { ...sightOfOne(), mustSeeSender: () => true };
    return createDetector({ policy: compilePolicy(config), ...config }, sight);
  };

  it('publishes nothing yet, says why, and catches up when one is seen', () => {
    const detector = live();
    detector.observe(batchOf(mails(ROGUE, 30)), { partition: 0, offset: 0 });
    expect(detector.openIncidents()[0].block).toMatchObject({
      state: 'held',
      reason: expect.stringMatching(/^no declared sender was seen sending yet: senders may name the wrong/),
    });
    detector.observe(batchOf(mails(MAIL_SERVER, 1, { at: 6 * MINUTE })), { partition: 0, offset: 1 });
    expect(detector.openIncidents()[0].block.state).toBe('published');
    expect(detector.take().alerts.map(({ kind, block }) => [kind, block.state])).toEqual([
      ['opened', 'none'],
      ['updated', 'held'],
      ['escalated', 'held'],
      ['updated', 'published'],
    ]);
  });

  it('counts mail to the declared sender as a sign of it', () => {
    const detector = live();
    const flows = [...delivery(MAIL_SERVER, '203.0.113.9'), ...mails(ROGUE, 5)];
    detector.observe(batchOf(flows), { partition: 0, offset: 0 });
    expect(detector.openIncidents()[0].block.state).toBe('published');
  });

  it('in a file takes back blocks once a mail server is found that nobody declared', () => {
    const real = '10.0.0.52';
    const { of } = detect([
      ...mails(ROGUE, 5),
      ...delivery(real, '203.0.113.9', { at: 70 * SECOND }),
      ...mails(real, 5, { at: 80 * SECOND }),
    ]);
    expect(of(real)?.block.reason).toMatch(/^probable mail server/);
    expect(of(ROGUE)?.block).toMatchObject({
      state: 'held',
      reason: expect.stringContaining('a mail server was found that nobody declared'),
    });
  });
});

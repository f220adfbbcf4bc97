/**
 * The cases that the naive rule "TCP destination port 25, source is internal and not the mail server" gets wrong, each by
 * its name: flow records in, incidents and block decisions out. What each needs beyond the core is tested where it lives.
 */

import { describe, expect, it } from 'vitest';
import { createExporterAccess } from '../../src/collect/exporter-access.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createCoverageWatch } from '../../src/detect/coverage.ts';
import { inboundFindings, surgeFindings } from '../../src/detect/findings.ts';
import { detect, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { type Flow, HOUR, MINUTE, replyTo, SECOND, sequenced, T0 } from '../support/flows.ts';

const DAY = 24 * HOUR;

function mail(changes: Partial<Flow> = {}): Flow[] {
  const flow: Flow = { from: ROGUE, to: OUTSIDE, ...changes };
  return [flow, replyTo(flow)];
}
/** Enough for a block: two records in two datagrams. */
const twice = (changes: Partial<Flow> = {}): Flow[] => [
  ...mail(changes),
  ...mail({ ...changes, fromPort: 41_000, at: (changes.at ?? 0) + SECOND }),
];
const block = (flows: readonly Flow[], config: ConfigInput = STRICT, host = ROGUE) =>
  detect(flows, { config, upTo: DAY / 2 }).of(host)?.block;
const nothing = (flows: readonly Flow[], config: ConfigInput = STRICT) =>
  expect(detect(flows, { config, upTo: HOUR }).incidents).toEqual([]);

describe('a case that the naive rule gets wrong', () => {
  it('is no case without a difference: the plain offender is blocked', () => {
    expect(block(twice())?.state).toBe('published');
  });

  it('protocol not tested: v5 puts ICMP type and code into the destination port', () => {
    nothing(twice({ protocol: 1 }));
    nothing(twice({ fragmentOffset: 1480 }));
  });

  it('reply direction, or an exporter that flips client and server', () => {
    nothing([{ from: ROGUE, to: OUTSIDE, fromPort: 25, toPort: 40_000 }]);
    const both: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 25, flags: 'PA' };
    nothing([both]);
    expect(detect([{ ...both, flags: 'S' }, both]).of(ROGUE)?.sessions).toBe(1);
  });

  it('only the reply half is exported', () => {
    const { of } = detect(
      [1, 2, 3].map((n) => replyTo({ from: ROGUE, to: OUTSIDE, fromPort: n })),
      { upTo: HOUR },
    );
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', flags: ['half_seen'], block: { state: 'none' } });
  });

  it('SYN only, SYN and RST, port scans', () => {
    const syn: Flow = { from: ROGUE, to: OUTSIDE, flags: 'S', packets: 1, bytes: 60 };
    expect(detect([syn, { ...syn, flags: 'SR' }]).of(ROGUE)).toMatchObject({
      grade: 'attempted',
      block: { state: 'none' },
    });
    expect(detect([{ ...syn, flags: 'SA', packets: 4 }]).of(ROGUE)?.grade).toBe('connected');
  });

  it('tcp_flags absent or 0', () => {
    for (const flags of [null, ''])
      expect(detect(mail({ flags })).of(ROGUE)).toMatchObject({
        grade: 'conversed',
        flags: ['flags_unknown'],
      });
  });

  it('backscatter', () => {
    const stray: Flow = {
      from: OUTSIDE,
      to: ROGUE,
      fromPort: 25,
      toPort: 31_337,
      flags: 'SA',
      packets: 3,
      bytes: 180,
    };
    nothing([stray, { ...stray, at: SECOND }]);
  });

  it('spoofed internal source seen arriving from outside', () => {
    const interfaces = [{ exporters: ['192.0.2.1'], outside: [7] }];
    nothing([{ from: ROGUE, to: OUTSIDE, inIf: 7 }], {
      ...STRICT,
      networks: { internal: ['10.0.0.0/8'], interfaces },
    });
  });

  it('inbound mail', () => {
    nothing([...mail({ from: OUTSIDE, to: MAIL_SERVER }), ...mail({ from: OUTSIDE, to: ROGUE })]);
    const { detection } = configSchema.parse({ detection: { inbound: { alert: true } } });
    const told = inboundFindings(
      [MAIL_SERVER, ROGUE].map((host) => ({ host, site: '', sessions: 9, sources: 5, firstMs: T0 })),
      detection.inbound,
      (host) => host === MAIL_SERVER,
      { policyVersion: '', nowMs: T0 },
    );
    expect(told).toMatchObject([
      { host: ROGUE, finding: { type: 'open_relay_candidate' }, block: { state: 'none' } },
    ]);
  });

  it('sampled export', () => {
    const { of } = detect([{ from: ROGUE, to: OUTSIDE, flags: 'A', packets: 1, bytes: 52, sampling: 1000 }]);
    expect(of(ROGUE)).toMatchObject({
      grade: 'connected',
      packets: 1,
      flags: ['sampled'],
      block: { state: 'none' },
    });
  });

  it('sampled or one-packet flows have duration 0', () => {
    const { of } = detect([
      { from: ROGUE, to: OUTSIDE, packets: 1, bytes: 1500, sampling: 100, startAt: 0, endAt: 0 },
    ]);
    expect(JSON.stringify(of(ROGUE))).not.toMatch(/NaN|Infinity|:null,"bytes"/);
    expect(of(ROGUE)?.grade).toBe('connected');
  });

  it('active timeout: one long session is many records', () => {
    const parts = [0, 1, 2, 3].map(
      (i): Flow => ({ from: ROGUE, to: OUTSIDE, packets: 4, bytes: 1200, at: i * MINUTE }),
    );
    expect(detect(parts).of(ROGUE)).toMatchObject({ sessions: 1, packets: 16, grade: 'conversed' });
  });

  it('several routers, or ingress and egress export, see the same flow', () => {
    const views = ['192.0.2.1', '192.0.2.2'].map(
      (exporter): Flow => ({ from: ROGUE, to: OUTSIDE, exporter, direction: 0 }),
    );
    const { of } = detect([...views, { ...views[0], direction: 1 }]);
    expect(of(ROGUE)).toMatchObject({ sessions: 1, packets: 20 });
    expect(new Set(of(ROGUE)?.exporters.map(({ address }) => address)).size).toBe(2);
  });

  it('stream redelivery', () => {
    const flows = sequenced(twice());
    expect(detect([...flows, ...flows]).alerts).toEqual(detect(flows).alerts);
  });

  it('NAT or CGNAT in front of the exporter', () => {
    const networks = { internal: ['10.0.0.0/8'], nat: [ROGUE] };
    expect(block(twice(), { ...STRICT, networks })).toMatchObject({ state: 'refused' });
    expect(
      detect(twice({ natFrom: ['10.0.0.99', 1] }), { config: { ...STRICT, networks } }).of('10.0.0.99'),
    ).toBeDefined();
  });

  it('overlapping address space in VRFs', () => {
    const sites = [
      { name: 'north', vrf: 1 },
      { name: 'south', vrf: 2 },
    ];
    const { incidents } = detect([...mail({ vrf: 1 }), ...mail({ vrf: 2 })], {
      config: { ...STRICT, networks: { internal: ['10.0.0.0/8'], sites } },
    });
    expect(incidents.map(({ site }) => site)).toEqual(['north', 'south']);
  });

  it('smarthosts', () => {
    const config = {
      ...STRICT,
      senders: [
        { name: 'mail', hosts: [MAIL_SERVER] },
        { name: 'app', hosts: [ROGUE], to: [OUTSIDE] },
      ],
    };
    nothing(twice(), config);
    // Its lists permit the smarthost before they deny the rest.
    expect(block(twice({ to: '203.0.113.9' }), config)?.state).toBe('published');
  });

  it('an authorised mail server is itself abused', () => {
    nothing(
      Array.from({ length: 300 }, (_, i) =>
        mail({ from: MAIL_SERVER, to: `198.51.100.${i % 250}`, fromPort: i + 1 }),
      ).flat(),
    );
    const { detection } = configSchema.parse({ detection: { baseline: { alert: true } } });
    const hour = (n: number, destinations: number) => ({
      host: MAIL_SERVER,
      site: '',
      hourMs: T0 + n * HOUR,
      destinations,
    });
    const past = Array.from({ length: 48 }, (_, n) => hour(n, 5));
    const told = surgeFindings([...past, hour(50, 400)], detection.baseline, {
      policyVersion: '',
      nowMs: T0 + 50 * HOUR,
    });
    expect(told).toMatchObject([
      { host: MAIL_SERVER, finding: { type: 'destination_surge' }, block: { state: 'none' } },
    ]);
  });

  it('internal to internal port 25', () => {
    nothing(twice({ to: '10.0.0.99' }));
    const config = { ...STRICT, detection: { internal: { alert: true } } };
    expect(block(twice({ to: '10.0.0.99' }), config)?.state).toBe('none');
    nothing(twice({ to: MAIL_SERVER }), config);
  });

  it('monitoring probes, scanners, printers', () => {
    const senders = [
      { name: 'mail', hosts: [MAIL_SERVER] },
      { name: 'probe', hosts: [ROGUE], owner: 'network team', reason: 'checks the relay of the provider' },
    ];
    nothing(twice(), { ...STRICT, senders });
  });

  it('submission ports 465, 587, 2525', () => {
    for (const toPort of [465, 587, 2525]) {
      nothing(twice({ toPort }));
      const config = { ...STRICT, detection: { submission: { alert: true, servers: 1 } } };
      expect(block(twice({ toPort }), config)?.state).toBe('none');
    }
  });

  it('IPv6 privacy addresses', () => {
    const flows = [1, 2].flatMap((n) => twice({ from: `2001:db8:1::${n}`, to: '2001:db8:ffff::25' }));
    expect(detect(flows).incidents).toHaveLength(2);
    const { incidents } = detect(flows, { config: { ...STRICT, detection: { ipv6_group: 64 } } });
    expect(incidents.map(({ host, members }) => [host, members?.length])).toEqual([['2001:db8:1::/64', 2]]);
  });

  it('DHCP churn', () => {
    const config: ConfigInput = { ...STRICT, block: { mode: 'publish', ttl: '24h', lease: '2h' } };
    expect(detect(twice(), { config, upTo: 3 * HOUR }).of(ROGUE)?.block.state).toBe('expired');
    expect(detect([...twice(), ...twice({ at: 4 * HOUR })], { config }).of(ROGUE)?.block.state).toBe(
      'published',
    );
  });

  it('the router already denied it', () => {
    const denied = twice({ forwarding: 0x80, flags: 'S', packets: 3, bytes: 180 }).filter(
      ({ from }) => from === ROGUE,
    );
    expect(detect(denied).of(ROGUE)).toMatchObject({
      flags: expect.arrayContaining(['denied']),
      destinations: { count: 0 },
      block: { state: 'none' },
    });
  });

  it('biflow', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, sequence: 5 };
    const { of } = detect([flow, replyTo(flow, { sequence: 5, record: 1, reverse: true })]);
    expect(of(ROGUE)).toMatchObject({ sessions: 1, flags: [], missing: [] });
  });

  it('clock skew; sysUptime rollover after 49.7 days', () => {
    const skewed = twice({ startAt: 50 * DAY, endAt: 50 * DAY + SECOND });
    const { of } = detect(skewed);
    expect(of(ROGUE)).toMatchObject({
      first_seen: new Date(T0).toISOString(),
      block: { state: 'published' },
    });
  });

  it('a record decoded with the wrong template', () => {
    const { incidents, detector } = detect([{ from: ROGUE, to: OUTSIDE, packets: 1, bytes: 2 ** 40 }]);
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored.implausible).toBe(1);
    expect(block([{ from: ROGUE, to: OUTSIDE }])?.state).toBe('none');
  });

  it('forged NetFlow', () => {
    const oneDatagram = [0, 1, 2, 3].map(
      (record): Flow => ({ from: ROGUE, to: OUTSIDE, fromPort: record + 1, sequence: 1, record }),
    );
    expect(block(oneDatagram)?.state).toBe('none');
    const hosts = Array.from({ length: 60 }, (_, i) => twice({ from: `10.0.1.${i}` })).flat();
    const published = detect(hosts).incidents.filter(({ block: { state } }) => state === 'published');
    expect(published).toHaveLength(50);
    expect(block(twice(), { ...STRICT, block: { mode: 'propose' } })?.state).toBe('proposed');
    const { exporters } = configSchema.parse({ collector: { exporters: ['192.0.2.1'] } }).collector;
    const access = createExporterAccess(exporters);
    expect(access.admit('203.0.113.1')).toBeNull();
  });

  it('a collector outage reads as clean', () => {
    const { coverage } = configSchema.parse({});
    const watch = createCoverageWatch({ config: coverage, policyVersion: '', startedAtMs: T0, expected: [] });
    const exporter = { address: '192.0.2.1', domain: 0, lastSeenMs: T0, lost: 0, received: 9 };
    const at = (ms: number) =>
      watch.observe(T0 + ms, {
        exporters: [exporter],
        kernelDrops: 0,
        datagrams: 9,
        spoolDropped: { flows: 0, mail: 0 },
      });
    at(MINUTE);
    expect(at(HOUR)).toMatchObject([{ kind: 'coverage', coverage: { cause: 'exporter_silent' } }]);
  });

  it('flow counts taken for mail counts', () => {
    const incident = detect(twice()).of(ROGUE);
    expect(incident?.reasons.join()).toContain('2 sessions');
    expect(JSON.stringify([incident?.reasons, Object.keys(incident ?? {})])).not.toMatch(/mails|messages/);
  });

  it('the block expires and the host goes on', () => {
    const config: ConfigInput = {
      ...STRICT,
      block: { mode: 'publish', ttl: '1h' },
      detection: { quiet: '4h' },
    };
    const syn: Flow = { from: ROGUE, to: OUTSIDE, flags: 'S', packets: 1, bytes: 60 };
    const goesOn = detect([...twice(), { ...syn, at: 3 * HOUR }], { config, upTo: 6 * HOUR });
    expect(goesOn.of(ROGUE)).toMatchObject({ state: 'open', block: { state: 'expired' } });
    const back = detect([...twice(), ...twice({ at: 10 * HOUR })], { config });
    expect(back.of(ROGUE)).toMatchObject({ recurrence: 1, block: { until: '2026-03-01T22:00:00.000Z' } });
  });
});

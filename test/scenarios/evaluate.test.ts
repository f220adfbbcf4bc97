/** A small part of `npm run evaluate`, so that what it promises is broken by no commit. */

import { describe, expect, it } from 'vitest';
import type { ExportFormat } from './generate/router.ts';
import { createTraffic, type Scenario } from './generate/traffic.ts';
import { runScenario } from './run-scenario.ts';

const SMALL: Scenario = {
  name: 'small',
  hosts: 40,
  hours: 1.5,
  mix: {
    mail_server: 1,
    backup_mx: 1,
    smarthost: 1,
    app_server: 2,
    printer: 2,
    monitor: 1,
    unlisted_probe: 2,
    stray: 2,
    open_service: 1,
    spoofed: 2,
    syn_scanner: 1,
    banner_scanner: 1,
    steady_bot: 1,
    slow_bot: 1,
    snowshoe_bot: 2,
    refused_bot: 1,
    abused_device: 1,
    smarthost_bot: 1,
  },
  routers: [{ format: 'v9' }],
  routing: 'all',
  activeTimeoutMs: 60_000,
  clientPauseMs: 3_600_000,
};

const SEED = 7;

/** The same network behind other routers. */
const behind = (changes: Partial<Scenario>): Scenario => ({ ...SMALL, ...changes });

const isProvable = (name: string) => !name.includes('refused_bot');

/** A rogue host for each delivering case of the mail lab, and a probe for each innocent one. */
const LAB: Scenario = {
  ...SMALL,
  name: 'lab',
  hosts: 400,
  hours: 1,
  mix: { mail_server: 1, monitor: 1, printer: 1, unlisted_probe: 204, steady_bot: 138 },
};
/** Of the hosts that deliver, as in mail-lab.test.ts: here half of them send larger mails, and many of them. */
const MISSED_AT_MOST = 0.07;

describe('labelled traffic through the whole path', () => {
  it.each<[string, Scenario]>([
    ['v5, in and out', behind({ routers: [{ format: 'v5', egress: true }] })],
    ['v9, a bot with privacy addresses', behind({ mix: { ...SMALL.mix, privacy_bot: 1 } })],
    [
      'IPFIX, active timeout of 30 minutes',
      behind({ routers: [{ format: 'ipfix' }], activeTimeoutMs: 1_800_000 }),
    ],
    ['sFlow', behind({ routers: [{ format: 'sflow' }], hours: 2 })],
    [
      'three routers, asymmetric, clocks days apart, doubled and out of order',
      behind({
        routing: 'asymmetric',
        routers: (['v9', 'ipfix', 'v5'] as const).map((format: ExportFormat, i) => ({
          format,
          skewMs: (i - 1) * 200_000_000,
          duplicates: 0.1,
          jitterMs: 400,
        })),
      }),
    ],
  ])('unsampled, every offender is found, and nobody else: %s', (_, scenario) => {
    const { verdicts } = runScenario(scenario, 1, SEED);
    const [block, alert, naive] = verdicts;
    expect(block.rogue).toBeGreaterThan(4);
    expect({ wrong: block.wrong, blocked: block.blocked }).toEqual({ wrong: [], blocked: [] });
    // Mail that is refused everywhere looks like the work of a program that verifies addresses: an alert, and no proof.
    expect(block.missed.filter(isProvable)).toEqual([]);
    expect(alert.missed).toEqual([]);
    // By the clock of the capture: the time that a batch waits.
    expect(block.delays[block.delays.length >> 1]).toBeLessThan(2);
    expect(naive.wrong.length).toBeGreaterThan(5);
  });

  it.each<[string, Partial<Scenario>]>([
    ['v9', {}],
    [
      'IPFIX, each direction by a router of its own',
      { routing: 'asymmetric', routers: [{ format: 'ipfix' }, { format: 'ipfix' }] },
    ],
  ])(
    'unsampled, no innocent case of the lab is blocked, and few that deliver are missed: %s',
    (_, changes) => {
      const { verdicts, asLab } = runScenario({ ...LAB, ...changes }, 1, SEED);
      const [block, alert] = verdicts;
      expect(asLab.innocent.cases).toBe(204);
      expect(asLab.delivering.cases).toBe(138);
      expect({ wrong: block.wrong, blocked: block.blocked }).toEqual({ wrong: [], blocked: [] });
      expect(asLab.authorised.errors).toBe(0);
      expect(alert.missed).toEqual([]);
      expect(block.missed.length, block.missed.join()).toBeLessThanOrEqual(MISSED_AT_MOST * 138);
      // Without TLS no mail is missed.
      expect(block.missed.filter((name) => !name.includes('tls'))).toEqual([]);
    },
  );

  it.each([10, 100])('at 1:%d nobody is blocked wrongly, and what the samples prove is found', (rate) => {
    const scenario = behind({ hours: 6, mix: { ...SMALL.mix, burst_bot: 4, steady_bot: 4 } });
    const [block, alert] = runScenario(scenario, rate, SEED).verdicts;
    expect({ wrong: block.wrong, blocked: block.blocked }).toEqual({ wrong: [], blocked: [] });
    for (const { found, bound } of [block, alert]) {
      expect(bound).not.toBeNull();
      if (bound === null) continue;
      expect(Math.abs(found - bound.expected)).toBeLessThan(1 + 3 * bound.deviation);
    }
    // At 1:100 six hours are too short for a proof.
    if (rate === 10) expect(block.found).toBeGreaterThan(2);
  });

  it('lost datagrams and a restarted exporter cost no more than what they carried', () => {
    const scenario = behind({ routers: [{ format: 'ipfix', loss: 0.1, restarts: [0.5] }] });
    const [block] = runScenario(scenario, 1, SEED).verdicts;
    expect({ wrong: block.wrong, blocked: block.blocked }).toEqual({ wrong: [], blocked: [] });
    const unprovable = block.missed.length - block.missed.filter(isProvable).length;
    expect(block.found + unprovable).toBeGreaterThanOrEqual(block.bound?.expected ?? Number.NaN);
  });
});

describe('the generator', () => {
  it('gives the same bytes at the same times for the same seed, and others for another', () => {
    const bytes = (seed: number) => {
      const { deliveries } = createTraffic(behind({ hours: 0.2 }), 1, seed);
      return [...deliveries].map(({ payload, receivedMs }) => `${receivedMs} ${payload.toString('hex')}`);
    };
    expect(bytes(1)).toEqual(bytes(1));
    expect(bytes(1)).not.toEqual(bytes(2));
  });

  it('delivers in the order of arrival', () => {
    const { deliveries } = createTraffic(
      behind({ hours: 0.5, routers: [{ format: 'v9', jitterMs: 900 }] }),
      1,
      1,
    );
    let before = 0;
    for (const { receivedMs } of deliveries) {
      expect(receivedMs).toBeGreaterThanOrEqual(before);
      before = receivedMs;
    }
  });

  it('samples packets: records of whole conversations become ever fewer and shorter', () => {
    const packets = (sampling: number) => {
      const { deliveries } = createTraffic(SMALL, sampling, 1);
      let sum = 0;
      for (const { records } of deliveries) for (const record of records) sum += record.packets;
      return sum;
    };
    const all = packets(1);
    expect(packets(10) / (all / 10)).toBeCloseTo(1, 1);
    expect(packets(100) / (all / 100)).toBeGreaterThan(0.8);
  });
});

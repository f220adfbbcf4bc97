/** Two sites with the same addresses: what is declared or known of a host of one says nothing of the other's. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { DOES } from '../../src/detect/expected.ts';
import { MESSAGE } from '../../src/detect/message-weight.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { checkPolicy } from '../../src/detect/policy-check.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { detect, OUTSIDE, STRICT } from '../support/detecting.ts';
import { type Flow, replyTo, SECOND } from '../support/flows.ts';

const NORTH = '192.0.2.1';
const SOUTH = '192.0.2.2';
const SITES = {
  ...STRICT.networks,
  sites: [
    { name: 'north', exporters: [NORTH] },
    { name: 'south', exporters: [SOUTH] },
  ],
};
const HOST = '10.0.0.70';
const bytes = (text: string) => parseAddress(text) ?? new Uint8Array(16);

let port = 30_000;
function mail(exporter: string, from: string, at: number, to = OUTSIDE): Flow[] {
  const flow: Flow = { exporter, from, to, fromPort: port++, at, flags: 'FSPA', packets: 20, bytes: 6000 };
  return [flow, { ...replyTo(flow), exporter, at, flags: 'FSPA', packets: 18, bytes: 1400 }];
}
const both = (from: string, to?: string) =>
  [0, 1, 2].flatMap((i) => [NORTH, SOUTH].flatMap((exporter) => mail(exporter, from, i * SECOND, to)));
const outcomes = (flows: readonly Flow[], config: ConfigInput) =>
  Object.fromEntries(
    detect(flows, { config }).incidents.map(({ host, site, block }) => [`${host}@${site}`, block.state]),
  );

describe('equal addresses of two sites', () => {
  it('are two hosts: what one is expected to do, the other is blocked for', () => {
    const config: ConfigInput = {
      ...STRICT,
      networks: SITES,
      expected: [{ name: 'alarms', hosts: [HOST], to: [OUTSIDE], does: 'send', sites: ['north'] }],
      block: { mode: 'publish', unseen_senders: 'publish' },
    };
    const found = outcomes(both(HOST), config);
    expect(found[`${HOST}@south`]).toBe('published');
    expect(found[`${HOST}@north`]).not.toBe('published');
  });

  it('differ in `expect`, and `policy check` can be asked about one of them', () => {
    const config = configSchema.parse({
      networks: SITES,
      senders: [{ name: 'mail', hosts: ['10.0.0.25'], sites: ['south'] }],
      expected: [
        { name: 'probe', hosts: [HOST], does: 'check', sites: ['north'] },
        { name: 'all', hosts: ['10.0.1.0/24'], does: 'check' },
      ],
    });
    const policy = compilePolicy(config);
    const declared = (host: string, site?: number) =>
      policy.expect(bytes(host), 0, bytes(OUTSIDE), 0, MESSAGE.greeting, 0, site).declared;
    expect([undefined, 0, 1, 2].map((site) => declared(HOST, site))).toEqual([
      DOES.check,
      DOES.nothing,
      DOES.check,
      DOES.nothing,
    ]);
    expect(declared('10.0.1.9', 2)).toBe(DOES.check);
    const outcome = (source: string, site?: string) =>
      checkPolicy(config, {
        source: bytes(source),
        destination: bytes(OUTSIDE),
        port: 25,
        nowMs: 0,
        ...(site !== undefined && { site }),
      }).outcome;
    expect([outcome('10.0.0.25', 'south'), outcome('10.0.0.25')]).toEqual(['authorised', 'authorised']);
    // Nobody may send at north, so nobody is blocked there.
    expect(outcome('10.0.0.25', 'north')).toBe('alert_only');
    expect(outcome(HOST, 'south')).toBe('offence');
  });

  it('at a site without any sender are never blocked unasked', () => {
    const found = outcomes(both('10.0.0.66'), {
      ...STRICT,
      networks: SITES,
      senders: [{ name: 'mail', hosts: ['10.0.0.25'], sites: ['south'] }],
      block: { mode: 'publish', unseen_senders: 'publish' },
    });
    expect(found).toEqual({ '10.0.0.66@north': 'refused', '10.0.0.66@south': 'published' });
  });

  it('in the IPv6 /64 of a sender of one site are held there only', () => {
    const config: ConfigInput = {
      networks: { ...SITES, internal: ['10.0.0.0/8', 'fd00:1::/48'] },
      senders: [
        { name: 'north', hosts: ['fd00:1:0:1::25'], sites: ['north'] },
        { name: 'both', hosts: ['10.0.0.25'] },
      ],
      block: { mode: 'publish', unseen_senders: 'publish' },
    };
    expect(outcomes(both('fd00:1:0:1::99', '2001:db8:9::7'), config)).toEqual({
      'fd00:1:0:1::99@north': 'held',
      'fd00:1:0:1::99@south': 'published',
    });
    const policy = compilePolicy(configSchema.parse(config));
    const near = (site: number) => policy.nearSender(bytes('fd00:1:0:1::99'), 0, 0, site)?.name;
    expect([near(1), near(2)]).toEqual(['north', undefined]);
    const two = compilePolicy(
      configSchema.parse({
        ...config,
        senders: [
          { name: 'a', hosts: ['fd00:1:0:1::25'], sites: ['north'] },
          { name: 'b', hosts: ['fd00:1:0:1::26'], sites: ['south'] },
        ],
      }),
    );
    const names = [1, 2].map((site) => two.nearSender(bytes('fd00:1:0:1::99'), 0, 0, site)?.name);
    expect(names).toEqual(['a', 'b']);
  });

  it('change the version of the policy, and name sites that exist', () => {
    const version = (sites?: string[]) =>
      compilePolicy(
        configSchema.parse({
          networks: SITES,
          expected: [{ name: 'probe', hosts: [HOST], does: 'check', ...(sites !== undefined && { sites }) }],
        }),
      ).version;
    expect(new Set([version(), version(['north']), version(['south'])]).size).toBe(3);
    expect(version(['north', 'south'])).toBe(version(['south', 'north']));
  });
});

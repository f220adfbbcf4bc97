import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { compilePolicy, PORT_CLASS } from '../../src/detect/policy.ts';
import { parseAddress } from '../../src/flow/address.ts';

const policyOf = (input: ConfigInput) => compilePolicy(configSchema.parse(input));
const bytes = (text: string) => parseAddress(text)!;
const NOW = Date.parse('2026-03-01T00:00:00Z');

function verdict(input: ConfigInput, source: string, destination = '198.51.100.1', now = NOW) {
  const { kind, sender } = policyOf(input).verdict(bytes(source), 0, bytes(destination), 0, now);
  return [kind, sender];
}

describe('a verdict on a sender', () => {
  const senders = [
    { name: 'mail', hosts: ['10.0.0.25', '2001:db8::/64'] },
    { name: 'printers', hosts: ['10.0.9.0/24'], to: ['203.0.113.5'] },
    { name: 'old', hosts: ['10.0.0.30'], until: '2026-02-01T00:00:00+01:00' },
  ];

  it.each([
    ['10.0.0.25', '198.51.100.1', 'authorised', 'mail'],
    ['2001:db8::7', '2001:db8:ffff::1', 'authorised', 'mail'],
    ['10.0.9.7', '203.0.113.5', 'authorised', 'printers'],
    ['10.0.9.7', '203.0.113.6', 'restricted', 'printers'],
    ['10.0.0.30', '198.51.100.1', 'expired', 'old'],
    ['10.0.0.26', '198.51.100.1', 'none', ''],
  ])('%s to %s is %s', (source, destination, kind, name) => {
    expect(verdict({ senders }, source, destination)).toEqual([kind, name]);
  });

  it('ends exactly at `until`, whatever its time zone', () => {
    const end = Date.parse('2026-01-31T23:00:00Z');
    expect(verdict({ senders }, '10.0.0.30', '198.51.100.1', end - 1)).toEqual(['authorised', 'old']);
    expect(verdict({ senders }, '10.0.0.30', '198.51.100.1', end)).toEqual(['expired', 'old']);
  });

  it('of several rules the one that allows most decides, also from a wider prefix', () => {
    const overlapping = [
      { name: 'host', hosts: ['10.0.0.5'], to: ['203.0.113.5'] },
      { name: 'net', hosts: ['10.0.0.0/24'], to: ['203.0.113.6'] },
      { name: 'gone', hosts: ['10.0.0.5'], until: '2020-01-01T00:00:00Z' },
    ];
    expect(verdict({ senders: overlapping }, '10.0.0.5', '203.0.113.6')).toEqual(['authorised', 'net']);
    expect(verdict({ senders: overlapping }, '10.0.0.5', '203.0.113.5')).toEqual(['authorised', 'host']);
    expect(verdict({ senders: overlapping }, '10.0.0.5', '203.0.113.7')[0]).toBe('restricted');
    expect(verdict({ senders: overlapping }, '10.0.0.6', '203.0.113.5')).toEqual(['restricted', 'net']);
  });

  it('knows who is a sender at all, as long as a rule is in force', () => {
    const policy = policyOf({ senders });
    expect(policy.isSender(bytes('10.0.9.7'), 0, NOW)).toBe(true);
    expect(policy.isSender(bytes('10.0.0.30'), 0, NOW)).toBe(false);
    expect(policy.isSender(bytes('10.0.0.99'), 0, NOW)).toBe(false);
  });
});

describe('the version of a policy', () => {
  const base: ConfigInput = {
    networks: { internal: ['10.0.0.0/8', '192.168.0.0/16'] },
    senders: [
      { name: 'a', hosts: ['10.0.0.1', '10.0.0.2'] },
      { name: 'b', hosts: ['10.0.0.3'], to: ['203.0.113.5'] },
    ],
    block: { never: ['10.0.0.9'] },
  };

  it('is short, and the same for the same rules in another order or spelling', () => {
    expect(policyOf(base).version).toMatch(/^[0-9a-f]{12}$/);
    expect(
      policyOf({
        ...base,
        networks: { internal: ['192.168.0.0/16', '10.0.0.0/8'] },
        senders: [
          { name: 'b', hosts: ['10.0.0.3/32'], to: ['203.0.113.5'], owner: 'somebody' },
          { name: 'a', hosts: ['10.0.0.2', '10.0.0.1'] },
        ],
      }).version,
    ).toBe(policyOf(base).version);
  });

  it('changes with anything that can change a verdict', () => {
    const variants: ConfigInput[] = [
      base,
      { ...base, networks: { internal: ['10.0.0.0/8'] } },
      { ...base, networks: { ...base.networks, sites: [{ name: 'x', vrf: 1 }] } },
      { ...base, senders: [] },
      { ...base, senders: [{ name: 'a', hosts: ['10.0.0.1', '10.0.0.2'], until: '2030-01-01T00:00:00Z' }] },
      { ...base, block: { never: [] } },
      { ...base, detection: { ports: [25, 2525] } },
      { ...base, detection: { submission: { alert: true } } },
    ];
    expect(new Set(variants.map((input) => policyOf(input).version)).size).toBe(variants.length);
  });
});

describe('places and ports', () => {
  it('the first site that matches names the site; no match is the unnamed one', () => {
    const policy = policyOf({
      networks: {
        sites: [
          { name: 'red', vrf: 7, exporters: ['192.0.2.0/24'] },
          { name: 'blue', vrf: 7 },
          { name: 'edge', exporters: ['192.0.2.1'] },
        ],
      },
    });
    const site = (exporter: string, vrf: number | null) =>
      policy.siteNames[policy.site(bytes(exporter), 0, vrf)];
    expect(site('192.0.2.1', 7)).toBe('red');
    expect(site('203.0.113.1', 7)).toBe('blue');
    expect(site('192.0.2.1', null)).toBe('edge');
    expect(site('203.0.113.1', 8)).toBe('');
  });

  it('submission ports count only when they are to alert, and never as mail ports', () => {
    const off = policyOf({});
    expect([off.portClass[25], off.portClass[587]]).toEqual([PORT_CLASS.mail, PORT_CLASS.none]);
    const on = policyOf({ detection: { submission: { alert: true, ports: [587, 25] } } });
    expect([on.portClass[25], on.portClass[587]]).toEqual([PORT_CLASS.mail, PORT_CLASS.submission]);
  });
});

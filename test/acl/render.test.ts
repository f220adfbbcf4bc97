import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, type AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { type Flow, holds, readAddress, readNetwork } from '../support/acl-evaluators/flow.ts';
import {
  BOUND,
  flow,
  judge,
  LISTS,
  NOW_MS,
  OFFENDERS_ONLY,
  offender,
  prefix,
  rendered,
  request,
  sender,
} from '../support/acl-requests.ts';

/** Random configurations for each property and form; `npm run acl-million` sets as many as make a million in all. */
const RUNS = Number(process.env.ACL_PROPERTY_RUNS ?? 30);
const TIMEOUT_MS = Math.max(30_000, RUNS * 300);

const FAMILIES = ['4', '6'] as const;
const FORMS = LISTS.flatMap((list) =>
  FAMILIES.flatMap((family) => [undefined, 'lan0'].map((lan) => ({ form: undefined, ...list, family, lan }))),
);
const kindsOf = (platform: AclPlatform) =>
  ACL_KINDS.filter((kind) => kind === 'offenders' || !OFFENDERS_ONLY.has(platform));
const on = (lan: string | undefined) => (lan === undefined ? {} : { interface: lan });
const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !/^[!#]/.test(line));

describe('the text for Cisco IOS', () => {
  it('is the policy as it is meant', () => {
    const senders = [
      sender(['192.0.2.100'], { owner: 'IT', reason: 'our mail server' }),
      sender(['192.0.2.64/28'], { name: 'scanners', to: ['192.0.2.100', '198.51.100.0/24'] }),
    ];
    const { text, entries } = renderAcl(request({ senders, interface: 'GigabitEthernet0/1' }));
    const name = /SMTP-POLICY-[0-9a-f]{8}/.exec(text)?.[0] ?? '';
    expect(lines(text)).toEqual([
      `ip access-list extended ${name}`,
      ' remark sender scanners',
      ' 10 permit tcp 192.0.2.64 0.0.0.15 host 192.0.2.100 eq 25',
      ' 20 permit tcp 192.0.2.64 0.0.0.15 198.51.100.0 0.0.0.255 eq 25',
      ' remark sender mail, IT, our mail server',
      ' 30 permit tcp host 192.0.2.100 any eq 25',
      ' remark mail to the authorised senders themselves',
      ' 40 permit tcp any host 192.0.2.100 eq 25',
      ' remark everyone else',
      ' 50 deny tcp any any eq 25',
      ' remark all other traffic',
      ' 60 permit ip any any',
      'interface GigabitEthernet0/1',
      ` ip access-group ${name} in`,
    ]);
    expect(entries).toBe(5);
  });

  it('is the IPv6 offenders list as it is meant, with no remark that would take a sequence number', () => {
    const { text, entries, leftOut } = renderAcl(
      request({
        kind: 'offenders',
        family: '6',
        interface: 'Vlan10',
        offenders: ['2001:db8:1::55', '192.0.2.55', '2001:db8:1::100'].map((host) => offender(host)),
      }),
    );
    const name = /SMTP-OFFENDERS6-[0-9a-f]{8}/.exec(text)?.[0] ?? '';
    expect(lines(text)).toEqual([
      `ipv6 access-list ${name}`,
      ' sequence 10 deny tcp host 2001:db8:1::55 any eq 25',
      ' sequence 20 permit ipv6 any any',
      'interface Vlan10',
      ` ipv6 traffic-filter ${name} in`,
    ]);
    expect(entries).toBe(1);
    expect(leftOut).toEqual([{ host: '2001:db8:1::100', reason: 'is the authorised sender "mail"' }]);
  });

  it('binds nothing when no interface is known, and shows where it belongs', () => {
    const { text } = renderAcl(request());
    expect(lines(text).some((line) => line.startsWith('interface'))).toBe(false);
    expect(text).toContain('! interface <LAN-FACING-INTERFACE>');
  });

  it('has a new name when, and only when, the list is another', () => {
    const name = (more: Parameters<typeof request>[0]) =>
      /SMTP-OFFENDERS-[0-9a-f]{8}/.exec(renderAcl(request({ kind: 'offenders', ...more })).text)?.[0];
    const one = [offender('192.0.2.55')];
    const later = [
      offender('192.0.2.55', {
        sessions: 900,
        grade: 'bulk',
        revision: 70,
        last_seen: '2026-03-01T11:59:00.000Z',
      }),
    ];
    expect(name({ offenders: later, nowMs: NOW_MS + 60_000 })).toBe(name({ offenders: one }));
    expect(name({ offenders: [offender('192.0.2.56')] })).not.toBe(name({ offenders: one }));
  });
});

describe('the text for Cisco ASA', () => {
  const hosts = ['192.0.2.55', '2001:db8:1::55'];
  const asa = (kind: 'policy' | 'offenders', family: '4' | '6', more: Parameters<typeof request>[0] = {}) =>
    renderAcl(
      request({
        platform: 'cisco-asa',
        interface: 'inside',
        kind,
        family,
        offenders: hosts.map((host) => offender(host)),
        ...more,
      }),
    );
  const inside = (host: string) => flow(host, { from: 'inside' });

  it.each(ACL_KINDS)(
    'of a list of %s is the same for either family, since an interface has one list',
    (kind) => {
      expect(asa(kind, '6').text).toBe(asa(kind, '4').text);
      expect(asa(kind, '6').entries).toBe(asa(kind, '4').entries);
    },
  );

  it.each(ACL_KINDS)('of a list of %s blocks both families, whichever was applied last', (kind) => {
    const verdict = judge(asa(kind, '4').text + asa(kind, '6').text, 'cisco-asa');
    for (const host of hosts) expect(verdict(inside(host))).toBe('deny');
    for (const host of ['192.0.2.100', '2001:db8:1::100']) expect(verdict(inside(host))).toBe('permit');
  });

  it('leaves the family alone for which a policy is refused, and says so', () => {
    const { text, leftOut } = asa('policy', '4', { senders: [sender(['192.0.2.100'])] });
    const verdict = judge(text, 'cisco-asa');
    expect(verdict(inside('192.0.2.55'))).toBe('deny');
    expect(verdict(inside('2001:db8:1::55'))).toBe('permit');
    expect(text).toContain('It denies nothing of IPv6');
    expect(leftOut).toEqual([
      { host: '::/0', reason: expect.stringContaining('no IPv6 sender is in force') },
    ]);
    expect(() => asa('policy', '6', { senders: [sender(['192.0.2.100'])] })).toThrow(
      /no IPv6 sender is in force/,
    );
  });

  it('names who is left out of either family, and once', () => {
    const { leftOut } = asa('offenders', '4', {
      offenders: ['192.0.2.100', '2001:db8:1::100', 'any'].map((host) => offender(host)),
    });
    expect(leftOut.map(({ host }) => host)).toEqual(['192.0.2.100', 'any', '2001:db8:1::100']);
  });
});

describe('the text for nftables', () => {
  it('is the policy as it is meant', () => {
    const { text } = renderAcl(request({ platform: 'nftables', interface: 'eth0.10' }));
    expect(lines(text).join('\n')).toBe(
      [
        'table ip rogue_smtp_policy_eth0_10',
        'delete table ip rogue_smtp_policy_eth0_10',
        'table ip rogue_smtp_policy_eth0_10 {',
        '\tchain smtp_policy {',
        '\t\tip saddr 192.0.2.100 return comment "sender mail"',
        '\t\tip daddr 192.0.2.100 return comment "mail to the authorised senders themselves"',
        '\t\tcounter reject with tcp reset comment "everyone else"',
        '\t}',
        '\tchain smtp_forward {',
        '\t\ttype filter hook forward priority filter - 5; policy accept;',
        '\t\tiifname "eth0.10" tcp dport 25 jump smtp_policy',
        '\t}',
        '}',
      ].join('\n'),
    );
  });

  it('has no empty list of elements, which nft refuses', () => {
    expect(renderAcl(request({ platform: 'nftables', kind: 'offenders' })).text).not.toContain('elements');
  });

  it('is refused for a policy that nothing bounds: it would cut the mail that comes in', () => {
    const anywhere = { platform: 'nftables', internal: [prefix('0.0.0.0/0')] } as const;
    expect(() => renderAcl(request(anywhere))).toThrow(/comes in from the world/);
    expect(() => renderAcl(request({ ...anywhere, internal: [prefix('10.0.0.0/8')], family: '6' }))).toThrow(
      /comes in from the world/,
    );
    expect(() => renderAcl(request({ ...anywhere, interface: 'lan0' }))).not.toThrow();
  });

  it('is refused for an interface name that Linux cannot have', () => {
    expect(() => renderAcl(request({ platform: 'nftables', interface: 'GigabitEthernet0/1' }))).toThrow(
      /15 characters/,
    );
  });
});

describe.each(FORMS)(
  'the text for $platform $form, IPv$family, interface $lan',
  ({ platform, form: name, family, lan }) => {
    const form = { platform, form: name, family, ...on(lan) };
    const net = family === '4' ? '192.0.2.' : '2001:db8:1::';
    const world = family === '4' ? '198.51.100.25' : '2001:db8:ffff::25';

    it.skipIf(!OFFENDERS_ONLY.has(platform))('of a policy is refused with the reason', () => {
      expect(() => rendered({ ...form, kind: 'policy' })).toThrow(
        /a policy is refused on this platform: .{40}/,
      );
    });

    it.skipIf(OFFENDERS_ONLY.has(platform))('of a policy lets the mail server send, and nobody else', () => {
      const verdict = rendered({ ...form, kind: 'policy' });
      expect(verdict(flow(`${net}100`))).toBe('permit');
      expect(verdict(flow(`${net}55`))).toBe('deny');
    });

    it.skipIf(OFFENDERS_ONLY.has(platform))(
      'of a policy leaves mail to the mail server open, from the world and from other subnets',
      () => {
        const verdict = rendered({ ...form, kind: 'policy' });
        expect(verdict(flow(world, { destination: `${net}100`, from: 'wan0' }))).toBe('permit');
        expect(verdict(flow(`${net}55`, { destination: `${net}100` }))).toBe('permit');
      },
    );

    it('leaves replies, other ports and UDP alone', () => {
      for (const kind of kindsOf(platform)) {
        const verdict = rendered({ ...form, kind, offenders: [offender(`${net}55`)] });
        expect(
          verdict(flow(world, { destination: `${net}55`, sourcePort: 25, port: 40_000, from: 'wan0' })),
        ).toBe('permit');
        expect(verdict(flow(`${net}55`, { sourcePort: 25, port: 40_000 }))).toBe('permit');
        for (const port of [80, 465, 587, 2525]) expect(verdict(flow(`${net}55`, { port }))).toBe('permit');
        expect(verdict(flow(`${net}55`, { protocol: 'udp' }))).toBe('permit');
      }
    });

    it('of an offenders list denies the host and nobody else', () => {
      const verdict = rendered({ ...form, kind: 'offenders', offenders: [offender(`${net}55`)] });
      expect(verdict(flow(`${net}55`))).toBe('deny');
      for (const host of ['54', '56', '5', '100']) expect(verdict(flow(`${net}${host}`))).toBe('permit');
    });

    it('is plain ASCII with line ends of LF, and begins with what it is and how to apply, verify and roll back', () => {
      for (const kind of kindsOf(platform)) {
        const { text } = renderAcl(
          request({ ...form, kind, senders: [sender([`${net}100`], { owner: 'Jürgen\r\n✂' })] }),
        );
        expect(text).toMatch(/^[\t\n\x20-\x7e]+\n$/);
        expect(text).toMatch(
          new RegExp(
            `^((#!.*\n)?(?:!|##?) |\\{\n  "about": \\[\n    ")rogue-smtp ${kind}, (?:IPv4 and IPv6|IPv${family}), revision [0-9a-f]{8}(",)?\n`,
          ),
        );
        for (const word of ['apply:', 'verify:', 'rollback:']) expect(text).toContain(word);
      }
    });

    it('carries no text of a person or a flow as a command', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary' }), fc.string(), (evil, name) => {
          const senders = [sender([`${net}100`], { name, owner: evil, reason: evil })];
          const offenders = [offender(`${net}55`, { incident_id: evil, first_seen: evil }), offender(evil)];
          for (const kind of kindsOf(platform)) {
            // The strict reader throws on any line that we did not mean.
            const verdict = rendered({ ...form, kind, senders, offenders });
            expect(verdict(flow(`${net}55`))).toBe('deny');
            expect(verdict(flow(`${net}100`))).toBe('permit');
          }
        }),
        { numRuns: Math.ceil(RUNS / 2) },
      );
    });
  },
);

it.each(ACL_PLATFORMS.filter((platform) => platform !== 'junos'))(
  '%s has no other form, and says who has',
  (platform) => {
    for (const form of ACL_FORMS)
      expect(() => renderAcl(request({ platform, form, kind: 'offenders' }))).toThrow(
        `there is no form "${form}" of lists for ${platform}: only junos can be had in another form`,
      );
  },
);

it.each(['a b', 'x\ny', '', '-i', 'lan0"', 'a'.repeat(64), '; flush ruleset'])(
  'an interface that is called %j is refused',
  (name) => {
    for (const platform of ACL_PLATFORMS)
      expect(() => renderAcl(request({ platform, interface: name }))).toThrow(/not an interface name/);
  },
);

/** Addresses close to each other, so that prefixes nest, hosts coincide, and edges are met. */
const octet = fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 127, 128, 254, 255);
const address4 = fc
  .tuple(fc.constantFrom('192.0.2', '10.0.0', '10.0.1'), octet)
  .map(([net, host]) => `${net}.${host}`);
const address6 = fc
  .tuple(fc.constantFrom('2001:db8:1::', '2001:db8:1:0:8000::', 'fd00::1:'), octet)
  .map(([net, host]) => `${net}${(host * 257).toString(16)}`);
const width = { '4': 32, '6': 128 } as const;

function prefixes(family: '4' | '6', address: fc.Arbitrary<string>) {
  const lengths =
    family === '4'
      ? [0, 8, 23, 24, 25, 29, 30, 31, 32, 32, 32]
      : [0, 7, 64, 65, 112, 120, 127, 128, 128, 128];
  return fc
    .tuple(address, fc.constantFrom(...lengths))
    .map(([text, length]) => network(text, length, width[family]));
}

/** The prefix that holds the address: host bits are cleared. */
function network(text: string, length: number, bits: 32 | 128): string {
  const { value } = readAddress(text);
  const kept = (value >> BigInt(bits - length)) << BigInt(bits - length);
  const step = bits === 32 ? 8 : 16;
  const parts = Array.from({ length: bits / step }, (_, i) =>
    ((kept >> BigInt(bits - step * (i + 1))) & (bits === 32 ? 0xffn : 0xffffn)).toString(
      bits === 32 ? 10 : 16,
    ),
  );
  return `${parts.join(bits === 32 ? '.' : ':')}/${length}`;
}

const world = (family: '4' | '6') => (family === '4' ? '198.51.100.25' : '2001:db8:ffff::25');
const within = (list: readonly string[], text: string) =>
  list.some((one) => holds(readNetwork(one), readAddress(text)));

describe.each(FORMS)(
  'whatever the configuration, the text for $platform $form, IPv$family, interface $lan',
  { timeout: TIMEOUT_MS },
  ({ platform, form, family, lan }) => {
    const address = family === '4' ? address4 : address6;
    const configuration = fc.record({
      internal: fc.array(prefixes(family, address), { minLength: 1, maxLength: 4 }),
      senders: fc.array(
        fc.record({
          hosts: fc.array(prefixes(family, address), { minLength: 1, maxLength: 3 }),
          to: fc.option(fc.array(prefixes(family, address), { minLength: 1, maxLength: 2 }), {
            nil: undefined,
          }),
          ended: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
      never: fc.array(prefixes(family, address), { maxLength: 2 }),
      offenders: fc.array(address, { maxLength: 12 }),
      maxEntries: fc.integer({ min: 1, max: 6 }),
      flows: fc.array(
        fc.record({
          source: address,
          destination: fc.oneof(address, fc.constant(world(family))),
          port: fc.constantFrom(25, 25, 25, 80, 587),
          sourcePort: fc.constantFrom(25, 40_000),
          protocol: fc.constantFrom('tcp' as const, 'tcp' as const, 'udp' as const),
        }),
        { minLength: 10, maxLength: 20 },
      ),
    });
    type Configuration = typeof configuration extends fc.Arbitrary<infer T> ? T : never;

    const requestOf = (c: Configuration, kind: 'policy' | 'offenders') =>
      request({
        platform,
        form,
        family,
        kind,
        ...on(lan),
        internal: c.internal.map(prefix),
        senders: c.senders.map(({ hosts, to, ended }) =>
          sender(hosts, {
            ...(to === undefined ? {} : { to }),
            ...(ended ? { until: '2026-01-01T00:00:00Z' } : {}),
          }),
        ),
        never: c.never.map(prefix),
        maxEntries: c.maxEntries,
        offenders: c.offenders.map((host) => offender(host)),
      });
    const inForce = (c: Configuration) => c.senders.filter((one) => !one.ended);
    const isSingle = (host: string) => readNetwork(host).bits === (host.includes(':') ? 128 : 32);
    const isSmtp = (one: Pick<Flow, 'protocol' | 'port'>) => one.protocol === 'tcp' && one.port === 25;

    it.skipIf(OFFENDERS_ONLY.has(platform))('of a policy denies exactly who may not send', () => {
      fc.assert(
        fc.property(configuration, (c) => {
          fc.pre(inForce(c).length > 0);
          // Only an interface can bound a list when everything is internal.
          fc.pre(BOUND.has(platform) || lan !== undefined || !c.internal.some((one) => one.endsWith('/0')));
          const verdict = judge(renderAcl(requestOf(c, 'policy')).text, platform, form);
          for (const one of c.flows) {
            const mayBeJudged = BOUND.has(platform) || lan !== undefined || within(c.internal, one.source);
            const mayPass = inForce(c).some(
              ({ hosts, to }) =>
                (within(hosts, one.source) && (to === undefined || within(to, one.destination))) ||
                hosts.some(
                  (host) =>
                    within([host], one.destination) &&
                    // A network that may send to some places only is one of clients: nothing there receives mail.
                    (to === undefined || isSingle(host)) &&
                    // A sender that is ours as a whole.
                    c.internal.some(
                      (net) =>
                        readNetwork(net).bits <= readNetwork(host).bits && within([net], host.split('/')[0]),
                    ),
                ),
            );
            const denied = isSmtp(one) && mayBeJudged && !mayPass && !within(c.never, one.source);
            expect([one, verdict(flow(one.source, one))]).toEqual([one, denied ? 'deny' : 'permit']);
          }
        }),
        { numRuns: RUNS },
      );
    });

    it('of an offenders list denies offenders only, none of them protected, to what they may not use, and each or says why not', () => {
      fc.assert(
        fc.property(configuration, (c) => {
          const { text, entries, leftOut } = renderAcl(requestOf(c, 'offenders'));
          const verdict = judge(text, platform, form);
          const key = (host: string) => readAddress(host).value;
          const left = new Set(leftOut.map(({ host }) => key(host)));
          const listed = new Set(c.offenders.map(key).filter((host) => !left.has(host)));
          expect(entries).toBeGreaterThanOrEqual(listed.size);
          expect(listed.size).toBeLessThanOrEqual(c.maxEntries);
          const flows: readonly Flow[] = [
            ...c.flows.map((one) => flow(one.source, one)),
            ...c.offenders.map((host) => flow(host)),
          ];
          for (const one of flows) {
            const allowed = inForce(c).some(
              ({ hosts, to }) =>
                within(hosts, one.source) && (to === undefined || within(to, one.destination)),
            );
            const denied = isSmtp(one) && listed.has(key(one.source)) && !allowed;
            expect([one, verdict(flow(one.source, one))]).toEqual([one, denied ? 'deny' : 'permit']);
            if (!denied) continue;
            expect(within(c.never, one.source)).toBe(false);
            expect(within(c.internal, one.source)).toBe(true);
            const free = inForce(c).filter(({ to }) => to === undefined);
            expect(free.some(({ hosts }) => within(hosts, one.source))).toBe(false);
          }
        }),
        { numRuns: RUNS },
      );
    });

    it('is the same bytes for the same facts in another order', () => {
      fc.assert(
        fc.property(configuration, (c) => {
          fc.pre(inForce(c).length > 0);
          fc.pre(BOUND.has(platform) || lan !== undefined || !c.internal.some((one) => one.endsWith('/0')));
          const turned = {
            ...c,
            internal: [...c.internal].reverse(),
            senders: [...c.senders].reverse().map((one) => ({ ...one, hosts: [...one.hosts].reverse() })),
            never: [...c.never].reverse(),
            offenders: [...c.offenders].reverse(),
          };
          for (const kind of kindsOf(platform))
            expect(renderAcl(requestOf(turned, kind))).toEqual(renderAcl(requestOf(c, kind)));
        }),
        { numRuns: Math.ceil(RUNS / 2) },
      );
    });
  },
);

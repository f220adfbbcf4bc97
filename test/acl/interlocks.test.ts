import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assertSafe } from '../../src/acl/interlocks.ts';
import type { AclModel, AclRule } from '../../src/acl/model.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { revisionOf } from '../../src/acl/revision.ts';
import { configSchema } from '../../src/config/schema.ts';
import { aclInputOf } from '../../src/publish/acl-request.ts';
import {
  flow,
  judge,
  LISTS,
  NOW_MS,
  OFFENDERS_ONLY,
  offender,
  prefix,
  request,
  sender,
} from '../support/acl-requests.ts';

/** The last gate, before models that build.ts would not make. */
const model = (kind: 'policy' | 'offenders', rules: readonly Partial<AclRule>[]): AclModel => ({
  kind,
  family: '4',
  interface: null,
  internal: [],
  rules: rules.map((rule) => ({ action: 'deny', source: null, destination: null, remark: '', ...rule })),
});
const check =
  (kind: 'policy' | 'offenders', rules: readonly Partial<AclRule>[], more = {}) =>
  () =>
    assertSafe(model(kind, rules), request(more));

describe('the last gate', () => {
  it('lets a right list through', () => {
    expect(check('offenders', [{ source: prefix('192.0.2.55') }])).not.toThrow();
    expect(check('policy', [{ action: 'permit', source: prefix('192.0.2.100') }, {}])).not.toThrow();
  });

  it('stops an offenders list that denies a sender, a never-block address, a network, or everyone', () => {
    const never = [prefix('192.0.2.3')];
    expect(check('offenders', [{ source: prefix('192.0.2.100') }])).toThrow(/would deny 192\.0\.2\.100/);
    expect(check('offenders', [{ source: prefix('192.0.2.3') }], { never })).toThrow(
      /would deny 192\.0\.2\.3/,
    );
    expect(check('offenders', [{ source: prefix('192.0.2.1') }], { own: [prefix('192.0.2.1')] })).toThrow(
      /would deny 192\.0\.2\.1/,
    );
    expect(check('offenders', [{ source: prefix('192.0.2.48/28') }])).toThrow(/would deny 192\.0\.2\.48\/28/);
    expect(check('offenders', [{}])).toThrow(/would deny everyone/);
  });

  it('stops a policy whose permits come too late, are for another destination, or are not there', () => {
    const permit = { action: 'permit', source: prefix('192.0.2.100') } as const;
    expect(check('policy', [{}, permit])).toThrow(/would deny 192\.0\.2\.100/);
    expect(check('policy', [{ ...permit, destination: prefix('198.51.100.25') }, {}])).toThrow(/would deny/);
    expect(check('policy', [permit, {}], { never: [prefix('192.0.2.3')] })).toThrow(
      /would deny 192\.0\.2\.3/,
    );
    const senders = [sender(['192.0.2.60'], { to: ['198.51.100.26'] })];
    expect(check('policy', [{ ...permit, destination: prefix('192.0.2.60') }, {}], { senders })).toThrow(
      /would deny 192\.0\.2\.60/,
    );
  });
});

/** Their lists hold single addresses, whatever `block.ipv6` says. */
const HOSTS_ONLY: ReadonlySet<string> = new Set(['vyos', 'nftables', 'iptables', 'exabgp', 'gobgp', 'bird']);

/** What must hold of every list, one sentence for each interlock; the file, its history and the log: publish and desk. */
describe.each(LISTS)('a list for $platform $form', (list) => {
  const FAMILIES = { '4': '192.0.2.', '6': '2001:db8:1::' } as const;
  const families = ['4', '6'] as const;
  const render = (more: Parameters<typeof request>[0]) =>
    renderAcl(request({ ...list, kind: 'offenders', interface: 'lan0', ...more }));
  const verdicts = (more: Parameters<typeof request>[0], hosts: readonly string[]) => {
    const verdict = judge(render(more).text, list.platform, list.form);
    return hosts.map((host) => verdict(flow(host)));
  };
  const named = (more: Parameters<typeof request>[0]) => render(more).leftOut.map(({ host }) => host);

  it.each(families)(
    'never denies who is on the never-block list or an authorised sender (IPv%s)',
    (family) => {
      const hosts = ['3', '100', '55'].map((host) => `${FAMILIES[family]}${host}`);
      const more = {
        family,
        never: [prefix(`${FAMILIES[family]}3`)],
        offenders: hosts.map((host) => offender(host)),
      };
      expect(verdicts(more, hosts)).toEqual(['permit', 'permit', 'deny']);
      expect(named(more)).toEqual(hosts.slice(0, 2));
      if (!OFFENDERS_ONLY.has(list.platform))
        expect(verdicts({ ...more, kind: 'policy' }, hosts)).toEqual(['permit', 'permit', 'deny']);
    },
  );

  it.each(families)(
    'of offenders never denies a gateway, an address of NAT or this service (IPv%s)',
    (family) => {
      const [gateway, nat, collector, rogue] = ['1', '2', '9', '55'].map(
        (host) => `${FAMILIES[family]}${host}`,
      );
      const config = configSchema.parse({
        networks: { internal: ['192.0.2.0/24', '2001:db8:1::/64'], nat: [nat] },
        senders: [{ name: 'mail', hosts: [`${FAMILIES[family]}100`] }],
        collector: {
          exporters: [gateway],
          listen: [family === '4' ? `${collector}:2055` : `[${collector}]:2055`],
        },
      });
      const hosts = [gateway, nat, collector, rogue];
      const more = {
        family,
        ...aclInputOf(
          config,
          hosts.map((host) => offender(host)),
          NOW_MS,
        ),
      };
      expect(verdicts(more, hosts)).toEqual(['permit', 'permit', 'permit', 'deny']);
      expect(named(more)).toEqual(hosts.slice(0, 3));
      // A policy denies whoever is not declared, those behind NAT too.
      if (!OFFENDERS_ONLY.has(list.platform))
        expect(verdicts({ ...more, kind: 'policy' }, [nat, rogue])).toEqual(['deny', 'deny']);
    },
  );

  it('denies no prefix wider than configured: IPv4 hosts, IPv6 hosts, or with "prefix" a /64 and nothing wider', () => {
    const until = '2026-03-02T00:00:00.000Z';
    const members = [{ address: '2001:db8:1::55', until, last_seen: '2026-03-01T11:00:00.000Z' }];
    const about = (host: string) => [offender(host, { members })];
    const neighbours = ['2001:db8:1::55', '2001:db8:1::56', '2001:db8:1:1::55'];
    const internal = ['192.0.2.0/24', '2001:db8::/32'].map(prefix);
    const senders = [sender(['192.0.2.100', '2001:db8:2::100'])];
    const six = { family: '6', internal, senders } as const;
    expect(verdicts({ ...six, ipv6: 'hosts', offenders: about('2001:db8:1::/64') }, neighbours)).toEqual([
      'deny',
      'permit',
      'permit',
    ]);
    expect(verdicts({ ...six, ipv6: 'prefix', offenders: about('2001:db8:1::/48') }, neighbours)).toEqual([
      'deny',
      'permit',
      'permit',
    ]);
    expect(named({ ...six, ipv6: 'prefix', offenders: about('2001:db8:1::/48') })).toEqual(
      HOSTS_ONLY.has(list.platform) ? [] : ['2001:db8:1::/48'],
    );
    expect(verdicts({ ...six, ipv6: 'prefix', offenders: about('2001:db8:1::/64') }, neighbours)).toEqual([
      'deny',
      HOSTS_ONLY.has(list.platform) ? 'permit' : 'deny',
      'permit',
    ]);
    const four = { internal, senders, offenders: about('192.0.2.0/24') };
    expect(verdicts({ ...four, ipv6: 'prefix' }, ['192.0.2.55'])).toEqual(['permit']);
  });

  it('of a policy is refused when there is no sender: it would deny everyone', () => {
    for (const family of families)
      expect(() => render({ kind: 'policy', family, senders: [] })).toThrow(
        OFFENDERS_ONLY.has(list.platform) ? /is refused/ : /no sender is configured/,
      );
  });

  it('that is full keeps the worst, as far as configuration and platform go, and names the rest', () => {
    const few = {
      maxEntries: 1,
      offenders: [offender('192.0.2.54'), offender('192.0.2.55', { sessions: 9 })],
    };
    expect(verdicts(few, ['192.0.2.54', '192.0.2.55'])).toEqual(['permit', 'deny']);
    expect(named(few)).toEqual(['192.0.2.54']);
    const many = Array.from({ length: 5000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const { entries, leftOut } = render({
      maxEntries: 4500,
      internal: [prefix('10.0.0.0/8')],
      offenders: many.map((host, i) => offender(host, { sessions: i + 1 })),
    });
    expect(entries + leftOut.length).toBe(5000);
    // The least bad are the first ones.
    expect(leftOut.map(({ host }) => host)).toEqual(many.slice(0, leftOut.length));
    for (const { reason } of leftOut) expect(reason).toMatch(/^the list is full: .*(4500|takes \d+ hosts)/);
  });

  it('aggregates nothing that would widen it: of neighbours each is denied, and nobody between them', () => {
    const hosts = ['192.0.2.52', '192.0.2.54', '192.0.2.55', '192.0.2.56', '192.0.2.57'];
    const offenders = hosts.map((host) => offender(host));
    expect(verdicts({ offenders }, hosts)).toEqual(hosts.map(() => 'deny'));
    expect(verdicts({ offenders }, ['192.0.2.51', '192.0.2.53', '192.0.2.58'])).toEqual([
      'permit',
      'permit',
      'permit',
    ]);
  });

  it('cannot be added to by a remark: a hostile name or reason ends no line', () => {
    const evil = 'x"\r\npermit ip any any\n*/ } ; \u2028 # $(reboot)';
    const offenders = [offender('192.0.2.55', { incident_id: evil, first_seen: evil })];
    const senders = [sender(['192.0.2.100'], { name: evil, owner: evil, reason: evil })];
    const plain = { offenders: [offender('192.0.2.55')], senders: [sender(['192.0.2.100'])] };
    const count = (text: string) => text.split('\n').length;
    for (const kind of OFFENDERS_ONLY.has(list.platform)
      ? ['offenders' as const]
      : ['offenders' as const, 'policy' as const])
      expect(count(render({ kind, offenders, senders }).text)).toBe(count(render({ kind, ...plain }).text));
  });

  it('is the same bytes at another time and in another order, and has another revision when it denies others', () => {
    const hosts = ['192.0.2.55', '192.0.2.56', '192.0.2.57'];
    const of = (some: readonly string[], nowMs = NOW_MS) =>
      render({ offenders: some.map((host) => offender(host)), nowMs }).text;
    const revision = (text: string) => /revision ([0-9a-f]{8})/.exec(text)?.[1];
    expect(of([...hosts].reverse(), NOW_MS + 60_000)).toBe(of(hosts));
    expect(revision(of(hosts))).toMatch(/^[0-9a-f]{8}$/);
    expect(revision(of(hosts.slice(1)))).not.toBe(revision(of(hosts)));
  });
});

it('the revision of a list is the beginning of the SHA-256 of its text', () => {
  expect(createHash('sha256').update('a list\n').digest('hex').startsWith(revisionOf('a list\n'))).toBe(true);
});

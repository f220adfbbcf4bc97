import { describe, expect, it } from 'vitest';
import { buildAcl } from '../../src/acl/build.ts';
import { RogueSmtpError } from '../../src/errors.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';
import { NOW_MS, offender, prefix, request, sender } from '../support/acl-requests.ts';

type Changes = Parameters<typeof request>[0];

const offenders = (hosts: readonly string[], more: Changes = {}) =>
  buildAcl(request({ kind: 'offenders', offenders: hosts.map((host) => offender(host)), ...more }));

const denied = (built: ReturnType<typeof buildAcl>) =>
  built.model.rules
    .filter((rule) => rule.action === 'deny')
    .map((rule) => (rule.source === null ? 'any' : formatPrefix(rule.source)));

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RogueSmtpError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('an offenders list', () => {
  it('denies single hosts in numerical order', () => {
    expect(denied(offenders(['192.0.2.100', '192.0.2.9', '192.0.2.55'].slice(1)))).toEqual([
      '192.0.2.9',
      '192.0.2.55',
    ]);
  });

  it('leaves out an authorised sender, and says which', () => {
    const built = offenders(['192.0.2.100', '192.0.2.55']);
    expect(denied(built)).toEqual(['192.0.2.55']);
    expect(built.leftOut).toEqual([{ host: '192.0.2.100', reason: 'is the authorised sender "mail"' }]);
  });

  it('denies a sender that is bound to a smarthost everything but the smarthost', () => {
    const senders = [
      sender(['192.0.2.100']),
      sender(['192.0.2.60'], { name: 'scanner', to: ['192.0.2.100'] }),
    ];
    const { model, leftOut } = offenders(['192.0.2.60'], { senders });
    expect(leftOut).toEqual([]);
    expect(model.rules).toMatchObject([
      { action: 'permit', source: prefix('192.0.2.60'), destination: prefix('192.0.2.100') },
      { action: 'deny', source: prefix('192.0.2.60'), destination: null },
    ]);
  });

  it('in a policy is open to mail only where it receives some', () => {
    const toOf = (more: Parameters<typeof sender>[1], hosts = ['192.0.2.64/28']) =>
      buildAcl(request({ senders: [sender(['192.0.2.100']), sender(hosts, { name: 'x', ...more })] }))
        .model.rules.filter(({ action, source }) => action === 'permit' && source === null)
        .map(({ destination }) => destination);
    const server = prefix('192.0.2.100');
    const to = ['198.51.100.26'];
    expect(toOf({ to })).toEqual([server]);
    expect(toOf({})).toEqual([prefix('192.0.2.64/28'), server]);
    expect(toOf({ to, receives: true })).toEqual([prefix('192.0.2.64/28'), server]);
    expect(toOf({ to }, ['192.0.2.60'])).toEqual([prefix('192.0.2.60'), server]);
    expect(toOf({ to, receives: false }, ['192.0.2.60'])).toEqual([server]);
  });

  it('denies a sender whose permission has ended', () => {
    const senders = [
      sender(['192.0.2.100']),
      sender(['192.0.2.60'], { name: 'old', until: '2026-03-01T12:00:00Z' }),
    ];
    expect(denied(offenders(['192.0.2.60'], { senders }))).toEqual(['192.0.2.60']);
    expect(denied(offenders(['192.0.2.60'], { senders, nowMs: NOW_MS - 1 }))).toEqual([]);
  });

  it('leaves out hosts of the never-block list, also of a ::/0 that holds all of IPv4', () => {
    const reason = 'is on the never-block list (block.never)';
    for (const never of ['192.0.2.55', '192.0.2.48/28', '0.0.0.0/0', '::/0'])
      expect(offenders(['192.0.2.55'], { never: [prefix(never)] }).leftOut).toEqual([
        { host: '192.0.2.55', reason },
      ]);
  });

  it('leaves out what is no internal host', () => {
    expect(denied(offenders(['198.51.100.7', '192.0.2.55']))).toEqual(['192.0.2.55']);
  });

  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '169.254.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '64:ff9b::c000:237',
    'fe80::1',
    'ff02::1',
  ])('leaves out %s, although it is called internal', (host) => {
    const family = host.includes(':') ? '6' : '4';
    const built = offenders([host], { family, internal: [prefix('0.0.0.0/0'), prefix('::/0')] });
    expect(denied(built)).toEqual([]);
    expect(built.leftOut[0].reason).toMatch(/^is a .* address$/);
  });

  it.each(['', 'any', '192.0.2.0/24', '192.0.2.55/32', '192.0.2', 'fe80::1%eth0', '192.0.2.55 any', 'x\n'])(
    'leaves out %j, which is no address',
    (host) => {
      const built = offenders([host]);
      expect(denied(built)).toEqual([]);
      expect(built.leftOut).toEqual([{ host, reason: 'is not the address of a single host' }]);
    },
  );

  it('leaves everyone out when no sender is in force', () => {
    const ended = [sender(['192.0.2.100'], { until: '2026-01-01T00:00:00Z' })];
    for (const senders of [[], ended]) {
      const built = offenders(['192.0.2.55'], { senders });
      expect(denied(built)).toEqual([]);
      expect(built.leftOut[0].reason).toMatch(/^no sender is in force/);
    }
  });

  it('keeps the worst when it is full, and names the rest', () => {
    const built = buildAcl(
      request({
        kind: 'offenders',
        maxEntries: 3,
        offenders: [
          offender('192.0.2.1', { grade: 'connected', sessions: 900 }),
          offender('192.0.2.2', { grade: 'bulk', sessions: 5 }),
          offender('192.0.2.3', { grade: 'conversed', sessions: 7 }),
          offender('192.0.2.4', { grade: 'conversed', sessions: 8 }),
          offender('192.0.2.5', { grade: 'conversed', sessions: 7, first_seen: '2026-03-01T09:00:00.000Z' }),
        ],
      }),
    );
    expect(denied(built)).toEqual(['192.0.2.2', '192.0.2.4', '192.0.2.5']);
    expect(built.leftOut.map(({ host }) => host)).toEqual(['192.0.2.1', '192.0.2.3']);
    expect(built.leftOut[0].reason).toContain('block.max_entries is 3');
  });

  it('denies a host once that has an incident at several sites', () => {
    const built = buildAcl(
      request({
        kind: 'offenders',
        maxEntries: 1,
        offenders: [
          offender('192.0.2.55', { site: 'a', incident_id: 'one', sessions: 1 }),
          offender('192.0.2.55', { site: 'b', incident_id: 'two', sessions: 2 }),
        ],
      }),
    );
    expect(built.model.rules.map((rule) => rule.remark)).toEqual([
      'incident two, first seen 2026-03-01T10:00:00.000Z',
    ]);
    expect(built.leftOut).toEqual([]);
  });

  it('takes an IPv4 address that is written as a mapped one for what it is', () => {
    expect(denied(offenders(['::ffff:192.0.2.55']))).toEqual(['192.0.2.55']);
    expect(denied(offenders(['::ffff:192.0.2.55'], { family: '6' }))).toEqual([]);
  });

  it('may be empty: then it permits everything', () => {
    expect(offenders([]).model.rules).toEqual([]);
  });
});

describe('a policy', () => {
  const policy = (more: Changes = {}) => buildAcl(request(more));

  it('ends with the deny of everyone else', () => {
    expect(policy().model.rules.at(-1)).toMatchObject({ action: 'deny', source: null, destination: null });
  });

  it.each([
    ['no sender is configured', []],
    ['its only sender has ended', [sender(['192.0.2.100'], { until: '2026-02-28T23:00:00-13:00' })]],
    ['the senders have addresses of the other family only', [sender(['2001:db8:1::100'])]],
    ['the only destination is of the other family', [sender(['192.0.2.100'], { to: ['2001:db8::25'] })]],
  ])('is refused when %s', (_name, senders) => {
    expect(codeOf(() => policy({ senders }))).toBe('refused');
  });

  it('for IPv6 is refused when all senders are IPv4: it would deny everyone', () => {
    expect(codeOf(() => policy({ family: '6', senders: [sender(['192.0.2.100'])] }))).toBe('refused');
  });

  it('is refused although a never-block list would keep it from denying everyone', () => {
    expect(codeOf(() => policy({ senders: [], never: [prefix('192.0.2.100')] }))).toBe('refused');
  });

  it('names the senders that have ended as left out', () => {
    const senders = [
      sender(['192.0.2.100']),
      sender(['192.0.2.60', '192.0.2.61'], { name: 'old', until: '2026-03-01T11:00:00+00:00' }),
    ];
    const reason = 'the permission of sender "old" ended at 2026-03-01T11:00:00+00:00';
    expect(policy({ senders }).leftOut).toEqual([
      { host: '192.0.2.60', reason },
      { host: '192.0.2.61', reason },
    ]);
  });

  it('is refused when hosts times destinations is a number that nobody meant', () => {
    const many = Array.from({ length: 80 }, (_, i) => `192.0.2.${i}`);
    const to = Array.from({ length: 80 }, (_, i) => `198.51.100.${i}`);
    expect(codeOf(() => policy({ senders: [sender(many, { to })] }))).toBe('refused');
  });

  it('is the same whatever the order of the configuration', () => {
    const senders = [
      sender(['192.0.2.100', '192.0.2.7'], { name: 'b' }),
      sender(['192.0.2.100'], { name: 'a' }),
      sender(['192.0.2.8/29'], { name: 'c', to: ['198.51.100.0/24', '198.51.100.9'] }),
    ];
    const turned = [...senders].reverse().map((one) => ({ ...one, hosts: [...one.hosts].reverse() }));
    expect(policy({ senders: turned })).toEqual(policy({ senders }));
  });
});

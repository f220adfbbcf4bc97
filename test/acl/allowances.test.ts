/** Hosts that may send to some destinations: a list of offenders denies them everything else. */

import { describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { decodeModel, encodeModel, recheckModel } from '../../src/acl/stored-model.ts';
import { flow, judge, LISTS, offender, prefix, request, sender } from '../support/acl-requests.ts';

/** Their lists cannot leave destinations open. */
const UNABLE: ReadonlySet<string> = new Set(['aws-nacl', 'exabgp', 'gobgp', 'bird']);

const SENDERS = [
  sender(['192.0.2.100', '2001:db8:1::100']),
  sender(['192.0.2.64/28', '2001:db8:1::60/124'], {
    name: 'scanners',
    to: ['198.51.100.26', '203.0.113.0/24', '2001:db8:ffff::26'],
  }),
  sender(['192.0.2.67'], { name: 'printer', to: ['198.51.100.27'] }),
  sender(['192.0.2.70'], { name: 'old', to: ['198.51.100.28'], until: '2026-01-01T00:00:00Z' }),
];

describe.each(LISTS)('a list for $platform $form with a sender that has `to`', ({ platform, form }) => {
  const asked = (family: '4' | '6', interfaceName?: string) =>
    request({
      platform,
      ...(form !== undefined && { form }),
      kind: 'offenders',
      family,
      ...(interfaceName !== undefined && { interface: interfaceName }),
      senders: SENDERS,
      offenders: ['192.0.2.55', '192.0.2.66', '192.0.2.67', '2001:db8:1::55', '2001:db8:1::66'].map((host) =>
        offender(host),
      ),
    });
  const verdicts = (family: '4' | '6', lan?: string) => {
    const { text, leftOut } = renderAcl(asked(family, lan));
    return { verdict: judge(text, platform, form), leftOut };
  };

  it.skipIf(UNABLE.has(platform)).each(['lan0', undefined])(
    'denies it everything but its destinations, and only port 25 (interface %s)',
    (lan) => {
      const { verdict, leftOut } = verdicts('4', lan);
      const to = (source: string, destination: string, port = 25) =>
        verdict(flow(source, { destination, port }));
      expect(leftOut).toEqual([]);
      expect(to('192.0.2.66', '198.51.100.25')).toBe('deny');
      expect(to('192.0.2.66', '198.51.100.26')).toBe('permit');
      expect(to('192.0.2.66', '203.0.113.9')).toBe('permit');
      expect(to('192.0.2.66', '198.51.100.27')).toBe('deny');
      expect(to('192.0.2.66', '198.51.100.25', 587)).toBe('permit');
      // The destinations of all rules that name it add up.
      expect(to('192.0.2.67', '198.51.100.27')).toBe('permit');
      expect(to('192.0.2.67', '198.51.100.26')).toBe('permit');
      expect(to('192.0.2.67', '198.51.100.25')).toBe('deny');
      expect(to('192.0.2.67', '198.51.100.28')).toBe('deny');
      // Others have no part in it.
      expect(to('192.0.2.55', '198.51.100.26')).toBe('deny');
      expect(to('192.0.2.68', '198.51.100.25')).toBe('permit');
      expect(to('192.0.2.100', '198.51.100.25')).toBe('permit');
      const six = verdicts('6', lan).verdict;
      expect(six(flow('2001:db8:1::66'))).toBe('deny');
      expect(six(flow('2001:db8:1::66', { destination: '2001:db8:ffff::26' }))).toBe('permit');
      expect(six(flow('2001:db8:1::55', { destination: '2001:db8:ffff::26' }))).toBe('deny');
    },
  );

  it.runIf(UNABLE.has(platform))('leaves it out, says why, and denies the others', () => {
    const { verdict, leftOut } = verdicts('4');
    expect(verdict(flow('192.0.2.55'))).toBe('deny');
    expect(verdict(flow('192.0.2.66'))).toBe('permit');
    expect(leftOut.map(({ host }) => host)).toEqual(['192.0.2.66', '192.0.2.67']);
    expect(leftOut[0].reason).toContain(`${platform} cannot leave destinations open`);
    expect(leftOut[0].reason).toContain('"scanners"');
  });

  it('names no destination that is not needed', () => {
    const one = { ...asked('4', 'lan0'), offenders: [offender('192.0.2.55')] };
    const plain = { ...one, senders: [SENDERS[0]] };
    expect(renderAcl(one).text).toBe(renderAcl(plain).text);
  });
});

describe('a host with `to`', () => {
  const kind = 'offenders' as const;

  it('that another rule lets send anywhere is never denied', () => {
    const senders = [...SENDERS, sender(['192.0.2.66'], { name: 'free' })];
    const { leftOut } = renderAcl(request({ kind, senders, offenders: [offender('192.0.2.66')] }));
    expect(leftOut[0].reason).toContain('authorised sender "free"');
  });

  it('is denied everything in a family in which it has no destination', () => {
    const senders = [SENDERS[0], sender(['192.0.2.66'], { name: 'six', to: ['2001:db8:ffff::26'] })];
    const { text } = renderAcl(
      request({ kind, platform: 'gobgp', senders, offenders: [offender('192.0.2.66')] }),
    );
    expect(judge(text, 'gobgp')(flow('192.0.2.66'))).toBe('deny');
  });

  it('is left out where its destinations are too many for a list', () => {
    const to = Array.from(
      { length: 5001 },
      (_, i) => `198.${18 + (i >> 14)}.${(i >> 7) & 127}.${(i & 127) << 1}`,
    );
    const senders = [SENDERS[0], sender(['192.0.2.66'], { name: 'many', to })];
    const { leftOut } = renderAcl(request({ kind, senders, offenders: [offender('192.0.2.66')] }));
    expect(leftOut[0].reason).toContain('more than 5000 permits');
  });

  it('in a list that is held has the destinations of today', () => {
    const before = renderAcl(request({ kind, senders: SENDERS, offenders: [offender('192.0.2.66')] })).model;
    const kept = decodeModel(encodeModel(before));
    if (kept === null) throw new Error('not kept');
    const today = request({
      senders: [SENDERS[0], sender(['192.0.2.66'], { name: 'scanner', to: ['198.51.100.99'] })],
    });
    const { model } = recheckModel(kept, today);
    expect(model.rules.map(({ action, destination }) => [action, destination])).toEqual([
      ['permit', prefix('198.51.100.99')],
      ['deny', null],
    ]);
    const limits = { sets: 0, reason: 'cannot' };
    expect(recheckModel(kept, today, limits)).toMatchObject({
      model: { rules: [] },
      leftOut: [{ host: '192.0.2.66' }],
    });
  });
});

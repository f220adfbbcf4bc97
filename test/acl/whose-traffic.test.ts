/** Policies by which nobody may send, lists of what the router sends itself, and what the header says of who is spared. */

import { describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { decodeModel, encodeModel, recheckModel } from '../../src/acl/stored-model.ts';
import { SELF } from '../support/acl-evaluators/flow.ts';
import {
  BOUND,
  flow,
  judge,
  LISTS,
  OFFENDERS_ONLY,
  prefix,
  rendered,
  request,
  sender,
} from '../support/acl-requests.ts';

const POLICIES = LISTS.filter(({ platform }) => !OFFENDERS_ONLY.has(platform));
const FAMILIES = ['4', '6'] as const;
const HOST = { '4': '192.0.2.55', '6': '2001:db8:1::55' } as const;
const NEVER = { '4': '192.0.2.3', '6': '2001:db8:1::3' } as const;
const NAT = { '4': '192.0.2.9', '6': '2001:db8:1::9' } as const;
const OTHER = { '4': '2001:db8:1::100', '6': '192.0.2.100' } as const;

/** The comments of a list as one line, whatever marks them and wherever they are broken. */
const header = (text: string) => text.replace(/^[\s#!/*"]+|[",]+$/gm, ' ').replace(/\s+/g, ' ');

describe.each(POLICIES)('a policy for $platform $form', ({ platform, form }) => {
  describe.each(FAMILIES)('IPv%s', (family) => {
    const nobody = {
      platform,
      form,
      family,
      withoutSenders: 'deny' as const,
      senders: [sender([OTHER[family]])],
      never: [prefix(NEVER[family])],
    };

    it.each([undefined, 'lan0'])('says that nobody may send when asked to (interface %s)', (lan) => {
      const asked = request({ ...nobody, ...(lan !== undefined && { interface: lan }) });
      const { text } = renderAcl(asked);
      const verdict = judge(text, platform, form);
      expect(verdict(flow(HOST[family]))).toBe('deny');
      expect(verdict(flow(HOST[family], { port: 587 }))).toBe('permit');
      expect(verdict(flow(NEVER[family]))).toBe('permit');
      expect(header(text)).toContain(`NOBODY may send mail by IPv${family}`);
    });

    it('does not without being asked, and not in the place of senders that have ended', () => {
      expect(() => rendered({ ...nobody, withoutSenders: undefined })).toThrow('without_senders: deny');
      const ended = sender([HOST[family]], { until: '2020-01-01T00:00:00Z' });
      expect(() => rendered({ ...nobody, senders: [...nobody.senders, ended] })).toThrow('is refused');
      expect(() => rendered({ ...nobody, senders: [] })).toThrow('is refused');
      const over = sender([OTHER[family]], { until: '2020-01-01T00:00:00Z' });
      expect(() => rendered({ ...nobody, senders: [over] })).toThrow('is refused');
    });

    it('permits no address of networks.nat, and says that it permits those of block.never', () => {
      const asked = request({
        platform,
        form,
        family,
        nat: [prefix(NAT[family])],
        never: [prefix(NEVER[family])],
      });
      const { text } = renderAcl(asked);
      const verdict = judge(text, platform, form);
      expect(verdict(flow(NAT[family]))).toBe('deny');
      expect(verdict(flow(NEVER[family]))).toBe('permit');
      expect(header(text)).toContain('1 host(s) or network(s) of block.never');
      // Declared it is a sender.
      const declared = { ...asked, senders: [...asked.senders, sender([NAT[family]])] };
      expect(judge(renderAcl(declared).text, platform, form)(flow(NAT[family]))).toBe('permit');
    });
  });
});

describe('a policy by which nobody may send', () => {
  it('can be rolled back to as long as there are no senders', () => {
    const asked = request({ family: '6', withoutSenders: 'deny', senders: [sender(['192.0.2.100'])] });
    const kept = decodeModel(encodeModel(renderAcl(asked).model));
    if (kept === null) throw new Error('not kept');
    expect(recheckModel(kept, asked).model.rules).toEqual(kept.rules);
    expect(() => recheckModel(kept, { ...asked, withoutSenders: 'refuse' })).toThrow('has no sender');
    const senders = [...asked.senders, sender(['2001:db8:1::100'])];
    expect(() => recheckModel(kept, { ...asked, senders })).toThrow();
  });
});

describe.each(['nftables', 'iptables'] as const)(
  'a list of what a router with %s sends itself',
  (platform) => {
    const own = { platform, traffic: 'own' as const };
    const ROUTER = { '4': '192.0.2.1', '6': '2001:db8:1::1' } as const;
    const SERVER = { '4': '192.0.2.100', '6': '2001:db8:1::100' } as const;
    const LOOPBACK = { '4': '127.0.0.1', '6': '::1' } as const;

    it.each(FAMILIES)('IPv%s: denies mail to the world, and to nobody else', (family) => {
      const { text } = renderAcl(request({ ...own, family }));
      const verdict = judge(text, platform);
      const self = (more: object = {}) => verdict(flow(ROUTER[family], { from: SELF, ...more }));
      expect(self()).toBe('deny');
      expect(self({ port: 443 })).toBe('permit');
      expect(self({ destination: SERVER[family] })).toBe('permit');
      expect(self({ destination: LOOPBACK[family], source: LOOPBACK[family] })).toBe('permit');
      expect(self({ source: SERVER[family] })).toBe('permit');
      // What it forwards is for another list to judge.
      expect(verdict(flow(HOST[family]))).toBe('permit');
      expect(header(text)).toContain('For what this router sends ITSELF (OUTPUT)');
      expect(header(text)).toContain('to programs of this router itself');
      expect(header(text)).not.toContain('No interface is configured');
    });

    it('stands beside the list of what it forwards', () => {
      const names = [own, { platform }].map(
        (one) => /(?:^table \S+ |^:)(\S+)/m.exec(renderAcl(request(one)).text)?.[1],
      );
      expect(new Set(names).size).toBe(2);
    });

    it.each(FAMILIES)(
      'IPv%s: has no bounds but the router, since no mail from the world passes there',
      (family) => {
        const all = [prefix(family === '4' ? '0.0.0.0/0' : '::/0')];
        expect(rendered({ ...own, family, internal: all })(flow('198.51.100.1', { from: SELF }))).toBe(
          family === '4' ? 'deny' : 'permit',
        );
      },
    );

    it('is a policy, without an interface', () => {
      expect(() => rendered({ ...own, kind: 'offenders' })).toThrow('of kind policy only');
      expect(() => rendered({ ...own, interface: 'lan0' })).toThrow('has no interface');
    });
  },
);

it.each(LISTS.filter(({ platform }) => !['nftables', 'iptables'].includes(platform)))(
  'there is no list of what a router sends itself for $platform $form',
  ({ platform, form }) => {
    expect(() =>
      rendered({ platform, form, traffic: 'own', kind: BOUND.has(platform) ? 'policy' : 'offenders' }),
    ).toThrow(
      new RegExp(
        `^there is no list of the router's own traffic for ${platform} \\(.{20,}\\): only for nftables, iptables$`,
      ),
    );
  },
);

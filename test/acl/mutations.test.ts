/**
 * The mistakes that are made in lists like these, made on purpose: the questions that the other tests ask must notice.
 *
 * The first is the recipe as it is often published.
 */

import { describe, expect, it } from 'vitest';
import type { AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import type { Flow, Verdict } from '../support/acl-evaluators/flow.ts';
import { flow, judge, offender, prefix, request, sender } from '../support/acl-requests.ts';

/** What a list must do: the lab's hosts, a network of scanners that may use one smarthost, one never-blocked host. */
const EXPECTED: readonly (readonly [Flow, Verdict])[] = [
  [flow('192.0.2.100'), 'permit'],
  [flow('192.0.2.100', { sourcePort: 25, port: 40_000 }), 'permit'],
  [flow('192.0.2.66', { destination: '198.51.100.26' }), 'permit'],
  [flow('192.0.2.66'), 'deny'],
  [flow('192.0.2.3'), 'permit'],
  [flow('192.0.2.55'), 'deny'],
  [flow('192.0.2.55', { sourcePort: 25 }), 'deny'],
  [flow('192.0.2.77'), 'deny'],
  [flow('192.0.2.77', { destination: '198.51.100.26' }), 'deny'],
  [flow('192.0.2.55', { port: 80 }), 'permit'],
  [flow('192.0.2.55', { port: 587 }), 'permit'],
  [flow('192.0.2.55', { protocol: 'udp' }), 'permit'],
  [flow('192.0.2.77', { destination: '192.0.2.100' }), 'permit'],
  [flow('198.51.100.25', { destination: '192.0.2.100', from: 'wan0' }), 'permit'],
];

function isRight(text: string, platform: AclPlatform): boolean {
  try {
    const verdict = judge(text, platform);
    return EXPECTED.every(([one, expected]) => verdict(one) === expected);
  } catch {
    return false;
  }
}

const policy = (platform: AclPlatform, lan: string | undefined = 'lan0') =>
  renderAcl(
    request({
      platform,
      ...(lan === '' ? {} : { interface: lan }),
      senders: [
        sender(['192.0.2.100']),
        sender(['192.0.2.64/29'], { name: 'scanners', to: ['198.51.100.26'] }),
      ],
      never: [prefix('192.0.2.3')],
    }),
  ).text;

function mutated(text: string, pattern: string | RegExp, replacement: string): string {
  const other = text.replace(pattern, replacement);
  if (other === text) throw new Error(`nothing to change: ${pattern}`);
  return other;
}

describe('a wrong list for Cisco IOS is noticed:', () => {
  const text = policy('cisco-ios');

  it('the right one is right', () => expect(isRight(text, 'cisco-ios')).toBe(true));

  it.each([
    [
      'the mail server as the destination only',
      'permit tcp host 192.0.2.100 any eq 25',
      'permit tcp any host 192.0.2.100 eq 25',
    ],
    ['ip where a port needs tcp', 'permit tcp host 192.0.2.100', 'permit ip host 192.0.2.100'],
    ['ip in the deny', 'deny tcp any any eq 25', 'deny ip any any eq 25'],
    ['allow instead of permit', /permit tcp host 192.0.2.100 any/, 'allow tcp host 192.0.2.100 any'],
    ['the name of the port in capitals', 'any any eq 25', 'any any eq SMTP'],
    [
      'the port at the source',
      'permit tcp host 192.0.2.100 any eq 25',
      'permit tcp host 192.0.2.100 eq 25 any',
    ],
    ['the port at the source of the deny', 'deny tcp any any eq 25', 'deny tcp any eq 25 any'],
    ['a netmask instead of a wildcard mask', '192.0.2.64 0.0.0.7', '192.0.2.64 255.255.255.248'],
    ['a prefix length', '192.0.2.64 0.0.0.7', '192.0.2.64/29'],
    ['no mask', '192.0.2.64 0.0.0.7', '192.0.2.64'],
    ['no final permit', / \d+ permit ip any any\n/, ''],
    ['the final permit first', 'remark never blocked\n', 'remark never blocked\n 5 permit ip any any\n'],
    ['the deny first', 'remark never blocked\n', 'remark never blocked\n 5 deny tcp any any eq 25\n'],
    ['entries out of sequence', ' 10 permit', ' 100 permit'],
    ['no port in the deny', 'deny tcp any any eq 25', 'deny tcp any any'],
    ['udp', 'deny tcp any any', 'deny udp any any'],
    ['another port', 'deny tcp any any eq 25', 'deny tcp any any eq 587'],
    ['no permit of the never-blocked host', / \d+ permit tcp host 192.0.2.3 any eq 25\n/, ''],
    ['the smarthost left out', 'host 198.51.100.26 eq 25', 'any eq 25'],
    ['bound outbound', /^( ip access-group .*) in$/m, '$1 out'],
    ['another list bound', /^ ip access-group \S+ in$/m, ' ip access-group SMTP-POLICY in'],
    ['an address that is none', 'host 192.0.2.100 any', 'host 192.0.2.1000 any'],
  ])('%s', (_name, pattern, replacement) => {
    expect(isRight(mutated(text, pattern, replacement), 'cisco-ios')).toBe(false);
  });
});

describe.each(['lan0', ''])('a wrong policy for nftables on interface "%s" is noticed:', (lan) => {
  const text = policy('nftables', lan);

  it('the right one is right', () => expect(isRight(text, 'nftables')).toBe(true));

  it.each([
    ['the mail server as the destination only', 'ip saddr 192.0.2.100 return', 'ip daddr 192.0.2.100 return'],
    ['the source port', 'tcp dport 25', 'tcp sport 25'],
    ['another port', 'tcp dport 25', 'tcp dport 587'],
    ['no return of the mail server', /\t+ip saddr 192.0.2.100 return.*\n/, ''],
    ['a refusal first', 'chain smtp_policy {\n', 'chain smtp_policy {\n\t\treject with tcp reset\n'],
    ['no refusal', /\t+counter reject.*\n/, ''],
    ['no hook', /\t+type filter hook.*\n/, ''],
    ['the smarthost left out', ' ip daddr 198.51.100.26', ''],
    ['no deletion of the table before', /^delete .*\n/m, ''],
    ['a return that is an accept', /return/g, 'accept'],
    ['everything that is forwarded judged', /(iifname "lan0"|ip saddr @smtp_internal) tcp/, 'tcp'],
  ])('%s', (name, pattern, replacement) => {
    const wrong = mutated(text, pattern, replacement);
    // Mail from the world to the mail server is permitted once more, by its destination.
    if (name.startsWith('everything')) {
      const verdict = judge(wrong, 'nftables');
      expect(verdict(flow('198.51.100.25', { destination: '192.0.2.200', from: 'wan0' }))).toBe('deny');
      return;
    }
    expect(isRight(wrong, 'nftables')).toBe(false);
  });
});

describe('a wrong list of offenders for nftables is noticed:', () => {
  const text = renderAcl(
    request({
      platform: 'nftables',
      kind: 'offenders',
      offenders: [offender('192.0.2.55'), offender('192.0.2.77')],
    }),
  ).text;
  const verdictOf = (wrong: string) => () => judge(wrong, 'nftables')(flow('192.0.2.55'));

  it('the right one is right', () => expect(verdictOf(text)()).toBe('deny'));

  it.each([
    ['a prefix in a set of hosts', '192.0.2.55 comment', '192.0.2.55/32 comment'],
    ['a name, which nft would look up in the DNS', '192.0.2.55 comment', 'host55 comment'],
    ['a set that is not there', '@smtp_offenders', '@smtp_others'],
    ['an empty list of elements', /elements = \{[^}]*\}/, 'elements = {\n\t\t}'],
    ['a twin', '192.0.2.77 comment', '192.0.2.55 comment'],
  ])('%s', (_name, pattern, replacement) => {
    expect(verdictOf(mutated(text, pattern, replacement))).toThrow();
  });
});

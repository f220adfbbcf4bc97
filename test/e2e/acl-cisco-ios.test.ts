/**
 * The rendered Cisco IOS text, read by Firewall Builder, compiled to iptables and judged by real TCP connections.
 *
 * The mutations are the mistakes that are really made with this recipe. The syntax of some is fine: only packets tell.
 */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { type AclLab, aclText, HOSTS, type Outcome, openAclLab } from './acl-lab.ts';
import { importIos } from './fwbuilder.ts';

const obstacle = cannotRunAsRoot('fwbedit', 'fwb_ipt', 'iptables-restore', 'nft', 'python3', 'setpriv');
const { rogue, mail } = HOSTS['4'];

const iosText = (kind: 'policy' | 'offenders', hosts: readonly string[] = []) =>
  aclText({ platform: 'cisco-ios', kind, family: '4', interface: 'GigabitEthernet0/1' }, hosts);

/** Lines that permit or deny, with the final permit. */
const entriesIn = (text: string) =>
  text.split('\n').filter((line) => /^ \d+ (permit|deny) /.test(line)).length;

describe.skipIf(obstacle !== null)(
  `Cisco IOS access lists as real packets${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let lab: AclLab;

    beforeAll(async () => {
      lab = await openAclLab();
    });
    afterEach(() => lab.clear());
    afterAll(() => lab?.close());

    /** What happens to each flow behind the list; the list must have been understood completely. */
    async function outcomes(text: string): Promise<Record<string, Outcome>> {
      const imported = importIos(text);
      expect(imported.errors).toEqual([]);
      expect(imported.entries).toBe(entriesIn(text));
      lab.load('router', imported.iptables ?? '', 'iptables-restore');
      const probes = {
        'mail server to the world': { from: 'mail', to: 'world', port: 25 },
        'rogue to the world': { from: 'rogue', to: 'world', port: 25 },
        'client to the world': { from: 'client', to: 'world', port: 25 },
        'rogue on 587': { from: 'rogue', to: 'world', port: 587 },
        'client on 80': { from: 'client', to: 'world', port: 80 },
        'world to the mail server': { from: 'world', to: 'mail', port: 25 },
        'world to a server that only receives': { from: 'world', to: 'receiver', port: 25 },
        'office to the mail server': { from: 'office', to: 'mail', port: 25 },
      } as const;
      const found = await Promise.all(
        Object.entries(probes).map(async ([name, probe]) => [name, await lab.probe('4', probe)] as const),
      );
      return Object.fromEntries(found);
    }

    const POLICY: Record<string, Outcome> = {
      'mail server to the world': 'open',
      'rogue to the world': 'timeout',
      'client to the world': 'timeout',
      'rogue on 587': 'open',
      'client on 80': 'open',
      'world to the mail server': 'open',
      'world to a server that only receives': 'open',
      'office to the mail server': 'open',
    };

    test('a policy lets the mail server send and nobody else, and cuts no mail to it', async () => {
      expect(await outcomes(iosText('policy'))).toEqual(POLICY);
    });

    test('an offenders list denies port 25 to the listed host and nothing else', async () => {
      expect(await outcomes(iosText('offenders', [rogue]))).toEqual({
        ...POLICY,
        'client to the world': 'open',
      });
    });

    test('an empty offenders list denies nothing', async () => {
      const open = Object.fromEntries(Object.keys(POLICY).map((name) => [name, 'open']));
      expect(await outcomes(iosText('offenders'))).toEqual(open);
    });

    test('a long list is understood entry by entry', () => {
      const hosts = ['192.0.2', '203.0.113'].flatMap((net) =>
        Array.from({ length: 254 }, (_, i) => `${net}.${i + 1}`).filter((host) => host !== mail),
      );
      const text = iosText('offenders', hosts);
      const imported = importIos(text);
      expect(imported.errors).toEqual([]);
      expect(imported.entries).toBe(hosts.length + 1);
      expect(entriesIn(text)).toBe(hosts.length + 1);
    });

    describe('a wrong list is found out', () => {
      const policy = obstacle === null ? iosText('policy') : '';
      const permit = `permit tcp host ${mail} any eq 25`;

      test.each([
        ['a port with ip instead of tcp', (text: string) => text.replace('deny tcp any', 'deny ip any')],
        ['the port by an upper-case name', (text: string) => text.replaceAll('eq 25', 'eq SMTP')],
        ['a prefix length', (text: string) => text.replace(`host ${mail} any`, `${mail}/32 any`)],
        [
          'a netmask where a wildcard mask belongs',
          (text: string) => text.replace(permit, `permit tcp ${mail} 255.255.255.255 any eq 25`),
        ],
        ['the word allow', (text: string) => text.replace(permit, permit.replace('permit', 'allow'))],
      ])('before a packet passes: %s', (_name, mutate) => {
        const text = mutate(policy);
        expect(text).not.toBe(policy);
        const imported = importIos(text);
        expect(imported.errors.length > 0 || imported.entries < entriesIn(policy)).toBe(true);
      });

      test.each([
        [
          'the mail server only as the destination, as the recipe is often published',
          (text: string) => text.replace(/^.*permit tcp host .*\n/m, ''),
          { 'mail server to the world': 'timeout' },
        ],
        [
          'the source port instead of the destination port',
          (text: string) => text.replace(permit, `permit tcp host ${mail} eq 25 any`),
          { 'mail server to the world': 'timeout' },
        ],
        [
          'no final permit',
          (text: string) => text.replace(/^.*permit ip any any\n/m, ''),
          { 'client on 80': 'timeout' },
        ],
        [
          'permit everything first',
          (text: string) => text.replace(/^( \d+) permit tcp host .*$/m, '$1 permit ip any any'),
          { 'rogue to the world': 'open' },
        ],
        [
          'deny before permit',
          (text: string) =>
            text.replace(/^( \d+) permit tcp host/m, ' 5 deny tcp any any eq 25\n$1 permit tcp host'),
          { 'mail server to the world': 'timeout' },
        ],
      ])('by packets: %s', async (_name, mutate, wrong) => {
        const text = mutate(policy);
        expect(text).not.toBe(policy);
        const found = await outcomes(text);
        expect(found).toMatchObject(wrong);
        expect(found).not.toEqual(POLICY);
      });
    });
  },
);

/** The rendered iptables and ipset script, run on a router between namespaces, judged by real TCP connections. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { type AclLab, aclText, HOSTS, type Outcome, openAclLab, type Probe } from './acl-lab.ts';

const obstacle = cannotRunAsRoot(
  'iptables',
  'iptables-restore',
  'ip6tables-restore',
  'ipset',
  'nft',
  'python3',
  'setpriv',
);
const FAMILIES = ['4', '6'] as const;
const LANS = [
  ['on the LAN interface', { interface: 'lan0' }],
  ['without an interface', {}],
] as const;

/** The ports of the world that no list may touch for anyone. */
const OTHER_PORTS = [80, 465, 587, 2525];

describe.skipIf(obstacle !== null)(
  `iptables and ipset access lists on a real router${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let lab: AclLab;

    beforeAll(async () => {
      lab = await openAclLab();
    });
    afterEach(() => {
      lab.clear();
      lab.run('router', 'ipset', 'destroy');
    });
    afterAll(() => lab?.close());

    const load = (text: string) => lab.load('router', text, 'sh');

    async function expectOutcomes(
      family: '4' | '6',
      cases: readonly (readonly [Probe, Outcome])[],
    ): Promise<void> {
      const found = await Promise.all(
        cases.map(async ([probe]) => [probe, await lab.probe(family, probe)] as const),
      );
      expect(found).toEqual(cases);
    }

    const otherPorts = (from: Probe['from']): [Probe, Outcome][] =>
      OTHER_PORTS.map((port) => [{ from, to: 'world', port }, 'open']);

    describe.each(FAMILIES)('IPv%s', (family) => {
      const tool = family === '4' ? 'iptables' : 'ip6tables';

      test.each(LANS)('a policy %s lets only the mail server talk SMTP to the world', async (_where, lan) => {
        load(aclText({ platform: 'iptables', kind: 'policy', family, ...lan }));
        await expectOutcomes(family, [
          [{ from: 'mail', to: 'world', port: 25 }, 'open'],
          [{ from: 'rogue', to: 'world', port: 25 }, 'refused'],
          [{ from: 'client', to: 'world', port: 25 }, 'refused'],
          ...otherPorts('rogue'),
          [{ from: 'world', to: 'mail', port: 25 }, 'open'],
          [{ from: 'office', to: 'mail', port: 25 }, 'open'],
          [{ from: 'world', to: 'receiver', port: 25 }, 'open'],
        ]);
      });

      test.each(LANS)('an offenders list %s refuses port 25 to the listed host only', async (_where, lan) => {
        load(aclText({ platform: 'iptables', kind: 'offenders', family, ...lan }, [HOSTS[family].rogue]));
        await expectOutcomes(family, [
          [{ from: 'rogue', to: 'world', port: 25 }, 'refused'],
          ...otherPorts('rogue'),
          [{ from: 'client', to: 'world', port: 25 }, 'open'],
          [{ from: 'mail', to: 'world', port: 25 }, 'open'],
          [{ from: 'world', to: 'mail', port: 25 }, 'open'],
        ]);
      });

      test('an empty list lifts the block of the one before', async () => {
        load(aclText({ platform: 'iptables', kind: 'offenders', family }, [HOSTS[family].rogue]));
        expect(await lab.probe(family, { from: 'rogue', to: 'world', port: 25 })).toBe('refused');
        load(aclText({ platform: 'iptables', kind: 'offenders', family }));
        expect(await lab.probe(family, { from: 'rogue', to: 'world', port: 25 })).toBe('open');
      });

      test('it ends the open session of a denied host, before an "established" accept, and no other', async () => {
        const accept = ['-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT'];
        lab.run('router', tool, '-A', 'FORWARD', ...accept);
        const rogue = lab.session(family, 'rogue');
        const mail = lab.session(family, 'mail');
        await Promise.all([rogue.printed(/open/), mail.printed(/open/)]);
        load(aclText({ platform: 'iptables', kind: 'policy', family, interface: 'lan0' }));
        await rogue.printed(/broken/);
        await new Promise((resolve) => setTimeout(resolve, 600));
        expect(mail.output()).not.toMatch(/broken/);
      });

      test('what it lets through is still for the rules of the operator to judge', async () => {
        lab.run('router', tool, '-A', 'FORWARD', '-p', 'tcp', '--dport', '25', '-j', 'DROP');
        load(aclText({ platform: 'iptables', kind: 'policy', family, interface: 'lan0' }));
        expect(await lab.probe(family, { from: 'mail', to: 'world', port: 25 })).toBe('timeout');
      });

      test.each(['policy', 'offenders'] as const)(
        'the roll-back lines of the %s list take it off',
        async (kind) => {
          const before = lab.run('router', tool, '-S');
          const text = aclText({ platform: 'iptables', kind, family, interface: 'lan0' }, [
            HOSTS[family].rogue,
          ]);
          load(text);
          expect(await lab.probe(family, { from: 'rogue', to: 'world', port: 25 })).toBe('refused');
          const lines = /^# rollback: (.*(?:\n# {11}.*)*)/m.exec(text);
          expect(lines).not.toBeNull();
          lab.run('router', 'sh', '-ec', lines![1].replace(/\n# +/g, '\n'));
          expect(lab.run('router', tool, '-S')).toBe(before);
          expect(lab.run('router', 'ipset', 'list', '-name')).toBe('');
        },
      );
    });

    test('lists of each kind, family and interface live beside each other, applied again and again', async () => {
      const choices = FAMILIES.flatMap((family) =>
        (['policy', 'offenders'] as const).flatMap((kind) =>
          [{ interface: 'lan0' }, { interface: 'off0' }, {}].map((lan) => ({ family, kind, ...lan })),
        ),
      );
      for (let round = 0; round < 2; round++) {
        for (const choice of choices) load(aclText({ platform: 'iptables', ...choice }, [HOSTS['4'].rogue]));
      }
      for (const tool of ['iptables', 'ip6tables'])
        expect(lab.run('router', tool, '-S', 'FORWARD').match(/-j SMTP-/g)).toHaveLength(6);
      expect(await lab.probe('4', { from: 'mail', to: 'world', port: 25 })).toBe('open');
    });
  },
);

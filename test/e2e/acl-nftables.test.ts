/** The rendered nftables text, loaded on a router between namespaces, judged by real TCP connections. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { type AclLab, aclText, HOSTS, type Outcome, openAclLab, type Probe } from './acl-lab.ts';

const obstacle = cannotRunAsRoot('nft', 'python3', 'setpriv');
const FAMILIES = ['4', '6'] as const;
const LANS = [
  ['on the LAN interface', { interface: 'lan0' }],
  ['without an interface', {}],
] as const;

/** The ports of the world that no list may touch for anyone. */
const OTHER_PORTS = [80, 465, 587, 2525];

describe.skipIf(obstacle !== null)(
  `nftables access lists on a real router${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let lab: AclLab;

    beforeAll(async () => {
      lab = await openAclLab();
    });
    afterEach(() => lab.clear());
    afterAll(() => lab?.close());

    const load = (text: string) => {
      lab.load('router', text, 'nft', '-c', '-f');
      lab.load('router', text, 'nft', '-f');
    };

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
      test('before any list everything is open, so that a refusal below means something', async () => {
        await expectOutcomes(family, [
          [{ from: 'rogue', to: 'world', port: 25 }, 'open'],
          [{ from: 'client', to: 'world', port: 25 }, 'open'],
          [{ from: 'office', to: 'world', port: 25 }, 'open'],
          [{ from: 'office', to: 'mail', port: 25 }, 'open'],
          [{ from: 'world', to: 'mail', port: 25 }, 'open'],
        ]);
      });

      test.each(LANS)('a policy %s lets only the mail server talk SMTP to the world', async (_where, lan) => {
        load(aclText({ platform: 'nftables', kind: 'policy', family, ...lan }));
        await expectOutcomes(family, [
          [{ from: 'mail', to: 'world', port: 25 }, 'open'],
          [{ from: 'rogue', to: 'world', port: 25 }, 'refused'],
          [{ from: 'client', to: 'world', port: 25 }, 'refused'],
          ...otherPorts('rogue'),
          ...otherPorts('client'),
        ]);
      });

      test.each(LANS)('a policy %s does not cut mail to our servers', async (_where, lan) => {
        load(aclText({ platform: 'nftables', kind: 'policy', family, ...lan }));
        await expectOutcomes(family, [
          [{ from: 'world', to: 'mail', port: 25 }, 'open'],
          [{ from: 'office', to: 'mail', port: 25 }, 'open'],
          // It is no sender, so nothing but where the packet comes from speaks for it.
          [{ from: 'world', to: 'receiver', port: 25 }, 'open'],
        ]);
      });

      test('a policy on the interface of other clients lets them deliver to the mail server only', async () => {
        load(aclText({ platform: 'nftables', kind: 'policy', family, interface: 'off0' }));
        await expectOutcomes(family, [
          [{ from: 'office', to: 'mail', port: 25 }, 'open'],
          [{ from: 'office', to: 'world', port: 25 }, 'refused'],
          ...otherPorts('office'),
          // The list of one interface says nothing about another.
          [{ from: 'client', to: 'world', port: 25 }, 'open'],
        ]);
      });

      test.each(LANS)(
        'an offenders list %s refuses port 25 to the listed host and nothing else',
        async (_where, lan) => {
          load(aclText({ platform: 'nftables', kind: 'offenders', family, ...lan }, [HOSTS[family].rogue]));
          await expectOutcomes(family, [
            [{ from: 'rogue', to: 'world', port: 25 }, 'refused'],
            ...otherPorts('rogue'),
            [{ from: 'client', to: 'world', port: 25 }, 'open'],
            [{ from: 'mail', to: 'world', port: 25 }, 'open'],
            [{ from: 'world', to: 'mail', port: 25 }, 'open'],
            [{ from: 'office', to: 'mail', port: 25 }, 'open'],
          ]);
        },
      );

      test('an empty offenders list loads, and lifts the block of the one before', async () => {
        load(aclText({ platform: 'nftables', kind: 'offenders', family }, [HOSTS[family].rogue]));
        expect(await lab.probe(family, { from: 'rogue', to: 'world', port: 25 })).toBe('refused');
        load(aclText({ platform: 'nftables', kind: 'offenders', family }));
        expect(await lab.probe(family, { from: 'rogue', to: 'world', port: 25 })).toBe('open');
      });

      test.each(['policy', 'offenders'] as const)(
        'loading the %s list ends the open session of a denied host, behind an "established" accept too, and no other',
        async (kind) => {
          lab.load('router', OPERATORS_RULES, 'nft', '-f');
          const rogue = lab.session(family, 'rogue');
          const mail = lab.session(family, 'mail');
          await Promise.all([rogue.printed(/open/), mail.printed(/open/)]);
          load(aclText({ platform: 'nftables', kind, family, interface: 'lan0' }, [HOSTS[family].rogue]));
          await rogue.printed(/broken/);
          await new Promise((resolve) => setTimeout(resolve, 600));
          expect(mail.output()).not.toMatch(/broken/);
        },
      );

      test.each(['policy', 'offenders'] as const)(
        'the %s list never spares a packet the rules of the operator',
        async (kind) => {
          lab.load('router', OPERATORS_RULES, 'nft', '-f');
          load(aclText({ platform: 'nftables', kind, family, interface: 'lan0' }, [HOSTS[family].rogue]));
          await expectOutcomes(family, [
            [{ from: 'mail', to: 'world', port: 2525 }, 'timeout'],
            [{ from: 'mail', to: 'world', port: 25 }, 'open'],
          ]);
        },
      );
    });

    test('lists of each kind, family and interface live beside each other, loaded again and again', () => {
      const choices = FAMILIES.flatMap((family) =>
        (['policy', 'offenders'] as const).flatMap((kind) =>
          [{ interface: 'lan0' }, { interface: 'off0' }, {}].map((lan) => ({ family, kind, ...lan })),
        ),
      );
      lab.load('router', OPERATORS_RULES, 'nft', '-f');
      const operators = lab.run('router', 'nft', 'list', 'table', 'inet', 'operator');
      for (let round = 0; round < 2; round++) {
        for (const choice of choices) load(aclText({ platform: 'nftables', ...choice }, [HOSTS['4'].rogue]));
      }
      const tables = lab.run('router', 'nft', 'list', 'tables').trim().split('\n');
      expect(new Set(tables).size).toBe(choices.length + 1);
      expect(tables).toHaveLength(choices.length + 1);
      expect(lab.run('router', 'nft', 'list', 'table', 'inet', 'operator')).toBe(operators);
    });

    test('the roll-back line of the header takes the list off', async () => {
      const text = aclText({ platform: 'nftables', kind: 'offenders', family: '4' }, [HOSTS['4'].rogue]);
      load(text);
      const line = /^# .*(nft delete table \S+ \S+)/im.exec(text);
      expect(line).not.toBeNull();
      lab.run('router', 'sh', '-c', line![1]);
      expect(await lab.probe('4', { from: 'rogue', to: 'world', port: 25 })).toBe('open');
      expect(lab.run('router', 'nft', 'list', 'ruleset').trim()).toBe('');
    });

    test('five thousand offenders load, and the first and the last of them are denied', async () => {
      const many = Array.from(
        { length: 4998 },
        (_, i) => `2001:db8:1::${(0x1000 + i).toString(16).padStart(4, '0')}`,
      );
      const hosts = [HOSTS['6'].rogue, ...many, HOSTS['6'].office];
      load(aclText({ platform: 'nftables', kind: 'offenders', family: '6' }, hosts));
      const table = lab.run(
        'router',
        'nft',
        '-j',
        'list',
        'set',
        'ip6',
        'rogue_smtp_offenders',
        'smtp_offenders',
      );
      expect(table.match(/incident number/g)).toHaveLength(5000);
      await expectOutcomes('6', [
        [{ from: 'rogue', to: 'world', port: 25 }, 'refused'],
        [{ from: 'office', to: 'world', port: 25 }, 'refused'],
        [{ from: 'client', to: 'world', port: 25 }, 'open'],
      ]);
    });
  },
);

/** What a router has anyway: replies pass, and one port of the world is closed. */
const OPERATORS_RULES = `
table inet operator
delete table inet operator
table inet operator {
	chain operator_forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		tcp dport 2525 drop
	}
}
`;

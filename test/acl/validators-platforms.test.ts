/** The texts before readers that are not ours: ExaBGP, BIRD, GoBGP, iptables with ipset, and fwbuilder for Cisco ASA. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { asaIPv4, importAsa } from '../e2e/fwbuilder.ts';
import { offender, prefix, request, sender } from '../support/acl-requests.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-acl-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const MANY = 5000;
const SIZES = [0, 1, MANY];
const internal = ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'].map(prefix);
const senders = [
  sender(['192.0.2.100', '2001:db8:1::100'], { owner: 'A "quoted" owner\n', reason: 'x'.repeat(200) }),
  sender(['192.0.2.64/29', '192.0.2.66', '2001:db8:1:2::/64'], {
    name: 'scanners',
    to: ['198.51.100.26', '203.0.113.0/24', '2001:db8:9::/48'],
  }),
];
const never = ['192.0.2.3', '192.0.2.0/28', 'fd00::/8'].map(prefix);

const list = (platform: AclPlatform, family: '4' | '6', count: number, lan?: string) =>
  renderAcl(
    request({
      platform,
      kind: 'offenders',
      family,
      internal,
      senders,
      never,
      maxEntries: MANY,
      ...(lan === undefined ? {} : { interface: lan }),
      offenders: Array.from({ length: count }, (_, i) => [
        offender(`10.${i >> 8}.${i & 255}.7`),
        offender(`2001:db8:1::${(i + 1).toString(16)}:7`),
      ]).flat(),
    }),
  );

const policy = (platform: AclPlatform, family: '4' | '6', lan: string | undefined) =>
  renderAcl(
    request({ platform, family, internal, senders, never, ...(lan === undefined ? {} : { interface: lan }) }),
  ).text;

const named = (what: string, obstacle: string | null) =>
  `${what}${obstacle === null ? '' : ` (skipped: ${obstacle})`}`;

function write(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

const FAMILIES = ['4', '6'] as const;
const SOME = FAMILIES.flatMap((family) => SIZES.map((count) => ({ family, count })));

const noExabgp = cannotRunAsRoot('exabgp');
describe.skipIf(noExabgp !== null)(named('ExaBGP takes the routes', noExabgp), () => {
  const validate = (text: string, family: string) =>
    spawnSync(
      'exabgp',
      [
        '--validate',
        write(
          'exabgp.conf',
          `${text}neighbor 127.0.0.1 { inherit rogue-smtp-${family}; router-id 192.0.2.9; local-address 127.0.0.1; ` +
            `local-as 64512; peer-as 64512; family { ipv${family} flow; } }\n`,
        ),
      ],
      { encoding: 'utf8', env: { ...process.env, exabgp_daemon_user: 'root' } },
    ).status;

  it.each(SOME)('of $count offenders, IPv$family', ({ family, count }) => {
    expect(validate(list('exabgp', family, count).text, family)).toBe(0);
  });

  it.each([
    ['a port that is none', 'destination-port =25', 'destination-port =70000'],
    ['an unknown word', 'protocol tcp', 'protokoll tcp'],
    ['an address that is none', 'source 10.0.0.7/32', 'source 10.0.0.777/32'],
  ])('and refuses %s', (_name, right, wrong) => {
    expect(validate(list('exabgp', '4', 1).text.replace(right, wrong), '4')).not.toBe(0);
  });
});

const noBird = cannotRunAsRoot('bird');
describe.skipIf(noBird !== null)(named('BIRD takes the routes', noBird), () => {
  const parse = (text: string) =>
    spawnSync('bird', ['-p', '-c', write('bird.conf', `router id 192.0.2.9;\n${text}`)], {
      encoding: 'utf8',
    });

  it.each(SOME)('of $count offenders, IPv$family', ({ family, count }) => {
    expect(parse(list('bird', family, count).text)).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    ['a port that is none', 'dport = 25', 'dport = 70000'],
    ['host bits', '10.0.0.7/32', '10.0.0.7/24'],
  ])('and refuses %s', (_name, right, wrong) => {
    expect(parse(list('bird', '4', 1).text.replace(right, wrong)).status).toBe(1);
  });
});

const noGobgp = cannotRunAsRoot('gobgp', 'gobgpd', 'unshare');
describe.skipIf(noGobgp !== null)(named('GoBGP takes the routes', noGobgp), () => {
  /** Runs the scripts one after the other beside a daemon in a namespace; the routes that are there in the end. */
  function routesAfter(family: '4' | '6', ...texts: readonly string[]): string[] {
    const config = write('gobgpd.toml', '[global.config]\nas = 64512\nrouter-id = "192.0.2.9"\nport = -1\n');
    const scripts = texts.map((text, i) => `sh ${write(`gobgp${i}.sh`, text)} || exit 1`);
    const state = mkdtempSync(join(directory, 'state-'));
    const command = [
      'ip link set lo up',
      `gobgpd -f ${config} > ${state}/log 2>&1 & daemon=$!`,
      'for i in $(seq 100); do gobgp global > /dev/null 2>&1 && break; sleep 0.1; done',
      `(${scripts.join('\n')})`,
      'failed=$?',
      `gobgp -j global rib -a ipv${family}-flowspec`,
      'kill $daemon; exit $failed',
    ].join('\n');
    const { status, stdout, stderr } = spawnSync('unshare', ['-n', 'sh', '-c', command], {
      encoding: 'utf8',
      env: { ...process.env, ROGUE_SMTP_STATE: state },
    });
    expect([status, stderr]).toEqual([0, '']);
    return Object.keys(JSON.parse(stdout)).sort();
  }

  it('and withdraws those that are no longer listed, and those only', () => {
    expect(routesAfter('4', list('gobgp', '4', 1).text)).toEqual([
      expect.stringMatching(/source: ?10\.0\.0\.7\/32.*protocol: ?==tcp.*destination-port: ?==25/),
    ]);
    expect(routesAfter('4', list('gobgp', '4', 3).text, list('gobgp', '4', 2).text)).toHaveLength(2);
    expect(routesAfter('6', list('gobgp', '6', 3).text, list('gobgp', '6', 3).text)).toHaveLength(3);
    expect(routesAfter('6', list('gobgp', '6', 3).text, list('gobgp', '6', 0).text)).toHaveLength(0);
  });
});

const noBgp = cannotRunAsRoot('exabgp', 'gobgp', 'gobgpd', 'unshare');
describe.skipIf(noBgp !== null)(named('ExaBGP announces the routes to GoBGP', noBgp), () => {
  it.each(FAMILIES)('with what IPv%s needs to drop the mail of the hosts only', (family) => {
    const gobgpd = write(
      'peer.toml',
      [
        '[global.config]',
        'as = 64513',
        'router-id = "192.0.2.1"',
        'port = 179',
        'local-address-list = ["127.0.0.1"]',
        '[[neighbors]]',
        '[neighbors.config]',
        'neighbor-address = "127.0.0.2"',
        'peer-as = 64512',
        '[neighbors.transport.config]',
        'passive-mode = true',
        '[[neighbors.afi-safis]]',
        '[neighbors.afi-safis.config]',
        `afi-safi-name = "ipv${family}-flowspec"`,
        '',
      ].join('\n'),
    );
    const exabgp = write(
      'peer.conf',
      `${list('exabgp', family, 2).text}neighbor 127.0.0.1 { inherit rogue-smtp-${family}; router-id 192.0.2.9; ` +
        `local-address 127.0.0.2; local-as 64512; peer-as 64513; family { ipv${family} flow; } }\n`,
    );
    const command = [
      'ip link set lo up',
      `gobgpd -f ${gobgpd} > /dev/null 2>&1 & daemon=$!`,
      'for i in $(seq 100); do gobgp global > /dev/null 2>&1 && break; sleep 0.1; done',
      `exabgp ${exabgp} > /dev/null 2>&1 & speaker=$!`,
      `for i in $(seq 150); do gobgp global rib -a ipv${family}-flowspec | grep -c source | grep -qx 2 && break; sleep 0.1; done`,
      `gobgp global rib -a ipv${family}-flowspec`,
      'kill $speaker $daemon',
    ].join('\n');
    const { stdout } = spawnSync('unshare', ['-n', 'sh', '-c', command], {
      encoding: 'utf8',
      env: { ...process.env, exabgp_daemon_user: 'root' },
    });
    const routes = stdout.split('\n').filter((line) => line.includes('source'));
    expect(routes).toHaveLength(2);
    const host = family === '4' ? /source: 10\.0\.0\.7\/32/ : /source: 2001:db8:1::1:7\/128\/0/;
    expect(routes.some((route) => host.test(route))).toBe(true);
    for (const route of routes) {
      expect(route).toMatch(/protocol: ==tcp\]|next-header: ==tcp\]/);
      expect(route).toMatch(/destination-port: ==25\]/);
      expect(route).toMatch(/discard/);
    }
  });
});

const noIptables = cannotRunAsRoot('iptables', 'iptables-restore', 'ip6tables-restore', 'ipset', 'unshare');
describe.skipIf(noIptables !== null)(named('iptables and ipset take the script', noIptables), () => {
  const apply = (text: string, more = 'true') =>
    spawnSync(
      'unshare',
      ['-n', 'sh', '-c', `sh ${write('list.sh', text)} && sh ${join(directory, 'list.sh')} && ${more}`],
      {
        encoding: 'utf8',
      },
    );

  it.each(SOME)('of $count offenders, IPv$family, twice', ({ family, count }) => {
    const { text } = list('iptables', family, count, 'br-lan.100');
    const done = apply(text, `ipset list | grep -c comment; ip${family === '6' ? '6' : ''}tables -S FORWARD`);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    // One of them is in the header of the set.
    expect(done.stdout.split('\n')[0]).toBe(String(count + 1));
    expect(done.stdout.match(/-j SMTP-OFF/g)).toHaveLength(1);
  });

  it.each(
    FAMILIES.flatMap((family) => [undefined, 'lan0', 'interface-of-15'].map((lan) => ({ family, lan }))),
  )('of a policy, IPv$family, interface $lan', ({ family, lan }) => {
    expect(apply(policy('iptables', family, lan))).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    ['an address that is none', 'add smtp_off4_new 10.0.0.7', 'add smtp_off4_new 10.0.0.777'],
    ['a port without tcp', '-p tcp -m tcp --dport 25 -m set', '--dport 25 -m set'],
    ['a set that is not there', '--match-set smtp_off4', '--match-set smtp_off5'],
    ['no commit', 'COMMIT\n', ''],
  ])('and refuse %s', (_name, right, wrong) => {
    const { text } = list('iptables', '4', 1);
    expect(text).toContain(right);
    const { status, stderr } = apply(text.replace(right, wrong), 'iptables -S FORWARD | grep -q SMTP');
    expect([status === 0, stderr === '' && status === 0]).toEqual([false, false]);
  });
});

const noOutput = cannotRunAsRoot('nft', 'iptables-restore', 'ip6tables-restore', 'ip', 'unshare', 'bash');
describe.skipIf(noOutput !== null)(named('a router is refused port 25 by its own list', noOutput), () => {
  // Nobody answers there: a refusal is at once, all else takes its time.
  const connect = (address: string, port: number) =>
    `timeout 0.5 bash -c '</dev/tcp/${address}/${port}' 2>/dev/null; echo "${port} $([ $? = 124 ] && echo sent || echo refused)"`;

  it.each(
    (['nftables', 'iptables'] as const).flatMap((platform) =>
      FAMILIES.map((family) => ({ platform, family })),
    ),
  )('$platform, IPv$family', ({ platform, family }) => {
    const [self, server, world] =
      family === '4'
        ? ['192.0.2.1/24', '192.0.2.100', '198.51.100.25']
        : ['2001:db8:1::1/64', '2001:db8:1::100', '2001:db8:ffff::25'];
    const { text } = renderAcl(request({ platform, family, internal, senders, traffic: 'own' }));
    const file = write('own.sh', text);
    const commands = [
      'ip link add d0 type veth peer name d1 && ip link set d1 up',
      `ip addr add ${self} dev d0 ${family === '6' ? 'nodad' : ''}`,
      'ip link set d0 up && ip link set lo up',
      `ip -${family} route add default dev d0`,
      ...(platform === 'nftables' ? [`nft -f ${file}`] : [`sh ${file}`, `sh ${file}`]),
      [connect(world, 25), connect(world, 26), connect(server, 25)].join('; '),
    ];
    const done = spawnSync('unshare', ['-n', 'sh', '-c', commands.join(' && ')], { encoding: 'utf8' });
    expect(done).toMatchObject({ stderr: '', stdout: '25 refused\n26 sent\n25 sent\n' });
  });
});

const noFwbuilder = cannotRunAsRoot('fwbedit');
describe.skipIf(noFwbuilder !== null)(
  named('fwbuilder understands every IPv4 entry for Cisco ASA', noFwbuilder),
  () => {
    const entries = (text: string) => asaIPv4(text).match(/ extended (permit|deny) /g)?.length ?? 0;

    it('of a policy', () => {
      const text = policy('cisco-asa', '4', 'inside');
      expect(importAsa(text)).toEqual({ entries: entries(text), errors: [] });
    });

    it('of 300 offenders', () => {
      const { text } = list('cisco-asa', '4', 300, 'inside');
      expect(importAsa(text)).toEqual({ entries: 301, errors: [] });
    });

    it.each([
      ['ip where a port needs tcp', 'deny tcp any4 any4 eq 25', 'deny ip any4 any4 eq 25'],
      ['a prefix length', '192.0.2.64 255.255.255.248', '192.0.2.64/29'],
      ['allow', 'extended permit tcp host 192.0.2.100 any4', 'extended allow tcp host 192.0.2.100 any4'],
    ])('and not the mistake of %s', (_name, right, wrong) => {
      const text = policy('cisco-asa', '4', 'inside');
      expect(text).toContain(right);
      const imported = importAsa(text.replace(right, wrong));
      expect(imported.errors.length > 0 || imported.entries < entries(text)).toBe(true);
    });
  },
);

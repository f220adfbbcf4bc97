/**
 * The lists that devices fetch, before readers that are not ours: nft and ipset load them, again and again, and are asked
 * what is in their sets. For RouterOS and the plain lists there is no reader to be had: theirs are read by the grammar of
 * the tests, which takes nothing but what the device is known to take.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AclFamily, MAX_OFFENDERS } from '../../src/acl/model.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { formatPrefix, parsePrefix } from '../../src/flow/prefix.ts';
import { ipsetScript } from '../../src/http/list-forms.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { blockedOf, namedHosts, renderFor } from '../../src/publish/acl-request.ts';
import { flow, judge, NOW_MS, offender } from '../support/acl-requests.ts';
import { EMPTY_MODEL, startHttpServer, stopHttpServers } from '../support/http-server.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-lists-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(stopHttpServers);

const FAMILIES = ['4', '6'] as const;
const MANY = 5000;
const host4 = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
const host6 = (i: number) => `2001:db8:1::7:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}`;
const hosts = (family: AclFamily, count: number, from = 1) =>
  Array.from({ length: count }, (_, i) => (family === '4' ? host4 : host6)(from + i));

/** What ends a string, a line, a block or a command in one of the forms. */
const HOSTILE = [
  '"; }\nflush ruleset\n',
  '" }\r\n/system reset-configuration\r\n:do { add comment="',
  '\nadd rogue-smtp4-new 0.0.0.0/1\nflush rogue-smtp4\n',
  '\n192.0.2.100\n',
  '$(reboot) `reboot` \\" [/system reboot] {0}',
  'й\u2028\u0000\u001b[2J',
];
const hostile = (family: AclFamily): Incident[] =>
  hosts(family, HOSTILE.length).map((host, i) => {
    const text = HOSTILE[i];
    const block = { ...offender(host).block, reason: text };
    return offender(host, { incident_id: text, first_seen: text, site: text, reasons: [text], block });
  });

const CASES: readonly (readonly [string, (family: AclFamily) => readonly Incident[]])[] = [
  ['nobody', () => []],
  ['one host', (family) => hosts(family, 1).map((host) => offender(host))],
  [`${MANY} hosts`, (family) => hosts(family, MANY).map((host) => offender(host))],
  ['hosts with hostile reasons', hostile],
];
const EVERY = FAMILIES.flatMap((family) => CASES.map(([what, incidents]) => ({ family, what, incidents })));

type Form = 'txt' | 'ipset' | 'nft' | 'rsc';

/** What a device gets that fetches a list of these offenders from the server. */
async function fetched(
  name: `${'v4' | 'v6'}.${Form}` | 'all.txt',
  incidents: readonly Incident[],
  block: ConfigInput['block'] = {},
): Promise<string> {
  const config = configSchema.parse({
    networks: { internal: ['10.0.0.0/8', '192.0.2.0/24', '2001:db8:1::/48'] },
    senders: [{ name: 'mail', hosts: ['192.0.2.100', '2001:db8:1::100'] }],
    block: { mode: 'publish', max_entries: MANY, ...block },
  });
  const listed = blockedOf(config, incidents, NOW_MS);
  const base = await startHttpServer(undefined, {
    blockedHosts: (family) => namedHosts(config, listed, family, NOW_MS, []),
    model: { ...EMPTY_MODEL, renderAcl: async (request) => renderFor(config, listed, request, NOW_MS) },
  });
  const response = await fetch(`${base}/v1/lists/offenders.${name}`);
  const text = await response.text();
  expect([response.status, response.headers.get('content-type')], text).toEqual([
    200,
    'text/plain; charset=utf-8',
  ]);
  return text;
}

/** A /64 that is blocked as a whole where a form can say so, else by its one proven address. */
const NETWORK = offender('2001:db8:1:7::/64', {
  members: [
    {
      address: '2001:db8:1:7::55',
      last_seen: '2026-03-01T10:00:00.000Z',
      until: '2026-03-01T14:00:00.000Z',
    },
  ],
});

const file = (name: string, text: string) => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

/** Runs a script in a network namespace that ends with it. */
const inNamespace = (...lines: readonly string[]) =>
  spawnSync('unshare', ['-n', 'sh', '-c', lines.join('\n')], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });

const named = (what: string, obstacle: string | null) =>
  `${what}${obstacle === null ? '' : ` (skipped: ${obstacle})`}`;

const noNft = cannotRunAsRoot('nft', 'unshare');
describe.skipIf(noNft !== null)(named('nft takes the .nft list', noNft), () => {
  const table = (family: AclFamily) => `${family === '4' ? 'ip' : 'ip6'} rogue_smtp_offenders`;

  /** Loads the lists one after the other; the members and all tables that are there in the end. */
  function load(family: AclFamily, ...texts: readonly string[]) {
    const { status, stdout, stderr } = inNamespace(
      'set -e',
      ...texts
        .map((text, i) => file(`${i}.nft`, text))
        .flatMap((path) => [`nft -c -f ${path}`, `nft -f ${path}`]),
      `nft -j list set ${table(family)} smtp_offenders`,
      'nft list tables',
    );
    expect([status, stderr]).toEqual([0, '']);
    const [json, ...tables] = stdout.trim().split('\n');
    const { nftables } = JSON.parse(json) as {
      nftables: readonly { set?: { elem?: readonly (string | { elem: { val: string } })[] } }[];
    };
    const members = nftables.flatMap(({ set }) => set?.elem ?? []);
    return { members: members.map((one) => (typeof one === 'string' ? one : one.elem.val)).sort(), tables };
  }

  it.each(EVERY)('of $what, IPv$family', async ({ family, incidents }) => {
    const listed = incidents(family);
    const { members, tables } = load(family, await fetched(`v${family}.nft`, listed));
    expect(members).toEqual(listed.map(({ host }) => host).sort());
    expect(tables).toEqual([`table ${table(family)}`]);
  });

  it.each(FAMILIES)('again with other hosts, and with none, IPv%s', async (family) => {
    const text = (incidents: readonly Incident[]) => fetched(`v${family}.nft`, incidents);
    const [two, next, none] = await Promise.all([
      text(hosts(family, 2).map((host) => offender(host))),
      text(hosts(family, 2, 2).map((host) => offender(host))),
      text([]),
    ]);
    expect(load(family, two, two, next).members).toEqual(hosts(family, 2, 2));
    expect(load(family, two, none).members).toEqual([]);
    expect(load(family, none, next).members).toEqual(hosts(family, 2, 2));
  });

  it('of the proven addresses of a whole IPv6 network: the set is one of hosts', async () => {
    const text = await fetched('v6.nft', [NETWORK], { ipv6: 'prefix' });
    expect(load('6', text).members).toEqual(['2001:db8:1:7::55']);
  });

  it('and refuses a wrong one, which changes nothing', async () => {
    const right = await fetched('v4.nft', [offender(host4(1))]);
    const wrong = right.replace(`${host4(1)} `, `${host4(2)}/32 `);
    expect(wrong).not.toBe(right);
    const { stdout } = inNamespace(
      `nft -f ${file('right.nft', right)}`,
      `nft -c -f ${file('wrong.nft', wrong)} || echo refused`,
      `nft -f ${file('wrong.nft', wrong)} || echo refused`,
      `nft list set ${table('4')} smtp_offenders`,
    );
    expect(stdout).toMatch(/^refused\nrefused\n/);
    expect(stdout).toContain(host4(1));
  });
});

const noIpset = cannotRunAsRoot('ipset', 'iptables', 'ip6tables', 'unshare');
describe.skipIf(noIpset !== null)(named('ipset takes the .ipset list', noIpset), () => {
  /** Runs lines where lists can be loaded; the members of our set, and the names of all sets, that are there in the end. */
  function after(family: AclFamily, ...lines: readonly string[]) {
    const { stdout, stderr } = inNamespace(
      ...lines,
      'echo members',
      `ipset save rogue-smtp${family}`,
      'echo sets',
      'ipset list -name',
    );
    const [said, saved, sets] = stdout.split(/^(?:members|sets)\n/m);
    const members = saved.split('\n').flatMap((line) => /^add \S+ (\S+)$/.exec(line)?.[1] ?? []);
    return { said, stderr, members: members.sort(), sets: sets.trim().split('\n') };
  }

  const load = (family: AclFamily, ...texts: readonly string[]) => {
    const { said, stderr, ...found } = after(
      family,
      ...texts.map((text, i) => `ipset restore < ${file(`${i}.ipset`, text)} || echo failed`),
    );
    expect([said, stderr]).toEqual(['', '']);
    return found;
  };

  it.each(EVERY)('of $what, IPv$family', async ({ family, incidents }) => {
    const listed = incidents(family);
    expect(load(family, await fetched(`v${family}.ipset`, listed))).toEqual({
      members: listed.map(({ host }) => host).sort(),
      sets: [`rogue-smtp${family}`],
    });
  });

  it.each(FAMILIES)(
    'again with other hosts, and with none, while a rule matches its set, IPv%s',
    async (family) => {
      const text = (incidents: readonly Incident[]) => fetched(`v${family}.ipset`, incidents);
      const lists = await Promise.all([
        text(hosts(family, 2).map((host) => offender(host))),
        text(hosts(family, 2, 2).map((host) => offender(host))),
        text([]),
      ]);
      const [two, next, none] = lists.map(
        (list, i) => `ipset restore < ${file(`list${i}.ipset`, list)} || echo failed`,
      );
      const match = /-m set --match-set \S+ src$/m.exec(lists[0])?.[0];
      const rule = `ip${family === '6' ? '6' : ''}tables -A FORWARD -p tcp --dport 25 ${match} -j REJECT || echo failed`;
      const found = { said: '', stderr: '', sets: [`rogue-smtp${family}`] };
      expect(after(family, two, rule, two, next)).toEqual({ ...found, members: hosts(family, 2, 2) });
      expect(after(family, two, rule, none)).toEqual({ ...found, members: [] });
      expect(after(family, none, rule, next)).toEqual({ ...found, members: hosts(family, 2, 2) });
    },
  );

  it('of both families beside each other', async () => {
    const [four, six] = await Promise.all(
      FAMILIES.map((family) => fetched(`v${family}.ipset`, [offender(hosts(family, 1)[0])])),
    );
    const found = load('4', four, six, four);
    expect(found).toEqual({ members: [host4(1)], sets: ['rogue-smtp4', 'rogue-smtp6'] });
  });

  it('of a whole IPv6 network', async () => {
    const text = await fetched('v6.ipset', [NETWORK], { ipv6: 'prefix' });
    expect(load('6', text).members).toEqual(['2001:db8:1:7::/64']);
  });

  it.each(FAMILIES)('as long as one can be configured to be, IPv%s', (family) => {
    const most = hosts(family, MAX_OFFENDERS);
    expect(new Set(most).size).toBe(MAX_OFFENDERS);
    expect(load(family, ipsetScript(most, family)).members).toHaveLength(MAX_OFFENDERS);
    expect(configSchema.safeParse({ block: { max_entries: MAX_OFFENDERS } }).success).toBe(true);
    expect(configSchema.safeParse({ block: { max_entries: MAX_OFFENDERS + 1 } }).success).toBe(false);
  });

  it.each([
    [
      'is wrong',
      (text: string) => text.replace(`add rogue-smtp4-new ${host4(3)}`, 'add rogue-smtp4-new 10.0.0.777'),
    ],
    ['was cut off', (text: string) => text.slice(0, text.indexOf('swap'))],
  ])('and keeps the one in force when the next %s, until there is a right one', async (_name, spoil) => {
    const first = file('first.ipset', await fetched('v4.ipset', [offender(host4(1))]));
    const next = await fetched('v4.ipset', [offender(host4(2)), offender(host4(3))]);
    expect(spoil(next)).not.toBe(next);
    const lines = [`ipset restore < ${first}`, `ipset restore < ${file('spoiled.ipset', spoil(next))}`];
    expect(after('4', ...lines).members).toEqual([host4(1)]);
    const right = file('right.ipset', await fetched('v4.ipset', [offender(host4(3))]));
    expect(after('4', ...lines, `ipset restore < ${right}`)).toMatchObject({
      members: [host4(3)],
      sets: ['rogue-smtp4'],
    });
  });
});

describe('RouterOS finds in the .rsc list', () => {
  /** The comments first, then our list, one entry a line; the judge refuses every line that is not one of ours. */
  const entries = (text: string) =>
    text.split('\n').flatMap((line) => /^:do \{ add list=\S+ address=(\S+)/.exec(line)?.[1] ?? []);

  it.each(EVERY)('$what, IPv$family, and nothing else', async ({ family, incidents }) => {
    const listed = incidents(family).map(({ host }) => host);
    const text = await fetched(`v${family}.rsc`, incidents(family));
    expect(text).toMatch(/^(?:#[\x20-\x7e]*\n)+\n?(?:[^#\n][\x20-\x7e]*\n)+$/);
    const verdict = judge(text, 'mikrotik');
    expect(entries(text)).toEqual(listed.map((host) => `${host}/${family === '4' ? 32 : 128}`));
    for (const host of [...listed.slice(0, 1), ...listed.slice(-1)]) expect(verdict(flow(host))).toBe('deny');
    expect(verdict(flow(family === '4' ? '192.0.2.100' : '2001:db8:1::100'))).toBe('permit');
  });

  it('a whole IPv6 network', async () => {
    const text = await fetched('v6.rsc', [NETWORK], { ipv6: 'prefix' });
    expect(judge(text, 'mikrotik')(flow('2001:db8:1:7::1'))).toBe('deny');
    expect(entries(text)).toEqual(['2001:db8:1:7::/64']);
  });
});

/**
 * How those who fetch a plain list read a line, as far as it is known: the first word that is left is an entry. What is
 * neither an address nor a prefix they look up as a name (pfSense), skip with a word in the log, or refuse the list for.
 */
const READERS: Readonly<Record<string, (line: string) => string>> = {
  // One entry, a blank, a comment. That a line may be a comment alone is assumed, not documented.
  'PAN-OS': (line) => (line.startsWith('#') ? '' : line.split(' ')[0]),
  // The whole line. That it may be a comment is documented for FortiMail only.
  FortiOS: (line) => (line.startsWith('#') ? '' : line),
  // Cut at the first # or blank; $ and ; begin a comment, too (pfsense-utils.inc).
  pfSense: (line) => line.replace(/^[$;]/, '#').split(/[# ]/)[0],
  // The part before the first of these; // begins a comment (opnsense/core, alias/uri.py).
  OPNsense: (line) => line.split(/[\s,;|#]+/)[0].replace(/^\/\/.*/, ''),
};

describe.each(Object.keys(READERS))('%s finds in the plain list', (device) => {
  function entries(text: string): string[] {
    // For pfSense an empty file is an error; the others end lines as it does.
    expect(text).toMatch(/^# [\x20-\x7e]+\n(?:[0-9a-f.:/]+\n)*$/);
    const found = text
      .slice(0, -1)
      .split('\n')
      .flatMap((line) => READERS[device](line) || []);
    for (const entry of found) {
      const parsed = parsePrefix(entry);
      expect(parsed.ok ? formatPrefix(parsed.prefix) : parsed.reason).toBe(entry);
    }
    return found;
  }

  it.each(EVERY)('$what, IPv$family, and nothing else', async ({ family, incidents }) => {
    const listed = incidents(family);
    expect(entries(await fetched(`v${family}.txt`, listed))).toEqual(listed.map(({ host }) => host));
    const other = family === '4' ? 'v6' : 'v4';
    expect(entries(await fetched(`${other}.txt`, listed))).toEqual([]);
  });

  it('both families in one list, a whole IPv6 network too', async () => {
    const all = [...FAMILIES.flatMap((family) => hosts(family, 3)).map((host) => offender(host)), NETWORK];
    expect(entries(await fetched('all.txt', all, { ipv6: 'prefix' }))).toEqual(all.map(({ host }) => host));
  });
});

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveMissing } from '../../src/address-lists/resolve-missing.ts';
import { checkCommand } from '../../src/cli/check.ts';
import { loadConfig } from '../../src/config/load.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { formatPrefix, type Prefix } from '../../src/flow/prefix.ts';
import { renderFor } from '../../src/publish/acl-request.ts';
import { flow, judge, LISTS, offender } from '../support/acl-requests.ts';
import { collected } from '../support/collected.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { type FollowedLists, followLists } from '../support/following-lists.ts';

let directory: string;
let dns: DnsServer;
/** How far the clock was moved. It also runs faster than it should, so that a TTL of a minute, or a retry, is a second. */
let aheadMs: number;
const STARTED = Date.now();
const now = () => STARTED + 60 * (Date.now() - STARTED) + aheadMs;
const running: FollowedLists[] = [];
const soon = { timeout: 15_000 };

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-names-'));
  dns = await startDnsServer();
  aheadMs = 0;
});
afterEach(async () => {
  for (const lists of running.splice(0)) await lists.stop();
  await dns.stop();
  rmSync(directory, { recursive: true });
});

const configText = (more = '') => `data: ${directory}/data
dns: { servers: ["${dns.address}"] }
networks: { internal: [10.0.0.0/8] }
collector: { listen: ["127.0.0.1:0"] }
http: { listen: "127.0.0.1:1" }
senders:
  - { name: mail, hosts: [mail.example.org] }
  - { name: printers, hosts: [10.0.7.0/24], to: [relay.example.org] }
block: { mode: publish }
${more}`;

function start(config = configText()) {
  const lists = followLists(directory, config, { now });
  running.push(lists);
  return lists;
}

const texts = (prefixes: 'any' | readonly Prefix[]) =>
  prefixes === 'any' ? 'any' : prefixes.map(formatPrefix);
const sendersOf = ({ reloader }: FollowedLists) =>
  reloader.config.senders.map(({ hosts, to }) => [texts(hosts), texts(to)]);
const FIRST = [
  [['10.0.0.25'], 'any'],
  [['10.0.7.0/24'], ['198.51.100.1', '2001:db8:9::1']],
];

function answerAll() {
  dns.zones.set('mail.example.org', { addresses: ['10.0.0.25'] });
  dns.zones.set('relay.example.org', {
    cname: 'pool.provider.example',
    addresses: ['198.51.100.1', '2001:db8:9::1'],
  });
}

describe('DNS names of senders', () => {
  it('are resolved, reach the policy and the list, and follow their answers', async () => {
    answerAll();
    const lists = start();
    expect(lists.reloader.config.missingNames).toEqual(['mail.example.org', 'relay.example.org']);
    lists.begin();
    await expect.poll(() => sendersOf(lists), soon).toEqual(FIRST);
    const before = compilePolicy(lists.reloader.config);
    const at = (text: string) => parseAddress(text) ?? new Uint8Array(16);
    expect(before.missingLists).toBeNull();
    expect(before.verdict(at('10.0.7.9'), 0, at('198.51.100.1'), 0, now()).kind).toBe('authorised');
    expect(before.verdict(at('10.0.7.9'), 0, at('198.51.100.2'), 0, now()).kind).toBe('restricted');
    const { text } = renderFor(
      lists.reloader.config,
      [],
      { platform: 'cisco-ios', kind: 'policy', family: '4' },
      now(),
    );
    expect(text).toMatch(/permit tcp 10\.0\.7\.0 0\.0\.0\.255 host 198\.51\.100\.1 eq (?:smtp|25)/);
    expect(text).toMatch(/permit tcp host 10\.0\.0\.25 any eq (?:smtp|25)/);
    expect(text).not.toContain('example.org');
    for (const { platform, form } of LISTS) {
      const asked = {
        platform,
        kind: 'offenders',
        family: '4',
        ...(form !== undefined && { form }),
      } as const;
      const list = renderFor(lists.reloader.config, [offender('10.0.7.9')], asked, now());
      const to = (destination: string) => judge(list.text, platform, form)(flow('10.0.7.9', { destination }));
      // Platforms that cannot say it leave the host out.
      expect([platform, to('198.51.100.1'), to('198.51.100.2')]).toEqual([
        platform,
        'permit',
        list.leftOut.length === 0 ? 'deny' : 'permit',
      ]);
    }

    dns.zones.set('relay.example.org', { addresses: ['198.51.100.2'] });
    aheadMs += 120_000;
    // What programs may still have from the answer before stays allowed for a while.
    await expect
      .poll(() => sendersOf(lists)[1][1], soon)
      .toEqual(['198.51.100.1', '198.51.100.2', '2001:db8:9::1']);
    expect(compilePolicy(lists.reloader.config).version).not.toBe(before.version);
    aheadMs += 3_700_000;
    await expect.poll(() => sendersOf(lists)[1][1], soon).toEqual(['198.51.100.2']);
  });

  it('keep their last good answer while there is none, over a restart, and that is told once', async () => {
    answerAll();
    const first = start();
    first.begin();
    await expect.poll(() => sendersOf(first), soon).toEqual(FIRST);
    await first.stop();
    dns.zones.clear();
    aheadMs += 3 * 3_600_000;
    const again = start();
    expect(sendersOf(again)).toEqual(FIRST);
    again.begin();
    await expect.poll(() => again.alerts.length, soon).toBe(2);
    const askedBefore = dns.asked.get('relay.example.org') ?? 0;
    aheadMs += 120_000;
    await expect.poll(() => dns.asked.get('relay.example.org') ?? 0, soon).toBeGreaterThan(askedBefore);
    expect(sendersOf(again)).toEqual(FIRST);
    expect(again.alerts.map(({ reasons }) => reasons[0])).toEqual([
      expect.stringMatching(
        /"mail.example.org" could not be resolved since .*last addresses stay.*no such name/,
      ),
      expect.stringMatching(/"relay.example.org" could not be resolved since/),
    ]);
    expect(again.logged.filter((line) => /^warn a DNS name cannot be resolved/.test(line))).toHaveLength(2);
    expect(again.reloader.listStates()).toMatchObject([
      { name: 'mail.example.org', source: 'DNS, for hosts', state: 'stale', entries: 1 },
      { name: 'relay.example.org', source: 'DNS, for `to`', state: 'stale', entries: 2 },
    ]);
    answerAll();
    aheadMs += 120_000;
    await expect
      .poll(() => again.reloader.listStates().map(({ state }) => state), soon)
      .toEqual(['fresh', 'fresh']);
    expect(again.logged.filter((line) => line.includes('can be resolved again'))).toHaveLength(2);
  });

  it('take nothing from a hostile answer, and keep what they have', async () => {
    answerAll();
    const lists = start();
    lists.begin();
    await expect.poll(() => sendersOf(lists), soon).toEqual(FIRST);
    dns.zones.set('mail.example.org', { addresses: ['198.51.100.66', '0.0.0.0'] });
    dns.zones.set('relay.example.org', { addresses: ['10.0.0.1', '127.0.0.1', '224.0.0.1'] });
    aheadMs += 120_000;
    await expect.poll(() => lists.fetcher.counters.refused, soon).toBeGreaterThanOrEqual(2);
    expect(sendersOf(lists)).toEqual(FIRST);
    expect(lists.reloader.listStates()[0].error).toMatch(/198\.51\.100\.66 is not inside networks\.internal/);
    // Nor from a copy that somebody wrote.
    const folder = join(directory, 'data/names');
    for (const name of readdirSync(folder)) {
      const copy = readFileSync(join(folder, name), 'utf8').replace(
        /\n# crc32 .*/s,
        '\n0.0.0.0/8\n127.0.0.1\n',
      );
      writeFileSync(join(folder, name), copy);
    }
    expect(loadConfig({ file: lists.file }).config.senders.map(({ hosts }) => texts(hosts))).toEqual([
      ['10.0.0.25'],
      ['10.0.7.0/24'],
    ]);
  });

  it('that are new leave the policy before in force until they are resolved, by the servers of the new file', async () => {
    const lists = start('senders: [{ name: mail, hosts: [10.0.0.25] }]\n');
    lists.begin();
    writeFileSync(lists.file, configText());
    await expect
      .poll(() => lists.reloader.state.error, soon)
      .toMatch(/waits for the name "mail\.example\.org"/);
    expect(sendersOf(lists)).toEqual([[['10.0.0.25'], 'any']]);
    answerAll();
    aheadMs += 120_000;
    await expect.poll(() => sendersOf(lists), soon).toEqual(FIRST);
    expect(lists.reloader.state.error).toBeNull();
  });

  it('are resolved once by commands without an instance; what was kept is taken as it is', async () => {
    answerAll();
    const file = join(directory, 'c.yaml');
    writeFileSync(file, configText());
    dns.zones.delete('relay.example.org');
    const { loaded, problems } = await resolveMissing(loadConfig({ file }), now());
    expect(loaded.config.senders.map(({ hosts, to }) => [texts(hosts), texts(to)])).toEqual([
      FIRST[0],
      [['10.0.7.0/24'], 'any'],
    ]);
    expect(loaded.config.missingNames).toEqual(['relay.example.org']);
    expect(problems).toEqual(['relay.example.org: there is no such name']);

    // Without the embedded store, which takes seconds to open.
    writeFileSync(file, configText('clickhouse: { url: "http://127.0.0.1:1" }\n'));
    const stdout = collected();
    await checkCommand(loadConfig({ file }), { stdout: stdout.stream });
    const output = stdout.text();
    expect(output).toMatch(/ok {4}name mail\.example\.org \(DNS, for hosts\): 1 addresses/);
    expect(output).toMatch(/warn {2}name relay\.example\.org .*never resolved, so it stands for no host/);
    expect(output).toMatch(/warn {2}DNS: relay\.example\.org: there is no such name/);
    expect(readdirSync(directory)).toEqual(['c.yaml']);
  });
});

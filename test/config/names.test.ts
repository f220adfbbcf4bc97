import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { loadForAsking } from '../../src/config/load-for-asking.ts';
import { MAX_NAMES, namesOf, whyNotAddress } from '../../src/config/names.ts';
import { configSchema } from '../../src/config/schema.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { parsePrefix } from '../../src/flow/prefix.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-names-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(text: string, read: typeof loadConfig | typeof loadForAsking = loadConfig) {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, `data: ${directory}/data\n${text}`);
  return read({ file });
}

const bytesOf = (text: string) => parseAddress(text) ?? new Uint8Array(16);

describe('DNS names in the configuration', () => {
  it('may stand where addresses stand, in any spelling, once for each use', () => {
    const config = configSchema.parse({
      senders: [
        { name: 'a', hosts: ['Mail.Example.ORG.', '10.0.0.1'], to: ['relay.example.org'] },
        { name: 'b', hosts: ['mail.example.org', '_x.xn--bcher-kva.example'] },
      ],
      expected: [{ name: 'c', hosts: ['monitor.example.org'], to: ['mail.example.org'], does: 'check' }],
      block: { never: ['mail.example.org'] },
    });
    expect(namesOf(config).map(({ hostname, use }) => `${hostname} ${use}`)).toEqual([
      '_x.xn--bcher-kva.example inside',
      'mail.example.org any',
      'mail.example.org inside',
      'mail.example.org outside',
      'monitor.example.org inside',
      'relay.example.org outside',
    ]);
  });

  it.each([
    '10.0.0.256',
    '192.0.2.1O',
    '10.0.0',
    '0x7f.1',
    'mail',
    'localhost',
    'a..example',
    '.example.org',
    '-a.example.org',
    'a-.example.org',
    'a b.example.org',
    'mail.example.org/24',
    'mail.example.org\npermit ip any any',
    'bücher.example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(126)}example`,
    '"; drop.example',
    '../../etc.passwd',
  ])('%j is none', (text) => {
    const parsed = configSchema.safeParse({ senders: [{ name: 'a', hosts: [text] }] });
    expect(parsed.error?.issues[0].message).toMatch(/not an IP address or prefix|must be|no DNS name/);
  });

  it('have a bound', () => {
    const hosts = Array.from({ length: MAX_NAMES + 1 }, (_, i) => `h${i}.example.org`);
    expect(() => load(`senders: [{ name: a, hosts: [${hosts.join(', ')}] }]\n`)).toThrow(/256 DNS names/);
  });

  it('take servers of all forms, and refuse what is none', () => {
    const servers = ['192.0.2.53', '2001:db8::53', '127.0.0.1:5353', '[::1]:53'];
    expect(configSchema.parse({ dns: { servers } }).dns.servers).toEqual(servers);
    expect(configSchema.safeParse({ dns: { servers: ['dns.example.org'] } }).success).toBe(false);
  });

  it('stand for no host before they were ever resolved; a sender with such a `to` is not bound, and nothing is blocked', () => {
    const { config, lists, warnings } = load(`
senders:
  - { name: mail, hosts: [mail.example.org, 10.0.0.1] }
  - { name: printer, hosts: [10.0.0.7], to: [relay.example.org, 192.0.2.1] }
block: { never: [keep.example.org] }
`);
    expect(config.senders.map(({ hosts }) => hosts.length)).toEqual([1, 1]);
    expect(config.senders[1].to).toBe('any');
    expect(config.block.never).toEqual([]);
    expect(config.missingNames).toEqual(['keep.example.org', 'mail.example.org', 'relay.example.org']);
    expect(lists.every(({ missing }) => missing)).toBe(true);
    expect(warnings.join()).not.toContain('::');
  });

  it('take answers only that suit their use', () => {
    const config = configSchema.parse({
      networks: { internal: ['10.0.0.0/8', '2001:db8:1::/48'] },
    });
    const why = (use: 'inside' | 'outside' | 'any', text: string) =>
      whyNotAddress(config, use, bytesOf(text));
    expect(why('inside', '10.1.2.3')).toBeNull();
    expect(why('inside', '2001:db8:1::1')).toBeNull();
    expect(why('inside', '198.51.100.1')).toMatch(/not inside networks.internal/);
    expect(why('outside', '198.51.100.1')).toBeNull();
    expect(why('outside', '64:ff9b::c633:6401')).toBeNull();
    expect(why('outside', '10.1.2.3')).toMatch(/is inside networks.internal/);
    for (const use of ['inside', 'outside', 'any'] as const)
      for (const bad of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '::', '::1', '224.0.0.1', 'ff02::1', 'fe80::1'])
        expect(why(use, bad)).toMatch(/is a .* address$/);
    expect(why('inside', '64:ff9b::a00:1')).toMatch(/NAT64/);
    expect(why('inside', '::ffff:127.0.0.1')).toMatch(/loopback/);
    expect(why('any', '10.1.2.3') ?? why('any', '198.51.100.1')).toBeNull();
    const watched = configSchema.parse({ detection: { internal: { alert: true } } });
    expect(whyNotAddress(watched, 'outside', bytesOf('10.1.2.3'))).toBeNull();
  });

  it('keep a command that only asks from writing lists without them', () => {
    const { config } = load(
      'senders: [{ name: a, hosts: [mail.example.org] }]\nacl: { targets: [{ name: t, platform: cisco-ios }] }\nlog: { level: nonsense }\n',
      loadForAsking,
    );
    expect(config.acl.targets).toEqual([]);
  });

  it('never pass for a prefix of the whole world', () => {
    expect(parsePrefix('mail.example.org').ok).toBe(false);
    const [{ hosts }] = configSchema.parse({ senders: [{ name: 'a', hosts: ['mail.example.org'] }] }).senders;
    expect(hosts[0]).toMatchObject({ length: 128, bytes: new Uint8Array(16) });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(yaml: string, environment: Record<string, string> = {}) {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, yaml);
  return loadConfig({ file, environment });
}

function mistake(yaml: string, environment: Record<string, string> = {}): string {
  try {
    load(yaml, environment);
  } catch (error) {
    return (error as Error).message.replaceAll(join(directory, 'c.yaml'), 'c.yaml');
  }
  throw new Error('was accepted');
}

describe('the configuration', () => {
  it('needs nothing: every key has a default', () => {
    const { config } = load('');
    expect(config.collector.listen).toEqual([
      { host: '0.0.0.0', port: 2055 },
      { host: '0.0.0.0', port: 4739 },
      { host: '0.0.0.0', port: 6343 },
    ]);
    expect(config.networks.internal.map(formatPrefix)).toContain('10.0.0.0/8');
    expect(config.block.mode).toBe('observe');
    expect(config.detection.quiet).toBe(86_400_000);
  });

  it('reads YAML, and the environment over it', () => {
    const { config } = load('block: { mode: propose, ttl: 2h }\nhttp: { listen: "127.0.0.1:1234" }\n', {
      ROGUE_SMTP__BLOCK__MODE: 'publish',
      ROGUE_SMTP__NETWORKS__INTERNAL: '[192.0.2.0/24]',
      ROGUE_SMTP__HTTP__TOKEN: 'correct-horse-battery',
    });
    expect(config.block).toMatchObject({ mode: 'publish', ttl: 7_200_000 });
    expect(config.networks.internal.map(formatPrefix)).toEqual(['192.0.2.0/24']);
    expect(config.http.token).toBe('correct-horse-battery');
  });

  it('names file, line and expectation of every mistake at once', () => {
    const text = mistake(
      'networks:\n  internal:\n    - 10.0.0.0/8\n    - 192.0.2.7/24\nblock:\n  mode: on\n  ttl: soon\nsendrs: []\n',
    );
    expect(text).toContain(
      'c.yaml:4: networks.internal.1: "192.0.2.7/24" has host bits set; the network is 192.0.2.0/24',
    );
    expect(text).toContain('c.yaml:6: block.mode: expected observe or propose or publish');
    expect(text).toContain('c.yaml:7: block.ttl: "soon" is not a duration');
    expect(text).toContain('c.yaml:8: unknown key "sendrs"');
  });

  it('says that a key is missing, or has no value', () => {
    const text = mistake(
      [
        'senders: [{ hosts: [10.0.0.1] }, { name: mx }]',
        'expected: [{ name: probe, hosts: [10.0.0.2] }]',
        'alerts: { groups: [{ name: guests, hosts: [10.0.0.0/8] }] }',
        'kafka: { sasl: { mechanism: plain } }',
        'acl: { targets: [{ name: a }, { name: b, platform: }] }',
        'data:',
      ].join('\n'),
    );
    expect(text.split('\n')).toEqual([
      'c.yaml:1: senders.0.name: is missing; expected text',
      'c.yaml:1: senders.1.hosts: is missing; expected a list, such as [one, two]',
      'c.yaml:2: expected.0.does: is missing; expected check or verify or send',
      'c.yaml:3: alerts.groups.0.grade: is missing; expected attempted or connected or conversed or bulk',
      expect.stringMatching(/^c\.yaml:5: acl\.targets\.0\.platform: is missing; expected cisco-ios or/),
      expect.stringMatching(/^c\.yaml:5: acl\.targets\.1\.platform: has no value; expected cisco-ios or/),
      'c.yaml:4: kafka.sasl.username: is missing; expected text',
      'c.yaml:6: data: has no value; expected text',
    ]);
    expect(text).not.toMatch(/undefined|null/);
  });

  it.each([
    ['sendrs: []', '"sendrs"; did you mean "senders"?'],
    ['block: { moed: publish }', '"block.moed"; did you mean "mode"?'],
    ['block: { maxEntries: 5 }', '"block.maxEntries"; did you mean "max_entries"?'],
    ['senders: [{ name: a, hosts: [10.0.0.1], resaon: x }]', '"senders.0.resaon"; did you mean "reason"?'],
    ['acl: { targets: [{ name: a, platfrom: junos, platform: junos }] }', 'did you mean "platform"?'],
    ['kafka: { ssl: { sever_name: a } }', 'did you mean "server_name"?'],
    ['internal: [10.0.0.0/8]', 'did you mean "networks.internal" or "detection.internal"?'],
    ['never: [10.0.0.1]', '"never"; did you mean "block.never"?'],
    ['zzz: 1', 'unknown key "zzz"'],
  ])('says what an unknown key was to be: %s', (yaml, expected) => {
    const text = mistake(`${yaml}\n`);
    expect(text).toContain(expected);
    if (yaml.startsWith('zzz')) expect(text).not.toContain('did you mean');
  });

  it('names the variable when the mistake came from the environment', () => {
    expect(mistake('', { ROGUE_SMTP__BLOCK__TTL: 'x' })).toContain(
      'environment variable ROGUE_SMTP__BLOCK__TTL: block.ttl:',
    );
    expect(mistake('', { ROGUE_SMTP__HTTP__PORT: '1' })).toContain(
      'environment variable ROGUE_SMTP__HTTP__PORT: unknown key',
    );
  });

  it('names the variable of a section that does not exist, beside a file too', () => {
    expect(mistake('', { ROGUE_SMTP__BLOK__MODE: 'publish' })).toBe(
      'environment variable ROGUE_SMTP__BLOK__MODE: unknown key "blok"; did you mean "block"?',
    );
    expect(mistake('block: { mode: observe }\n', { ROGUE_SMTP__BLOCKS__MODE: 'publish' })).toMatch(
      /^environment variable ROGUE_SMTP__BLOCKS__MODE: unknown key "blocks"/,
    );
    // What the file says wrongly is the file's mistake.
    expect(mistake('blok: { ttl: 1h }\n', { ROGUE_SMTP__BLOK__MODE: 'publish' })).toMatch(
      /c?.*:1: unknown key "blok"/,
    );
  });

  it('warns of variables that look like ours and are not read, without their value', () => {
    const { warnings } = load('', {
      ROGUE_SMTP_BLOCK_MODE: 'secret-value',
      ROGUESMTP__LOG__LEVEL: 'debug',
      OTHER: '1',
    });
    const unread = warnings.filter((text) => text.startsWith('environment variable'));
    expect(unread).toEqual([
      'environment variable ROGUE_SMTP_BLOCK_MODE is not read: names begin with ROGUE_SMTP__ and have two underscores between section and key, such as ROGUE_SMTP__BLOCK__MODE',
      'environment variable ROGUESMTP__LOG__LEVEL is not read: names begin with ROGUE_SMTP__ and have two underscores between section and key, such as ROGUE_SMTP__LOG__LEVEL',
    ]);
  });

  it('takes text from the environment as it stands, whatever YAML would make of it', () => {
    for (const token of [
      '1234567890123456',
      'abcdefghijkl#mnop',
      '[abcdefghijklmno',
      '0x10000000000000',
      '*abcdefghijklmnop',
    ]) {
      expect(load('', { ROGUE_SMTP__HTTP__TOKEN: token }).config.http.token).toBe(token);
    }
    const { config } = load('', {
      ROGUE_SMTP__CLICKHOUSE__PASSWORD: '123',
      ROGUE_SMTP__CLICKHOUSE__URL: 'http://127.0.0.1:8123',
      ROGUE_SMTP__DETECTION__MAX_HOSTS: '1000',
      ROGUE_SMTP__DETECTION__PORTS: '[25, 26]',
    });
    expect(config.clickhouse).toMatchObject({ password: '123', url: 'http://127.0.0.1:8123' });
    expect(config.detection).toMatchObject({ max_hosts: 1000, ports: [25, 26] });
  });

  it('says what was expected in words, not in terms of a type system', () => {
    const text = mistake(
      [
        'networks: { internal: 10.0.0.0/8 }',
        'senders: [{ name: mx, hosts: [], to: nobody, until: soon }]',
        'detection: { ports: [25.5, 70000], max_hosts: many, submission: { alert: maybe } }',
        'clickhouse: { url: localhost, password: 12 }',
      ].join('\n'),
    );
    expect(text.split('\n')).toEqual([
      'c.yaml:1: networks.internal: expected a list, such as [one, two]',
      'c.yaml:2: senders.0.hosts: expected a list with at least 1',
      'c.yaml:2: senders.0.to: expected any, or a list of addresses, prefixes or DNS names',
      'c.yaml:2: senders.0.until: expected a time such as 2027-12-31T00:00:00Z',
      'c.yaml:3: detection.ports.0: expected a whole number',
      'c.yaml:3: detection.ports.1: expected at most 65535',
      'c.yaml:3: detection.submission.alert: expected true or false',
      'c.yaml:3: detection.max_hosts: expected a number',
      'c.yaml:4: clickhouse.url: expected a URL such as http://127.0.0.1:8123',
      'c.yaml:4: clickhouse.password: expected text; put it in quotes if it looks like a number',
    ]);
  });

  it('says which address of a permission is wrong', () => {
    expect(mistake('senders: [{ name: mx, hosts: [10.0.0.1], to: [10.0.0.0/33] }]\n')).toContain(
      'the prefix length must be 0 to 32',
    );
  });

  it('refuses a token that no header can carry', () => {
    for (const token of ['sixteen letters and spaces', 'ünïcödeünïcödeünïcöde'])
      expect(mistake('', { ROGUE_SMTP__HTTP__TOKEN: token })).toContain('it travels in a header');
  });

  it('takes a push only with a pinned host key, a secret elsewhere, an interface, and a platform that takes changes back', () => {
    const target = (more: string, push: string) =>
      `acl: { targets: [{ name: a, ${more}, push: { host: 192.0.2.1, username: x, ${push} } }] }\n`;
    const key = `host_key: ["SHA256:${'A'.repeat(43)}"]`;
    const ios = 'platform: cisco-ios, interface: Gi0/1';
    expect(load(target(ios, `${key}, password_env: P`)).config.acl.targets[0].push).toMatchObject({
      port: 22,
      confirm: 300_000,
      timeout: 30_000,
    });
    expect(mistake(target(ios, 'password_env: P'))).toContain('acl.targets.0.push.host_key');
    expect(mistake(target(ios, `${key}, password: secret`))).toContain('password');
    expect(mistake(target(ios, key))).toContain('needs one of password_file, password_env and key_file');
    expect(mistake(target(ios, `${key}, password_env: P, key_file: k`))).toContain('needs one of');
    expect(mistake(target('platform: cisco-ios', `${key}, key_file: k`))).toContain('needs the interface');
    expect(mistake(target('platform: cisco-asa, interface: inside', `${key}, key_file: k`))).toContain(
      'there is no push for cisco-asa',
    );
    expect(mistake(target(ios, `${key}, key_file: k, confirm: 10s`))).toContain('expected 1m to 60m');
  });

  it('takes a list of the own traffic of a router, and one for nobody, only where there can be one', () => {
    const target = (more: string) => `acl: { targets: [{ name: a, ${more} }] }\n`;
    const { config } = load(target('platform: nftables, kind: policy, traffic: own, without_senders: deny'));
    expect(config.acl.targets[0]).toMatchObject({ traffic: 'own', without_senders: 'deny' });
    expect(load(target('platform: pf')).config.acl.targets[0]).toMatchObject({
      traffic: 'forwarded',
      without_senders: 'refuse',
    });
    expect(mistake(target('platform: pf, kind: policy, traffic: own'))).toContain(
      'only for nftables, iptables',
    );
    expect(mistake(target('platform: nftables, traffic: own'))).toContain('kind policy only');
    expect(mistake(target('platform: nftables, kind: policy, traffic: own, interface: lan0'))).toContain(
      'has no interface',
    );
    expect(mistake(target('platform: nftables, without_senders: deny'))).toContain('kind policy only');
  });

  it('takes a form of a list only for the platform that has it, and pushes none but the form "set"', () => {
    const target = (more: string) => `acl: { targets: [{ name: a, interface: ge-0/0/1.10, ${more} }] }\n`;
    expect(load(target('platform: junos, form: hierarchical')).config.acl.targets[0].form).toBe(
      'hierarchical',
    );
    expect(mistake(target('platform: cisco-ios, form: hierarchical'))).toContain(
      'only junos can be had in another form',
    );
    const push = `push: { host: 192.0.2.1, username: x, key_file: k, host_key: ["SHA256:${'A'.repeat(43)}"] }`;
    expect(mistake(target(`platform: junos, form: hierarchical, ${push}`))).toContain(
      'sends the form "set" only',
    );
  });

  it.each([
    'senders: [{ name: a, hosts: [10.0.0.1],',
    'expected: [{ name: a, does: check, hosts: [10.0.0.1],',
  ])('takes sites only when there are such: %s', (entry) => {
    const yaml = `${entry} sites: [north] }]\n`;
    expect(mistake(yaml)).toContain('there is no site "north"');
    expect(mistake(yaml)).toMatch(/c\.yaml:1/);
    expect(() => load(`networks: { sites: [{ name: north, vrf: 1 }] }\n${yaml}`)).not.toThrow();
  });

  it('takes a site of a target only when there is one', () => {
    const yaml = 'acl: { targets: [{ name: a, platform: junos, site: north }] }\n';
    expect(mistake(yaml)).toContain('there is no site "north"');
    expect(load(`networks: { sites: [{ name: north, vrf: 1 }] }\n${yaml}`).config.acl.targets[0].site).toBe(
      'north',
    );
  });

  it('refuses a port that is named twice', () => {
    expect(mistake('collector: { listen: ["0.0.0.0:2055", "[::]:2055", "0.0.0.0:2055"] }\n')).toBe(
      'c.yaml:1: 0.0.0.0:2055 is named twice',
    );
  });

  it('warns of a sender that is the whole network', () => {
    expect(
      load('networks: { internal: [192.0.2.0/24] }\nsenders: [{ name: all, hosts: ["0.0.0.0/0"] }]\n')
        .warnings,
    ).toEqual(['sender "all": 0.0.0.0/0 lets all of 192.0.2.0/24 send; nobody there is ever reported']);
  });

  it('never repeats a secret', () => {
    expect(mistake('http: { token: hunter2 }\n')).not.toContain('hunter2');
  });

  it('tells where the YAML itself is broken', () => {
    expect(mistake('block:\n  mode: [observe\n')).toMatch(/^c\.yaml:3:1: /);
    expect(mistake('- a\n')).toContain('c.yaml:1: expected sections');
  });

  it('does not listen beyond loopback without a token', () => {
    expect(mistake('http:\n  listen: 0.0.0.0:9025\n')).toContain(
      'c.yaml:2: listening beyond loopback needs http.token',
    );
    expect(mistake('clickhouse:\n  listen: 0.0.0.0:8123\n')).toContain(
      'c.yaml:2: listening beyond loopback needs http.token',
    );
  });

  it('says what to set in place of bounds of an earlier version', () => {
    const old = mistake('detection:\n  conversed: { packets: 12, bytes: 1500 }\n');
    expect(old).toContain('c.yaml:2: detection.conversed.packets: is gone: grades go by octets of payload');
    expect(old).toContain('plain_payload_bytes');
    expect(mistake('detection:\n  conversed: { tls_payload_bytes: 100 }\n')).toContain(
      'expected plain_payload_bytes <= tls_payload_bytes <= any_payload_bytes',
    );
  });

  it('says when a file that was asked for does not exist', () => {
    expect(() => loadConfig({ file: join(directory, 'none.yaml') })).toThrow('there is no such file');
  });

  it('is not fooled by keys named like object internals', () => {
    expect(mistake('__proto__: { a: 1 }\n')).toContain('unknown key');
    expect(mistake('', { ROGUE_SMTP____PROTO____POLLUTED: '1' })).toBeDefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('warns about senders outside the internal networks', () => {
    expect(load('senders: [{ name: mx, hosts: [203.0.113.9] }]\n').warnings[0]).toContain(
      '203.0.113.9 is not inside networks.internal',
    );
  });
});

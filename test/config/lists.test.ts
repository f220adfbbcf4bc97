import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';
import { createLogger } from '../../src/logger.ts';
import { createReloader } from '../../src/service/reloader.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-lists-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const CONFIG = `lists: [{ name: provider, file: provider.txt, stale_after: 1d }]
senders: [{ name: app, hosts: [10.0.0.9], to: [192.0.2.1], to_lists: [provider] }]
block: { never_lists: [provider] }
`;
const list = (text: string) => writeFileSync(join(directory, 'provider.txt'), text);

function load(text = CONFIG) {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, text);
  return loadConfig({ file });
}

describe('lists of prefixes in files', () => {
  it('are destinations of senders and never-block entries, where they are named', () => {
    list('# the provider\n198.51.100.0/24\r\n2001:db8:5::/48 ; IPv6\n\n');
    const { config } = load();
    const [{ to }] = config.senders;
    expect(to === 'any' ? to : to.map(formatPrefix)).toEqual([
      '192.0.2.1',
      '198.51.100.0/24',
      '2001:db8:5::/48',
    ]);
    expect(config.block.never.map(formatPrefix)).toEqual(['198.51.100.0/24', '2001:db8:5::/48']);
  });

  it.each([
    [
      'text',
      '; Spamhaus DROP List\n; Expires: Sun, 29 Nov 2026\n198.51.100.0/24 ; SBL1\n2001:db8:5::/48 ; SBL2\n',
    ],
    [
      'JSON lines',
      '{"cidr":"198.51.100.0/24","sblid":"SBL1","rir":"apnic"}\n{"cidr":"2001:db8:5::/48","sblid":"SBL#2;"}\r\n' +
        '{"type":"metadata","timestamp":1790000000,"size":99,"records":2,"terms":"https://example.com/#terms"}\n',
    ],
  ])('may be Spamhaus DROP: %s', (_, text) => {
    list(text);
    expect(load().config.block.never.map(formatPrefix)).toEqual(['198.51.100.0/24', '2001:db8:5::/48']);
  });

  it.each([
    ['{"cidr":"0.0.0.0/0"}\n', /provider\.txt:1: .*too wide/],
    ['{"cidr":"192.0.2.0/24"}\n{"cidr":"198.51', /provider\.txt:2: .*JSON/],
    ['{"cidr":"192.0.2.0/24"}\n{"cidr":7}\n', /provider\.txt:2: .*JSON/],
    ['{"cidr":""}\n', /provider\.txt:1: .*JSON/],
    ['{"asn":64500,"domain":"example.com"}\n', /provider\.txt:1: .*"cidr"/],
    ['{"type":"metadata","records":0}\n', /provider\.txt:1: holds no entry/],
    ['0.0.0.0/0\n', /provider\.txt:1: .*too wide/],
    ['::/0\n', /provider\.txt:1: .*too wide/],
    ['192.0.2.1\n<html>\n', /provider\.txt:2: .*not an IP address/],
    ['# nothing\n', /provider\.txt:1: holds no entry/],
    ['192.0.2.1\n'.repeat(20_001), /provider\.txt:20001: more than 20000/],
    ['#'.repeat(1_048_577), /provider\.txt:1: is larger/],
  ])('are refused with their place when hostile or broken (%#)', (text, complaint) => {
    list(text);
    expect(() => load()).toThrow(complaint);
  });

  it('must be there, and be known by name', () => {
    expect(() => load()).toThrow(/provider\.txt: cannot be read/);
    list('192.0.2.1\n');
    expect(() => load(CONFIG.replace('never_lists: [provider]', 'never_lists: [other]'))).toThrow(
      /no list "other"/,
    );
  });

  it('are followed while running: a broken one keeps the policy, a stale one is told', async () => {
    list('198.51.100.0/24\n');
    const old = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(join(directory, 'provider.txt'), old, old);
    const logged: string[] = [];
    const log = createLogger('silent');
    for (const level of ['warn', 'error'] as const)
      log[level] = (_: unknown, text?: string) => {
        logged.push(String(text));
      };
    const reloader = createReloader(load(), { log, now: Date.now, apply: async () => undefined });
    reloader.start();
    await expect.poll(() => logged.join(), { timeout: 10_000 }).toContain('stale');
    list('0.0.0.0/0\n');
    await expect.poll(() => reloader.state.error, { timeout: 10_000 }).toMatch(/too wide/);
    expect(reloader.config.block.never.map(formatPrefix)).toEqual(['198.51.100.0/24']);
    list('203.0.113.0/24\n');
    await expect
      .poll(() => reloader.config.block.never.map(formatPrefix), { timeout: 10_000 })
      .toEqual(['203.0.113.0/24']);
    expect(reloader.state.error).toBeNull();
    await reloader.stop();
  });
});

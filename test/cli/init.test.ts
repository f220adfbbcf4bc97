import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dnsProposals, spfAddresses } from '../../src/cli/dns-proposals.ts';
import { initCommand } from '../../src/cli/init.ts';
import { inside } from '../../src/cli/init-with-inventory.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-init-'));
  file = join(directory, 'rogue-smtp.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Answers each question with the next of `answers`. */
function terminal(answers: readonly string[]) {
  const input = new PassThrough();
  const left = [...answers];
  let shown = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      shown += String(chunk);
      if (/: $/.test(String(chunk))) setImmediate(() => input.write(`${left.shift() ?? ''}\n`));
      done();
    },
  });
  return { streams: { input, output }, shown: () => shown };
}

describe('init', () => {
  it('writes a configuration that loads and is the defaults', async () => {
    await initCommand({ file, interactive: false, proposals: [] }, terminal([]).streams);
    expect(loadConfig({ file }).config).toEqual(loadConfig({ file: undefined, environment: {} }).config);
  });

  it('takes over what was answered, after asking again for what is no prefix', async () => {
    const { streams, shown } = terminal([
      '192.0.2.0/24, nonsense',
      '192.0.2.0/24 2001:db8:1::/64',
      '192.0.2.100',
    ]);
    await initCommand({ file, interactive: true, proposals: [] }, streams);
    const { config } = loadConfig({ file });
    expect(config.networks.internal.map(formatPrefix)).toEqual(['192.0.2.0/24', '2001:db8:1::/64']);
    expect(config.senders.map((sender) => sender.hosts.map(formatPrefix))).toEqual([['192.0.2.100']]);
    expect(shown()).toContain('"nonsense" is not an IP address');
  });

  it('proposes the mail servers that were seen, with the reason, whatever characters it has', async () => {
    const proposals = [{ host: '10.0.0.25', reason: 'answers "SMTP": yes\n# really' }];
    await initCommand({ file, interactive: false, proposals }, terminal([]).streams);
    expect(loadConfig({ file }).config.senders[0]).toMatchObject({
      name: 'mail-1',
      reason: proposals[0].reason,
    });
  });

  it('never overwrites', async () => {
    await initCommand({ file, interactive: false, proposals: [] }, terminal([]).streams);
    const before = readFileSync(file, 'utf8');
    await expect(
      initCommand({ file, interactive: false, proposals: [] }, terminal([]).streams),
    ).rejects.toThrow('is left as it is');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('makes its folder, and takes everything from flags', async () => {
    const nested = join(directory, 'etc', 'rogue-smtp', 'config.yaml');
    const options = {
      file: nested,
      interactive: false,
      internal: ['192.0.2.0/24'],
      exporters: ['192.0.2.1'],
      mode: 'propose',
      data: join(directory, 'data: here'),
      proposals: [{ host: '192.0.2.25', reason: 'named at init' }],
    };
    await initCommand(options, terminal([]).streams);
    const { config } = loadConfig({ file: nested, environment: {} });
    expect(config.collector.exporters.map(formatPrefix)).toEqual(['192.0.2.1']);
    expect([config.block.mode, config.data]).toEqual(['propose', join(directory, 'data: here')]);
    expect(config.networks.internal.map(formatPrefix)).toEqual(['192.0.2.0/24']);
  });
});

describe('proposals from DNS', () => {
  const answers = {
    resolveMx: async () => [{ exchange: 'mx1.example.org' }, { exchange: 'gone.example.org' }],
    resolveTxt: async () => [
      ['other'],
      ['v=spf1 ip4:192.0.2.0', '/28 +ip6:2001:db8:1::25 -ip4:192.0.2.99 include:x.example -all'],
    ],
    resolve4: async (name: string) => {
      if (name !== 'mx1.example.org') throw new Error('ENOTFOUND');
      return ['192.0.2.25', '203.0.113.9'];
    },
    resolve6: async () => [],
  };

  it('are the MX and what SPF lets pass, of those inside of the networks', async () => {
    const all = await dnsProposals('example.org', answers);
    expect(all.map(({ host }) => host)).toEqual([
      '192.0.2.25',
      '203.0.113.9',
      '192.0.2.0/28',
      '2001:db8:1::25',
    ]);
    expect(inside(all, ['192.0.2.0/24']).map(({ host, reason }) => [host, reason])).toEqual([
      ['192.0.2.25', 'MX of example.org (mx1.example.org)'],
      ['192.0.2.0/28', 'SPF record of example.org'],
    ]);
  });

  it('are none where DNS does not answer, or answers nonsense', async () => {
    const failing = async () => {
      throw new Error('ESERVFAIL');
    };
    const silent = { resolveMx: failing, resolveTxt: failing, resolve4: failing, resolve6: failing };
    expect(await dnsProposals('example.org', silent)).toEqual([]);
    expect(spfAddresses(['v=spf10 ip4:192.0.2.1', 'v=spf1'])).toEqual([]);
    const odd = {
      ...answers,
      resolveMx: async () => [],
      resolveTxt: async () => [['v=spf1 ip4:300.1.1.1 ip4:$(x)']],
    };
    expect(await dnsProposals('example.org', odd)).toEqual([]);
  });
});

/**
 * The command line as scripts see it, without a running instance: exit codes 0, 1 and 2, what is on stdout and stderr,
 * and that no mistake of a user is answered with a stack trace or a secret.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACL_KINDS, ACL_PLATFORMS } from '../../src/acl/platforms.ts';
import { ethernet, pcap, udp4 } from '../support/capture-builder.ts';
import { runCommandLine } from '../support/command.ts';
import { v5 } from '../support/datagrams.ts';

const DEMO = new URL('../../deploy/demo/', import.meta.url).pathname;
const CAPTURE = join(DEMO, 'exports.pcap');
const DEMO_CONFIG = join(DEMO, 'rogue-smtp.yaml');
const SECRET = 'correct-horse-battery-staple';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-cli-'));
  const config = (name: string, text: string) => writeFileSync(join(directory, name), text);
  config('broken.yaml', 'networks: [\n');
  config(
    'wrong.yaml',
    `networks: { internal: [10.0.0.0/33] }\nhttp: { listen: "0.0.0.0:1", token: ${SECRET} }\nblok: 1\n`,
  );
  config('open.yaml', 'http: { listen: "0.0.0.0:9025" }\n');
  config('alone.yaml', 'http: { listen: "127.0.0.1:1" }\ndata: ./nothing\n');
  config('file.yaml', 'http: { listen: "127.0.0.1:1" }\ndata: ./alone.yaml\n');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cli = (...args: string[]) => runCommandLine(args, { cwd: directory });

describe('exit codes', () => {
  it.concurrent.each([
    ['--version', '', 0, /^\d+\.\d+\.\d+\n$/],
    ['--help', '', 0, /Examples:/],
    ['acl render --help', '', 0, /Example/],
    ['', '', 2, /Usage:/],
    ['bogus', '', 2, /unknown command 'bogus'/],
    ['run --bogus', '', 2, /unknown option '--bogus'/],
    ['--log-level loud check', '', 2, /Allowed choices are fatal/],
    ['incident', '', 2, /missing required argument 'id'/],
    ['query', '', 2, /missing required argument 'sql'/],
    ['alerts --limit 0', '', 2, /expected 1 to 100000/],
    ['acl render', '', 2, /required option '--platform <name>' not specified/],
    ['acl render --platform vms --kind policy', '', 2, /Allowed choices are cisco-ios/],
    ['acl render --platform nftables --kind policy --family 5', '', 2, /Allowed choices are 4, 6/],
    ['check', 'missing.yaml', 2, /missing\.yaml: there is no such file/],
    ['check', 'broken.yaml', 2, /broken\.yaml:\d+:\d+: /],
    [
      'check',
      'wrong.yaml',
      2,
      /wrong\.yaml:1: networks\.internal\.0: .*\n.*wrong\.yaml:3: unknown key "blok"/,
    ],
    ['run', 'open.yaml', 2, /open\.yaml:1: listening beyond loopback needs http\.token/],
    ['collect', 'alone.yaml', 2, /needs kafka\.brokers/],
    ['run', 'file.yaml', 1, /data directory \.\/alone\.yaml: it is there and is no directory/],
    ['offenders', 'alone.yaml', 1, /no running instance answers, and there is no data in \.\/nothing/],
    ['alerts --follow', 'alone.yaml', 1, /no running instance answers/],
    ['inventory', 'alone.yaml', 1, /no running instance answers/],
    ['incident x', 'alone.yaml', 1, /no running instance answers/],
    ['acl render --platform cisco-ios --kind policy', 'alone.yaml', 1, /no sender is configured/],
    ['decode missing.pcap', '', 1, /missing\.pcap: cannot be read/],
    ['decode alone.yaml', '', 1, /neither pcap, pcapng, raw IPFIX nor gzip/],
    ['replay missing.pcap', 'alone.yaml', 1, /missing\.pcap: cannot be read/],
    [`replay ${CAPTURE} --data .`, 'alone.yaml', 1, /is not empty/],
    [`replay ${CAPTURE} --out alone.yaml`, 'alone.yaml', 1, /output directory alone\.yaml/],
    ['init --yes --file alone.yaml', 'alone.yaml', 1, /exists and is left as it is/],
    ['init --yes --file alone.yaml/x.yaml', 'alone.yaml', 1, /alone\.yaml/],
  ] as const)('rogue-smtp %s with %s: %i', async (command, config, code, text) => {
    const result = await cli(
      ...command.split(' ').filter(Boolean),
      ...(config === '' ? [] : ['--config', config]),
    );
    expect(result).toMatchObject({ code });
    expect(code === 0 ? result.stdout : result.stderr).toMatch(text);
    if (code !== 0) expect(result.stdout).toBe('');
    expect(result.stderr).not.toMatch(/^ {4}at /m);
    expect(result.stdout + result.stderr).not.toContain(SECRET);
  });

  it('writes nothing where a command failed before its work began', () => {
    expect(readdirSync(directory).sort()).toEqual([
      'alone.yaml',
      'broken.yaml',
      'file.yaml',
      'open.yaml',
      'wrong.yaml',
    ]);
  });
});

describe('output', () => {
  it('ends quietly when whoever reads it has seen enough', async () => {
    for (const args of [
      ['--help'],
      ['decode', CAPTURE],
      ['acl', 'render', '--platform', 'cisco-ios', '--kind', 'policy', '--config', DEMO_CONFIG],
    ]) {
      const { code, stderr } = await runCommandLine(args, { cwd: directory, closeStdout: true });
      expect(stderr).not.toMatch(/EPIPE|^ {4}at /m);
      expect(code).toBe(0);
    }
  });

  it('holds nothing that moves the cursor, whatever was typed or configured', async () => {
    const { code, stderr } = await cli('replay', 'no\u001b[2Jfile\r', '--config', 'alone.yaml');
    expect(code).toBe(1);
    expect(stderr).toContain('no?[2Jfile?');
    expect(stderr.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  it('is an access list for every platform, of every kind and family', async () => {
    for (const [i, platform] of ACL_PLATFORMS.entries()) {
      const kind = ACL_KINDS[i % ACL_KINDS.length];
      const family = i % 4 < 2 ? '4' : '6';
      const args = ['--platform', platform, '--kind', kind, '--family', family, '--config', DEMO_CONFIG];
      const { code, stdout, stderr } = await runCommandLine(['acl', 'render', ...args], {
        cwd: directory,
        env: { ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:1' },
      });
      // A platform may have no such list; then it says why, and nothing is on stdout.
      const what = `${platform} ${kind} ${family}: ${stderr}`;
      expect([0, 1], what).toContain(code);
      if (code === 0) expect(stdout, what).toContain(`rogue-smtp ${kind}`);
      else expect(stdout, what).toBe('');
      expect(stderr, what).not.toMatch(/^ {4}at /m);
    }
  });
});

describe('init', () => {
  it('writes a configuration that check and run accept, readable by the owner and group only', async () => {
    const home = join(directory, 'fresh');
    mkdirSync(home);
    const env = { ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:1', ROGUE_SMTP__COLLECTOR__LISTEN: '["127.0.0.1:0"]' };
    const written = await runCommandLine(['init', '--yes'], { cwd: home, env });
    expect(written).toMatchObject({ code: 0, stderr: '' });
    expect(written.stdout).toContain('Name your mail servers');
    const checked = await runCommandLine(['check'], { cwd: home, env });
    expect(checked.stdout).toContain('warn  no senders');
    expect(checked.stdout).toContain('embedded store: version');
    expect(checked.code).toBe(0);
    expect(readdirSync(home)).toEqual(['rogue-smtp.yaml']);
  });

  it('needs no valid configuration when it only asks a running instance for proposals', async () => {
    const { code } = await runCommandLine(['init', '--yes', '--file', 'new.yaml'], {
      cwd: directory,
      env: { ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:1' },
    });
    expect(code).toBe(0);
    rmSync(join(directory, 'new.yaml'));
  });
});

describe('replay', () => {
  it('gives the same output for the same input, byte for byte, wherever and whenever it runs', async () => {
    const outputs = [];
    for (const [name, zone] of [
      ['one', 'Pacific/Kiritimati'],
      ['two', 'America/Los_Angeles'],
    ]) {
      const out = join(directory, name);
      const result = await runCommandLine(['replay', CAPTURE, '--out', out, '--config', DEMO_CONFIG], {
        cwd: directory,
        env: { TZ: zone, LC_ALL: 'C' },
      });
      expect(result.code).toBe(0);
      outputs.push({ files: contents(out), stdout: result.stdout, stderr: result.stderr });
    }
    expect(outputs[1]).toEqual(outputs[0]);
    expect(Object.keys(outputs[0].files).sort()).toEqual([
      'acl/edge.4.txt',
      'acl/edge.6.txt',
      'acl/firewall.4.txt',
      'acl/firewall.6.txt',
      'alerts.ndjson',
      'incidents.ndjson',
      'summary.json',
    ]);
    expect(outputs[0].files['acl/edge.4.txt']).toContain('deny tcp host 192.0.2.55 any eq 25');
  });

  it('leaves no list of an earlier replay behind where this one has none', async () => {
    const out = join(directory, 'again');
    mkdirSync(join(out, 'acl'), { recursive: true });
    writeFileSync(join(out, 'acl', 'edge.4.txt'), 'permit nobody\n');
    const { code, stderr } = await runCommandLine(
      ['replay', CAPTURE, '--out', out, '--config', DEMO_CONFIG],
      {
        cwd: directory,
        env: {
          ROGUE_SMTP__SENDERS: '[]',
          ROGUE_SMTP__ACL__TARGETS: '[{ name: edge, platform: cisco-ios, kind: policy }]',
        },
      },
    );
    expect(code).toBe(0);
    expect(stderr).toContain('no sender is configured');
    expect(readdirSync(join(out, 'acl'))).toEqual([]);
  });

  it('fills a store that the reading commands then answer from, without a service', async () => {
    const data = join(directory, 'kept');
    const run = onStore(data);
    expect(await run('replay', CAPTURE, '--data', data)).toMatchObject({ code: 0 });

    const offenders = await run('offenders', '--json');
    expect(
      offenders.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).host)
        .sort(),
    ).toEqual(['192.0.2.55', '192.0.2.77', '2001:db8:1::55']);
    const incident = await run('incident', '2001:DB8:1:0::55');
    expect(incident.stdout).toMatch(/Flow records behind it:[\s\S]*2001:db8:ffff::25 25/);
    expect(await run('query', 'SELECT count() FROM flows', '--format', 'TSV')).toMatchObject({
      code: 0,
      stdout: '373\n',
    });
    expect(await run('query', 'DROP TABLE flows')).toMatchObject({ code: 1, stdout: '' });
    expect(await run('query', 'SELECT 1', '--format', 'Nope')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the format Nope is not allowed'),
    });
    expect(await run('incident', 'x'.repeat(5000))).toMatchObject({
      code: 1,
      stderr: `rogue-smtp: there is no incident or host "${'x'.repeat(64)}..."\n`,
    });
    const acl = await run('acl', 'render', '--platform', 'nftables', '--kind', 'offenders');
    expect(acl.stdout).not.toContain('192.0.2.55');
    // The capture is old, and a block is for a day.
    expect(acl.stderr).toMatch(/^left out: 192\.0\.2\.55: its block ended at 2026-11-25T/m);
    expect(await run('alerts', '--follow')).toMatchObject({ code: 1, stdout: '' });
  });

  it('of flows of today leaves a store whose offenders an ACL denies', async () => {
    const [data, capture] = [join(directory, 'today'), join(directory, 'today.pcap')];
    const run = onStore(data);
    const now = Date.now();
    const packets = [0, 1].map((sequence) => {
      const flow = { src: '192.0.2.66', dst: '198.51.100.25', srcPort: 30_000 + sequence, bytes: 6000 };
      const payload = v5([flow], { sequence, seconds: Math.floor(now / 1000) });
      return { bytes: ethernet(udp4({ payload })), timeMs: now };
    });
    writeFileSync(capture, pcap(packets));
    expect(await run('replay', capture, '--data', data)).toMatchObject({ code: 0 });
    const acl = await run('acl', 'render', '--platform', 'nftables', '--kind', 'offenders');
    expect(acl).toMatchObject({ code: 0, stdout: expect.stringContaining('192.0.2.66') });
    expect(acl.stderr).not.toContain('left out');
  });
});

/** The command line with the demo's configuration on a store that no service runs on. */
function onStore(data: string) {
  const env = { ROGUE_SMTP__DATA: data, ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:1' };
  return (...args: string[]) => runCommandLine([...args, '--config', DEMO_CONFIG], { cwd: directory, env });
}

/** Every file below a directory, by its path there. */
function contents(root: string): Record<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [relative(root, path), readFileSync(path, 'utf8')];
    }),
  );
}

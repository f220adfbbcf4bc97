import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initCommand } from '../../src/cli/init.ts';
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
});

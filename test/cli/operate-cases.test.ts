/** Situations rebuilt from what operators report, by the commands that an operator types; they lie outside of the project. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replayCommand } from '../../src/cli/replay.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { flow, judge } from '../support/acl-requests.ts';
import { collected } from '../support/collected.ts';
import { CASES_DIR, haveCases } from '../support/field-cases.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-operate-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function replay(name: string) {
  const folder = join(CASES_DIR, 'operate', name);
  const out = join(directory, name);
  const stdout = collected();
  const stderr = collected();
  const streams = { stdout: stdout.stream, stderr: stderr.stream };
  const loaded = loadConfig({ file: join(folder, 'config.yaml') });
  const code = await replayCommand(loaded, [join(folder, 'exports.pcap.gz')], { out }, streams);
  const lines = <Row>(file: string): Row[] =>
    readFileSync(join(out, file), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Row);
  return {
    code,
    stdout: stdout.text(),
    stderr: stderr.text(),
    alerts: lines<Alert>('alerts.ndjson'),
    incidents: lines<Incident>('incidents.ndjson'),
    acl: (target: string) => readFileSync(join(out, 'acl', `${target}.txt`), 'utf8'),
  };
}

describe.skipIf(!haveCases)('cases from the field', () => {
  it('export-after-nat: nothing could be judged, why, and a failure', async () => {
    const { code, stderr } = await replay('export-after-nat');
    expect(code).toBe(1);
    expect(stderr).toContain('Nothing could be judged');
    expect(stderr).toContain('360 of 360 mail flows: neither end is in networks.internal');
    expect(stderr).toContain('203.0.113.200');
  });

  it('provider-customers: the bot is denied but for the providers, nobody else is reported', async () => {
    const { code, incidents, acl } = await replay('provider-customers');
    expect(code).toBe(0);
    expect(incidents.map(({ host, block }) => [host, block.state])).toEqual([['100.70.1.200', 'published']]);
    const verdict = judge(acl('edge.4'), 'iptables');
    const to = (source: string, destination: string) => verdict(flow(source, { destination, from: 'eth1' }));
    expect(to('100.70.1.200', '198.51.100.25')).toBe('deny');
    expect(to('100.70.1.200', '203.0.113.206')).toBe('permit');
    const providers = readFileSync(join(CASES_DIR, 'operate/provider-customers/prov.txt'), 'utf8')
      .split('\n')
      .filter((line) => /^\d/.test(line));
    expect(providers.length).toBeGreaterThan(0);
    for (const provider of providers) {
      expect(to('100.70.1.200', provider.split(/[/ ]/)[0])).toBe('permit');
    }
    expect(to('100.70.1.201', '198.51.100.25')).toBe('permit');
    // Mail to one's own servers: to the relay that takes it, not to every customer.
    const policy = judge(acl('pol.4'), 'mikrotik');
    const by = (source: string, destination: string) =>
      policy(flow(source, { destination, from: 'bridge-lan' }));
    expect(by('100.70.9.9', '203.0.113.206')).toBe('permit');
    expect(by('100.70.9.9', '100.70.255.25')).toBe('permit');
    expect(by('100.70.9.9', '100.70.9.10')).toBe('deny');
    expect(by('100.70.9.9', '198.51.100.25')).toBe('deny');
  });

  it('late-long-flow: the times of the packets beside those of the receipt', async () => {
    const { incidents, alerts } = await replay('late-long-flow');
    const long = incidents.find(({ host }) => host === '10.45.1.8');
    expect(long).toMatchObject({
      first_seen: '2026-11-26T09:33:20.000Z',
      first_packet: '2026-11-26T09:03:12.000Z',
      last_packet: '2026-11-26T09:31:32.000Z',
    });
    expect(alerts.find(({ host }) => host === '10.45.1.8')?.first_packet).toBe('2026-11-26T09:03:12.000Z');
  });

  it('post-nat-replies: one incident, of the inside host', async () => {
    const { code, incidents } = await replay('post-nat-replies');
    expect(code).toBe(0);
    expect(incidents.map(({ host }) => host)).toEqual(['192.168.181.5']);
    expect(incidents[0].flags).not.toContain('half_seen');
  });
});

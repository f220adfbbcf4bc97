/** The policy of a running process changes: what was blocked is let go, a mistake changes nothing, and all can see it. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import type { WhatIf } from '../../src/replay/what-if.ts';
import { runCommandLine } from '../support/command.ts';
import { type RunningService, sendDatagrams, startService } from '../support/service.ts';

const CAPTURE = new URL('../../deploy/demo/exports.pcap', import.meta.url).pathname;
const ROGUE = '192.0.2.55';
const CONFIG = `networks: { internal: [192.0.2.0/24, "2001:db8:1::/64"] }
senders: [{ name: mail, hosts: [192.0.2.100] }]
block: { mode: publish, unseen_senders: publish }
acl: { targets: [{ name: edge, platform: cisco-ios, kind: offenders }] }
`;

let directory: string;
let service: RunningService;
let written: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-reload-'));
  service = await startService({ directory, config: CONFIG });
  written = readFileSync(service.configFile, 'utf8');
  const payloads: Buffer[] = [];
  for await (const { payload } of readCapture(CAPTURE)) payloads.push(Buffer.from(payload));
  await sendDatagrams(service.udpPort, payloads, 1);
  while (!acl().includes(`deny tcp host ${ROGUE}`)) await sleep(100);
});
afterAll(async () => {
  await service.end('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

function acl(): string {
  try {
    return readFileSync(join(directory, 'data', 'acl', 'edge.4.txt'), 'utf8');
  } catch {
    return '';
  }
}

async function whatIf(config: string): Promise<WhatIf> {
  const file = join(directory, 'new.yaml');
  writeFileSync(file, config);
  const args = ['replay', '--from-store', '--policy', file, '--json', '--config', service.configFile];
  return JSON.parse((await runCommandLine(args, { cwd: directory })).stdout);
}
const policy = async () => (await service.client.status()).policy;

describe('a running process', () => {
  it('answers beforehand what a changed policy would make of the stored flows', async () => {
    const allowing = CONFIG.replace('hosts: [192.0.2.100]', `hosts: [192.0.2.100, ${ROGUE}]`);
    await expect.poll(async () => (await whatIf(allowing)).flows, { timeout: 30_000 }).toBeGreaterThan(20);
    const result = await whatIf(allowing);
    expect(result.changed).toContainEqual(expect.objectContaining({ host: ROGUE, after: null }));
    expect(result.acl).toContainEqual(
      expect.objectContaining({
        kind: 'offenders',
        family: '4',
        added: [],
        removed: [`deny tcp host ${ROGUE} any eq 25`],
      }),
    );
    expect(acl()).toContain(ROGUE);
  });

  it('keeps its policy when the changed file has a mistake, and says where it is', async () => {
    const before = await policy();
    writeFileSync(service.configFile, written.replace('mode: publish', 'mode: publishh'));
    await expect.poll(async () => (await policy()).error, { timeout: 15_000 }).toMatch(/yaml:3: block\.mode/);
    expect((await policy()).version).toBe(before.version);
    expect(acl()).toContain(ROGUE);
    expect(service.log()).toMatch(/yaml:3: block\.mode.*stays in force/);
    expect(await service.metric('rogue_smtp_config_ok')).toBe(0);
    expect(await service.metric('rogue_smtp_config_reloads_total', 'result="failed"')).toBe(1);
  });

  it('takes over the mended file on SIGHUP: the host may send now, its incident is closed and its block gone', async () => {
    const before = await policy();
    writeFileSync(
      service.configFile,
      written
        .replace('hosts: [192.0.2.100]', `hosts: [192.0.2.100, ${ROGUE}]`)
        .replace('}\ndata', '}\nlog: { level: debug }\ndata'),
    );
    service.process.kill('SIGHUP');
    await expect.poll(async () => (await policy()).version, { timeout: 15_000 }).not.toBe(before.version);
    await expect.poll(() => acl(), { timeout: 15_000 }).not.toContain(ROGUE);
    const now = await policy();
    expect(now).toMatchObject({ error: null, need_restart: ['log.level'] });
    const closed = async () =>
      (await service.client.alerts({ limit: 1000, host: ROGUE })).filter(({ kind }) => kind === 'closed');
    await expect.poll(async () => (await closed()).length, { timeout: 15_000 }).toBe(1);
    expect((await closed())[0]).toMatchObject({ policy_version: now.version, block: { state: 'refused' } });
    expect(await service.metric('rogue_smtp_config_ok')).toBe(1);
    expect(await service.metrics()).toContain(`rogue_smtp_policy_info{version="${now.version}"} 1`);
    expect(service.log()).toMatch(/log\.level.*until a restart|until a restart.*log\.level/);
  });
});

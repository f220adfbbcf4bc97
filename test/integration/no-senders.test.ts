/**
 * Nobody has said who may send: everything is reported, nothing is ever blocked, and the mail servers are proposed.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import { MAIN, type RunningService, sendDatagrams, startService } from '../support/service.ts';

/** Both addresses of the rogue host and of the mail server, and the host that only knocks. */
const OFFENDERS = 5;
const CAPTURE = new URL('../../deploy/demo/exports.pcap', import.meta.url).pathname;
const CONFIG = `networks: { internal: [192.0.2.0/24, "2001:db8:1::/64"] }
block: { mode: publish }
acl: { targets: [{ name: edge, platform: cisco-ios, kind: offenders }, { name: core, platform: cisco-ios, kind: policy }] }
`;

let directory: string;
let service: RunningService;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-no-senders-'));
  service = await startService({ directory, config: CONFIG });
  const payloads: Buffer[] = [];
  for await (const { payload } of readCapture(CAPTURE)) payloads.push(Buffer.from(payload));
  await sendDatagrams(service.udpPort, payloads, 1);
  while ((await service.client.offenders()).length < OFFENDERS) await sleep(100);
});
afterAll(async () => {
  await service.end('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

describe('without senders', () => {
  it('everyone who sends is reported, the mail server too, and nobody is blocked', async () => {
    const alerts = (await service.client.alerts({ limit: 1000 })).filter(({ kind }) => kind !== 'coverage');
    expect(new Set(alerts.map(({ host }) => host))).toContain('192.0.2.55');
    expect(new Set(alerts.map(({ host }) => host))).toContain('192.0.2.100');
    expect(alerts.filter(({ block }) => block.state === 'published' || block.state === 'proposed')).toEqual(
      [],
    );
    const { incident } = await service.client.incident('192.0.2.55');
    expect(incident.block.reason).toMatch(/sender/);
  });

  it('the ACL of offenders denies nobody, and a policy is not rendered', async () => {
    const { text } = await service.client.renderAcl({
      platform: 'cisco-ios',
      kind: 'offenders',
      family: '4',
    });
    expect(text).not.toMatch(/^ *\d+ deny/m);
    expect(text).toContain('permit ip any any');
    const files = readdirSync(join(directory, 'data', 'acl')).filter((name) => name.endsWith('.txt'));
    expect(files.sort()).toEqual(['edge.4.txt', 'edge.6.txt']);
    for (const name of files)
      expect(readFileSync(join(directory, 'data', 'acl', name), 'utf8')).not.toMatch(/^ *\d+ deny/m);
    const args = [
      'acl',
      'render',
      '--platform',
      'cisco-ios',
      '--kind',
      'policy',
      '--config',
      service.configFile,
    ];
    const failure = await promisify(execFile)(process.execPath, [MAIN, ...args]).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/sender/) });
  });

  it('the inventory proposes the mail server, and the log says what is missing', async () => {
    const likely = async () =>
      (await service.client.inventory()).filter((row) => row.likely_mail_server).map(({ host }) => host);
    // The store takes flows a second or two after they came.
    await expect.poll(likely, { timeout: 15_000 }).toEqual(['192.0.2.100']);
    expect(service.log()).toContain('no senders are configured');
  });
});

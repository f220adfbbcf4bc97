/** One push to a device of the tests' own, with its data directory and secrets. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import type { PushPlatform, PushSettings } from '../../src/config/schema.ts';
import { createPushArchive } from '../../src/push/archive.ts';
import { push } from '../../src/push/push.ts';
import type { PushReport, PushRequest } from '../../src/push/report.ts';
import { offender, request } from './acl-requests.ts';
import { type Device, PASSWORD, type RunningSshServer, startSshServer } from './ssh-server.ts';

/** As the routers of the tests call their interface. */
const FACES: Readonly<Record<PushPlatform, string>> = {
  'cisco-ios': 'Gi0/1',
  'cisco-iosxr': 'Gi0/1',
  'arista-eos': 'Gi0/1',
  junos: 'ge-0/0/1.10',
};

export function listFor(
  platform: PushPlatform,
  hosts: readonly string[] = ['192.0.2.55', '192.0.2.77'],
): string {
  return renderAcl(
    request({
      platform,
      kind: 'offenders',
      interface: FACES[platform],
      offenders: hosts.map((host) => offender(host)),
    }),
  ).text;
}

interface PushOptions {
  readonly settings?: Partial<PushSettings>;
  readonly dryRun?: boolean;
  readonly text?: string;
}

export interface PushBench {
  readonly directory: string;
  readonly server: () => RunningSshServer;
  /** A request to the device, which listens from now on. */
  prepare(device: Device, platform: PushPlatform, more?: PushOptions): Promise<PushRequest>;
  pushTo(device: Device, platform: PushPlatform, more?: PushOptions): Promise<PushReport>;
  close(): Promise<void>;
}

export function createPushBench(): PushBench {
  const directory = mkdtempSync(join(tmpdir(), 'push-'));
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  let server: RunningSshServer | null = null;
  const bench: PushBench = {
    directory,
    server() {
      if (server === null) throw new Error('no device listens');
      return server;
    },
    async prepare(device, platform, more = {}) {
      server = await startSshServer(device);
      return {
        target: 'border',
        platform,
        family: '4',
        interface: FACES[platform],
        text: more.text ?? listFor(platform),
        settings: {
          host: '127.0.0.1',
          port: server.port,
          username: 'rogue',
          password_file: passwordFile,
          host_key: [server.hostKey],
          confirm: 60_000,
          timeout: 1500,
          ...more.settings,
        },
      };
    },
    async pushTo(device, platform, more = {}) {
      const asked = await bench.prepare(device, platform, more);
      const archive = createPushArchive(directory, Date.now);
      await archive.open();
      const signal = new AbortController().signal;
      const report = await push(asked, archive, { dryRun: more.dryRun ?? false, signal });
      await archive.record(asked, report, 'test');
      for (const file of ['border.4.transcript', 'audit.ndjson'])
        expect(readFileSync(join(directory, 'push', file), 'utf8')).not.toContain(PASSWORD);
      return report;
    },
    async close() {
      await server?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return bench;
}

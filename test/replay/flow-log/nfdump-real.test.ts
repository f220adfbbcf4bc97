/** What the nfdump of this machine writes of the shipped captures (skipped without nfcapd and nfdump). */

import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { readCapture } from '../../../src/replay/capture/read-capture.ts';
import { replayFiles } from '../../../src/replay/replay.ts';
import { readLog } from '../../support/logs.ts';
import { missingTools } from '../../support/requirements.ts';

const CAPTURE = new URL('../../fixtures/captures/softflowd-v9.pcap', import.meta.url).pathname;
const missing = missingTools('nfcapd', 'nfdump');
if (missing.length > 0 && process.env.REQUIRE_ALL === '1')
  throw new Error(`REQUIRE_ALL is set, but: needs ${missing.join(', ')}`);

/** A UDP port that nobody listens on now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

describe.skipIf(missing.length > 0)('the nfdump of this machine (needs nfcapd and nfdump)', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-nfdump-'));
    const port = await freePort();
    const nfcapd = spawn('nfcapd', ['-w', directory, '-p', String(port), '-b', '127.0.0.1', '-t', '3600'], {
      stdio: 'ignore',
    });
    const ended = once(nfcapd, 'exit');
    await sleep(500);
    const socket = createSocket('udp4');
    for await (const { payload } of readCapture(CAPTURE)) {
      await new Promise((resolve) => socket.send(payload, port, '127.0.0.1', resolve));
    }
    socket.close();
    await sleep(500);
    nfcapd.kill('SIGTERM');
    await ended;
  }, 30_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const nfdump = (...options: readonly string[]) =>
    execFileSync('nfdump', ['-R', directory, '-o', 'csv', ...options], {
      env: { ...process.env, TZ: 'UTC' },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });

  it.each([
    ['one row a direction', []],
    ['both directions in a row', ['-b']],
  ])('writes CSV that is read without a rest (%s)', async (_, options) => {
    const { counters, records, error } = await readLog(nfdump(...options));
    expect(error).toBeNull();
    expect(counters.rejected).toEqual({});
    expect(records.length).toBeGreaterThan(80);
  });

  it('writes CSV that leads to the verdict of the export itself', async () => {
    const csv = join(directory, 'flows.csv');
    await writeFile(csv, nfdump());
    const config = configSchema.parse({
      networks: { internal: ['192.0.2.0/24', '2001:db8:1::/48'] },
      senders: [{ name: 'mail', hosts: ['192.0.2.100'] }],
    });
    const verdict = async (file: string) =>
      (await replayFiles([file], config, {})).incidents
        .map(
          ({ host, grade, sessions, destinations }) => `${host} ${grade} ${sessions} ${destinations.count}`,
        )
        .sort();
    expect(await verdict(csv)).toEqual(await verdict(CAPTURE));
  });
});

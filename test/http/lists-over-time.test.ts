/**
 * The end of a block, another block.mode and a restart, seen by everybody who asks: the file, the plain list and `acl list` of a
 * running instance name the same hosts.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { aclListCommand } from '../../src/cli/acl-desk.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/logger.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { incidentMessage } from '../../src/messages/encode.ts';
import type { BlockRow } from '../../src/publish/desk.ts';
import { createServeRole } from '../../src/service/serve-role.ts';
import { createStream } from '../../src/stream/open-stream.ts';
import { NOW_MS, offender } from '../support/acl-requests.ts';
import { collected } from '../support/collected.ts';
import { HOUR } from '../support/flows.ts';
import { startHttpServer, stopHttpServers } from '../support/http-server.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-over-time-'));
});
afterEach(async () => {
  await stopHttpServers();
  rmSync(directory, { recursive: true, force: true });
});

const SHORT = '10.0.0.66';
const LONG = '10.0.0.67';
const APPROVED = '10.0.0.68';

const blocked = (host: string, hours: number, block: Partial<Incident['block']> = {}): Incident =>
  offender(host, {
    incident_id: `of-${host}`,
    block: { ...offender(host).block, until: new Date(NOW_MS + hours * HOUR).toISOString(), ...block },
  });

function configured(mode: string, listen = '127.0.0.1:1') {
  const file = join(directory, 'c.yaml');
  writeFileSync(
    file,
    `data: ${join(directory, 'data')}\nhttp: { listen: "${listen}" }\nlog: { level: fatal }\n` +
      'networks: { internal: [10.0.0.0/8] }\nsenders: [{ name: mail, hosts: [10.0.0.25] }]\n' +
      `block: { mode: ${mode} }\nacl: { targets: [{ name: edge, platform: cisco-ios }] }\n`,
  );
  return loadConfig({ file });
}

/** An instance on the data directory, with a clock that the test sets. */
async function begin(clock: { nowMs: number }, mode = 'publish') {
  const { config } = configured(mode);
  const log = createLogger('silent');
  const { stream } = createStream(config, false, log);
  await stream.start();
  const role = createServeRole(config, { stream, log, now: () => clock.nowMs, policyVersion: () => 'v' });
  await role.start();
  await role.assigned;
  const { desk, hosts: blockedHosts, heldLists } = role;
  const base = await startHttpServer(undefined, { desk, blockedHosts, heldLists });

  /** Whom all of them name. */
  async function named(): Promise<readonly string[]> {
    const file = readFileSync(join(directory, 'data', 'acl', 'edge.4.txt'), 'utf8');
    const plain = await (await fetch(`${base}/v1/lists/offenders.v4.txt`)).text();
    const inFile = [...file.matchAll(/deny tcp host (\S+)/g)].map(([, host]) => host);
    const listed = (await rows()).filter((row) => row.listed).map(({ host }) => host);
    expect(plain.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual(inFile);
    expect(listed.sort()).toEqual(inFile);
    return inFile;
  }

  async function rows(): Promise<readonly BlockRow[]> {
    const [stdout, stderr] = [collected(), collected()];
    const loaded = configured(mode, new URL(base).host);
    await aclListCommand(loaded, { json: true }, { stdout: stdout.stream, stderr: stderr.stream });
    return JSON.parse(stdout.text()).hosts;
  }

  return {
    stream,
    named,
    rows,
    /** As the timer of a minute does, too. */
    reload: (next: string) => role.reload(configured(next).config),
    async stop() {
      await role.stop();
      await stream.stop();
      await stopHttpServers();
    },
  };
}

it('a block that ends, another mode and a restart are seen alike in file, HTTP and acl list', async () => {
  const clock = { nowMs: NOW_MS };
  const first = await begin(clock);
  const news = [blocked(SHORT, 2), blocked(LONG, 48), blocked(APPROVED, 48, { approved_by: 'ada' })];
  await first.stream.publish(
    'incidents',
    news.map((one) => ({ ...incidentMessage(one), partition: 0 })),
  );
  const becomes = (instance: typeof first, hosts: readonly string[]) =>
    expect.poll(() => instance.named().catch(() => null)).toEqual(hosts);
  await becomes(first, [SHORT, LONG, APPROVED]);

  clock.nowMs += 3 * HOUR;
  first.reload('publish');
  await becomes(first, [LONG, APPROVED]);
  const long = (await first.rows()).find(({ host }) => host === LONG);
  expect(long).toMatchObject({ listed: true, block: { until: news[1].block.until }, pending: null });

  first.reload('propose');
  await becomes(first, [APPROVED]);
  first.reload('observe');
  await becomes(first, []);
  first.reload('publish');
  await becomes(first, [LONG, APPROVED]);
  const before = await first.rows();
  await first.stop();

  clock.nowMs += HOUR;
  const second = await begin(clock);
  await becomes(second, [LONG, APPROVED]);
  expect(await second.rows()).toEqual(before);
  await second.stop();

  // What ended while nothing ran is in no list afterwards.
  clock.nowMs += 72 * HOUR;
  const third = await begin(clock, 'propose');
  await becomes(third, []);
  await third.stop();
});

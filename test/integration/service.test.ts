/**
 * A running service from outside: its metrics are those that are promised and add up, a slow question holds up neither
 * flows nor health, followers miss nothing, and a second instance on the same data is refused.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import { runCommandLine } from '../support/command.ts';
import { freeTcpPort, type RunningService, sendDatagrams, startService } from '../support/service.ts';

const DEMO = new URL('../../deploy/demo/', import.meta.url).pathname;
const CONFIG = `networks: { internal: [192.0.2.0/24, "2001:db8:1::/64"] }
senders: [{ name: mail, hosts: [192.0.2.100, "2001:db8:1::100"] }]
block: { mode: publish, unseen_senders: publish }
acl: { targets: [{ name: edge, platform: cisco-ios, interface: Gi0/1 }] }
`;
/** contract.md, "Metrics"; those with labels appear with their first value. */
const PROMISED = [
  'datagrams_received_total',
  'kernel_drops_total',
  'flows_decoded_total',
  'records_dropped_total',
  'sequence_lost_total',
  'flows_published_total',
  'flows_stored_total',
  'spool_bytes',
  'spool_dropped_flows_total',
  'mail_flows_total',
  'alerts_total',
  'incidents_open',
  'blocks',
  'alert_latency_seconds',
  'exporter_last_seen_seconds',
];

let directory: string;
let service: RunningService;
let sqlPort: number;
let capture: Buffer[];
let sent = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-service-'));
  sqlPort = await freeTcpPort();
  service = await startService({
    directory,
    config: `${CONFIG}clickhouse: { listen: "127.0.0.1:${sqlPort}" }\n`,
  });
  capture = [];
  for await (const { payload } of readCapture(join(DEMO, 'exports.pcap'))) capture.push(Buffer.from(payload));
});
afterAll(async () => {
  await service?.end('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

async function send(datagrams: readonly Uint8Array[]): Promise<void> {
  sent += await sendDatagrams(service.udpPort, datagrams, 20);
}

const metric = (name: string, labels?: string) => service.metric(`rogue_smtp_${name}`, labels);
const cli = (...args: string[]) =>
  runCommandLine([...args, '--config', service.configFile], { cwd: directory });

/** Asks until it is so: counters are read while datagrams are on their way. */
const eventually = (read: () => Promise<number>) => expect.poll(read, { timeout: 30_000, interval: 200 });

describe('a running service', () => {
  it('has every promised metric, with a help text, and they add up', async () => {
    await send([...capture, Buffer.from('no export'), Buffer.alloc(0), capture[0].subarray(0, 30)]);
    await eventually(
      async () => (await metric('datagrams_received_total')) + (await metric('kernel_drops_total')),
    ).toBe(sent);
    await eventually(() => metric('flows_stored_total')).toBe(373);

    const text = await service.metrics();
    for (const name of PROMISED) {
      expect(text).toContain(`# HELP rogue_smtp_${name} `);
      expect(text).toMatch(new RegExp(`^rogue_smtp_${name}(_count)?(\\{[^}]*\\})? \\d`, 'm'));
    }

    const decoded = await metric('flows_decoded_total');
    expect(decoded).toBe(
      (await metric('flows_published_total', 'stream="flows"')) +
        (await metric('records_dropped_total', 'reason="(stream_|not_archived)')) +
        (await metric('flows_pending', 'stream="flows"')),
    );
    expect(await metric('mail_flows_total')).toBe(
      (await metric('flows_published_total', 'stream="mail"')) +
        (await metric('mail_dropped_total')) +
        (await metric('flows_pending', 'stream="mail"')),
    );
    expect(await metric('records_dropped_total')).toBe(3);
    expect(await metric('blocks', 'state="published"')).toBe(2);
    expect(await metric('alert_latency_seconds_count')).toBeGreaterThanOrEqual(3);
  });

  it('says what was not decoded beside what was found', async () => {
    const { code, stdout, stderr } = await cli('offenders');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^192\.0\.2\.55 .* published/m);
    expect(stdout).not.toContain('192.0.2.100');
    expect(stderr).toMatch(/^Seen through 1 exporter\(s\)/);
    expect(stderr).toMatch(/0 datagrams dropped by the kernel, 3 not decoded, 0 flows refused/);
  });

  it('lets others read its store over HTTP as from a ClickHouse, and the command line too, in any format', async () => {
    const sql = 'SELECT count() FROM flows';
    const answer = await fetch(`http://127.0.0.1:${sqlPort}/`, { method: 'POST', body: sql });
    expect([answer.status, await answer.text()]).toEqual([200, '373\n']);
    const { host, port } = loadConfig({ file: service.configFile }).config.http.listen;
    const underPath = await fetch(
      `http://${host}:${port}/clickhouse?query=${encodeURIComponent(`${sql} FORMAT CSV`)}`,
    );
    expect(await underPath.text()).toBe('373\n');
    expect((await cli('query', sql, '--format', 'TSV')).stdout).toBe('373\n');
    expect((await cli('query', `${sql} FORMAT Parquet`)).stdout).toMatch(/^PAR1.*PAR1$/s);
    const refused = await cli('query', 'DROP TABLE flows');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/not allowed: only SELECT/) });
    expect(refused.stderr).not.toContain('DB::Exception');
  });

  it('takes flows in and says that it is well while a question takes its time', async () => {
    const before = await metric('datagrams_received_total');
    let answered = false;
    const slow = service
      .ask('SELECT sum(cityHash64(number, toString(number))) FROM numbers(1000000000)', 'TSV')
      .catch((error: unknown) => error)
      .finally(() => {
        answered = true;
      });
    const waits: number[] = [];
    for (let round = 0; round < 20 && !answered; round++) {
      await send(capture);
      const from = performance.now();
      expect(await service.client.isUp()).toBe(true);
      waits.push(performance.now() - from);
      await sleep(100);
    }
    expect(answered, 'the question was over before anything was measured').toBe(false);
    // The store is busy for seconds; the service must not be, however slow this machine is.
    expect(Math.max(...waits)).toBeLessThan(2000);
    await eventually(
      async () => (await metric('datagrams_received_total')) + (await metric('kernel_drops_total')),
    ).toBe(sent);
    expect(await metric('datagrams_received_total')).toBeGreaterThan(before);
    await slow;
    const decoded = await metric('flows_decoded_total');
    await eventually(() => metric('flows_stored_total')).toBe(decoded);
  });

  it('refuses a second instance on its data, and a command that would read behind its back', async () => {
    const elsewhere = {
      ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:0',
      ROGUE_SMTP__COLLECTOR__LISTEN: '["127.0.0.1:0"]',
    };
    const second = await runCommandLine(['run', '--config', service.configFile], {
      cwd: directory,
      env: elsewhere,
    });
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toMatch(/in use by process \d+/);
    const sneaking = await runCommandLine(['offenders', '--config', service.configFile], {
      cwd: directory,
      env: { ...elsewhere, ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:1' },
    });
    expect(sneaking.code).toBe(1);
    expect(sneaking.stderr).toContain('is in use by another rogue-smtp process');
  });

  it('refuses ports that are taken, and says by which setting', async () => {
    const elsewhere = {
      ROGUE_SMTP__COLLECTOR__LISTEN: '["127.0.0.1:0"]',
      ROGUE_SMTP__HTTP__LISTEN: '127.0.0.1:0',
      ROGUE_SMTP__CLICKHOUSE__LISTEN: '127.0.0.1:0',
    };
    for (const [taken, text] of [
      ['ROGUE_SMTP__HTTP__LISTEN', /http\.listen: .*EADDRINUSE/],
      ['ROGUE_SMTP__COLLECTOR__LISTEN', /UDP 127\.0\.0\.1:\d+ is taken by another program/],
      ['ROGUE_SMTP__CLICKHOUSE__LISTEN', /clickhouse\.listen: .*EADDRINUSE/],
    ] as const) {
      const { [taken]: _same, ...env } = elsewhere;
      const { code, stderr } = await runCommandLine(['run', '--config', service.configFile], {
        cwd: directory,
        env: { ...env, ROGUE_SMTP__DATA: join(directory, 'other') },
      });
      expect(code).toBe(1);
      expect(stderr).toMatch(text);
    }
  });

  it('answers a follower until it ends, and then the follower says so and tries to connect again', async () => {
    const followed = await startService({ directory, config: CONFIG, name: 'followed' });
    const following = runCommandLine(['alerts', '--follow', '--json', '--config', followed.configFile], {
      cwd: directory,
      endAt: /Connecting again/,
    });
    await sendDatagrams(followed.udpPort, capture, 20);
    await expect
      .poll(async () => (await followed.client.alerts({ limit: 100 })).length, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(3);
    // The command may have come after the alerts: it shows the past first.
    await sleep(3000);
    await followed.end('SIGTERM');
    const { code, stdout, stderr } = await following;
    expect(code).toBeNull();
    expect(stderr).toMatch(
      /^Lost the connection to the instance .*Connecting again; no alert will be missed\.\n$/,
    );
    const ids = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).alert_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThanOrEqual(3);
  });

  it('serves nobody without its token, and its commands say so', async () => {
    const env = { ROGUE_SMTP__HTTP__TOKEN: 'correct-horse-battery' };
    const guarded = await startService({ directory, config: CONFIG, name: 'guarded', env });
    try {
      const ask = (token: string | null, ...args: string[]) =>
        runCommandLine([...args, '--config', guarded.configFile], {
          cwd: directory,
          env: token === null ? {} : { ROGUE_SMTP__HTTP__TOKEN: token },
        });
      // Nothing was exported to it yet, so that nothing could be judged.
      const answered = await ask('correct-horse-battery', 'offenders');
      expect(answered.code).toBe(1);
      expect(answered.stderr).not.toMatch(/token/i);
      for (const args of [['offenders'], ['alerts', '--follow'], ['query', 'SELECT 1'], ['check']]) {
        for (const token of [null, 'another-horse-battery']) {
          const { code, stdout, stderr } = await ask(token, ...args);
          expect(code).toBe(1);
          expect(stdout + stderr).toMatch(/wants (a|another) token: set http\.token/);
          expect(stdout + stderr).not.toMatch(/horse|^ {4}at /m);
        }
      }
      expect(guarded.log()).not.toContain('horse');
    } finally {
      await guarded.end('SIGTERM');
    }
  });
});

/**
 * The promise, with real packets: a client sends real mail, softflowd on the router exports it, the alert is there within
 * two seconds of the exported datagram, and the ruleset that is rendered from it stops the host and nobody else.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from '../../src/cli/client.ts';
import { describeAlert } from '../../src/cli/reports.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Alert, gradeAtLeast } from '../../src/messages/alert.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { CLIENT, COLLECTOR, type Lab, MAIL_SERVER, openLab, ROGUE, WORLD_MX } from './lab.ts';

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const obstacle = cannotRunAsRoot('softflowd', 'nft', 'tcpdump', 'python3', 'ping');
/** The exporter looks for ended flows once a second; expint cannot be shorter. */
const TIMEOUTS = ['expint=1', 'tcp.fin=1', 'tcp.rst=1', 'maxlife=3', 'tcp=3', 'general=3', 'udp=3'];
const ALERT_WITHIN_MS = 2000;

let lab: Lab | null = null;
afterEach(async () => {
  await lab?.close();
  lab = null;
});

interface SeenAlert {
  readonly alert: Alert;
  readonly atMs: number;
}

describe.skipIf(obstacle !== null)(
  `the main job, in namespaces${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    it.each([
      ['NetFlow v5', '5', 2055],
      ['NetFlow v9', '9', 2056],
      ['IPFIX', '10', 2057],
    ])('from %s: alert, ACL, and the packets stop', async (_name, version, port) => {
      lab = await openLab();
      const configFile = join(lab.directory, 'rogue-smtp.yaml');
      writeFileSync(
        configFile,
        `collector: { listen: ["${COLLECTOR}:${port}"], exporters: [100.64.77.2] }
networks: { internal: [192.0.2.0/24] }
senders: [{ name: mail, hosts: [${MAIL_SERVER}] }]
block: { mode: publish }
http: { listen: "127.0.0.1:${port + 7000}" }
log: { level: warn }
data: ${join(lab.directory, 'data')}
`,
      );
      const service = lab.start('here', process.execPath, MAIN, 'run', '--config', configFile);
      const client = createClient(loadConfig({ file: configFile }).config);
      await client.waitUntilReady(new Promise(() => undefined));

      const exportsFile = join(lab.directory, 'exports.pcap');
      const observer = lab.start(
        'router',
        'tcpdump',
        '-i',
        'mgmt0',
        '-U',
        '-w',
        exportsFile,
        'udp',
        'port',
        String(port),
      );
      lab.start(
        'router',
        'softflowd',
        '-i',
        'lan0',
        '-n',
        `${COLLECTOR}:${port}`,
        '-v',
        version,
        '-d',
        ...TIMEOUTS.flatMap((t) => ['-t', t]),
        '-p',
        join(lab.directory, 'pid'),
        '-c',
        join(lab.directory, 'ctl'),
      );
      await sleep(1500);
      // softflowd gets packets from libpcap a block at a time; ordinary traffic keeps the blocks coming.
      lab.start('lan', 'ping', '-q', '-i', '0.002', '-s', '1000', '-I', CLIENT, WORLD_MX[2]);

      const stop = new AbortController();
      const seen: SeenAlert[] = [];
      const following = (async () => {
        for await (const alert of client.follow(stop.signal)) seen.push({ alert, atMs: Date.now() });
      })().catch(() => undefined);

      // The same mail from both, the mail server first; what is innocent beside it.
      lab.smtp('lan', 'send', MAIL_SERVER, WORLD_MX[0], '--count', '3', '--size', '5000');
      lab.smtp('world', 'send', WORLD_MX[1], MAIL_SERVER, '--count', '2', '--size', '3000');
      lab.smtp('lan', 'send', CLIENT, WORLD_MX[0], '587', '--count', '2');
      // A bot goes on: its sessions come in more than one datagram, without which nothing is blocked.
      // Beside the test, which must be free to take the time of the alert.
      lab.startSmtp('lan', 'send', ROGUE, WORLD_MX[0], '--count', '6', '--size', '5000', '--pause', '0.5');
      const rogueAlert = ({ alert }: SeenAlert) =>
        alert.host === ROGUE && gradeAtLeast(alert.grade, 'conversed') && alert.block.state === 'published';
      await expect
        .poll(() => seen.some(rogueAlert) || seen.map(({ alert }) => describeAlert(alert)), {
          timeout: 20_000,
          interval: 50,
        })
        .toBe(true);
      const first = seen.find(({ alert }) => alert.host === ROGUE && gradeAtLeast(alert.grade, 'conversed'));

      // The exports as an independent observer on the router caught them, with its times.
      await sleep(3000);
      await observer.stop();
      const records = execFileSync(process.execPath, [MAIN, 'decode', exportsFile], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const sent = records
        .filter((record) => record.src_addr === ROGUE && record.dst_port === 25)
        .map((record) => Date.parse(record.received_at));
      const delay = (first?.atMs ?? 0) - Math.min(...sent);
      console.log(`version ${version}: alert ${delay} ms after the exported datagram`);
      expect(delay).toBeLessThan(ALERT_WITHIN_MS);
      expect(seen.map(({ alert }) => alert.host).filter((host) => host !== ROGUE)).toEqual([]);
      expect(records.some((record) => record.src_addr === MAIL_SERVER && record.dst_port === 25)).toBe(true);
      expect(new Set(seen.map(({ alert }) => alert.alert_id)).size).toBe(seen.length);

      // The ruleset, with sessions of both open while it is loaded.
      const rogueSession = lab.startSmtp('lan', 'hold', ROGUE, WORLD_MX[1]);
      const mailSession = lab.startSmtp('lan', 'hold', MAIL_SERVER, WORLD_MX[1]);
      await Promise.all([rogueSession.printed(/open/), mailSession.printed(/open/)]);
      const ruleset = execFileSync(
        process.execPath,
        [
          MAIN,
          'acl',
          'render',
          '--platform',
          'nftables',
          '--kind',
          'offenders',
          '--interface',
          'lan0',
          '--config',
          configFile,
        ],
        { encoding: 'utf8' },
      );
      expect(ruleset).toContain(ROGUE);
      expect(ruleset).not.toContain(MAIL_SERVER);
      const rulesetFile = join(lab.directory, 'rules.nft');
      writeFileSync(rulesetFile, ruleset);
      lab.run('router', 'nft', '-f', rulesetFile);
      await rogueSession.printed(/broken/);
      expect(lab.smtp('lan', 'probe', ROGUE, WORLD_MX[0], '25')).not.toBe('open');
      expect(lab.smtp('lan', 'probe', ROGUE, WORLD_MX[0], '80')).toBe('open');
      expect(lab.smtp('lan', 'probe', MAIL_SERVER, WORLD_MX[0], '25')).toBe('open');
      expect(lab.smtp('world', 'probe', WORLD_MX[0], MAIL_SERVER, '25')).toBe('open');
      expect(mailSession.output()).not.toContain('broken');
      expect(service.process.exitCode).toBeNull();
      stop.abort();
      await following;
    });
  },
);

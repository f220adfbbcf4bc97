/**
 * The promise, with real packets: a client sends real mail, softflowd on the router exports it, the alert is there within
 * two seconds of the exported datagram, and the ruleset that is rendered from it stops the host and nobody else.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { describeAlert } from '../../src/cli/reports.ts';
import { type Alert, gradeAtLeast } from '../../src/messages/alert.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { MAIN } from '../support/service.ts';
import { CAST, CLIENT, type Family, type Lab, MAIL_SERVER, openLab, ROGUE, WORLD_MX } from './lab.ts';

const obstacle = cannotRunAsRoot('softflowd', 'nft', 'tcpdump', 'python3', 'setpriv');
const ALERT_WITHIN_MS = 2000;
const PUBLISHED_WITHIN_MS = 20_000;

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
      // It knows no IPv6.
      { name: 'NetFlow v5', version: '5', port: 2055, families: [4] },
      { name: 'NetFlow v9', version: '9', port: 2055, families: [4, 6] },
      { name: 'IPFIX', version: '10', port: 4739, families: [4, 6] },
    ] as const)('from $name: alert, ACL, and the packets stop', async ({ name, version, port, families }) => {
      lab = await openLab();
      const service = await lab.startService('block: { mode: publish, unseen_senders: publish }');
      const { client, configFile } = service;
      const observer = await lab.observeExports(port);
      await lab.startSoftflowd({ version, port });

      const stop = new AbortController();
      const seen: SeenAlert[] = [];
      const following = (async () => {
        for await (const alert of await client.follow(stop.signal)) seen.push({ alert, atMs: Date.now() });
      })().catch(() => undefined);

      // The same mail from both, the mail server first; what is innocent beside it.
      const mail = ['--count', '6', '--size', '5000'];
      for (const family of families)
        lab.smtp('lan', 'send', CAST[family].mailServer, CAST[family].mx, ...mail);
      lab.smtp('world', 'send', WORLD_MX[1], MAIL_SERVER, '--count', '2', '--size', '3000');
      lab.smtp('lan', 'send', CLIENT, WORLD_MX[0], '587', '--count', '2');
      // A bot goes on: its sessions come in more than one datagram, without which nothing is blocked. Beside the test,
      // which must be free to take the time of the alert.
      for (const family of families)
        lab.startSmtp('lan', 'send', CAST[family].rogue, CAST[family].mx, ...mail, '--pause', '0.5');
      const rogues: readonly string[] = families.map((family) => CAST[family].rogue);
      const unpublished = () =>
        rogues.filter(
          (rogue) => !seen.some(({ alert }) => alert.host === rogue && alert.block.state === 'published'),
        );
      await expect
        .poll(() => ({ unpublished: unpublished(), seen: seen.map(({ alert }) => describeAlert(alert)) }), {
          timeout: PUBLISHED_WITHIN_MS,
          interval: 50,
        })
        .toMatchObject({ unpublished: [] });

      // The exports as an independent observer on the router caught them, with its times: what was innocent, too.
      await sleep(3000);
      const sentAt = await observer.mailRecords();
      for (const rogue of rogues) {
        const alerted = seen.find(
          ({ alert }) => alert.host === rogue && gradeAtLeast(alert.grade, 'conversed'),
        );
        const delay = (alerted?.atMs ?? Number.NaN) - Math.min(...sentAt(rogue));
        console.log(`${name}: alert for ${rogue} ${delay} ms after the exported datagram`);
        // Not before it, either: then the observer has missed what the service has seen.
        expect(delay).toBeGreaterThan(-50);
        expect(delay).toBeLessThan(ALERT_WITHIN_MS);
      }
      expect([...new Set(seen.map(({ alert }) => alert.host))].sort()).toEqual([...rogues].sort());
      for (const family of families) expect(sentAt(CAST[family].mailServer)).not.toHaveLength(0);
      expect(new Set(seen.map(({ alert }) => alert.alert_id)).size).toBe(seen.length);

      for (const family of families) await stopsOnlyTheRogue(lab, configFile, family);
      expect(lab.smtp('lan', 'probe', ROGUE, WORLD_MX[0], '80')).toBe('open');
      expect(lab.smtp('world', 'probe', WORLD_MX[0], MAIL_SERVER, '25')).toBe('open');
      expect(service.process.exitCode).toBeNull();
      stop.abort();
      await following;
    });
  },
);

/** The ruleset, with sessions of both open while the router loads it. */
async function stopsOnlyTheRogue(inLab: Lab, configFile: string, family: Family): Promise<void> {
  const { rogue, mailServer, mx, otherMx } = CAST[family];
  const rogueSession = await inLab.holdSession('lan', rogue, otherMx);
  const mailSession = await inLab.holdSession('lan', mailServer, otherMx);
  expect(inLab.smtp('lan', 'probe', rogue, mx, '25')).toBe('open');

  const asked = ['--platform', 'nftables', '--kind', 'offenders', '--family', String(family)];
  const where = ['--interface', 'lan0', '--config', configFile];
  const ruleset = execFileSync(process.execPath, [MAIN, 'acl', 'render', ...asked, ...where], {
    encoding: 'utf8',
  });
  expect(ruleset).toContain(rogue);
  expect(ruleset).not.toMatch(new RegExp(`${mailServer.replaceAll('.', '\\.')}(?![0-9a-f:.])`));
  const rulesetFile = join(inLab.directory, `rules${family}.nft`);
  writeFileSync(rulesetFile, ruleset);
  inLab.run('router', 'nft', '-f', rulesetFile);

  await rogueSession.printed(/broken/);
  expect(inLab.smtp('lan', 'probe', rogue, mx, '25')).not.toBe('open');
  expect(inLab.smtp('lan', 'probe', mailServer, mx, '25')).toBe('open');
  expect(mailSession.output()).not.toContain('broken');
}

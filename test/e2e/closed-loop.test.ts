/**
 * The loop, closed with real packets: a bot begins to send, softflowd exports it, the list is published, a hook loads it
 * into nftables, the packets stop, and the incident says that the block works. When the block ends, the way is open again.
 */

import { afterEach, describe, expect, it } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { type Lab, MAIL_SERVER, openLab, ROGUE, WORLD_MX } from './lab.ts';

const obstacle = cannotRunAsRoot('softflowd', 'nft', 'python3', 'setpriv');
/** From the first record of the host, received, to the list with it. */
const BLOCKED_WITHIN_MS = 5000;
const WITHIN = { timeout: 60_000, interval: 100 };

let lab: Lab | null = null;
afterEach(async () => {
  await lab?.close();
  lab = null;
});

describe.skipIf(obstacle !== null)(
  `the closed loop, in namespaces${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    it('blocks a bot within seconds, sees that its packets stop, and opens the way when the block ends', async () => {
      const here = await openLab();
      lab = here;
      const service = await here.startService(`block: { mode: publish, grace: 3s, ttl: 15s }
acl:
  targets:
    - name: edge
      platform: nftables
      interface: lan0
      hook: [ip, netns, exec, ${here.name('router')}, nft, -f, "{file}"]
`);
      const { client } = service;
      await here.startSoftflowd({ version: '9', port: 2055 });

      const mx = WORLD_MX[0];
      expect(here.smtp('lan', 'probe', ROGUE, mx, '25')).toBe('open');
      const bot = here.startSmtp(
        'lan',
        'send',
        ROGUE,
        mx,
        '--count',
        '30',
        '--size',
        '5000',
        '--pause',
        '0.5',
      );
      const host = async () => (await client.acl.overview()).hosts.find((row) => row.host === ROGUE);

      await expect.poll(async () => (await host())?.listed, WITHIN).toBe(true);
      const timeToBlockMs = (await host())?.time_to_block_ms ?? Number.NaN;
      console.log(`closed loop: blocked ${timeToBlockMs} ms after the first record`);
      expect(timeToBlockMs).toBeLessThan(BLOCKED_WITHIN_MS);
      await expect.poll(() => here.smtp('lan', 'probe', ROGUE, mx, '25'), WITHIN).not.toBe('open');
      expect(here.smtp('lan', 'probe', MAIL_SERVER, mx, '25')).toBe('open');
      await bot.stop();

      await expect.poll(async () => (await host())?.block.effect?.state, WITHIN).toBe('effective');
      const report = await client.incident(ROGUE);
      expect(report.listed?.time_to_block_ms).toBe(timeToBlockMs);

      await expect.poll(() => here.smtp('lan', 'probe', ROGUE, mx, '25'), WITHIN).toBe('open');
      expect((await host())?.listed).toBe(false);
      expect(service.process.exitCode).toBeNull();
    });
  },
);

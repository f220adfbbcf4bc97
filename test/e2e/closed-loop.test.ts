/**
 * The loop, closed with real packets: a bot begins to send, the router exports it, the list is published, a hook loads it
 * into nftables, the packets stop, and the incident says that the block works. When the block ends, the way is open again.
 */

import { afterEach, describe, expect, it } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { CAST, type Lab, openLab } from './lab.ts';

const obstacle = cannotRunAsRoot('softflowd', 'pmacctd', 'nft', 'tcpdump', 'python3', 'setpriv');
/** From the first export with a record of the host to its block in the router. */
const BLOCKED_WITHIN_MS = 5000;
const WITHIN = { timeout: 60_000, interval: 100 };
const PORT = 2055;

let lab: Lab | null = null;
afterEach(async () => {
  await lab?.close();
  lab = null;
});

describe.skipIf(obstacle !== null)(
  `the closed loop, in namespaces${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    it.each([
      { by: 'softflowd, NetFlow v9, IPv4', exporter: 'startSoftflowd', version: '9', families: [4] },
      { by: 'softflowd, IPFIX, IPv6', exporter: 'startSoftflowd', version: '10', families: [6] },
      { by: 'pmacctd, IPFIX, IPv4 and IPv6', exporter: 'startPmacctd', version: '10', families: [4, 6] },
    ] as const)(
      'by $by: blocks a bot within seconds, sees that its packets stop, and opens the way when the block ends',
      async ({ by, exporter, version, families }) => {
        const here = await openLab();
        lab = here;
        const service =
          await here.startService(`block: { mode: publish, unseen_senders: publish, grace: 3s, ttl: 12s }
acl:
  targets:
    - name: edge
      platform: nftables
      interface: lan0
      hook: [ip, netns, exec, ${here.name('router')}, nft, -f, "{file}"]
`);
        const { client } = service;
        const cast = families.map((family) => CAST[family]);
        const bots: readonly string[] = cast.map(({ rogue }) => rogue);
        const reach = (from: 'rogue' | 'mailServer', port: number) =>
          cast.map((hosts) => here.smtp('lan', 'probe', hosts[from], hosts.mx, String(port)));
        const open = cast.map(() => 'open');
        // Before anybody looks: the first record of a bot is one of its mail.
        expect(reach('rogue', 25)).toEqual(open);

        const observer = await here.observeExports(PORT);
        await here[exporter]({ version, port: PORT });
        for (const { mailServer, mx } of cast) here.smtp('lan', 'send', mailServer, mx, '--count', '2');
        const began = Date.now();
        // Ten sessions before the block at least: the silence of a host whose pace is not known proves nothing.
        const mail = ['--count', '150', '--size', '5000', '--pause', '0.1'];
        const sending = cast.map(({ rogue, mx }) => here.startSmtp('lan', 'send', rogue, mx, ...mail));
        const blockedAt = await whenRulesName(here, bots);
        const listed = async () => (await client.acl.overview()).hosts.filter((row) => row.listed);

        expect(reach('rogue', 25).filter((outcome) => outcome === 'open')).toEqual([]);
        expect(reach('mailServer', 25)).toEqual(open);
        for (const port of [80, 587]) expect(reach('rogue', port)).toEqual(open);
        expect((await listed()).map((row) => row.host).sort()).toEqual([...bots].sort());
        await Promise.all(sending.map((bot) => bot.stop()));

        await expect
          .poll(async () => (await listed()).map((row) => row.block.effect?.state), WITHIN)
          .toEqual(bots.map(() => 'effective'));
        const exportedAt = await observer.mailRecords();
        for (const bot of bots) {
          const blocked = blockedAt.get(bot) ?? Number.NaN;
          const delay = blocked - Math.min(...exportedAt(bot));
          console.log(
            `closed loop by ${by}: ${bot} blocked ${delay} ms after the first export, ${blocked - began} ms after it began`,
          );
          expect(delay).toBeGreaterThan(0);
          expect(delay).toBeLessThan(BLOCKED_WITHIN_MS);
          const report = await client.incident(bot);
          expect(report.listed?.time_to_block_ms).toBeLessThan(BLOCKED_WITHIN_MS);
        }

        // Nobody knocks before: an exporter on the inside sees that, and a host that goes on trying stays blocked.
        await expect.poll(listed, WITHIN).toEqual([]);
        await expect.poll(() => reach('rogue', 25), WITHIN).toEqual(open);
        expect(service.process.exitCode).toBeNull();
      },
    );
  },
);

/** When the rules of the router first spoke of each host. */
async function whenRulesName(inLab: Lab, hosts: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  await expect
    .poll(() => {
      const rules = inLab.run('router', 'nft', 'list', 'ruleset');
      for (const host of hosts) if (rules.includes(host) && !found.has(host)) found.set(host, Date.now());
      return [...found.keys()].sort();
    }, WITHIN)
    .toEqual([...hosts].sort());
  return found;
}

/**
 * From a blocklist entry to the host, with real packets: a bot sends through a NAT, a list (rbldnsd) lists the public address,
 * the watch tells it beside the incident, the flows and a lease file say who it was, the block works, and the list lets go.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Alert } from '../../src/messages/alert.ts';
import { runCommandLine } from '../support/command.ts';
import { type Rbldnsd, startRbldnsd } from '../support/rbldnsd.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { type Lab, MAIL_SERVER, openLab, ROGUE, WORLD_MX } from './lab.ts';

const obstacle = cannotRunAsRoot('pmacctd', 'nft', 'python3', '/usr/sbin/rbldnsd');
/** The address of the router on the outside, behind which the LAN hides. */
const PUBLIC = '198.51.100.1';
const ZONE = 'dnsbl.example.net';
const WITHIN = { timeout: 60_000, interval: 200 };

let lab: Lab | null = null;
let list: Rbldnsd | null = null;
afterEach(async () => {
  await lab?.close();
  await list?.stop();
  lab = null;
  list = null;
});

describe.skipIf(obstacle !== null)(
  `a listing, in namespaces${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    it('leads to the host, its block and its end', async () => {
      const here = await openLab();
      lab = here;
      list = await startRbldnsd(ZONE, here.directory);
      const leases = join(here.directory, 'dhcpd.leases');
      writeFileSync(leases, leaseOf('pc-42', -3_600_000));
      const nat = join(here.directory, 'nat.nft');
      writeFileSync(
        nat,
        'table ip nat {\n  chain out {\n    type nat hook postrouting priority 100\n    oifname "wan0" masquerade\n  }\n}\n',
      );
      here.run('router', 'nft', '-f', nat);
      const service = await here.startService(`block: { mode: publish, unseen_senders: publish, grace: 3s }
blocklists: { addresses: [${PUBLIC}], zones: [${ZONE}], servers: ["${list.address}"], every: 1s }
identity: { leases: [{ file: ${leases}, format: isc }] }
acl:
  targets:
    - name: edge
      platform: nftables
      interface: lan0
      hook: [ip, netns, exec, ${here.name('router')}, nft, -f, "{file}"]
`);
      const { client, configFile } = service;
      const findings = async () =>
        (await client.alerts({ limit: 1000 })).filter(
          ({ kind, host }) => kind === 'finding' && host === PUBLIC,
        );
      const cli = (...args: string[]) =>
        runCommandLine(['--config', configFile, '--utc', ...args], { cwd: here.directory });

      await here.startPmacctd({ version: '10', port: 4739 });
      here.smtp('lan', 'send', MAIL_SERVER, WORLD_MX[1], '--count', '2');
      const began = Date.now();
      const bot = here.startSmtp(
        'lan',
        'send',
        ROGUE,
        WORLD_MX[0],
        '--count',
        '100',
        '--size',
        '5000',
        '--pause',
        '0.1',
      );
      await expect
        .poll(async () => (await client.offenders()).map(({ host }) => host), WITHIN)
        .toEqual([ROGUE]);

      await list.list([PUBLIC]);
      await expect.poll(findings, WITHIN).toHaveLength(1);
      const [listed] = await findings();
      expect(listed.finding).toEqual({ type: 'blocklisted' });
      expect(listed.reasons[0]).toContain(`${PUBLIC} is on the blocklist ${ZONE}`);
      expect(listed.reasons[1]).toMatch(new RegExp(`^${ROGUE} may be why: \\w+ since `));

      const when = new Date((began + Date.now()) / 2).toISOString();
      const trace = ['trace', '--at', when, '--source', PUBLIC, '--destination', `${WORLD_MX[0]}:25`];
      const found = await cli(...trace, '--json');
      expect(JSON.parse(found.stdout).candidates).toEqual([
        expect.objectContaining({
          host: ROGUE,
          sure: 'likely',
          identity: expect.objectContaining({ name: 'pc-42' }),
        }),
      ]);
      console.log((await cli(...trace)).stdout);

      await expect
        .poll(async () => (await client.incident(ROGUE)).incident.block.effect?.state, WITHIN)
        .toBe('effective');
      await bot.stop();
      const letter = await cli('report', ROGUE, '--for', 'delisting', '--address', PUBLIC);
      expect(letter.stdout).toMatch(/^Blocked: TCP port 25 of the host since .* It works/m);
      expect(letter.stderr).toBe('');

      await list.list([]);
      await expect
        .poll(async () => (await findings()).map((alert: Alert) => alert.finding?.type), WITHIN)
        .toEqual(['blocklisted', 'delisted']);
      expect(here.smtp('lan', 'probe', MAIL_SERVER, WORLD_MX[0], '25')).toBe('open');
    });
  },
);

function leaseOf(name: string, fromNowMs: number): string {
  const time = (ms: number) => `epoch ${Math.floor((Date.now() + ms) / 1000)}`;
  return `lease ${ROGUE} {
  starts ${time(fromNowMs)};
  ends ${time(fromNowMs + 86_400_000)};
  binding state active;
  client-hostname "${name}";
}
`;
}

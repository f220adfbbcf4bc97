/** `rogue-smtp acl exabgp` as a process of the real ExaBGP, which peers with GoBGP: the routes follow the files. */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { publishAcl } from '../../src/publish/list-files.ts';
import { offender, request } from '../support/acl-requests.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { MAIN } from '../support/service.ts';
import { type Namespaces, openNamespaces } from './namespaces.ts';

const obstacle = cannotRunAsRoot('exabgp', 'gobgp', 'gobgpd', 'pgrep', 'setpriv');

describe.skipIf(obstacle !== null)(
  `ExaBGP's routes follow a target${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let speakers: Namespaces<'speakers'>;
    let directory: string;

    async function publish(hosts: readonly string[]): Promise<void> {
      for (const family of ['4', '6'] as const) {
        const offenders = hosts.map((host) => offender(host));
        const { text } = renderAcl(request({ platform: 'exabgp', kind: 'offenders', family, offenders }));
        await publishAcl({ directory: join(directory, 'data/acl'), target: 'flowspec', family, text });
      }
    }
    function routes(): string[] {
      const gobgp = ['netns', 'exec', speakers.name('speakers'), 'gobgp'];
      return ['ipv4-flowspec', 'ipv6-flowspec']
        .flatMap((family) => {
          const { stdout } = spawnSync('ip', [...gobgp, 'global', 'rib', '-a', family], { encoding: 'utf8' });
          return [...stdout.matchAll(/source: ([^\]]+)\/(?:32|128)/g)].map((match) => match[1].trim());
        })
        .sort();
    }
    async function untilRoutes(...hosts: string[]): Promise<void> {
      for (let i = 0; i < 300 && routes().join() !== hosts.join(); i++) await sleep(100);
      expect(routes()).toEqual(hosts);
    }
    const feedPid = () =>
      spawnSync('pgrep', ['-f', `${directory}/rogue-smtp.yaml acl exabgp`], {
        encoding: 'utf8',
      }).stdout.trim();

    beforeAll(async () => {
      speakers = openNamespaces('x', ['speakers']);
      directory = speakers.directory;
      writeFileSync(
        join(directory, 'rogue-smtp.yaml'),
        `data: ${directory}/data\nacl: { targets: [{ name: flowspec, platform: exabgp }] }\n`,
      );
      const families = ['ipv4', 'ipv6'];
      writeFileSync(
        join(directory, 'gobgpd.toml'),
        [
          '[global.config]\nas = 64513\nrouter-id = "192.0.2.1"\nport = 179\nlocal-address-list = ["127.0.0.1"]',
          '[[neighbors]]\n[neighbors.config]\nneighbor-address = "127.0.0.2"\npeer-as = 64512',
          '[neighbors.transport.config]\npassive-mode = true',
          ...families.map(
            (one) =>
              `[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "${one}-flowspec"`,
          ),
          '',
        ].join('\n'),
      );
      writeFileSync(
        join(directory, 'exabgp.conf'),
        `process rogue-smtp { run ${process.execPath} ${MAIN} --config ${directory}/rogue-smtp.yaml acl exabgp flowspec; encoder text; }
neighbor 127.0.0.1 { router-id 192.0.2.9; local-address 127.0.0.2; local-as 64512; peer-as 64513;
  family { ipv4 flow; ipv6 flow; } api { processes [ rogue-smtp ]; } }
`,
      );
      await publish(['192.0.2.55', '192.0.2.77', '2001:db8:1::55']);
      speakers.start('speakers', 'gobgpd', '-f', join(directory, 'gobgpd.toml'));
      const asRoot = 'exabgp_daemon_user=root';
      speakers.start('speakers', 'env', asRoot, 'exabgp', join(directory, 'exabgp.conf'));
    });
    afterAll(() => speakers?.close());

    it('announces what is listed, withdraws what is not, and outlives the death of the process', async () => {
      await untilRoutes('192.0.2.55', '192.0.2.77', '2001:db8:1::55');
      await publish(['192.0.2.77', '192.0.2.78']);
      await untilRoutes('192.0.2.77', '192.0.2.78');
      // ExaBGP keeps the routes of a process that died, and starts another one.
      const before = feedPid();
      expect(before).toMatch(/^\d+$/);
      process.kill(Number(before), 'SIGKILL');
      await publish(['192.0.2.78']);
      await untilRoutes('192.0.2.78');
      expect(feedPid()).not.toBe(before);
      // Half a list is no list.
      writeFileSync(
        join(directory, 'data/acl/flowspec.4.txt'),
        '# rogue-smtp offenders, IPv4, revision 00000000\n',
      );
      await sleep(2500);
      expect(routes()).toEqual(['192.0.2.78']);
      await publish([]);
      await untilRoutes();
    });
  },
);

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUARANTINE_PLATFORMS, type QuarantinePlatform, renderQuarantine } from '../../src/acl/quarantine.ts';
import { prefix, request, sender } from '../support/acl-requests.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';

const HOSTS = ['192.0.2.55', '2001:db8:1::55'];
const quarantine = (platform: QuarantinePlatform, hosts: readonly string[] = HOSTS) =>
  renderQuarantine({ ...request(), platform, hosts });
const commands = (text: string) => text.split('\n').filter((line) => line !== '' && !/^[!#]/.test(line));

describe('a quarantine', () => {
  it('is the black hole routes of the named hosts, in the words of the platform', () => {
    expect(commands(quarantine('cisco-ios'))).toEqual([
      'ip route 192.0.2.55 255.255.255.255 Null0 tag 666',
      'ipv6 route 2001:db8:1::55/128 Null0 tag 666',
    ]);
    expect(commands(quarantine('frr'))).toEqual([
      'ip route 192.0.2.55/32 blackhole tag 666',
      'ipv6 route 2001:db8:1::55/128 blackhole tag 666',
    ]);
    expect(commands(quarantine('junos'))[1]).toBe(
      'set routing-options rib inet6.0 static route 2001:db8:1::55/128 discard tag 666 community [ 65535:666 65535:65281 ]',
    );
    expect(quarantine('exabgp')).toContain(
      'route 192.0.2.55/32 next-hop 192.0.2.1 community [ 65535:666 65535:65281 ];',
    );
  });

  it.each(QUARANTINE_PLATFORMS)('says for %s that it cuts off everything, and how it ends', (platform) => {
    const text = quarantine(platform);
    expect(text).toContain('from everything, not only from port 25');
    expect(text).toContain('rollback:');
    expect(quarantine(platform, [...HOSTS].reverse())).toBe(text);
  });

  it.each([
    ['192.0.2.100', /authorised sender "mail"/],
    ['198.51.100.7', /not an internal host/],
    ['192.0.2.9', /never-block list/],
    ['169.254.0.1', /link-local/],
  ])('is refused as a whole for %s', (host, why) => {
    const never = [prefix('192.0.2.9')];
    expect(() =>
      renderQuarantine({ ...request({ never }), platform: 'frr', hosts: ['192.0.2.55', host] }),
    ).toThrow(why);
  });

  it('is refused while no sender is in force, and for anything but single hosts by name', () => {
    const ended = [sender(['192.0.2.100'], { until: '2026-01-01T00:00:00Z' })];
    expect(() => renderQuarantine({ ...request({ senders: ended }), platform: 'frr', hosts: HOSTS })).toThrow(
      /no sender is in force/,
    );
    for (const hosts of [[], ['192.0.2.0/24'], ['host.example.net'], ['192.0.2.55\nno ip routing']])
      expect(() => quarantine('frr', hosts)).toThrow();
  });
});

const obstacle = cannotRunAsRoot('vtysh', 'exabgp', 'bird');
describe.skipIf(obstacle !== null)(
  `the readers of the platforms take a quarantine${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'quarantine-'));
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    function reads(command: string, args: readonly string[], text: string): boolean {
      const file = join(directory, 'config');
      writeFileSync(file, text);
      const env = { ...process.env, exabgp_daemon_user: 'root' };
      return spawnSync(command, [...args, file], { encoding: 'utf8', env }).status === 0;
    }
    // bgpd -C answers 0 to anything; vtysh does not.
    const frr = (text: string) => reads('vtysh', ['-C', '-f'], text);
    const bird = (text: string) => reads('bird', ['-p', '-c'], `router id 192.0.2.9;\n${text}`);
    const exabgp = (text: string) =>
      reads(
        'exabgp',
        ['--validate'],
        `${text}neighbor 192.0.2.1 { inherit rogue-smtp-quarantine; router-id 192.0.2.9; local-address 192.0.2.9; local-as 64512; peer-as 64513; family { ipv4 unicast; ipv6 unicast; } }\n`,
      );

    it('and none of what is nearly one', () => {
      expect(frr(quarantine('frr'))).toBe(true);
      expect(frr(quarantine('frr').replace('192.0.2.55/32', '192.0.2.555/32'))).toBe(false);
      expect(frr(quarantine('frr').replace('blackhole tag 666', 'blackhole tag none'))).toBe(false);
      expect(bird(quarantine('bird'))).toBe(true);
      expect(bird(quarantine('bird').replace('blackhole', 'blackholes'))).toBe(false);
      expect(exabgp(quarantine('exabgp'))).toBe(true);
      expect(exabgp(quarantine('exabgp').replace('[ 65535:666', '[ 65536:666'))).toBe(false);
    });

    it('FRR takes the routes of the form for IOS as well, which is like its own', () => {
      const ios = quarantine('cisco-ios');
      expect(frr(ios)).toBe(true);
      expect(frr(ios.replace('255.255.255.255', '0.0.0.255.1'))).toBe(false);
    });
  },
);

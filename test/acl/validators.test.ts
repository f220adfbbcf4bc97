/** The texts before readers that are not ours: nft, and fwbuilder for Cisco IOS. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACL_KINDS } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { importIos } from '../e2e/fwbuilder.ts';
import { offender, prefix, request, sender } from '../support/acl-requests.ts';
import { cannotRunAsRoot, missingTools } from '../support/requirements.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-acl-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const MANY = 5000;
const host4 = (i: number) => `10.${i >> 8}.${i & 255}.7`;
const host6 = (i: number) => `2001:db8:1::${(i + 1).toString(16)}:7`;
const internal = ['10.0.0.0/8', '10.20.0.0/16', '192.0.2.0/24', '2001:db8::/32', '2001:db8:1::/64'].map(
  prefix,
);
const senders = [
  sender(['192.0.2.100', '2001:db8:1::100'], { owner: 'A "quoted" owner\n', reason: 'x'.repeat(200) }),
  sender(['192.0.2.64/29', '192.0.2.66', '2001:db8:1:2::/64'], {
    name: 'scanners',
    to: ['198.51.100.26', '203.0.113.0/24', '2001:db8:9::/48'],
  }),
];
const never = ['192.0.2.3', '192.0.2.0/28', 'fd00::/8'].map(prefix);
const SIZES = [0, 1, MANY];
const offenders = (count: number) =>
  Array.from({ length: count }, (_, i) => [offender(host4(i)), offender(host6(i))]).flat();

const noNft = cannotRunAsRoot('nft');
describe.skipIf(noNft !== null)(`nft takes the text${noNft === null ? '' : ` (${noNft})`}`, () => {
  const check = (text: string) => {
    const file = join(directory, 'list.nft');
    writeFileSync(file, text);
    return spawnSync('nft', ['-c', '-f', file], { encoding: 'utf8' });
  };

  describe.each(['4', '6'] as const)('IPv%s', (family) => {
    it.each([undefined, 'lan0', 'br-lan.100'])('of a policy on interface %s', (lan) => {
      const { text } = renderAcl(
        request({ platform: 'nftables', family, internal, senders, never, ...(lan && { interface: lan }) }),
      );
      expect(check(text)).toMatchObject({ status: 0, stderr: '' });
    });

    it('of a policy by which nobody may send, and of one of the traffic of the router itself', () => {
      const other = sender([family === '4' ? '2001:db8:1::100' : '192.0.2.100']);
      const nobody = { senders: [other], withoutSenders: 'deny' as const };
      for (const more of [
        nobody,
        { senders, traffic: 'own' as const },
        { ...nobody, traffic: 'own' as const },
      ]) {
        const { text } = renderAcl(request({ platform: 'nftables', family, internal, never, ...more }));
        expect(check(text)).toMatchObject({ status: 0, stderr: '' });
      }
    });

    it.each(SIZES)('of a list of %i offenders', (count) => {
      const more = { internal, senders, never, offenders: offenders(count), maxEntries: MANY };
      const { text, entries } = renderAcl(
        request({ platform: 'nftables', kind: 'offenders', family, ...more }),
      );
      expect(entries).toBe(count);
      expect(check(text)).toMatchObject({ status: 0, stderr: '' });
    });

    it('of a policy whose sender, smarthost and never-block list are everything', () => {
      const all = [prefix(family === '4' ? '0.0.0.0/0' : '::/0')];
      const { text } = renderAcl(
        request({
          platform: 'nftables',
          family,
          interface: 'lan0',
          internal: all,
          senders: [{ ...senders[0], hosts: all, to: all }],
          never: all,
        }),
      );
      expect(check(text)).toMatchObject({ status: 0, stderr: '' });
    });
  });

  it('and refuses a wrong one, so that the above means something', () => {
    const { text } = renderAcl(
      request({ platform: 'nftables', kind: 'offenders', offenders: [offender('192.0.2.55')] }),
    );
    expect(check(text.replace('192.0.2.55 ', '192.0.2.55/32 ')).status).toBe(1);
  });
});

const noFwbuilder =
  missingTools('fwbedit', 'fwb_ipt').length > 0
    ? 'needs fwbedit and fwb_ipt of the Debian package fwbuilder'
    : null;
describe.skipIf(noFwbuilder !== null)(
  `fwbuilder understands every entry for Cisco IOS${noFwbuilder === null ? '' : ` (${noFwbuilder})`}`,
  () => {
    const entries = (text: string) => text.match(/^ \d+ (permit|deny) /gm)?.length ?? 0;

    it.each(ACL_KINDS)('of %s', (kind) => {
      const { text } = renderAcl(request({ kind, internal, senders, never, offenders: offenders(300) }));
      const imported = importIos(text);
      expect(imported.errors).toEqual([]);
      expect(imported.entries).toBe(entries(text));
      expect(imported.entries).toBeGreaterThan(5);
    });

    it('of an empty list of offenders', () => {
      expect(importIos(renderAcl(request({ kind: 'offenders' })).text)).toMatchObject({
        entries: 1,
        errors: [],
      });
    });

    it.each([
      ['ip where a port needs tcp', 'deny tcp any any eq 25', 'deny ip any any eq 25'],
      ['allow instead of permit', 'permit tcp host 192.0.2.100 any', 'allow tcp host 192.0.2.100 any'],
      ['a prefix length', 'host 192.0.2.100 any', '192.0.2.100/32 any'],
      ['the name of the port in capitals', 'any any eq 25', 'any any eq SMTP'],
    ])('and not the mistake of %s', (_name, right, wrong) => {
      const { text } = renderAcl(request());
      expect(text).toContain(right);
      const imported = importIos(text.replace(right, wrong));
      expect(imported.errors.length > 0 || imported.entries < entries(text)).toBe(true);
    });
  },
);

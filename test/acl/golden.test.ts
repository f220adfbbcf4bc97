/** The text of each platform as a whole, so that a change of any line is seen by a person. `vitest -u` writes them anew. */

import { describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { LISTS, OFFENDERS_ONLY, offender, prefix, request, sender } from '../support/acl-requests.ts';

/** Where a platform's interfaces are called otherwise. */
const INTERFACES: Readonly<Record<string, string>> = {
  'cisco-ios': 'GigabitEthernet0/1',
  'cisco-iosxr': 'GigabitEthernet0/0/0/1',
  'cisco-nxos': 'Ethernet1/1',
  'cisco-asa': 'inside',
  junos: 'ge-0/0/1.10',
  'arista-eos': 'Ethernet1',
  'nokia-sros': 'lan',
  'huawei-vrp': 'GigabitEthernet0/0/1',
  mikrotik: 'bridge-lan',
  panos: 'trust',
  'aws-nacl': 'acl-0a1b2c3d4e5f',
  openconfig: 'Ethernet1.10',
};

const cases = LISTS.flatMap(({ platform, form }) =>
  (['4', '6'] as const).flatMap((family) =>
    (['policy', 'offenders'] as const)
      .filter((kind) => kind === 'offenders' || !OFFENDERS_ONLY.has(platform))
      .map((kind) => ({ platform, form, family, kind })),
  ),
);

describe('the whole text', () => {
  it.each(cases)('for $platform $form, $kind, IPv$family', async ({ platform, form, family, kind }) => {
    const { text } = renderAcl(
      request({
        platform,
        form,
        family,
        kind,
        interface: INTERFACES[platform] ?? 'eth1',
        senders: [
          sender(['192.0.2.100', '2001:db8:1::100'], { owner: 'IT' }),
          sender(['192.0.2.64/29', '2001:db8:1:0:8000::/65'], {
            name: 'scanners',
            to: ['198.51.100.26', '2001:db8:9::/48'],
          }),
        ],
        never: ['192.0.2.3', '2001:db8:1::3'].map(prefix),
        offenders: ['192.0.2.55', '192.0.2.77', '2001:db8:1::55', '2001:db8:1::77'].map((host) =>
          offender(host),
        ),
      }),
    );
    await expect(text).toMatchFileSnapshot(
      `golden/${[platform, form, kind, family].filter((part) => part !== undefined).join('.')}.txt`,
    );
  });
});

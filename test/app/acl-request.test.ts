import { expect, it } from 'vitest';
import { renderFor, requestOf } from '../../src/app/acl-request.ts';
import { configSchema } from '../../src/config/schema.ts';
import { offender } from '../support/acl-requests.ts';

it('a target that is bound to a site has the hosts of that site, others have all', () => {
  const config = configSchema.parse({
    networks: { internal: ['192.0.2.0/24'], sites: [{ name: 'north' }, { name: 'south' }] },
    senders: [{ name: 'mail', hosts: ['192.0.2.100'] }],
    block: { mode: 'publish' },
    acl: {
      targets: [
        { name: 'a', platform: 'cisco-ios', site: 'north' },
        { name: 'b', platform: 'cisco-ios' },
      ],
    },
  });
  const incidents = [offender('192.0.2.55', { site: 'north' }), offender('192.0.2.77', { site: 'south' })];
  const hosts = (i: number) =>
    renderFor(
      config,
      incidents,
      requestOf(config.acl.targets[i], '4'),
      Date.parse('2026-03-01T12:00:00Z'),
    ).text.match(/deny tcp host \S+/g);
  expect(hosts(0)).toEqual(['deny tcp host 192.0.2.55']);
  expect(hosts(1)).toEqual(['deny tcp host 192.0.2.55', 'deny tcp host 192.0.2.77']);
});

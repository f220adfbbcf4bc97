import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { ownHosts } from '../../src/detect/own-hosts.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';
import { renderFor } from '../../src/publish/acl-request.ts';
import { offender } from '../support/acl-requests.ts';

const config = configSchema.parse({
  collector: {
    listen: ['192.0.2.9:2055', '0.0.0.0:4739', '[::]:6343', '127.0.0.1:2056'],
    exporters: ['192.0.2.1', '192.0.2.64/26', '2001:db8:1::1'],
  },
  networks: { internal: ['192.0.2.0/24', '2001:db8:1::/64'] },
  senders: [{ name: 'mail', hosts: ['192.0.2.100'] }],
  block: { mode: 'publish' },
});

it('routers that are named one by one and the addresses of this service are hosts of our own', () => {
  expect(ownHosts(config).map(formatPrefix)).toEqual(['192.0.2.1', '2001:db8:1::1', '192.0.2.9']);
});

it('they are never blocked, and never in a list; hosts in a prefix of exporters may be', () => {
  const policy = compilePolicy(config);
  const never = (host: string) => policy.isNeverBlocked(parseAddress(host) ?? new Uint8Array(16), 0);
  expect(['192.0.2.1', '192.0.2.9', '2001:db8:1::1', '192.0.2.77', '192.0.2.55'].map(never)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  const incidents = ['192.0.2.1', '192.0.2.9', '192.0.2.77'].map((host) => offender(host));
  const { text, leftOut } = renderFor(
    config,
    incidents,
    { platform: 'cisco-ios', kind: 'offenders', family: '4' },
    Date.parse('2026-03-01T12:00:00Z'),
  );
  expect(text.match(/deny tcp host \S+/g)).toEqual(['deny tcp host 192.0.2.77']);
  expect(leftOut).toEqual(
    ['192.0.2.1', '192.0.2.9'].map((host) => ({ host, reason: 'is a router or this service (collector)' })),
  );
});

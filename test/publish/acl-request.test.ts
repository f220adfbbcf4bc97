import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { renderFor, requestOf } from '../../src/publish/acl-request.ts';
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

it('tells of blocks that have ended, which are not in the list', () => {
  const config = configSchema.parse({
    networks: { internal: ['192.0.2.0/24', '2001:db8::/32'] },
    senders: [{ name: 'mail', hosts: ['192.0.2.100'] }],
    block: { mode: 'publish' },
  });
  const until = '2026-03-02T12:00:00.000Z';
  const incidents = ['192.0.2.55', '192.0.2.77', '2001:db8::55'].map((host, i) => {
    const incident = offender(host);
    return { ...incident, block: { ...incident.block, until: i === 1 ? null : until } };
  });
  const render = (kind: 'offenders' | 'policy', family: '4' | '6', time: string) =>
    renderFor(config, incidents, { platform: 'cisco-ios', kind, family }, Date.parse(time));
  expect(render('offenders', '4', '2026-03-02T11:59:59.999Z').leftOut).toEqual([]);
  const late = render('offenders', '4', until);
  expect(late.leftOut).toEqual([{ host: '192.0.2.55', reason: `its block ended at ${until}` }]);
  expect(late.text).toContain('deny tcp host 192.0.2.77');
  expect(late.text).not.toContain('192.0.2.55');
  expect(render('offenders', '6', until).leftOut.map(({ host }) => host)).toEqual(['2001:db8::55']);
  expect(render('policy', '4', until).leftOut).toEqual([]);
  // One list of both families.
  const asa = renderFor(
    config,
    incidents,
    { platform: 'cisco-asa', kind: 'offenders', family: '4' },
    Date.parse(until),
  );
  expect(asa.leftOut.map(({ host }) => host)).toEqual(['192.0.2.55', '2001:db8::55']);
});

import { describe, expect, it } from 'vitest';
import { planReload } from '../../src/config/reload.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';

const parse = (input: ConfigInput) => configSchema.parse(input);

describe('what a running process takes over from a changed configuration', () => {
  it('is who may send, the networks, thresholds, blocks and lists', () => {
    const fresh: ConfigInput = {
      networks: { internal: ['192.0.2.0/24'], nat: ['192.0.2.1'] },
      senders: [{ name: 'mail', hosts: ['192.0.2.25'] }],
      detection: { quiet: '2h', bulk: { sessions: 7 }, conversed: { plain_payload_bytes: 300 } },
      block: { mode: 'publish', ttl: '1h' },
      acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
      identity: { owners: 'owners.csv' },
    };
    const plan = planReload(parse({}), parse(fresh));
    expect(plan.config).toEqual(parse(fresh));
    expect(plan.needRestart).toEqual([]);
    expect(plan.changed).toEqual([
      'networks.internal',
      'networks.nat',
      'senders',
      'identity.owners',
      'detection.conversed.plain_payload_bytes',
      'detection.bulk.sessions',
      'detection.quiet',
      'block.mode',
      'block.ttl',
      'acl.targets',
    ]);
  });

  it('is who has a token, but for the last one', () => {
    const one = { name: 'wall', role: 'read', token: 'a-token-that-only-reads' } as const;
    const shared = { token: 'a-token-that-all-have' };
    const reload = (running: ConfigInput['http'], fresh: ConfigInput['http']) => {
      const { config, needRestart } = planReload(parse({ http: running }), parse({ http: fresh }));
      const { token, tokens } = config.http;
      return { token, names: tokens.map(({ name }) => name), needRestart };
    };
    expect(reload(shared, { tokens: [one] })).toEqual({ token: undefined, names: ['wall'], needRestart: [] });
    expect(reload({}, { tokens: [one] })).toEqual({ token: undefined, names: ['wall'], needRestart: [] });
    expect(reload({ tokens: [one] }, {})).toEqual({
      token: undefined,
      names: ['wall'],
      needRestart: ['http.tokens'],
    });
    expect(reload(shared, {})).toMatchObject({ token: shared.token, needRestart: ['http.token'] });
  });

  it('is not what sockets, tables and streams were made from: those keys are named and stay', () => {
    const running = parse({ block: { mode: 'propose' } });
    const fresh = parse({
      block: { mode: 'propose', ttl: '1h' },
      http: { listen: '127.0.0.1:9999' },
      detection: { ports: [25, 26], session_timeout: '1m' },
      networks: { sites: [{ name: 'north' }] },
      collector: { limits: { templates: 7 } },
    });
    const plan = planReload(running, fresh);
    expect(plan.config).toEqual(parse({ block: { mode: 'propose', ttl: '1h' } }));
    expect(plan.changed).toEqual(['block.ttl']);
    expect([...plan.needRestart]).toEqual([
      'collector.limits.templates',
      'networks.sites',
      'detection.ports',
      'detection.session_timeout',
      'http.listen.port',
    ]);
    expect(planReload(plan.config, fresh)).toMatchObject({ changed: [], needRestart: plan.needRestart });
  });
});

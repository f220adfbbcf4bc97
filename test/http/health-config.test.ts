/** The configuration that anyone with a token may see: all of it, but no secret. */

import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { withoutSecrets } from '../../src/http/page/health-report.ts';

it('shows the configuration in force as it is written, and no secret of it', () => {
  const secret = 'a-secret-that-none-may-see';
  const config = configSchema.parse({
    http: { token: secret, tokens: [{ name: 'ada', role: 'read', token: secret }] },
    clickhouse: {
      url: `http://db.example:8123/${secret}`,
      password: secret,
      password_file: '/etc/db.secret',
    },
    kafka: { sasl: { mechanism: 'plain', username: 'u', password: secret } },
    lists: [{ name: 'provider', url: `https://lists.example/x?key=${secret}` }],
    senders: [{ name: 'mx', hosts: ['192.0.2.25', '2001:db8::/64'] }],
  });
  const shown = JSON.stringify(withoutSecrets(config));
  expect(shown).not.toContain(secret);
  expect(JSON.parse(shown)).toMatchObject({
    http: { token: '(hidden)', tokens: [{ name: 'ada', role: 'read', token: '(hidden)' }] },
    clickhouse: { url: 'http://db.example:8123/(hidden)', password_file: '/etc/db.secret' },
    senders: [{ name: 'mx', hosts: ['192.0.2.25', '2001:db8::/64'] }],
  });
});

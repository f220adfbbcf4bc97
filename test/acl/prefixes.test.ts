import { describe, expect, it } from 'vitest';
import { ACL_PLATFORMS } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { configSchema } from '../../src/config/schema.ts';
import { RogueSmtpError } from '../../src/errors.ts';
import { aclInputOf } from '../../src/publish/acl-request.ts';
import { detect, STRICT } from '../support/detecting.ts';
import { type Flow, SECOND, T0 } from '../support/flows.ts';

const CONFIG = {
  ...STRICT,
  detection: { ipv6_group: 64 as const },
  block: { mode: 'publish' as const, ipv6: 'prefix' as const },
};
const flow: Flow = { from: '2001:db8:1:2::77', to: '2001:db8:ffff::25' };
const { incidents } = detect([flow, { ...flow, at: SECOND }], { config: CONFIG });

describe('an offenders list with an IPv6 prefix', () => {
  it.each(ACL_PLATFORMS)('is written for %s, or refused with a reason', (platform) => {
    const input = aclInputOf(configSchema.parse(CONFIG), incidents, T0 + 2 * SECOND);
    try {
      const { text, entries } = renderAcl({ ...input, platform, kind: 'offenders', family: '6' });
      expect(entries).toBe(1);
      // Lists of single addresses hold the address with evidence; never the first address of the prefix.
      expect(text).toMatch(/2001:db8:1:2::(\/64|77)/i);
      expect(text).not.toMatch(/2001:db8:1:2::(\/128|[ ;,"'])/i);
    } catch (error) {
      if (!(error instanceof RogueSmtpError)) throw error;
      expect(error.code).toBe('refused');
    }
  });
});

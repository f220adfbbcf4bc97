import { describe, expect, it } from 'vitest';
import { assertSafe } from '../../src/acl/interlocks.ts';
import type { AclModel, AclRule } from '../../src/acl/model.ts';
import { prefix, request, sender } from '../support/acl-requests.ts';

/** The last gate, before models that build.ts would not make. */
const model = (kind: 'policy' | 'offenders', rules: readonly Partial<AclRule>[]): AclModel => ({
  kind,
  family: '4',
  interface: null,
  internal: [],
  rules: rules.map((rule) => ({ action: 'deny', source: null, destination: null, remark: '', ...rule })),
});
const check =
  (kind: 'policy' | 'offenders', rules: readonly Partial<AclRule>[], more = {}) =>
  () =>
    assertSafe(model(kind, rules), request(more));

describe('the last gate', () => {
  it('lets a right list through', () => {
    expect(check('offenders', [{ source: prefix('192.0.2.55') }])).not.toThrow();
    expect(check('policy', [{ action: 'permit', source: prefix('192.0.2.100') }, {}])).not.toThrow();
  });

  it('stops an offenders list that denies a sender, a never-block address, a network, or everyone', () => {
    const never = [prefix('192.0.2.3')];
    expect(check('offenders', [{ source: prefix('192.0.2.100') }])).toThrow(/would deny 192\.0\.2\.100/);
    expect(check('offenders', [{ source: prefix('192.0.2.3') }], { never })).toThrow(
      /would deny 192\.0\.2\.3/,
    );
    expect(check('offenders', [{ source: prefix('192.0.2.1') }], { own: [prefix('192.0.2.1')] })).toThrow(
      /would deny 192\.0\.2\.1/,
    );
    expect(check('offenders', [{ source: prefix('192.0.2.48/28') }])).toThrow(/would deny 192\.0\.2\.48\/28/);
    expect(check('offenders', [{}])).toThrow(/would deny everyone/);
  });

  it('stops a policy whose permits come too late, are for another destination, or are not there', () => {
    const permit = { action: 'permit', source: prefix('192.0.2.100') } as const;
    expect(check('policy', [{}, permit])).toThrow(/would deny 192\.0\.2\.100/);
    expect(check('policy', [{ ...permit, destination: prefix('198.51.100.25') }, {}])).toThrow(/would deny/);
    expect(check('policy', [permit, {}], { never: [prefix('192.0.2.3')] })).toThrow(
      /would deny 192\.0\.2\.3/,
    );
    const senders = [sender(['192.0.2.60'], { to: ['198.51.100.26'] })];
    expect(check('policy', [{ ...permit, destination: prefix('192.0.2.60') }, {}], { senders })).toThrow(
      /would deny 192\.0\.2\.60/,
    );
  });
});

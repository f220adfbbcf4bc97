import { describe, expect, it } from 'vitest';
import { crossCheck } from '../../src/config/cross-check.ts';
import { planReload } from '../../src/config/reload.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';

const parse = (expected: unknown) => configSchema.safeParse({ expected });
const checked = (expected: ConfigInput['expected']) => crossCheck(configSchema.parse({ expected }));

describe('expected', () => {
  it.each([
    [[{ name: 'a', hosts: ['10.0.0.1'] }]],
    [[{ name: 'a', hosts: [], does: 'check' }]],
    [[{ name: 'a', hosts: ['10.0.0.1'], does: 'relay' }]],
    [[{ name: 'a', hosts: ['10.0.0.1'], does: 'check', until: 'tomorrow' }]],
    [[{ name: 'a', hosts: ['10.0.0.1'], does: 'check', unti: '2027-01-01T00:00:00Z' }]],
  ])('refuses %j', (entries) => {
    expect(parse(entries).success).toBe(false);
  });

  it('refuses to declare a host that may send anywhere, and a name twice', () => {
    const { errors } = checked([
      { name: 'a', hosts: ['10.0.0.1'], does: 'send' },
      { name: 'a', hosts: ['10.0.0.2'], does: 'check' },
    ]);
    expect(errors.map(({ path }) => path.join('.'))).toEqual(['expected.0.to', 'expected.1.name']);
  });

  it('warns of a host that is not internal', () => {
    expect(checked([{ name: 'a', hosts: ['203.0.113.1'], does: 'check' }]).warnings).toContain(
      'expected "a": 203.0.113.1 is not inside networks.internal',
    );
  });

  it('comes into force without a restart', () => {
    const plan = planReload(
      configSchema.parse({}),
      configSchema.parse({ expected: [{ name: 'a', hosts: ['10.0.0.1'], does: 'verify' }] }),
    );
    expect(plan).toMatchObject({ changed: ['expected'], needRestart: [] });
  });
});

import { totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { hostBound, memoryPresent } from '../../src/service/host-bound.ts';

const GIB = 2 ** 30;
const config = (max_hosts?: number) =>
  configSchema.parse(max_hosts === undefined ? {} : { detection: { max_hosts } });

describe('the bound on hosts', () => {
  it.each([
    [0.5 * GIB, 32_768],
    [2 * GIB, 131_072],
    [8 * GIB, 524_288],
    [256 * GIB, 1_000_000],
    [1 << 20, 1000],
  ])('follows the memory: %d bytes', (memory, hosts) => {
    expect(hostBound(config(), memory)).toBe(hosts);
  });

  it('is what the configuration says, where it does', () => {
    expect(hostBound(config(123), 256 * GIB)).toBe(123);
  });

  it('knows no more memory than the machine has', () => {
    expect(memoryPresent()).toBeGreaterThan(1 << 26);
    expect(memoryPresent()).toBeLessThanOrEqual(totalmem());
  });
});

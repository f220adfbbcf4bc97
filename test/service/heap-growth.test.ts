import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { growthPercent } from '../../src/service/heap-growth.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

describe('growth of the heap between two collections', () => {
  it.each([
    [8 * MIB, 800],
    [25 * MIB, 400],
    [60 * MIB, 200],
    [200 * MIB, 50],
    [300 * MIB, 0],
  ])('with %i bytes in use: %i percent', (used, percent) => {
    expect(growthPercent(used)).toBe(percent);
  });

  it('is never over 128 MiB where it is chosen at all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 * 1024 * MIB }), (used) => {
        const percent = growthPercent(used);
        expect((used * percent) / 100).toBeLessThanOrEqual(128 * MIB);
        if (percent === 0) expect(used).toBeGreaterThan(256 * MIB);
      }),
    );
  });

  it.each([
    ['heap-growing-percent', false],
    ['heap-growing-percents', true],
  ])('V8 of this Node complains of the flag --%s: %s', async (flag, complains) => {
    const script = `require('node:v8').setFlagsFromString('--${flag}=400')`;
    const { stderr } = await run(process.execPath, ['-e', script]);
    expect(stderr.includes(flag)).toBe(complains);
  });
});

import { defineConfig } from 'vitest/config';

/** `unit` needs npm packages only; `integration` and `e2e` say by name what they skip and why. */
/**
 * Tests of whole processes against the clock get a second chance in CI, where the machine may be busy; the output names
 * what needed it.
 */
const retry = process.env.CI === undefined ? 0 : 1;

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/e2e/**'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 300_000,
          retry,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          retry,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

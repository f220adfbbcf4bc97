import { defineConfig } from 'vitest/config';

/**
 * `unit` starts no process, no engine and no socket: the inner loop. `parts` may, and needs npm packages only. `integration`
 * and `e2e` say by name what they skip and why.
 */
/**
 * Tests of whole processes against the clock get a second chance in CI, where the machine may be busy; the output names
 * what needed it.
 */
const retry = process.env.CI === undefined ? 0 : 1;

/** What is waited for is there long before, unless the machine is busy: a second is the default. */
const patience = { poll: { timeout: 15_000 } };

/** Tests that start a process, an engine or a socket. Who adds one is told: test/support/no-outside.ts. */
const WITH_PARTS = [
  'test/{deploy,http,push,security,store,stream}/**/*.test.ts',
  'test/acl/{quarantine,second-opinions,validators,validators-*}.test.ts',
  'test/address-lists/{fetcher,names}.test.ts',
  'test/blocklist-watch/watch.test.ts',
  'test/cli/{acl-desk,acl-push,check,instance,store-replay}.test.ts',
  'test/collect/{batch-receiver,collector,datagram-ring,inherited-sockets-process,listener,one-by-one,threaded-collector}.test.ts',
  'test/cli/{completion,follow-alerts,status}.test.ts',
  'test/service/canary.test.ts',
  'test/messages/versions.test.ts',
  'test/notify/{kill,senders,webhook}.test.ts',
  'test/publish/{hook,list-push}.test.ts',
  'test/relay-check/*.test.ts',
  'test/replay/flow-log/nfdump-real.test.ts',
  'test/service/{canary,findings-role,heap-growth,store-waits}.test.ts',
];

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    // The default leaves one core to others: with two cores nothing would run beside anything.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          expect: patience,
          include: ['test/**/*.test.ts'],
          exclude: [...WITH_PARTS, 'test/integration/**', 'test/e2e/**'],
          setupFiles: ['test/support/no-outside.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'parts',
          expect: patience,
          include: WITH_PARTS,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          expect: patience,
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
          expect: patience,
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

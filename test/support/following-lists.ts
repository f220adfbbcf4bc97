/** A list fetcher and a reloader that follows its copies, as the service has them. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createListFetcher, type ListFetcher } from '../../src/address-lists/fetcher.ts';
import { createNameResolver } from '../../src/address-lists/resolve.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';
import { createLogger } from '../../src/logger.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { createReloader, type Reloader } from '../../src/service/reloader.ts';

export interface FollowedLists {
  readonly reloader: Reloader;
  readonly fetcher: ListFetcher;
  /** Level, words and fields of each line. */
  readonly logged: readonly string[];
  readonly alerts: readonly Alert[];
  /** The configuration file. */
  readonly file: string;
  /** `block.never` as it is in force. */
  never(): string[];
  begin(): void;
  stop(): Promise<void>;
}

export function followLists(
  directory: string,
  config: string,
  { timeoutMs = 10_000, now = Date.now }: { timeoutMs?: number; now?: () => number } = {},
): FollowedLists {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, config);
  const logged: string[] = [];
  const alerts: Alert[] = [];
  const log = createLogger('silent');
  for (const level of ['info', 'warn', 'error'] as const)
    log[level] = (fields: unknown, words?: string) => {
      logged.push(`${level} ${words} ${JSON.stringify(fields)}`);
    };
  const reloader = createReloader(loadConfig({ file }), {
    log,
    now,
    apply: async () => undefined,
    tell: (alert) => alerts.push(alert),
    problem: (copy) => fetcher.problem(copy),
  });
  const fetcher = createListFetcher({
    lists: () => reloader.lists,
    resolver: createNameResolver,
    onChange: () => void reloader.reload(),
    log,
    now,
    timeoutMs,
  });
  return {
    reloader,
    fetcher,
    logged,
    alerts,
    file,
    never: () => reloader.config.block.never.map(formatPrefix),
    begin() {
      reloader.start();
      fetcher.start();
    },
    async stop() {
      await fetcher.stop();
      await reloader.stop();
    },
  };
}

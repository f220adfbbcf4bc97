/** Which configuration is in force and how old its lists of addresses are, as metrics. */

import type { Labelled, MetricRegistry } from '../metrics.ts';

/** The policy in force and how it got there. */
interface PolicySource {
  readonly version: () => string;
  /** Why the newest file is not in force, or null. */
  readonly error: () => string | null;
  readonly listAges: () => Labelled;
  /** Answers of the URLs that lists come from, by what became of them. */
  readonly listFetches: Readonly<Record<string, number>>;
  readonly counters: { readonly applied: number; readonly failed: number };
}

export function registerPolicyMetrics(metrics: MetricRegistry, source: PolicySource): void {
  const { version, error, listAges, listFetches, counters } = source;
  metrics.gauge('policy_info', 'The version of the policy in force; always 1', 'version', () => [
    [version(), 1],
  ]);
  metrics.gauge(
    'list_age_seconds',
    'Time since a list of prefixes was written or confirmed',
    'list',
    listAges,
  );
  metrics.counter('list_fetches_total', 'Attempts to fetch a list of prefixes from its URL', 'result', () =>
    Object.entries(listFetches),
  );
  metrics.level('config_ok', '1 when the newest configuration file is in force, else 0', () =>
    error() === null ? 1 : 0,
  );
  metrics.counter(
    'config_reloads_total',
    'Times that the file was read again while running',
    'result',
    () => [
      ['applied', counters.applied],
      ['failed', counters.failed],
    ],
  );
}

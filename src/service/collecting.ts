/** The role `collect`: datagrams to flows on the stream, and what is said about the exporters that send them. */

import { type Collector, createCollector } from '../collect/collector.ts';
import { registerCollectorMetrics } from '../collect/collector-metrics.ts';
import { createThreadedCollector } from '../collect/threaded-collector.ts';
import { type CollectionView, createCollectionView } from './collection-view.ts';
import { type CoverageRole, createCoverageRole } from './coverage-role.ts';
import { createExporterAccount, type ExporterAccount } from './exporter-account.ts';
import type { SharedParts } from './shared-parts.ts';
import { createTrafficHistory, type TrafficHistory } from './traffic-history.ts';

export interface Collecting {
  readonly collector: Collector;
  readonly coverage: CoverageRole;
  readonly traffic: TrafficHistory;
  readonly view: CollectionView;
  /** Null where no store is at hand. */
  readonly account: ExporterAccount | null;
}

export function createCollecting(shared: SharedParts): Collecting {
  const { config, stream, log, now, policy, damage, engine, metrics } = shared;
  const create = config.collector.threads > 1 ? createThreadedCollector : createCollector;
  const collector = create(config, {
    stream,
    log,
    now,
    onDamage: damage.note,
    onSocketWait: metrics.latency(
      'socket_wait_seconds',
      'Time that the oldest datagram of each batch waited in its socket (receiving in batches only)',
    ),
  });
  registerCollectorMetrics(metrics, collector);
  return {
    collector,
    coverage: createCoverageRole(config, {
      collector,
      stream,
      get policyVersion() {
        return policy.version();
      },
      log,
      now,
    }),
    traffic: createTrafficHistory(collector, () => performance.now()),
    view: createCollectionView(collector, config.coverage.silent_after, {
      now,
      monotonicMs: () => performance.now(),
    }),
    account: shared.hasEngine ? createExporterAccount(collector, engine, log, now) : null,
  };
}

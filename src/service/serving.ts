/** The role `serve`: the block lists, sending them to routers, and the watch for blocklists of others. */

import { registerBlocklistMetrics } from '../blocklist-watch/metrics.ts';
import { type BlocklistWatch, createBlocklistWatch } from '../blocklist-watch/watch.ts';
import type { DetectorPartitions } from '../detect/detector-partitions.ts';
import { createListPush, type ListPush } from '../publish/list-push.ts';
import { registerPushMetrics } from '../publish/push-metrics.ts';
import { inventory } from '../store/queries.ts';
import { createProbableServer } from './probable-server.ts';
import { createServeRole, type ServeRole } from './serve-role.ts';
import type { SharedParts } from './shared-parts.ts';

export interface Serving {
  readonly role: ServeRole;
  readonly push: ListPush;
  readonly blocklists: BlocklistWatch;
}

export function createServing(shared: SharedParts, detectors: Pick<DetectorPartitions, 'assigned'>): Serving {
  const { config, stream, log, now, policy, teller, metrics } = shared;
  const push = createListPush(config, { tell: teller.tell, policyVersion: policy.version, log, now });
  registerPushMetrics(metrics, push);
  const role = createServeRole(config, {
    stream,
    log,
    now,
    policyVersion: policy.version,
    badMessages: shared.badMessages,
    onText: push.offer,
    onBlocked: metrics.latency(
      'time_to_block_seconds',
      'Time from the first record of a host to the lists that deny it, where no person had to approve',
    ),
    probableServer: createProbableServer(
      () => policy.config,
      detectors,
      now,
      shared.hasEngine ? () => inventory(shared.engine, policy.config.networks) : null,
    ),
  });
  const blocklists = createBlocklistWatch({
    config,
    incidents: role.incidents,
    tell: teller.tell,
    log,
    now,
    policyVersion: policy.version,
  });
  registerBlocklistMetrics(metrics, blocklists);
  return { role, push, blocklists };
}

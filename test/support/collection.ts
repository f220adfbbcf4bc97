/** What a running instance says of its collector, for tests of what is made of it. */

import type { Collection, LiveExporter } from '../../src/api/collection.ts';
import type { Status } from '../../src/api/read-model.ts';

export const COLLECTION_AT = '2026-03-01T10:00:00.000Z';

/** An exporter of v9 without any trouble, but for what is given. */
export function liveExporter(given: Partial<LiveExporter> = {}): LiveExporter {
  return {
    exporter: '192.0.2.1',
    domain: 0,
    version: 'v9',
    agent: null,
    datagrams: 100,
    flows: 3000,
    datagrams_per_second: 1,
    flows_per_second: 30,
    lost: 0,
    counting: 'datagrams',
    sampling_rates: [],
    templates: 2,
    last_seen: COLLECTION_AT,
    clock_skew_ms: 100,
    unread: {},
    ...given,
  };
}

/** A collector that one exporter without any trouble sends to, but for what is given. */
export function collectionOf(given: Partial<Collection> = {}): Collection {
  const exporters = given.exporters ?? [liveExporter()];
  return {
    at: COLLECTION_AT,
    silent_after_ms: 600_000,
    rate_seconds: 60,
    datagrams_per_second: 1,
    flows_per_second: 30,
    listeners: [{ name: '0.0.0.0:2055', datagrams: 100, kernel_drops: 0 }],
    canaries: 0,
    not_decoded: {},
    mail_flows: 10,
    refused: [],
    exporters_known: exporters.length,
    exporters,
    ...given,
  };
}

/** The status of an instance that has run for an hour. */
export function statusOf(collection: Collection | undefined, given: Partial<Status> = {}): Status {
  return {
    version: '1.2.3',
    started_at: '2026-03-01T09:00:00.000Z',
    config_file: '/etc/rogue-smtp/config.yaml',
    block_mode: 'observe',
    senders: 1,
    open_incidents: 0,
    datagrams: 100,
    flows: 3000,
    lost: { kernel_drops: 0, not_decoded: 0, not_kept: 0, set_aside: 0 },
    policy: { version: 'abc', loaded_at: COLLECTION_AT, error: null, need_restart: [], lists: [] },
    ...(collection !== undefined && { collection }),
    ...given,
  };
}

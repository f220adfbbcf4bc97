/**
 * Tells gaps in what the collector saw on the alerts stream: the shell around detect/coverage.ts.
 *
 * It looks at the counters now and then and publishes what the pure part says. An alert that cannot be published is
 * kept and tried again, under the same id; what waits is bounded by the pure part's rate.
 */

import { clearInterval, setInterval } from 'node:timers';
import type { Collector } from '../collect/collector.ts';
import type { Config } from '../config/schema.ts';
import { unreadFlows, unreadReasons } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import { createCoverageWatch, type ExporterSight, type Sight } from '../detect/coverage.ts';
import { messageOf } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import type { Alert } from '../messages/alert.ts';
import type { Stream } from '../stream/stream.ts';
import { alertMessage } from './detect-role.ts';
import type { Logger } from './logger.ts';

export interface CoverageRoleDependencies {
  readonly collector: Pick<Collector, 'exporters'> & {
    readonly counters: Pick<Collector['counters'], 'listeners' | 'datagrams'>;
  };
  readonly stream: Pick<Stream, 'publish' | 'counters'>;
  readonly policyVersion: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface CoverageRole {
  start(): void;
  /** Looks a last time, so that what the end of a run lost is told. */
  stop(): Promise<void>;
  readonly counters: { readonly alerts: number };
}

const CHECK_MS = 1000;
const MAX_WAITING = 100;

export function createCoverageRole(config: Config, dependencies: CoverageRoleDependencies): CoverageRole {
  const { collector, stream, log, now } = dependencies;
  const watch = createCoverageWatch({
    config: config.coverage,
    get policyVersion() {
      return dependencies.policyVersion;
    },
    startedAtMs: now(),
    // Of the allow-list, single addresses are exporters that should be there; a wider prefix says no such thing.
    expected: config.collector.exporters
      .filter(({ length }) => length === 128)
      .map(({ bytes }) => formatAddress(bytes)),
  });
  const waiting: Alert[] = [];
  let timer: NodeJS.Timeout | null = null;
  let working: Promise<void> = Promise.resolve();

  function check(): void {
    const alerts = watch.observe(now(), sightOf(collector, stream));
    for (const alert of alerts) log.warn({ cause: alert.coverage?.cause, reasons: alert.reasons }, 'a gap');
    waiting.push(...alerts.slice(0, MAX_WAITING - waiting.length));
    if (waiting.length > 0) working = working.then(publish);
  }

  async function publish(): Promise<void> {
    if (waiting.length === 0) return;
    const sent = [...waiting];
    try {
      const { dropped } = await stream.publish('alerts', sent.map(alertMessage));
      if (dropped === 0) waiting.splice(0, sent.length);
    } catch (error) {
      log.error({ error: messageOf(error) }, 'a coverage alert waits: the stream does not take it');
    }
  }

  return {
    counters: watch.counters,
    start() {
      timer = setInterval(check, CHECK_MS);
      timer.unref();
    },
    async stop() {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      check();
      await working;
    },
  };
}

function sightOf(collector: CoverageRoleDependencies['collector'], stream: Pick<Stream, 'counters'>): Sight {
  const { counters } = collector;
  const { flows, mail } = stream.counters.dropped;
  return {
    exporters: Array.from(collector.exporters(), exporterSight),
    kernelDrops: counters.listeners.reduce((sum, listener) => sum + listener.kernelDrops, 0),
    datagrams: counters.datagrams,
    spoolDropped: { flows, mail },
  };
}

/** Received units are those that the version's sequence counts: see ExporterState.sequenceLost. */
export function exporterSight(state: ExporterState): ExporterSight {
  const countsFlows = state.version === 'v5' || state.version === 'ipfix';
  return {
    address: formatAddress(state.address),
    domain: state.domain,
    lastSeenMs: state.lastSeenMs,
    lost: state.sequenceLost,
    received: countsFlows ? state.flows : state.datagrams,
    flows: state.flows,
    unread: unreadFlows(state),
    unreadReasons: unreadReasons(state),
  };
}

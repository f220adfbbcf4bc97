/**
 * Tells gaps in what the collector saw on the alerts stream: the shell around detect/coverage.ts.
 *
 * It looks at the counters now and then and publishes what the pure part says.
 */

import { clearInterval, setInterval } from 'node:timers';
import type { Collector } from '../collect/collector.ts';
import type { Config } from '../config/schema.ts';
import { createCoverageWatch, type Sight } from '../detect/coverage.ts';
import { exporterSight } from '../detect/exporter-sight.ts';
import { formatAddress } from '../flow/address.ts';
import type { Logger } from '../logger.ts';
import type { Stream } from '../stream/stream.ts';
import { createAlertTeller } from './alert-teller.ts';

export interface CoverageRoleDependencies {
  readonly collector: Pick<Collector, 'exporters'> & {
    readonly counters: Pick<Collector['counters'], 'listeners' | 'datagrams'> & {
      readonly decoder: Pick<Collector['counters']['decoder'], 'exportersEvicted'> & {
        readonly dropped: { readonly exporter_limit: number };
      };
    };
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
  const teller = createAlertTeller(stream, log);
  let timer: NodeJS.Timeout | null = null;

  function check(): void {
    for (const alert of watch.observe(now(), sightOf(collector, stream))) {
      log.warn({ cause: alert.coverage?.cause, reasons: alert.reasons }, 'a gap');
      teller.tell(alert);
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
      await teller.settled();
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
    exportersEvicted: counters.decoder.exportersEvicted,
    exportersRefused: counters.decoder.dropped.exporter_limit,
    ...(stream.counters.refusedFor !== undefined && { spoolRefusedFor: stream.counters.refusedFor }),
  };
}

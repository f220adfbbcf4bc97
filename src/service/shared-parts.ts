/**
 * What the roles of one process share: the clock, the stream, the store's engine, the policy in force, and who is told when
 * something is wrong.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { DetectorOptions } from '../detect/detector-state.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import { createSteadyClock, type SteadyClock } from '../steady-clock.ts';
import { createAbsentEngine, createEngine } from '../store/open-engine.ts';
import type { Engine } from '../store/store.ts';
import { type ConnectedStream, createStream } from '../stream/open-stream.ts';
import { createSparingLog } from '../stream/sparing-log.ts';
import { type AlertTeller, createAlertTeller } from './alert-teller.ts';
import { type BadMessages, createBadMessages } from './bad-messages.ts';
import { machineClockAlert } from './clock-alerts.ts';
import { createDamageReport, type DamageReport } from './damage-report.ts';
import { detectorOptions } from './detectors.ts';
import type { Role } from './roles.ts';

const RETRY_MS = 2000;

/** The configuration that people have put in force last, compiled for detectors. */
interface PolicyInForce {
  readonly config: Config;
  readonly detection: DetectorOptions;
  version(): string;
  /** Throws RogueSmtpError `config`, and changes nothing then. */
  put(next: Config): void;
}

export interface SharedParts extends ConnectedStream {
  readonly loaded: LoadedConfig;
  /** As it was at the start. What a reload may change is in `policy`. */
  readonly config: Config;
  readonly version: string;
  readonly startedAt: string;
  readonly roles: ReadonlySet<Role>;
  readonly log: Logger;
  readonly clock: SteadyClock;
  readonly now: () => number;
  readonly metrics: Metrics;
  readonly policy: PolicyInForce;
  readonly teller: AlertTeller;
  readonly damage: DamageReport;
  readonly badMessages: BadMessages;
  readonly engine: Engine;
  readonly hasEngine: boolean;
  /** The store is a server of its own. */
  readonly onServer: boolean;
  /** Aborted when the process is asked to stop. */
  readonly stopping: AbortController;
  /** What has not begun its work yet, in words. */
  readonly waitingFor: Set<string>;
  /**
   * What is merely away is tried again; what can never work ends the process. Brokers that refuse what they are asked may
   * be put right while this process runs, and flows that come meanwhile must not be lost. False when stopped before.
   */
  untilThere(attempt: () => Promise<unknown>, complaint: string): Promise<boolean>;
}

export function createSharedParts(
  loaded: LoadedConfig,
  version: string,
  log: Logger,
  roles: ReadonlySet<Role>,
): SharedParts {
  const { config } = loaded;
  const connected = createStream(config, roles.has('collect'), log);
  const { stream } = connected;
  const policy = createPolicyInForce(config, stream.partitions('mail'));
  const teller = createAlertTeller(stream, log);
  const clock = createSteadyClock({
    directory: config.data,
    log,
    onStep: (ms) => teller.tell(machineClockAlert(ms, now(), policy.version())),
  });
  const { now } = clock;
  const onServer = config.clickhouse.url !== '';
  const hasEngine = roles.has('store') || (onServer && (roles.has('serve') || roles.has('collect')));
  const damage = createDamageReport({
    directory: config.data,
    parts: [
      ...(config.kafka.brokers.length === 0 ? ['stream'] : roles.has('collect') ? ['spool'] : []),
      ...(hasEngine && !onServer ? ['store'] : []),
    ],
    damages: () => stream.damages?.() ?? [],
    gaps: () => stream.gaps?.() ?? [],
    log,
    now,
    tell: teller.tell,
    policyVersion: policy.version,
  });
  const stopping = new AbortController();
  const sparing = createSparingLog(log);

  return {
    ...connected,
    loaded,
    config,
    version,
    startedAt: new Date(now()).toISOString(),
    roles,
    log,
    clock,
    now,
    metrics: createMetrics(),
    policy,
    teller,
    damage,
    badMessages: createBadMessages({ now: () => performance.now(), note: damage.note }),
    engine: hasEngine ? createEngine(config, log) : createAbsentEngine(),
    hasEngine,
    onServer,
    stopping,
    waitingFor: new Set(),
    async untilThere(attempt, complaint) {
      while (!stopping.signal.aborted) {
        try {
          await attempt();
          return true;
        } catch (error) {
          if (!(error instanceof RogueSmtpError) || !(error.transient || error.code === 'stream'))
            throw error;
          // The newest reason is in /readyz as long as it lasts.
          sparing.error({ error: error.message }, complaint);
          await sleep(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
        }
      }
      return false;
    },
  };
}

function createPolicyInForce(initial: Config, partitions: number): PolicyInForce {
  let config = initial;
  let detection = detectorOptions(config, partitions);
  return {
    get config() {
      return config;
    },
    get detection() {
      return detection;
    },
    version: () => detection.policy.version,
    put(next) {
      detection = detectorOptions(next, partitions);
      config = next;
    },
  };
}

/**
 * Looks for findings in the store now and then and puts them on the alerts stream: the shell around detect/findings.ts.
 *
 * Off unless the configuration asks for one of them. A look that fails is told in the log and made up for by the next; a
 * finding has the same id all day, so that telling it again is telling it once.
 */

import { clearInterval, setInterval } from 'node:timers';
import type { Config } from '../config/schema.ts';
import { type FindingContext, inboundFindings, surgeFindings } from '../detect/findings.ts';
import type { Policy } from '../detect/policy.ts';
import { messageOf } from '../errors.ts';
import { parseAddress } from '../flow/address.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { inventory } from '../store/queries.ts';
import { senderHours } from '../store/sender-hours.ts';
import type { Engine } from '../store/store.ts';

export interface FindingsRoleDependencies {
  readonly engine: Engine;
  readonly tell: (alert: Alert) => void;
  readonly config: () => Config;
  readonly policy: () => Policy;
  readonly log: Logger;
  readonly now: () => number;
}

export interface FindingsRole {
  /** The engine must have its tables by now. */
  start(): void;
  stop(): Promise<void>;
  /** Looks now. */
  look(): Promise<void>;
}

const INTERVAL_MS = 5 * 60_000;
const DAY_MS = 86_400_000;
const BASELINE_DAYS = 28;
const MAX_TOLD = 10_000;

export function createFindingsRole(dependencies: FindingsRoleDependencies): FindingsRole {
  const { engine, tell, log, now } = dependencies;
  const told = new Set<string>();
  let timer: NodeJS.Timeout | null = null;
  let working: Promise<void> = Promise.resolve();

  async function findings(): Promise<Alert[]> {
    const { networks, senders, detection } = dependencies.config();
    const policy = dependencies.policy();
    const { internal, sites } = networks;
    const nowMs = now();
    const context: FindingContext = { policyVersion: policy.version, nowMs };
    const alerts: Alert[] = [];
    const isSender = (host: string, site: string) => {
      const bytes = parseAddress(host);
      return bytes !== null && policy.isSender(bytes, 0, nowMs, policy.siteNames.indexOf(site));
    };
    if (detection.inbound.alert) {
      const rows = await inventory(engine, {
        internal,
        sites,
        since: new Date(nowMs - DAY_MS).toISOString(),
      });
      const hosts = rows.map(({ host, site, sessions_in, sources_in, first_seen }) => ({
        host,
        site,
        sessions: Number(sessions_in),
        sources: Number(sources_in),
        firstMs: Date.parse(first_seen),
      }));
      alerts.push(...inboundFindings(hosts, detection.inbound, isSender, context));
    }
    if (detection.baseline.alert && senders.length > 0) {
      const hours = await senderHours(engine, {
        senders: senders.flatMap(({ hosts }) => hosts),
        internal,
        sites,
        sinceMs: nowMs - BASELINE_DAYS * DAY_MS,
      });
      alerts.push(
        ...surgeFindings(
          hours.filter(({ host, site }) => isSender(host, site)),
          detection.baseline,
          context,
        ),
      );
    }
    return alerts;
  }

  async function look(): Promise<void> {
    try {
      const fresh = (await findings()).filter(({ alert_id }) => !told.has(alert_id));
      if (told.size + fresh.length > MAX_TOLD) told.clear();
      for (const alert of fresh) {
        told.add(alert.alert_id);
        tell(alert);
        log.warn({ finding: alert.finding?.type, host: alert.host }, alert.reasons[0]);
      }
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'the store could not be searched for findings; tried again later',
      );
    }
  }

  function inTurn(): Promise<void> {
    working = working.then(look);
    return working;
  }

  return {
    look: inTurn,
    start() {
      timer = setInterval(() => void inTurn(), INTERVAL_MS);
      timer.unref();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      await working;
    },
  };
}

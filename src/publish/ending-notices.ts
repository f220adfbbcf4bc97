/**
 * Tells once that entries of the configuration end or have ended. The audit log remembers it: what has its line there is not told
 * again, after a restart either. Several processes that tell the same use the same id.
 */

import type { Config } from '../config/schema.ts';
import { endingPermissions } from '../detect/ending-permissions.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import type { AuditLog } from './audit-log.ts';

export interface EndingNoticesDependencies {
  readonly config: () => Config;
  readonly audit: Pick<AuditLog, 'append' | 'missing'>;
  readonly tell: (alert: Alert) => void;
  readonly log: Logger;
  readonly now: () => number;
  readonly policyVersion: () => string;
}

export interface EndingNotices {
  /** Tells what is to be told now. Never throws. */
  look(): Promise<void>;
}

export function createEndingNotices(dependencies: EndingNoticesDependencies): EndingNotices {
  const { config, audit, tell, log, now, policyVersion } = dependencies;
  /** Ids of alerts: told by this process, or known to be in the audit log. */
  const told = new Set<string>();
  let working: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const due = endingPermissions(config(), now(), policyVersion()).filter(
      ({ alert_id }) => !told.has(alert_id),
    );
    if (due.length === 0) return;
    const fresh = await audit.missing(new Set(due.map(({ alert_id }) => alert_id)));
    for (const alert of due) {
      const { alert_id, reasons } = alert;
      told.add(alert_id);
      if (!fresh.has(alert_id)) continue;
      log.warn(reasons[0]);
      tell(alert);
      const what = alert.coverage?.cause === 'permission_ended' ? 'permission_ended' : 'permission_ends';
      const at = new Date(now()).toISOString();
      await audit.append({ at, by: 'configuration', what, why: reasons[0], decision_id: alert_id });
    }
  }

  return {
    look() {
      working = working
        .then(look)
        .catch((error: unknown) =>
          log.error({ error: messageOf(error) }, 'not in the audit log: that a permission ends'),
        );
      return working;
    },
  };
}

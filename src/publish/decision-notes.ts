/**
 * What people decided, in the audit log: each decision that is on the stream has one line, whoever published it.
 *
 * The stream is what decides, so the log follows it: a line is written after the publication and before the answer, and
 * what a crash in between has kept from it is made up for when the stream is read. A line must never speak of a decision
 * that no detector will hear of.
 */

import { messageOf, RogueSmtpError } from '../errors.ts';
import type { Decision } from '../messages/decision.ts';
import { nameAtSite } from '../messages/host-at-site.ts';
import type { AuditLog } from './audit-log.ts';

export interface DecisionNotes {
  /** Notes those that are not noted yet. Throws RogueSmtpError `io`. */
  note(decisions: readonly Decision[]): Promise<void>;
}

export function createDecisionNotes(audit: AuditLog): DecisionNotes {
  let working: Promise<unknown> = Promise.resolve();

  async function noteMissing(decisions: readonly Decision[]): Promise<void> {
    try {
      const missing = await audit.missing(new Set(decisions.map(({ decision_id }) => decision_id)));
      for (const { decision_id, host, site, action, by, reason, decided_at } of decisions)
        if (missing.has(decision_id))
          await audit.append({
            at: decided_at,
            by,
            what: action,
            why: reason,
            host: nameAtSite({ host, site }),
            decision_id,
          });
    } catch (error) {
      const why = `decided, but not in the audit log yet: ${messageOf(error)}`;
      throw new RogueSmtpError('io', why, { cause: error, transient: true });
    }
  }

  return {
    // A decision comes from its publisher and from the stream, at about the same time.
    note(decisions) {
      if (decisions.length === 0) return Promise.resolve();
      const noted = working.then(() => noteMissing(decisions));
      working = noted.catch(() => undefined);
      return noted;
    },
  };
}

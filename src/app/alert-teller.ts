/**
 * Publishes alerts that follow from no flow, such as those about lists or full tables, one after the other.
 *
 * It must never hold up or fail what it speaks of: one that the stream does not take is lost, and the log says so.
 */

import { messageOf, RogueSmtpError } from '../errors.ts';
import type { Alert } from '../messages/alert.ts';
import type { Stream } from '../stream/stream.ts';
import { alertMessage } from './detect-role.ts';
import type { Logger } from './logger.ts';

export interface AlertTeller {
  tell(alert: Alert): void;
  /** Resolves when what was told so far is published or lost. */
  settled(): Promise<void>;
  readonly counters: { readonly alerts: number };
}

export function createAlertTeller(stream: Pick<Stream, 'publish'>, log: Logger): AlertTeller {
  const counters = { alerts: 0 };
  let telling: Promise<void> = Promise.resolve();
  return {
    counters,
    settled: () => telling,
    tell(alert) {
      counters.alerts++;
      telling = telling
        .then(async () => {
          const { dropped } = await stream.publish('alerts', [alertMessage(alert)]);
          if (dropped > 0) throw new RogueSmtpError('stream', 'the spool is full');
        })
        .catch((error: unknown) =>
          log.error({ reasons: alert.reasons, error: messageOf(error) }, 'an alert about no host is lost'),
        );
    },
  };
}

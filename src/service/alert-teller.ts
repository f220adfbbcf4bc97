/**
 * Publishes the alerts that no detector makes (gaps, lists, pushes, findings), in their order: the one way for all of them.
 *
 * It must never hold up or fail what it speaks of. An alert that the stream does not take is kept, under the same id, and
 * tried again: a full disk refuses first of all the alert that says so. What waits is bounded; the oldest gives way.
 */

import { clearTimeout, setTimeout } from 'node:timers';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { alertMessage, type EncodedMessage } from '../messages/encode.ts';
import { type HostlessKind, isHostless } from '../messages/hostless-alert.ts';
import type { Stream } from '../stream/stream.ts';

export interface AlertTeller {
  tell(alert: Alert): void;
  /** Resolves when all that was told is published, or could not be once more. */
  settled(): Promise<void>;
  /** Alerts told, by kind. */
  readonly counters: Readonly<Record<HostlessKind, number>>;
}

const RETRY_MS = 1000;
const MAX_WAITING = 1000;

export function createAlertTeller(stream: Pick<Stream, 'publish'>, log: Logger): AlertTeller {
  const counters = { coverage: 0, delivery: 0, finding: 0 };
  const waiting: { readonly message: EncodedMessage; readonly reasons: readonly string[] }[] = [];
  let timer: NodeJS.Timeout | null = null;
  let working: Promise<void> = Promise.resolve();
  let complained = false;

  async function publish(): Promise<void> {
    if (waiting.length === 0) return;
    const sent = [...waiting];
    try {
      const { dropped } = await stream.publish(
        'alerts',
        sent.map(({ message }) => message),
      );
      if (dropped > 0) throw new RogueSmtpError('stream', 'the stream does not take it');
    } catch (error) {
      if (!complained)
        log.error({ error: messageOf(error) }, 'alerts about no host wait, and are tried again');
      complained = true;
      timer ??= setTimeout(() => {
        timer = null;
        work();
      }, RETRY_MS).unref();
      return;
    }
    complained = false;
    // Others may have come, and the oldest given way, while these were written.
    const done = new Set(sent);
    waiting.splice(0, waiting.length, ...waiting.filter((told) => !done.has(told)));
  }

  function work(): void {
    working = working.then(publish);
  }

  return {
    counters,
    async settled() {
      work();
      await working;
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
    tell(alert) {
      if (isHostless(alert.kind)) counters[alert.kind]++;
      // Once: what waits is tried again and again, with the time at which it was told.
      waiting.push({ message: alertMessage(alert, Date.now()), reasons: alert.reasons });
      if (waiting.length > MAX_WAITING)
        log.error({ reasons: waiting.shift()?.reasons }, 'an alert about no host is lost: too many wait');
      work();
    },
  };
}

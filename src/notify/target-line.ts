/**
 * The sending side of one target: the oldest message first, one at a time, again after a failure, later and later.
 *
 * A message is sent only when it is on disk, and the next one only when it is on disk that the one before was sent: a
 * kill therefore repeats at most the last message. A target that fails or hangs holds up nobody else.
 */

import { clearTimeout, setTimeout } from 'node:timers';
import type { NotifyTarget } from '../config/notify.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Journal } from './journal.ts';
import type { Sender } from './sender.ts';
import type { Change, DropReason } from './target-state.ts';

export interface TargetLine {
  /** Sends what is in the queue, unless it is at it already. */
  begin(): void;
  /** Applies changes, and counts what they drop. */
  change(changes: readonly Change[]): void;
  /** Since when nothing arrives, and the newest reason; null while all is well, or nothing was tried. */
  failing(): Failing | null;
  readonly counters: TargetCounters;
  /** Ends the attempt under way; what waits stays on disk. */
  stop(): Promise<void>;
}

export interface Failing {
  readonly sinceMs: number;
  readonly reason: string;
}

export interface TargetCounters {
  sent: number;
  /** Attempts that failed. */
  failed: number;
  readonly dropped: Record<DropReason, number>;
}

export interface TargetLineDependencies {
  readonly journal: Journal;
  readonly sender: Sender;
  readonly log: Logger;
  readonly now: () => number;
  /** From 0 to 1, for the jitter. */
  readonly random: () => number;
  readonly onRecovered: (failing: Failing) => void;
  readonly firstRetryMs?: number;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 300_000;
/** A message that the other side refuses for itself is given up after so many attempts. */
const MAX_REFUSALS = 3;

export function createTargetLine(target: NotifyTarget, dependencies: TargetLineDependencies): TargetLine {
  const { journal, sender, log, now, random, onRecovered, firstRetryMs = FIRST_RETRY_MS } = dependencies;
  const { queue } = journal.state;
  const stopping = new AbortController();
  const counters: TargetCounters = {
    sent: 0,
    failed: 0,
    dropped: { queue_full: 0, too_old: 0, refused: 0 },
  };
  let running: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let failing: Failing | null = null;
  let failures = 0;
  let refusals: { readonly id: string; readonly count: number } = { id: '', count: 0 };

  function change(changes: readonly Change[]): void {
    for (const one of changes) if (one.do === 'drop') counters.dropped[one.reason]++;
    journal.change(changes);
  }

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      const message = queue[0];
      if (message === undefined) return;
      await journal.durable().catch(complain);
      const result = await sender.send(message, stopping.signal);
      if (result.ok) {
        counters.sent++;
        failures = 0;
        log.debug(
          { target: target.name, notification: message.id, answer: result.answer },
          'notification sent',
        );
        change([{ do: 'sent', id: message.id }]);
        if (failing !== null) {
          log.info({ target: target.name }, 'notifications arrive again');
          const was = failing;
          failing = null;
          onRecovered(was);
        }
        await journal.durable().catch(complain);
        continue;
      }
      if (stopping.signal.aborted) return;
      counters.failed++;
      failures++;
      if (failing === null)
        log.warn(
          { target: target.name, reason: result.reason },
          'a notification could not be sent; it is tried again',
        );
      failing = { sinceMs: failing?.sinceMs ?? now(), reason: result.reason };
      if (result.refused) {
        refusals = { id: message.id, count: refusals.id === message.id ? refusals.count + 1 : 1 };
        if (refusals.count >= MAX_REFUSALS) {
          log.error(
            { target: target.name, notification: message.id, reason: result.reason },
            'a notification is dropped: the target refuses it',
          );
          change([{ do: 'drop', id: message.id, reason: 'refused' }]);
        }
      }
      pause(Math.max(retryDelayMs(failures, random(), firstRetryMs), result.retryAfterMs ?? 0));
      return;
    }
  }

  function complain(error: unknown): void {
    log.error(
      { target: target.name, error: messageOf(error) },
      'the queue of notifications cannot be saved: a restart may repeat or lose some',
    );
  }

  function pause(ms: number): void {
    timer = setTimeout(() => {
      timer = null;
      begin();
    }, ms);
  }

  function begin(): void {
    if (running !== null || timer !== null || stopping.signal.aborted || queue.length === 0) return;
    running = work()
      .catch((error: unknown) => {
        log.error(
          { target: target.name, error: messageOf(error) },
          'sending notifications failed unexpectedly',
        );
        pause(MAX_RETRY_MS);
      })
      .finally(() => {
        running = null;
        begin();
      });
  }

  return {
    begin,
    change,
    counters,
    failing: () => failing,
    async stop() {
      stopping.abort();
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await running;
    },
  };
}

/** Doubles up to five minutes; half of it is by chance, so that many senders do not come at once. */
export function retryDelayMs(failures: number, chance: number, firstMs = FIRST_RETRY_MS): number {
  const full = Math.min(MAX_RETRY_MS, firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(full / 2 + (full / 2) * chance);
}

/**
 * Attempts at a request to a ClickHouse server: each ends in time, and is repeated only where that can help.
 *
 * It knows limits, failures and the hang watch, and nothing of statements. What is not known to be repeatable must be
 * attempted by `once`.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { firstOf, rejectedBy, settled } from '../waiting.ts';
import { engineError, mayPassAtOnce } from './failures.ts';
import type { HangWatch } from './hang-watch.ts';

interface Limits {
  /** For one attempt. */
  readonly limitMs: number;
  /** A failure after this time is not repeated; absent: any may be. */
  readonly againWithinMs?: number;
  /** Whoever waits for the result has gone. */
  readonly gone?: AbortSignal | undefined;
}

/** `over` is aborted when nobody waits any longer. Rejects with RogueSmtpError. */
type Attempt = <Result>(limits: Limits, attempt: (over: AbortSignal) => Promise<Result>) => Promise<Result>;

export interface Attempts {
  readonly once: Attempt;
  /** Only for what may be repeated: reads, and inserts with a token. */
  readonly repeatedly: Attempt;
}

const ATTEMPTS = 4;
const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 1000;

export function createAttempts(
  watch: HangWatch,
  log: { warn(fields: object, message: string): void },
): Attempts {
  /** Failures that a repeat would only make longer. */
  const final = new WeakSet<RogueSmtpError>();

  function ended(what: string, cause: unknown): RogueSmtpError {
    const error = engineError(`ClickHouse: ${what}`, null, '', cause);
    final.add(error);
    return error;
  }

  const once: Attempt = async ({ limitMs, gone }, attempt) => {
    const limit = AbortSignal.timeout(limitMs);
    const hung = new AbortController();
    const stopWatching = watch.begin(() => hung.abort());
    const over = AbortSignal.any([limit, hung.signal, ...(gone === undefined ? [] : [gone])]);
    try {
      // The client looks at the signal only until an answer begins, and an answer may stand still.
      return await firstOf(settled(attempt(over)), rejectedBy(over));
    } catch (error) {
      if (gone?.aborted === true) throw ended('the reader has gone; the statement was cancelled', error);
      if (hung.signal.aborted) throw ended('the server hangs: it does not answer SELECT 1', error);
      if (limit.aborted) throw ended(`no answer within ${limitMs} ms`, error);
      // No answer of a server: the store is not open, or a file is gone.
      if (error instanceof RogueSmtpError) final.add(error);
      throw asEngineError(error);
    } finally {
      stopWatching();
    }
  };

  const repeatedly: Attempt = async (limits, attempt) => {
    const beganAtMs = performance.now();
    for (let tries = 1; ; tries++) {
      try {
        return await once(limits, attempt);
      } catch (error) {
        const tookMs = performance.now() - beganAtMs;
        if (
          !(error instanceof RogueSmtpError) ||
          final.has(error) ||
          !mayPassAtOnce(error) ||
          tries >= ATTEMPTS ||
          tookMs > (limits.againWithinMs ?? Number.POSITIVE_INFINITY)
        )
          throw error;
        const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 4 ** tries);
        log.warn({ error: error.message, tries }, 'ClickHouse did not answer as it should; trying again');
        await sleep(RETRY_MIN_MS + Math.random() * ceiling);
      }
    }
  };

  return { once, repeatedly };
}

/** Errors of the server have a numeric code; of the connection a textual one (ECONNREFUSED) or none. */
export function asEngineError(error: unknown): RogueSmtpError {
  if (error instanceof RogueSmtpError) return error;
  const code =
    typeof error === 'object' && error !== null && 'code' in error
      ? Number(error.code)
      : codeInText(messageOf(error));
  const numeric = Number.isInteger(code) ? code : null;
  // Node reports a refused connection to a name with several addresses as an AggregateError without a message.
  const named = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const message = messageOf(error) || named || 'the connection failed';
  // A segment that is gone will not come back.
  if (named === 'ENOENT') return new RogueSmtpError('store', message, { cause: error });
  const name = typeof error === 'object' && error !== null && 'type' in error ? String(error.type ?? '') : '';
  return engineError(`ClickHouse: ${message}`, numeric, name, error);
}

/**
 * The client gives codes only where a name follows in parentheses. Servers before 21.10 write none: "Code: 115,
 * e.displayText() = DB::Exception: Unknown setting role" (seen on 18.16). NaN where there is no code.
 */
const codeInText = (message: string) => Number(/^Code: (\d{1,5})[.,]/.exec(message)?.[1] ?? Number.NaN);

/**
 * Tells a server that works for long from one that hangs.
 *
 * A heavy statement may take its minute, and a stopped server accepts connections and says nothing for ever. While a
 * request waits, the server is asked a question that costs nothing, now and then, on a connection of its own. When that
 * gets no answer in time, nobody waits any longer: all requests under way end, within four seconds of their beginning.
 */

import { firstOf, rejectedBy, settled } from '../waiting.ts';

export interface HangWatch {
  /** Calls `onHang` once if the server hangs. Returns how to stop watching. */
  begin(onHang: () => void): () => void;
}

/** Most requests are answered by then, and cost no question. */
const FIRST_ASK_MS = 1000;
const NEXT_ASK_MS = 2000;
/** How long an answer to the question may take. */
const ANSWER_MS = 2500;
/** A server that did not answer a moment ago gets a shorter time, so that several reads in a row end soon, too. */
const HUNG_ANSWER_MS = 1000;
const HUNG_FOR_MS = 10_000;

/** Any end of `ask` before its signal is aborted is an answer: also an error, which the request itself will have. */
export function createHangWatch(ask: (signal: AbortSignal) => Promise<unknown>): HangWatch {
  let asked: Promise<boolean> | null = null;
  let hungAtMs = Number.NEGATIVE_INFINITY;

  const hungJustNow = () => performance.now() - hungAtMs < HUNG_FOR_MS;

  function answers(): Promise<boolean> {
    asked ??= question().finally(() => {
      asked = null;
    });
    return asked;
  }

  async function question(): Promise<boolean> {
    const limit = AbortSignal.timeout(hungJustNow() ? HUNG_ANSWER_MS : ANSWER_MS);
    try {
      await firstOf(settled(ask(limit)), rejectedBy(limit));
    } catch {
      if (limit.aborted) {
        hungAtMs = performance.now();
        return false;
      }
    }
    hungAtMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  return {
    begin(onHang) {
      let isOver = false;
      let timer: NodeJS.Timeout;
      const look = async () => {
        const isThere = await answers();
        if (isOver) return;
        if (isThere) timer = setTimeout(look, NEXT_ASK_MS);
        else onHang();
      };
      timer = setTimeout(look, hungJustNow() ? 0 : FIRST_ASK_MS);
      return () => {
        isOver = true;
        clearTimeout(timer);
      };
    },
  };
}

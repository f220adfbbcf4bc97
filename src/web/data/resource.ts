/**
 * An answer of the API that is kept up to date: its last good value, how old that is, and why there is no newer one.
 *
 * A failed request never empties the page: the last value stays, with its age. Requests never overlap.
 */

import { type Signal, signal } from '@preact/signals';
import { ApiError } from './request.ts';

export interface Resource<Value> {
  /** The last good answer; null before the first. */
  readonly value: Signal<Value | null>;
  /** Why the newest request failed; null when it did not. */
  readonly error: Signal<ApiError | null>;
  /** When the last good answer came; 0 before the first. */
  readonly loadedAt: Signal<number>;
  /** Asks now; resolves when the answer is there or the request has failed. One asked meanwhile follows. */
  refresh(): Promise<void>;
  /** Asks now and every so many milliseconds while the page is visible, until the returned function is called. */
  follow(everyMs: number): () => void;
}

/** `same`: keeps the old object where nothing changed, so that nothing is drawn anew. */
export function createResource<Value>(load: () => Promise<Value>): Resource<Value> {
  const value = signal<Value | null>(null);
  const error = signal<ApiError | null>(null);
  const loadedAt = signal(0);
  let running: Promise<void> | null = null;
  let again = false;
  let text = '';

  async function once(): Promise<void> {
    try {
      const answer = await load();
      const newText = JSON.stringify(answer);
      if (newText !== text) {
        text = newText;
        value.value = answer;
      }
      error.value = null;
      loadedAt.value = Date.now();
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError(0, String(cause));
    }
  }

  function refresh(): Promise<void> {
    if (running !== null) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await once();
      } while (again);
      running = null;
    })();
    return running;
  }

  return {
    value,
    error,
    loadedAt,
    refresh,
    follow(everyMs) {
      void refresh();
      const timer = setInterval(() => {
        if (document.visibilityState === 'visible') void refresh();
      }, everyMs);
      const onVisible = () => {
        if (document.visibilityState === 'visible' && Date.now() - loadedAt.value > everyMs) void refresh();
      };
      document.addEventListener('visibilitychange', onVisible);
      return () => {
        clearInterval(timer);
        document.removeEventListener('visibilitychange', onVisible);
      };
    },
  };
}

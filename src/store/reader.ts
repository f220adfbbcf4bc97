/**
 * Who waits for a read: the client of an HTTP request, so that a statement whose reader has gone can be cancelled.
 *
 * It travels with the asynchronous calls of the request (AsyncLocalStorage), since every question of the read model would
 * have to hand it on otherwise. Only reads look at it; what is written never depends on who is still there.
 */

import { AsyncLocalStorage } from 'node:async_hooks';

const readers = new AsyncLocalStorage<AbortSignal>();

/** Runs `work`, whose reads are cancelled when the signal is aborted. */
export function readingFor<Result>(gone: AbortSignal, work: () => Result): Result {
  return readers.run(gone, work);
}

/** The signal of the reader that waits; undefined where nobody can go away. */
export function readerGone(): AbortSignal | undefined {
  return readers.getStore();
}

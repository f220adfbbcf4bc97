/**
 * Takes the idle timer out of kafkajs 2.2.4.
 *
 * There every connection without a pending request sets a timer in the past, again and again: some 890 wake-ups a second
 * and 4.5 % of a core while nothing happens (kafkajs issues #1751, #1755, #1768). A queue needs that timer only while
 * something waits in it.
 */

import { internalOf, prototypeWith } from './library-internals.ts';

const METHOD = 'scheduleCheckPendingRequests';

interface RequestQueue {
  readonly pending: readonly unknown[];
  [METHOD](): void;
}

const done = new WeakSet<object>();

/** `patched`, also when it was before; else why not, in words. */
export function patchRequestQueue(): 'patched' | { readonly reason: string } {
  const queue = prototypeWith(internalOf('src/network/requestQueue'), isPatchable);
  if ('reason' in queue) return queue;
  const { prototype } = queue;
  if (done.has(prototype)) return 'patched';
  const original = prototype[METHOD];
  prototype[METHOD] = function (this: RequestQueue) {
    if (this.pending.length > 0) original.call(this);
  };
  done.add(prototype);
  return 'patched';
}

function isPatchable(value: object): value is RequestQueue {
  return METHOD in value && typeof value[METHOD] === 'function';
}

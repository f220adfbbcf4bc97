/**
 * Takes the idle timer out of kafkajs 2.2.4.
 *
 * There every connection without a pending request sets a timer in the past, again and again: some 890 wake-ups a second
 * and 4.5 % of a core while nothing happens (kafkajs issues #1751, #1755, #1768). A queue needs that timer only while
 * something waits in it. Another version may be built otherwise, and is left alone.
 */

import { createRequire } from 'node:module';
import { messageOf } from '../../errors.ts';

const PATCHED_VERSION = '2.2.4';
const METHOD = 'scheduleCheckPendingRequests';

/** `patched`, also when it was before; else why not, in words. */
export function patchRequestQueue(): 'patched' | { readonly reason: string } {
  const require = createRequire(import.meta.url);
  try {
    const { version }: { version: unknown } = require('kafkajs/package.json');
    if (version !== PATCHED_VERSION)
      return { reason: `kafkajs ${String(version)} is not ${PATCHED_VERSION}` };
    const queue: unknown = require('kafkajs/src/network/requestQueue');
    return typeof queue === 'function' && isPatchable(queue.prototype)
      ? patch(queue.prototype)
      : { reason: 'kafkajs has no such request queue' };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

interface RequestQueue {
  readonly pending: readonly unknown[];
  [METHOD](): void;
}

const done = new WeakSet<object>();

function patch(prototype: RequestQueue): 'patched' {
  if (done.has(prototype)) return 'patched';
  const original = prototype[METHOD];
  prototype[METHOD] = function (this: RequestQueue) {
    if (this.pending.length > 0) original.call(this);
  };
  done.add(prototype);
  return 'patched';
}

function isPatchable(value: unknown): value is RequestQueue {
  return (
    typeof value === 'object' && value !== null && METHOD in value && typeof value[METHOD] === 'function'
  );
}

import { createRequire } from 'node:module';
import { describe, expect, it, vi } from 'vitest';
import { patchRequestQueue } from '../../../src/stream/kafka/request-queue-patch.ts';

const require = createRequire(import.meta.url);
const RequestQueue = require('kafkajs/src/network/requestQueue');

describe('the idle timer of kafkajs', () => {
  it('is of the version that the patch was made for; a newer one must be looked at again', () => {
    expect(require('kafkajs/package.json').version).toBe('2.2.4');
    expect(patchRequestQueue()).toBe('patched');
    expect(patchRequestQueue()).toBe('patched');
  });

  it('is set while a request waits, and only then', () => {
    patchRequestQueue();
    const timer = vi.spyOn(globalThis, 'setTimeout').mockReturnValue(1 as never);
    const queue = Object.assign(Object.create(RequestQueue.prototype), {
      pending: [],
      throttledUntil: -1,
      throttleCheckTimeoutId: null,
    });
    queue.scheduleCheckPendingRequests();
    expect(timer).not.toHaveBeenCalled();
    queue.pending.push({});
    queue.scheduleCheckPendingRequests();
    expect(timer).toHaveBeenCalledOnce();
    timer.mockRestore();
  });
});

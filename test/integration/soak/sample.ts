/**
 * What is alive in this process after full collections. Node does not list its emitters, so this module replaces `on` with
 * one that notes the emitter.
 */

import { EventEmitter } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import type { Sample } from './growth.ts';

const emitters = new Set<WeakRef<EventEmitter>>();
const known = new WeakSet<EventEmitter>();
const realOn = EventEmitter.prototype.on;
for (const name of ['on', 'addListener'] as const)
  EventEmitter.prototype[name] = function on(this: EventEmitter, ...args: Parameters<typeof realOn>) {
    if (!known.has(this)) {
      known.add(this);
      emitters.add(new WeakRef(this));
    }
    return realOn.apply(this, args);
  } as typeof realOn;

/** By class of the emitter and name of the event. */
export function listenerKinds(): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  for (const ref of emitters) {
    const emitter = ref.deref();
    if (emitter === undefined) emitters.delete(ref);
    else
      for (const event of emitter.eventNames()) {
        const kind = `${emitter.constructor.name} ${String(event)}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + emitter.listenerCount(event));
      }
  }
  return kinds;
}

/** Processes that this one has started and not yet waited for. */
export const childrenOf = (): readonly number[] =>
  readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );

const someTimer = setTimeout(() => undefined, 0);
const Timeout = someTimer.constructor;
clearTimeout(someTimer);

/** Throws where Node was started without --expose-gc. `fromMs` is when the run started, by performance.now(). */
export async function takeSample(fromMs: number): Promise<Sample> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('to be run with node --expose-gc (npm run soak does)');
  for (let i = 0; i < 4; i++) {
    gc();
    await sleep(50);
  }
  const memory = process.memoryUsage();
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    minutes: (performance.now() - fromMs) / 60_000,
    heap: memory.heapUsed / 1024,
    buffers: memory.arrayBuffers / 1024,
    resident: memory.rss / 1024,
    descriptors: readdirSync('/proc/self/fd').length,
    handles: process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length,
    timers: queryObjects(Timeout, { format: 'count' }),
    listeners: [...listenerKinds().values()].reduce((sum, count) => sum + count, 0),
    promises: queryObjects(Promise, { format: 'count' }),
    functions: queryObjects(Function, { format: 'count' }),
    threads: Number(/Threads:\s+(\d+)/.exec(status)?.[1] ?? 0),
    children: childrenOf().length,
  };
}

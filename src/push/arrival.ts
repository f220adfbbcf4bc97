/**
 * Waiting for something to come over a channel, with an end: what the sessions over SSH share.
 *
 * What has come is asked for before what has gone wrong, so that an answer just before the end of a session counts.
 */

import type { ClientChannel } from 'ssh2';
import { elapsed, firstOf, type Source } from '../waiting.ts';
import { DeviceError } from './report.ts';

export interface Arrival {
  /** Something has come. */
  notify(): void;
  /** The session is of no use any more; the first reason stays. */
  fail(reason: string): void;
  readonly failure: () => DeviceError | null;
  /** What `take` gives once it is not null. Throws DeviceError after the timeout, with the text of `late`, or on failure. */
  until<T>(take: () => T | null, late: () => string): Promise<T>;
}

export function createArrival(channel: ClientChannel, timeoutMs: number): Arrival {
  let failure: DeviceError | null = null;
  let wake: () => void = () => undefined;
  const woken: Source<void> = (resolve) => {
    wake = resolve;
    return () => {
      wake = () => undefined;
    };
  };
  const fail = (reason: string) => {
    failure ??= new DeviceError(reason);
    wake();
  };
  channel.on('close', () => fail('the device closed the session'));
  channel.on('error', () => fail('the session broke'));
  // Else a device that complains there would stop when its window is full.
  channel.stderr.resume();
  return {
    notify: () => wake(),
    fail,
    failure: () => failure,
    async until(take, late) {
      const endsAt = performance.now() + timeoutMs;
      for (;;) {
        const taken = take();
        if (taken !== null) return taken;
        if (failure !== null) throw failure;
        const left = endsAt - performance.now();
        if (left <= 0) throw new DeviceError(`${late()} within ${timeoutMs / 1000} s`);
        await firstOf<void>(woken, elapsed(left, undefined, { ref: false }));
      }
    },
  };
}

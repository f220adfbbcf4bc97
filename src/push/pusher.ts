/**
 * When a changed list goes to its router: one push at a time for each device, later and later while it fails, and not at
 * all for a while when it failed often.
 *
 * What was applied is remembered on disk by its digest, so that a restart pushes nothing that is there already. Only the
 * newest text of a list is ever sent. Every attempt is in the audit log; the first failure in a row and the end of it are
 * told as alerts.
 */

import { messageOf } from '../errors.ts';
import type { PushArchive } from './archive.ts';
import { deviceName, digestOf, failedBefore, keyOf, type PushReport, type PushRequest } from './report.ts';

export interface PusherDependencies {
  readonly push: (request: PushRequest, signal: AbortSignal) => Promise<PushReport>;
  readonly archive: Pick<PushArchive, 'applied' | 'record'>;
  /** `failed`: the first time in a row, and when automatic pushes pause. `recovered`: the list is there at last. */
  readonly tell: (event: PushEvent) => void;
  readonly log: { error(fields: object, message: string): void };
  readonly now: () => number;
}

export interface PushEvent {
  readonly kind: 'failed' | 'paused' | 'recovered';
  readonly request: PushRequest;
  readonly report: PushReport;
  /** Failures in a row. */
  readonly failures: number;
  /** When it is tried again; null when it is there. */
  readonly nextAtMs: number | null;
}

export interface Pusher {
  /** Says what a list is now; cheap when that is what the router has. */
  offer(request: PushRequest): void;
  /** Gives up what waits and is not to be sent any more. */
  retain(isWanted: (request: PushRequest) => boolean): void;
  /** Ends what is under way in order: a router is left as it was, or takes the change back by itself. */
  stop(): Promise<void>;
  readonly counters: { readonly applied: number; readonly unchanged: number; readonly failed: number };
}

interface Wanted {
  request: PushRequest;
  failures: number;
  /** Not before; a router that still has a change on trial takes no other. */
  notBeforeMs: number;
}

interface Device {
  /** By target and family. */
  readonly wanted: Map<string, Wanted>;
  busy: boolean;
  timer: NodeJS.Timeout | null;
}

const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 1_800_000;
/** After so many failures in a row a device is left alone for so long, then tried once. */
const FAILURES_TO_PAUSE = 5;
const PAUSE_MS = 3_600_000;

export function createPusher({ push, archive, tell, log, now }: PusherDependencies): Pusher {
  const counters = { applied: 0, unchanged: 0, failed: 0 };
  const devices = new Map<string, Device>();
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();

  function deviceOf({ settings }: PushRequest): Device {
    const name = deviceName(settings);
    const known = devices.get(name) ?? { wanted: new Map(), busy: false, timer: null };
    devices.set(name, known);
    return known;
  }

  /** Starts what is due, or waits for it. */
  function turn(device: Device): void {
    if (device.busy || stopping.signal.aborted) return;
    if (device.timer !== null) clearTimeout(device.timer);
    device.timer = null;
    const next = [...device.wanted.values()].sort((a, b) => a.notBeforeMs - b.notBeforeMs)[0];
    if (next === undefined) return;
    const waitMs = next.notBeforeMs - now();
    if (waitMs > 0) {
      device.timer = setTimeout(() => turn(device), Math.min(waitMs, LONGEST_RETRY_MS));
      device.timer.unref();
      return;
    }
    device.busy = true;
    const run = work(device, next).finally(() => {
      device.busy = false;
      running.delete(run);
      turn(device);
    });
    running.add(run);
  }

  async function work(device: Device, wanted: Wanted): Promise<void> {
    const { request } = wanted;
    const report = await attemptOf(request);
    await archive.record(request, report, 'service').catch((error: unknown) => {
      log.error(
        { target: request.target, error: messageOf(error) },
        'the audit log of pushes cannot be written',
      );
    });
    const key = keyOf(request);
    if (report.result !== 'failed') {
      counters[report.result === 'applied' ? 'applied' : 'unchanged']++;
      if (wanted.failures > 0)
        tell({ kind: 'recovered', request, report, failures: wanted.failures, nextAtMs: null });
      wanted.failures = 0;
      wanted.notBeforeMs = now();
      // Another text may have come meanwhile.
      if (wanted.request === request) device.wanted.delete(key);
      return;
    }
    counters.failed++;
    if (stopping.signal.aborted) return;
    wanted.failures++;
    const paused = wanted.failures % FAILURES_TO_PAUSE === 0;
    const backOffMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (wanted.failures - 1));
    const trialMs =
      report.device === 'as before' || report.device === 'rolled back' ? 0 : request.settings.confirm;
    wanted.notBeforeMs = now() + Math.max(paused ? PAUSE_MS : backOffMs, trialMs);
    if (paused || wanted.failures === 1) {
      const kind = paused ? 'paused' : 'failed';
      tell({ kind, request, report, failures: wanted.failures, nextAtMs: wanted.notBeforeMs });
    }
  }

  async function attemptOf(request: PushRequest): Promise<PushReport> {
    try {
      return await push(request, stopping.signal);
    } catch (error) {
      // A secret that cannot be read, a list that is bound to nothing, or a defect of ours: nothing was sent.
      return failedBefore(request, messageOf(error));
    }
  }

  return {
    counters,
    offer(request) {
      if (stopping.signal.aborted) return;
      const device = deviceOf(request);
      const key = keyOf(request);
      const known = device.wanted.get(key);
      if (known !== undefined) {
        known.request = known.request.text === request.text ? known.request : request;
        return;
      }
      if (archive.applied(request) === digestOf(request.text)) return;
      device.wanted.set(key, { request, failures: 0, notBeforeMs: now() });
      turn(device);
    },
    retain(isWanted) {
      for (const { wanted } of devices.values())
        for (const [key, { request }] of wanted) if (!isWanted(request)) wanted.delete(key);
    },
    async stop() {
      stopping.abort(new Error('the service stops'));
      for (const { timer } of devices.values()) if (timer !== null) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}

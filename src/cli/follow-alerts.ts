/**
 * Alerts as they come, over restarts of the instance and broken connections, each once.
 *
 * `/events` has no memory, so after each connect the alerts of the time before are asked for as well, and once more a little
 * later: the store takes alerts a moment after they were emitted. Ids tell what was shown already.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { formatSpan } from '../api/collection.ts';
import { messageOf } from '../errors.ts';
import type { Alert } from '../messages/alert.ts';
import type { Client } from './client.ts';

export interface FollowOptions {
  readonly client: Pick<Client, 'follow' | 'alerts' | 'isUp'>;
  /** How many of the past are asked for at first. */
  readonly limit: number;
  /** Called with each alert once; those of the past first, oldest first. `isNew`: false of what was there at the start. */
  readonly show: (alerts: readonly Alert[], isNew: boolean) => void;
  /** A sentence about the connection. */
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** For tests. */
  readonly waits?: Partial<Waits>;
}

interface Waits {
  /** Before the first attempt to connect again; each one later waits twice as long, up to `longestMs`. */
  readonly retryMs: number;
  readonly longestMs: number;
  /** After a connect the past is asked for once more. */
  readonly secondLookMs: number;
}

const WAITS: Waits = { retryMs: 500, longestMs: 15_000, secondLookMs: 5000 };
/** Alerts may be stored out of order, and the clock of the instance may be set: so much of what was shown is asked for again. */
const OVERLAP_MS = 10 * 60_000;
/** Ids that are remembered, and alerts that are asked for after a connect. */
const MOST = 100_000;

/**
 * Runs until the signal is aborted. Throws RogueSmtpError `unavailable` when the first connect fails; later failures are
 * said and tried again.
 */
export async function followAlerts(options: FollowOptions): Promise<void> {
  const { client, show, say, signal } = options;
  const waits = { ...WAITS, ...options.waits };
  const shown = new Set<string>();
  /** When the newest alert that was shown was emitted, by the clock of the instance. */
  let newestMs: number | null = null;
  let floorMs = 0;

  function fresh(alerts: readonly Alert[]): Alert[] {
    return alerts.filter(({ alert_id, emitted_at }) => {
      if (shown.has(alert_id)) return false;
      shown.add(alert_id);
      newestMs = Math.max(newestMs ?? 0, Date.parse(emitted_at));
      if (shown.size > MOST) for (const oldest of shown) return shown.delete(oldest);
      return true;
    });
  }

  /** Shows what the connection has missed. Returns how many. */
  async function catchUp(): Promise<number> {
    const since =
      newestMs === null ? {} : { since: new Date(Math.max(floorMs, newestMs - OVERLAP_MS)).toISOString() };
    const missed = fresh(await client.alerts({ limit: MOST, ...since }));
    if (missed.length > 0) show(missed, true);
    return missed.length;
  }

  /** Until the connection ends, which it throws for or not. */
  async function listen(live: AsyncGenerator<Alert>): Promise<void> {
    const over = new AbortController();
    const secondLook = sleep(waits.secondLookMs, undefined, { signal: over.signal })
      .then(catchUp)
      .catch(() => undefined);
    try {
      for await (const alert of live) {
        const [one] = fresh([alert]);
        if (one !== undefined) show([one], true);
      }
    } finally {
      over.abort();
      await secondLook;
    }
  }

  // Subscribed before the past is read, so that no alert falls in between.
  let live = await client.follow(signal);
  const past = await client.alerts({ limit: options.limit });
  // Older ones were not asked for, and are not news later.
  if (past.length === options.limit) floorMs = Date.parse(past[0].emitted_at) + 1;
  show(fresh(past), false);
  for (;;) {
    const ended = await listen(live).then(
      () => 'it ended the connection',
      (error: unknown) => messageOf(error),
    );
    if (signal.aborted) return;
    const lostAtMs = Date.now();
    say(`Lost the connection to the instance (${ended}). Connecting again; no alert will be missed.`);
    const again = await reconnect();
    if (again === null) return;
    live = again;
    const missed = await catchUp().catch(() => null);
    say(
      `Connected again after ${formatSpan(Date.now() - lostAtMs)}${missed === null || missed === 0 ? '' : `; ${missed} alert(s) came meanwhile`}.`,
    );
  }

  /** Null when aborted meanwhile. */
  async function reconnect(): Promise<AsyncGenerator<Alert> | null> {
    let said = '';
    for (let waitMs = waits.retryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, waits.longestMs)) {
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      try {
        // Another instance may have taken the address.
        if (await client.isUp()) return await client.follow(signal);
      } catch (error) {
        const text = messageOf(error);
        if (text !== said && !signal.aborted) say(`Still trying: ${text}`);
        said = text;
      }
    }
    return null;
  }
}

/**
 * Sends canaries and waits for their alerts: by hand (`rogue-smtp canary`), and on a timer (`canary.every`).
 *
 * A canary goes through the socket, the decoder, the mail stream, the role detect and the stream of alerts. When its alert
 * does not come, something on that way is stuck, which no counter may show. That is an alert of its own.
 */

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { clearInterval, setInterval } from 'node:timers';
import type { CanaryResult } from '../api/read-model.ts';
import type { Config } from '../config/schema.ts';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { CANARY_NUMBER_BYTES, canaryServer } from '../flow/canary.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import { elapsed, firstOf, type Source } from '../waiting.ts';
import { canaryDatagram } from './canary-datagram.ts';

export interface CanaryDependencies {
  readonly config: Config['canary'];
  /** Calls back with each alert of a canary, until the returned function is called. */
  readonly onCanary: (listener: (alert: Alert) => void) => () => void;
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Canary {
  /** `listeners`: where the collector receives. */
  start(listeners: readonly SocketAddress[]): void;
  stop(): void;
  /** One canary to the first listener. Throws RogueSmtpError `unavailable` before the start. */
  send(): Promise<CanaryResult>;
  /** In words, while the newest canary on the timer did not come. */
  troubles(): readonly string[];
  readonly counters: { sent: number; missing: number; latencyMs: number | null };
}

export function createCanary(dependencies: CanaryDependencies): Canary {
  const { config, onCanary, tell, policyVersion, log, now } = dependencies;
  const counters: Canary['counters'] = { sent: 0, missing: 0, latencyMs: null };
  let target: SocketAddress | null = null;
  let timer: NodeJS.Timeout | null = null;
  let missingSinceMs: number | null = null;
  let isWaiting = false;

  async function send(): Promise<CanaryResult> {
    if (target === null) throw new RogueSmtpError('unavailable', 'the collector does not receive yet');
    const number = randomBytes(CANARY_NUMBER_BYTES);
    const server = formatAddress(canaryServer(number));
    const sentAtMs = now();
    const beganMs = performance.now();
    let stopListening = () => {};
    const come: Source<boolean> = (resolve) => {
      stopListening = onCanary((alert) => {
        if (alert.destinations.top.some(({ address }) => address === server)) resolve(true);
      });
      return () => stopListening();
    };
    const result = firstOf(come, elapsed(config.timeout, false, { ref: false }));
    counters.sent++;
    try {
      await sendDatagram(canaryDatagram(number, sentAtMs), target);
    } catch (error) {
      stopListening();
      throw new RogueSmtpError('io', `the canary could not be sent: ${messageOf(error)}`, { cause: error });
    }
    const alerted = await result;
    counters.latencyMs = alerted ? performance.now() - beganMs : null;
    return {
      alerted,
      latency_ms: counters.latencyMs === null ? null : Math.round(counters.latencyMs),
      timeout_ms: config.timeout,
      sent_at: new Date(sentAtMs).toISOString(),
      listener: formatSocketAddress(target),
    };
  }

  /** On the timer: one at a time, and a word when that changes what is known. */
  async function round(): Promise<void> {
    if (isWaiting) return;
    isWaiting = true;
    try {
      const { alerted, sent_at } = await send().catch((error: unknown) => {
        log.error({ error: messageOf(error) }, 'the canary failed');
        return { alerted: false, sent_at: new Date(now()).toISOString() };
      });
      if (!alerted) {
        counters.missing++;
        if (missingSinceMs !== null) return;
        missingSinceMs = Date.parse(sent_at);
        report(
          'canary_missing',
          `the canary flow of ${sent_at} raised no alert within ${config.timeout / 1000} s: real offenders are probably not found either. Look at rogue-smtp status and the log`,
        );
      } else if (missingSinceMs !== null) {
        const since = new Date(missingSinceMs).toISOString();
        missingSinceMs = null;
        report('canary_returned', `canary flows raise alerts again; they did not since ${since}`);
      }
    } finally {
      isWaiting = false;
    }
  }

  function report(cause: 'canary_missing' | 'canary_returned', reason: string): void {
    log[cause === 'canary_missing' ? 'error' : 'info'](reason);
    const nowMs = now();
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: [cause, nowMs],
        sinceMs: missingSinceMs ?? nowMs,
        nowMs,
        reasons: [reason],
        policy_version: policyVersion(),
      }),
      coverage: { cause, exporters: 0, lost: 0 },
    });
  }

  return {
    counters,
    send,
    start(listeners) {
      target = reachable(listeners[0]);
      if (config.every === undefined || target === null) return;
      timer = setInterval(() => void round(), config.every);
      timer.unref();
    },
    stop() {
      if (timer !== null) clearInterval(timer);
    },
    troubles: () =>
      missingSinceMs === null
        ? []
        : [`the canary flow raises no alert since ${new Date(missingSinceMs).toISOString()}`],
  };
}

/** Loopback where the listener has all addresses. */
function reachable(listener: SocketAddress | undefined): SocketAddress | null {
  if (listener === undefined) return null;
  const { host, port } = listener;
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port };
}

function sendDatagram(bytes: Buffer, { host, port }: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.send(bytes, port, host, (error) => {
      socket.close();
      if (error === null) resolve();
      else reject(error);
    });
  });
}

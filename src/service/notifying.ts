/**
 * Notifications of the role `serve`: alerts and decisions from the stream to the notifier.
 *
 * The position in the alerts is committed after they are in the queues on disk, so that a kill loses none. Processes of
 * the role share the alerts; every one of them reads all decisions.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import { type Alert, alertSchema } from '../messages/alert.ts';
import { decisionSchema } from '../messages/decision.ts';
import { judgeJson, parseMessage } from '../messages/parse-message.ts';
import { createNotifier, NOTIFY_FOLDER, type Notifier } from '../notify/notifier.ts';
import { registerNotifyMetrics } from '../notify/notify-metrics.ts';
import type { Delivery, ReceivedMessage, Subscription } from '../stream/stream.ts';
import type { SharedParts } from './shared-parts.ts';

export interface Notifying extends Pick<Notifier, 'status' | 'troubles' | 'acknowledge'> {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The consumer group; each process of it reads a part of the alerts. */
const GROUP = 'notify';
/** Queues that cannot be opened, on a full disk for one, are tried again. */
const RETRY_MS = 10_000;

type NotifyingParts = Pick<
  SharedParts,
  'config' | 'stream' | 'log' | 'now' | 'metrics' | 'badMessages' | 'version'
>;

export function createNotifying(shared: NotifyingParts): Notifying {
  const { config, stream, log, now, metrics, badMessages, version } = shared;
  const notifier = createNotifier({ config, version, log, now });
  registerNotifyMetrics(metrics, notifier.status, now);
  const subscriptions: Subscription[] = [];
  const stopped = new AbortController();
  let alertsSubscription: Subscription | null = null;
  let beginning: Promise<void> | null = null;
  let trouble: string | null = null;

  async function onAlerts(delivery: Delivery): Promise<void> {
    const alerts: Alert[] = [];
    for (const message of delivery.messages) {
      const judged = judgeJson(alertSchema, message);
      if (judged.ok) alerts.push(judged.content);
      else badMessages.passedOver('alerts', judged.reason);
    }
    await notifier.take(alerts);
    await alertsSubscription?.commit('alerts', delivery.partition, delivery.lastOffset);
  }

  function onDecided(messages: readonly ReceivedMessage[]): void {
    notifier.decided(messages.flatMap((message) => parseMessage(decisionSchema, message) ?? []));
  }

  /** What cannot be queued stays in the stream; nobody else waits for it. */
  async function tryToBegin(): Promise<boolean> {
    try {
      await notifier.start();
    } catch (error) {
      if (trouble === null)
        log.error({ error: messageOf(error) }, 'no notifications are sent: their queues cannot be opened');
      trouble = `no notifications are sent: ${messageOf(error)}`;
      return false;
    }
    trouble = null;
    await subscribe();
    return true;
  }

  async function beginLater(): Promise<void> {
    while (!stopped.signal.aborted) {
      await sleep(RETRY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
      if (stopped.signal.aborted || (await tryToBegin())) return;
    }
  }

  async function subscribe(): Promise<void> {
    alertsSubscription = await stream.subscribe({
      streams: ['alerts'],
      group: GROUP,
      unit: 'message',
      onDelivery: onAlerts,
    });
    subscriptions.push(alertsSubscription);
    if (config.notify.every(({ repeat }) => repeat === undefined)) return;
    subscriptions.push(
      await stream.subscribe({
        streams: ['decisions'],
        group: GROUP,
        unit: 'message',
        sharing: 'alone',
        async onAssigned(partitions) {
          for await (const message of stream.latest('decisions', partitions)) onDecided([message]);
        },
        onDelivery: async ({ messages }) => onDecided(messages),
      }),
    );
  }

  return {
    status: notifier.status,
    troubles: () => [...(trouble === null ? [] : [trouble]), ...notifier.troubles()],
    acknowledge: notifier.acknowledge,
    async start() {
      // Where there were targets once, somebody must go on reading: the stream keeps what a group has not read.
      if (config.notify.length === 0 && !existsSync(join(config.data, NOTIFY_FOLDER))) return;
      if (!(await tryToBegin())) beginning = beginLater();
    },
    async stop() {
      stopped.abort();
      await beginning;
      await Promise.all(subscriptions.map((subscription) => subscription.stop()));
      await notifier.stop();
    },
  };
}

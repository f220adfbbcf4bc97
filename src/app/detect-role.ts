/**
 * The detect role: mail flows in, alerts and incidents out.
 *
 * A thin shell around the pure detector: it restores incidents, feeds deliveries, gives the clock, publishes what comes
 * out and commits only what is published. It must never commit a position whose effects are not durable; a crash in
 * between means the same messages again, which the detector recognises.
 */

import { setInterval } from 'node:timers';
import type { Detector } from '../detect/detector.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { decodeNative } from '../flow/native.ts';
import { type Alert, type Incident, incidentSchema } from '../messages/alert.ts';
import type { Delivery, Stream, StreamMessage, Subscription } from '../stream/stream.ts';
import type { Logger } from './logger.ts';
import { parseMessage } from './parse-message.ts';

export interface DetectRoleDependencies {
  readonly stream: Stream;
  readonly detector: Detector;
  readonly log: Logger;
  readonly now: () => number;
  /** Seconds from the receipt of the datagram that caused an alert to its publication. */
  readonly onAlertLatency: (seconds: number) => void;
}

export interface DetectRole {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly counters: { readonly corruptMessages: number };
}

/** Between deliveries the clock moves on by itself, so that quiet incidents close and blocks expire. */
const TICK_MS = 1000;

export function createDetectRole(dependencies: DetectRoleDependencies): DetectRole {
  const { stream, detector, log, now, onAlertLatency } = dependencies;
  const counters = { corruptMessages: 0 };
  let subscription: Subscription | null = null;
  let ticker: NodeJS.Timeout | null = null;
  let lastDeliveryMs = 0;
  let restoring: Promise<void> = Promise.resolve();
  /** Deliveries and ticks share the detector: one at a time. */
  let turn: Promise<void> = Promise.resolve();
  /** Why the last tick failed; told when it changes, not every second. */
  let trouble = '';
  /** Taken from the detector but not yet durable: kept until the stream has them, since it tells them only once. */
  const pending: { alerts: Alert[]; incidents: Incident[] } = { alerts: [], incidents: [] };

  function inTurn(work: () => Promise<void>): Promise<void> {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  }

  async function restore(partitions: readonly number[]): Promise<void> {
    let restored = 0;
    for await (const message of stream.latest('incidents', partitions)) {
      const incident = parseMessage(incidentSchema, message.value);
      if (incident === null) {
        counters.corruptMessages++;
        log.warn(
          { offset: message.offset },
          'an incident that cannot be read is left out of the restored state',
        );
        continue;
      }
      detector.restore(incident);
      restored++;
    }
    if (restored > 0) log.info({ incidents: restored }, 'incidents restored');
  }

  async function onDelivery(delivery: Delivery): Promise<void> {
    lastDeliveryMs = now();
    for (const message of delivery.messages) {
      const position = { partition: delivery.partition, offset: message.offset };
      for (let at = 0; at < message.value.length; ) {
        const block = decodeNative(message.value, at);
        if (!block.ok) {
          counters.corruptMessages++;
          log.error(
            { ...position, reason: block.reason },
            'a mail message that cannot be read is passed over',
          );
          break;
        }
        detector.observe(block.batch, position);
        at = block.next;
      }
    }
    await publishOutcomes();
    const safe = detector.safeOffset(delivery.partition);
    if (safe >= 0) await subscription?.commit('mail', delivery.partition, safe);
  }

  async function publishOutcomes(): Promise<void> {
    const outcome = detector.take();
    pending.alerts.push(...outcome.alerts);
    pending.incidents.push(...outcome.incidents);
    // Alerts first: a crash in between repeats them under the same ids, the other order would lose them.
    await publishAll('alerts', pending.alerts.map(alertMessage));
    await publishAll('incidents', pending.incidents.map(incidentMessage));
    pending.incidents.length = 0;
    for (const alert of pending.alerts.splice(0)) {
      log.info(
        {
          kind: alert.kind,
          host: alert.host,
          grade: alert.grade,
          sessions: alert.sessions,
          block: alert.block.state,
        },
        'alert',
      );
      if (alert.kind === 'opened' || alert.kind === 'escalated') {
        onAlertLatency(Math.max(0, now() - Date.parse(alert.last_seen)) / 1000);
      }
    }
  }

  /** An outcome that is refused would be lost for good if its cause were committed: both come again instead. */
  async function publishAll(name: 'alerts' | 'incidents', messages: readonly StreamMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const { dropped } = await stream.publish(name, messages);
    if (dropped > 0) throw new RogueSmtpError('stream', `${dropped} ${name} were refused: the spool is full`);
  }

  async function tick(): Promise<void> {
    // While deliveries come they carry the clock; running ahead of a backlog would close incidents that go on in it.
    if (now() - lastDeliveryMs < TICK_MS) return;
    detector.advance(now());
    await publishOutcomes();
  }

  return {
    counters,
    async start() {
      lastDeliveryMs = now();
      subscription = await stream.subscribe({
        streams: ['mail'],
        group: 'detect',
        unit: 'message',
        onAssigned: (partitions) => {
          restoring = restore(partitions);
          return restoring;
        },
        onDelivery: (delivery) => inTurn(() => onDelivery(delivery)),
      });
      await restoring;
      ticker = setInterval(() => {
        inTurn(tick).then(
          () => {
            trouble = '';
          },
          (error: unknown) => {
            if (trouble !== messageOf(error))
              log.error({ error: messageOf(error) }, 'the detector could not publish, and tries again');
            trouble = messageOf(error);
          },
        );
      }, TICK_MS);
      ticker.unref();
    },
    async stop() {
      if (ticker !== null) clearInterval(ticker);
      await subscription?.stop();
      await turn;
    },
  };
}

export function alertMessage(alert: Alert): StreamMessage {
  return { key: alert.host, id: alert.alert_id, value: Buffer.from(JSON.stringify(alert)), rows: 1 };
}

export function incidentMessage(incident: Incident): StreamMessage {
  return {
    key: `${incident.site}|${incident.host}`,
    id: `${incident.incident_id}.${incident.revision}`,
    value: Buffer.from(JSON.stringify(incident)),
    rows: 1,
  };
}

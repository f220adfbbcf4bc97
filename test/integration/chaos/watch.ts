/** Reads the topic of alerts as a stranger would: from the beginning, noting when each came. */

import type { KafkaConfig } from '../../../src/config/schema.ts';
import { type Alert, alertSchema } from '../../../src/messages/alert.ts';
import { createKafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { keptLog, textOf } from '../../stream/support.ts';

export interface AlertWatch {
  /** Messages read so far. */
  read(): number;
  /** Each alert once, by its id. */
  byId(): readonly Alert[];
  /** Of hosts whose beginning is known, from then until the first alert was read, in ms. */
  latencies(begun: ReadonlyMap<string, number>): number[];
}

export async function watchAlerts(config: KafkaConfig): Promise<AlertWatch> {
  const stream = createKafkaStream({ config, log: keptLog() });
  await stream.start();
  const alerts = new Map<string, { readonly alert: Alert; readonly readAt: number }>();
  let read = 0;
  const subscription = await stream.subscribe({
    streams: ['alerts'],
    group: 'chaos',
    unit: 'message',
    async onDelivery({ messages }) {
      for (const message of messages) {
        const alert = alertSchema.parse(JSON.parse(textOf(message)));
        if (alert.kind === 'coverage') continue;
        read++;
        if (!alerts.has(alert.alert_id)) alerts.set(alert.alert_id, { alert, readAt: Date.now() });
      }
    },
  });
  await subscription.assigned;
  return {
    read: () => read,
    byId: () => [...alerts.values()].map(({ alert }) => alert),
    latencies(begun) {
      const first = new Map<string, number>();
      for (const { alert, readAt } of alerts.values())
        if (alert.host !== null && !first.has(alert.host)) first.set(alert.host, readAt);
      return [...begun].flatMap(([host, from]) => {
        const until = first.get(host);
        return until === undefined ? [] : [until - from];
      });
    },
  };
}

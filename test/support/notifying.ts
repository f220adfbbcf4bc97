/** Alerts, targets and senders for tests of notifications. */

import { createHash } from 'node:crypto';
import type { NotifyTarget } from '../../src/config/notify.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { hostlessAlert } from '../../src/messages/hostless-alert.ts';
import type { NotifyMessage } from '../../src/notify/message.ts';
import type { Sender, SendResult } from '../../src/notify/sender.ts';

/** 2026-03-02 12:00 UTC. */
export const NOON = Date.UTC(2026, 2, 2, 12);

export const incidentOf = (host: string): string =>
  createHash('sha256').update(host).digest('hex').slice(0, 24);

/** An alert about an incident of a host. */
export function alertOf(host: string, more: Partial<Alert> = {}, atMs = NOON): Alert {
  const at = new Date(atMs).toISOString();
  const kind = more.kind ?? 'opened';
  return {
    ...hostlessAlert({
      kind: 'coverage',
      identity: [host, kind, more.grade ?? '', at],
      sinceMs: atMs,
      nowMs: atMs,
      reasons: [`${host} talked to 198.51.100.25`],
      policy_version: 'test',
    }),
    kind,
    incident_id: incidentOf(host),
    host,
    grade: 'conversed',
    sessions: 3,
    ports: [25],
    destinations: {
      count: 1,
      exact: true,
      top: [{ address: '198.51.100.25', sessions: 3, packets: 30, bytes: 3000 }],
    },
    ...more,
  };
}

export function coverageAlert(text: string, atMs = NOON): Alert {
  return hostlessAlert({
    kind: 'coverage',
    identity: [text, atMs],
    sinceMs: atMs,
    nowMs: atMs,
    reasons: [text],
    policy_version: 'test',
  });
}

export type TargetInput = NonNullable<ConfigInput['notify']>[number];

/** Targets as the configuration makes them. */
export const targetsOf = (...notify: readonly TargetInput[]): NotifyTarget[] =>
  configSchema.parse({ notify }).notify;

/** A webhook target with these keys. */
export function webhookOf(more: Readonly<Record<string, unknown>> = {}): NotifyTarget {
  const input = { type: 'webhook', name: 'hook', url: 'http://127.0.0.1:9/', ...more };
  return configSchema.parse({ notify: [input] }).notify[0];
}

/** Sends nowhere, and answers as the test says. */
export function recordingSender(
  answer: () => SendResult | Promise<SendResult> = () => ({ ok: true, answer: '' }),
): {
  readonly sender: Sender;
  readonly sent: NotifyMessage[];
} {
  const sent: NotifyMessage[] = [];
  return {
    sent,
    sender: {
      async send(message) {
        const result = await answer();
        if (result.ok) sent.push(message);
        return result;
      },
    },
  };
}

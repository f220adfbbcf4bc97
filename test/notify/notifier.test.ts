/** Targets together: a dead one holds up nobody, and is reported through another. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { createMetrics } from '../../src/metrics.ts';
import { createNotifier } from '../../src/notify/notifier.ts';
import { registerNotifyMetrics } from '../../src/notify/notify-metrics.ts';
import { failed, type SendResult } from '../../src/notify/sender.ts';
import { alertOf, incidentOf, NOON, recordingSender } from '../support/notifying.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'rogue-smtp-notifier-'));
});
afterEach(() => rmSync(data, { recursive: true }));

const patience = { timeout: 10_000 };

function start(answers: Readonly<Record<string, () => SendResult | Promise<SendResult>>>) {
  const names = Object.keys(answers);
  const config = configSchema.parse({
    data,
    notify: names.map((name) => ({
      type: 'exec',
      name,
      command: ['true'],
      repeat: { every: '1h' },
    })),
  });
  const senders = new Map(names.map((name) => [name, recordingSender(answers[name])]));
  let nowMs = NOON;
  const notifier = createNotifier({
    config,
    version: '1',
    log: createLogger('silent'),
    now: () => nowMs,
    random: () => 1,
    senderOf: ({ name }) => senders.get(name)!.sender,
    firstRetryMs: 5,
  });
  return {
    notifier,
    sent: (name: string) => senders.get(name)!.sent.map(({ subject }) => subject),
    at(ms: number) {
      nowMs = ms;
      notifier.tick();
    },
  };
}

it('a target that hangs delays neither who hands over alerts nor another target', async () => {
  const { notifier, sent } = start({
    hangs: () => new Promise<SendResult>(() => undefined),
    well: () => ({ ok: true, answer: '' }),
  });
  await notifier.start();
  await notifier.take([alertOf('10.0.0.1'), alertOf('10.0.0.2')]);
  await expect.poll(() => sent('well'), patience).toHaveLength(2);
  expect(notifier.status().map(({ queued }) => queued)).toEqual([2, 0]);
});

it('a target that fails for long is reported by another, in the status and as a metric, and so is its return', async () => {
  let dead = true;
  const { notifier, sent, at } = start({
    dead: () => (dead ? failed('connection refused') : { ok: true, answer: '' }),
    well: () => ({ ok: true, answer: '' }),
  });
  const metrics = createMetrics();
  registerNotifyMetrics(metrics, notifier.status, () => NOON + 600_000);
  await notifier.start();
  await notifier.take([alertOf('10.0.0.1')]);
  await expect.poll(() => notifier.status()[0].failing?.reason, patience).toBe('connection refused');
  at(NOON + 60_000);
  expect(notifier.troubles()).toEqual([]);
  at(NOON + 300_000);
  at(NOON + 310_000);
  expect(notifier.troubles()[0]).toContain(
    'notifications to dead do not arrive since 2026-03-02T12:00:00.000Z (1 wait)',
  );
  await expect
    .poll(() => sent('well'), patience)
    .toEqual(['10.0.0.1 sends mail without permission', 'Notifications to dead do not arrive']);
  const { text } = await metrics.render();
  expect(text).toContain('rogue_smtp_notification_queue_length{target="dead"} 1');
  expect(text).toContain('rogue_smtp_notification_oldest_age_seconds{target="dead"} 600');
  expect(text).toContain('rogue_smtp_notification_target_failing{target="dead"} 1');
  expect(text).toContain('rogue_smtp_notifications_sent_total{target="well"} 2');
  dead = false;
  await expect.poll(() => sent('well').at(-1), patience).toBe('Notifications to dead work again');
  expect(sent('dead')).toEqual(['10.0.0.1 sends mail without permission']);
  await notifier.stop();
});

it('a message that its target refuses is given up, counted and told, and holds up no other', async () => {
  let refuses = true;
  const { notifier, sent } = start({
    picky: () => (refuses ? { ok: false, refused: true, reason: 'HTTP 422' } : { ok: true, answer: '' }),
  });
  await notifier.start();
  await notifier.take([alertOf('10.0.0.1')]);
  await expect.poll(() => notifier.status()[0].counters.dropped.refused, patience).toBe(1);
  refuses = false;
  await notifier.take([alertOf('10.0.0.2')]);
  await expect
    .poll(() => sent('picky'), patience)
    .toEqual(
      expect.arrayContaining(['1 notification was dropped', '10.0.0.2 sends mail without permission']),
    );
  await notifier.stop();
});

it('an acknowledgement says whether anything was repeated, and outlives a restart', async () => {
  const first = start({ well: () => ({ ok: true, answer: '' }) });
  await first.notifier.start();
  await first.notifier.take([alertOf('10.0.0.1'), alertOf('10.0.0.2')]);
  expect(await first.notifier.acknowledge(incidentOf('10.0.0.1'))).toBe(true);
  expect(await first.notifier.acknowledge(incidentOf('10.0.0.1'))).toBe(false);
  await first.notifier.stop();
  const second = start({ well: () => ({ ok: true, answer: '' }) });
  await second.notifier.start();
  second.at(NOON + 3_600_000);
  await expect
    .poll(() => second.sent('well'), patience)
    .toContain('Not acknowledged: 10.0.0.2 sends mail without permission');
  expect(second.sent('well')).not.toContain('Not acknowledged: 10.0.0.1 sends mail without permission');
  await second.notifier.stop();
});

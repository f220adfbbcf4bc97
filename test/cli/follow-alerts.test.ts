/** Alerts are followed over restarts of the instance, each shown once, none missed. */

import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from '../../src/cli/client.ts';
import { followAlerts } from '../../src/cli/follow-alerts.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { alertMessage } from '../store/fixture.ts';
import { EMPTY_MODEL, startHttpServer, stopHttpServers } from '../support/http-server.ts';

afterEach(stopHttpServers);

const alertAt = (minute: number) =>
  alertMessage({
    alert_id: `a${minute}`,
    emitted_at: new Date(Date.UTC(2026, 2, 1, 10, minute)).toISOString(),
  });

/** An instance whose store holds `stored`, at the same address each time it is started. */
function instance() {
  const stored: Alert[] = [];
  let emit: ((alert: Alert) => void) | null = null;
  let url = '';
  return {
    stored,
    url: () => url,
    emit: (alert: Alert) => {
      stored.push(alert);
      emit?.(alert);
    },
    listening: () => emit !== null,
    async start() {
      const port = url === '' ? 0 : Number(new URL(url).port);
      url = await startHttpServer(
        undefined,
        {
          model: {
            ...EMPTY_MODEL,
            alerts: async ({ limit, since }) =>
              stored.filter(({ emitted_at }) => since === undefined || emitted_at >= since).slice(-limit),
          },
          onAlert: (listener) => {
            emit = listener;
            return () => {
              emit = null;
            };
          },
        },
        { listen: { host: '127.0.0.1', port } },
      );
    },
  };
}

async function following(it: ReturnType<typeof instance>, limit = 100) {
  const shown: string[] = [];
  const said: string[] = [];
  const over = new AbortController();
  const client = createClient({ config: configSchema.parse({}), instance: { url: it.url() } });
  const done = followAlerts({
    client,
    limit,
    show: (alerts) => shown.push(...alerts.map(({ alert_id }) => alert_id)),
    say: (text) => said.push(text),
    signal: over.signal,
    waits: { retryMs: 10, longestMs: 20, secondLookMs: 400 },
  });
  await expect.poll(it.listening).toBe(true);
  const end = async () => {
    over.abort();
    await done;
  };
  return { shown, said, end };
}

describe('following alerts', () => {
  it('shows what came while the instance was away, once, and says so', async () => {
    const one = instance();
    await one.start();
    one.stored.push(alertAt(1));
    const { shown, said, end } = await following(one);
    await expect.poll(() => shown).toEqual(['a1']);
    one.emit(alertAt(2));
    await expect.poll(() => shown).toEqual(['a1', 'a2']);
    await stopHttpServers();
    await expect.poll(() => said.length).toBeGreaterThan(0);
    one.stored.push(alertAt(3));
    await one.start();
    await expect.poll(() => shown).toEqual(['a1', 'a2', 'a3']);
    await expect.poll(one.listening).toBe(true);
    one.emit(alertAt(4));
    await expect.poll(() => shown).toEqual(['a1', 'a2', 'a3', 'a4']);
    expect(said[0]).toMatch(/^Lost the connection to the instance \(.*\)\. Connecting again/);
    expect(said.at(-1)).toMatch(/^Connected again after 0 s; 1 alert\(s\) came meanwhile\.$/);
    await end();
  });

  it('shows what reached the store only after the connect, also of a time before what was shown', async () => {
    const one = instance();
    await one.start();
    one.stored.push(alertAt(5));
    const { shown, end } = await following(one);
    await expect.poll(() => shown).toEqual(['a5']);
    one.stored.push(alertAt(4));
    await expect.poll(() => shown).toEqual(['a5', 'a4']);
    await end();
  });

  it('does not take for news what was left out by the limit at the start', async () => {
    const one = instance();
    await one.start();
    one.stored.push(alertAt(1), alertAt(2), alertAt(3));
    const { shown, end } = await following(one, 2);
    await expect.poll(() => shown).toEqual(['a2', 'a3']);
    one.stored.push(alertAt(6));
    await expect.poll(() => shown).toEqual(['a2', 'a3', 'a6']);
    await end();
  });

  it('says why it cannot connect again, each reason once', async () => {
    const one = instance();
    await one.start();
    const { said, end } = await following(one);
    await stopHttpServers();
    await expect
      .poll(() => said.some((text) => /Still trying: no running instance answers/.test(text)))
      .toBe(true);
    await end();
    expect(new Set(said).size).toBe(said.length);
  });
});

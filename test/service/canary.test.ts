/** A canary is found as a real host would be, and leaves no trace with what is known of real ones. */

import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { createCanaryLane } from '../../src/collect/canary-lane.ts';
import { decoderOptions } from '../../src/collect/decoder-options.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { isCanaryBatch } from '../../src/flow/canary.ts';
import { createLogger } from '../../src/logger.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { alertSchema } from '../../src/messages/alert.ts';
import { type Canary, createCanary } from '../../src/service/canary.ts';
import { canaryDatagram } from '../../src/service/canary-datagram.ts';
import { canaryAlerts } from '../../src/service/canary-detector.ts';
import { set, TUPLE, template, tuple, v9 } from '../support/datagrams.ts';

const NOW_MS = Date.UTC(2026, 2, 1, 10);
const NUMBER = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const SETTINGS = configSchema.parse({}).collector;

function lane() {
  const sent: { length: number; isCanary: boolean; batch: FlowBatch }[] = [];
  const taker = createCanaryLane(
    decoderOptions(SETTINGS),
    new Set(['192.0.2.9']),
    () => NOW_MS,
    (batch) => sent.push({ length: batch.length, isCanary: isCanaryBatch(batch), batch }),
  );
  return { sent, ...taker };
}

describe('a canary datagram', () => {
  it('is decoded past the archive, from this machine only', () => {
    const { sent, take, counters } = lane();
    const datagram = canaryDatagram(NUMBER, NOW_MS);
    expect(take(datagram, '198.51.100.1', 40_000)).toBe(false);
    for (const own of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.0.2.9'])
      expect(take(datagram, own, 40_000)).toBe(true);
    expect(sent.map(({ length, isCanary }) => [length, isCanary])).toEqual(
      [1, 1, 1, 1].map((n) => [n, true]),
    );
    expect(counters.taken).toBe(4);
  });

  it('is none where another host is in it, or where it is cut', () => {
    const { sent, take } = lane();
    const forged = v9([set(0, template(300, TUPLE)), set(300, tuple())], { domain: 0xca9a_2b1d });
    expect(take(forged, '127.0.0.1', 1)).toBe(false);
    const datagram = canaryDatagram(NUMBER, NOW_MS);
    for (let length = 0; length < datagram.length - 16; length += 7)
      expect(take(datagram.subarray(0, length), '127.0.0.1', 1)).toBe(false);
    expect(take(v9([set(0, template(300, TUPLE))], { domain: 7 }), '127.0.0.1', 1)).toBe(false);
    expect(sent).toEqual([]);
    expect(isCanaryBatch(createFlowBatch(1))).toBe(false);
  });

  it('raises an alert of its own kind, which names the server and fits the schema', () => {
    const { sent, take } = lane();
    take(canaryDatagram(NUMBER, NOW_MS), '127.0.0.1', 40_000);
    const alerts = canaryAlerts(sent[0].batch, NOW_MS);
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({
      kind: 'canary',
      host: '3fff:ca:9a2b:1d::25',
      block: { state: 'refused' },
      destinations: { top: [{ address: '3fff:ca:9a2b:ffff:102:304:506:708' }] },
    });
    expect(alertSchema.safeParse(alerts[0]).success).toBe(true);
  });
});

describe('sending canaries', () => {
  const running: { stop(): void }[] = [];
  afterEach(() => {
    for (const one of running.splice(0)) one.stop();
  });

  /** A listener that answers each canary with its alert, while `isWell`. */
  async function service(every?: string) {
    const told: Alert[] = [];
    const listeners = new Set<(alert: Alert) => void>();
    const state = { isWell: true };
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { sent, take } = lane();
    socket.on('message', (bytes, from) => {
      take(bytes, from.address, from.port);
      const batch = sent.pop()?.batch;
      if (!state.isWell || batch === undefined) return;
      for (const alert of canaryAlerts(batch, Date.now())) for (const listener of listeners) listener(alert);
    });
    const parsed = configSchema.parse({ canary: { timeout: '1s' } }).canary;
    const canary: Canary = createCanary({
      config: every === undefined ? parsed : { ...parsed, every: Number(every), timeout: 100 },
      onCanary: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      tell: (alert) => told.push(alert),
      policyVersion: () => 'p1',
      log: createLogger('silent'),
      now: Date.now,
    });
    running.push(canary, { stop: () => socket.close() });
    canary.start([{ host: '0.0.0.0', port: socket.address().port }]);
    return { canary, told, state, listeners };
  }

  it('says after which time the alert came, and leaves no listener behind', async () => {
    const { canary, listeners } = await service();
    const result = await canary.send();
    expect(result).toMatchObject({ alerted: true, listener: expect.stringMatching(/^127\.0\.0\.1:/) });
    expect(result.latency_ms).toBeLessThan(1000);
    expect(listeners.size).toBe(0);
  });

  it('says that none came, which by hand is no alert', async () => {
    const { canary, state, told } = await service();
    state.isWell = false;
    expect(await canary.send()).toMatchObject({ alerted: false, latency_ms: null, timeout_ms: 1000 });
    expect([told, canary.troubles()]).toEqual([[], []]);
  });

  it('on a timer reports once that none comes, and once that they come again', async () => {
    const { canary, state, told } = await service('120');
    await expect.poll(() => canary.counters.sent).toBeGreaterThan(0);
    state.isWell = false;
    await expect.poll(() => canary.counters.missing, { timeout: 5000 }).toBeGreaterThan(1);
    expect(canary.troubles()).toHaveLength(1);
    state.isWell = true;
    await expect.poll(() => told.length, { timeout: 5000 }).toBe(2);
    expect(told.map(({ coverage }) => coverage?.cause)).toEqual(['canary_missing', 'canary_returned']);
    expect(told.every((alert) => alertSchema.safeParse(alert).success)).toBe(true);
    expect(canary.troubles()).toEqual([]);
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPushArchive } from '../../src/push/archive.ts';
import { createPusher, type PushEvent, type Pusher } from '../../src/push/pusher.ts';
import { failedBefore, type PushReport, type PushRequest } from '../../src/push/report.ts';

const START_MS = Date.parse('2026-03-01T12:00:00.000Z');

const ask = (text: string, more: Partial<PushRequest> = {}): PushRequest => ({
  target: 'border',
  platform: 'cisco-ios',
  family: '4',
  interface: 'Gi0/1',
  text,
  settings: {
    host: '192.0.2.1',
    port: 22,
    username: 'rogue',
    password_env: 'PUSH_PASSWORD',
    host_key: [`SHA256:${'A'.repeat(43)}`],
    confirm: 300_000,
    timeout: 30_000,
  },
  ...more,
});
const applied = (request: PushRequest): PushReport => ({
  ...failedBefore(request, ''),
  result: 'applied',
  device: 'new list',
});

describe('the pusher', () => {
  let directory: string;
  let events: PushEvent[];
  let sent: string[];
  let outcome: (request: PushRequest) => PushReport | Promise<PushReport>;
  let pusher: Pusher;

  const create = async () => {
    const archive = createPushArchive(directory, Date.now);
    await archive.open();
    return createPusher({
      push: async (request) => {
        sent.push(`${request.target} ${request.text}`);
        return outcome(request);
      },
      archive,
      tell: (event) => events.push(event),
      log: { error: (fields) => expect.unreachable(JSON.stringify(fields)) },
      now: Date.now,
    });
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  /** The file system is real, and takes its time. */
  const until = async (condition: () => boolean) => {
    const endsAt = performance.now() + 10_000;
    while (!condition() && performance.now() < endsAt) await new Promise((resolve) => setImmediate(resolve));
    expect(condition()).toBe(true);
  };

  beforeEach(async () => {
    vi.useFakeTimers({ now: START_MS, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    directory = mkdtempSync(join(tmpdir(), 'pusher-'));
    events = [];
    sent = [];
    outcome = applied;
    pusher = await create();
  });
  afterEach(async () => {
    await pusher.stop();
    vi.useRealTimers();
    rmSync(directory, { recursive: true, force: true });
  });

  it('sends a list once, and after a restart not again', async () => {
    pusher.offer(ask('one'));
    await until(() => pusher.counters.applied === 1);
    pusher.offer(ask('one'));
    await pusher.stop();
    pusher = await create();
    pusher.offer(ask('one'));
    pusher.offer(ask('two'));
    await until(() => pusher.counters.applied === 1);
    expect(sent).toEqual(['border one', 'border two']);
  });

  it('sends to a new address of the router what the old one had', async () => {
    pusher.offer(ask('one'));
    await until(() => pusher.counters.applied === 1);
    pusher.offer(ask('one', { settings: { ...ask('').settings, host: '192.0.2.2' } }));
    await until(() => pusher.counters.applied === 2);
  });

  it('lets the lists of one router take turns, and sends only the newest text of each', async () => {
    const waiting: (() => void)[] = [];
    let atOnce = 0;
    let most = 0;
    outcome = async (request) => {
      most = Math.max(most, ++atOnce);
      await new Promise<void>((resolve) => waiting.push(resolve));
      atOnce--;
      return applied(request);
    };
    pusher.offer(ask('a1'));
    pusher.offer(ask('b1', { target: 'other' }));
    pusher.offer(ask('a2'));
    pusher.offer(ask('a3'));
    for (let done = 1; done <= 3; done++) {
      await until(() => waiting.length > 0);
      waiting.shift()?.();
      await until(() => pusher.counters.applied === done);
    }
    expect(most).toBe(1);
    expect([...sent].sort()).toEqual(['border a1', 'border a3', 'other b1']);
  });

  it('tries again later and later, leaves the router alone after five failures, and tells three times', async () => {
    let failing = true;
    outcome = (request) => (failing ? { ...failedBefore(request, 'connection refused') } : applied(request));
    pusher.offer(ask('one'));
    const at: number[] = [];
    for (let i = 1; i <= 5; i++) {
      await until(() => pusher.counters.failed === i);
      at.push(Date.now() - START_MS);
      await pass(i < 5 ? 30_000 * 2 ** (i - 1) : 0);
    }
    expect(at).toEqual([0, 30_000, 90_000, 210_000, 450_000]);
    expect(events.map(({ kind, failures }) => [kind, failures])).toEqual([
      ['failed', 1],
      ['paused', 5],
    ]);
    await pass(1_700_000);
    expect(sent).toHaveLength(5);
    failing = false;
    await pass(1_900_000);
    await pass(1_900_000);
    await until(() => pusher.counters.applied === 1);
    expect(events.at(-1)).toMatchObject({ kind: 'recovered', failures: 5, nextAtMs: null });
  });

  it('does not disturb a router that has a change on trial', async () => {
    outcome = (request) => ({
      ...failedBefore(request, 'the connection broke'),
      device: 'rolls back by itself',
    });
    pusher.offer(ask('one'));
    await until(() => pusher.counters.failed === 1);
    expect(events[0]?.nextAtMs).toBe(START_MS + 300_000);
  });

  it('asks the router again when it is not known what it has', async () => {
    pusher.offer(ask('one'));
    await until(() => pusher.counters.applied === 1);
    outcome = (request) => ({ ...failedBefore(request, 'the answer was lost'), device: 'unknown' });
    pusher.offer(ask('two'));
    await until(() => pusher.counters.failed === 1);
    outcome = applied;
    pusher.offer(ask('one'));
    await pass(300_000);
    await until(() => pusher.counters.applied === 2);
    expect(sent).toEqual(['border one', 'border two', 'border one']);
  });

  it('takes what is thrown for a failure before anything was sent', async () => {
    outcome = () => Promise.reject(new Error('push.password_env: the variable is not set'));
    pusher.offer(ask('one'));
    await until(() => pusher.counters.failed === 1);
    expect(events[0]?.report).toMatchObject({
      device: 'as before',
      reason: 'push.password_env: the variable is not set',
    });
  });

  it('writes every attempt into the audit log', async () => {
    pusher.offer(ask('one'));
    await until(() => pusher.counters.applied === 1);
    const entry = JSON.parse(readFileSync(join(directory, 'push/audit.ndjson'), 'utf8'));
    expect(entry).toMatchObject({
      at: '2026-03-01T12:00:00.000Z',
      by: 'service',
      target: 'border',
      device: '192.0.2.1 22',
      user: 'rogue',
      result: 'applied',
      device_state: 'new list',
    });
  });
});

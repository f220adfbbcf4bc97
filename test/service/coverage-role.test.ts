import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { alertSchema } from '../../src/messages/alert.ts';
import { createCoverageRole } from '../../src/service/coverage-role.ts';
import { createFakeCollector, exporterState } from '../support/fake-collector.ts';
import { createFakeStream } from '../support/fake-stream.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const state = (lastSeenMs: number) => exporterState('192.0.2.1', { domain: 7, lastSeenMs });

describe('the coverage role', () => {
  it('publishes a gap on the alerts stream, and keeps it while the stream does not take it', async () => {
    const stream = createFakeStream();
    const config = configSchema.parse({ coverage: { silent_after: '1m' } });
    const role = createCoverageRole(config, {
      collector: createFakeCollector([state(Date.now())]),
      stream,
      policyVersion: 'abc',
      log: createLogger('silent'),
      now: Date.now,
    });
    role.start();
    stream.answer = 'fail';
    await vi.advanceTimersByTimeAsync(70_000);
    expect(stream.messages).toHaveLength(0);
    stream.answer = 'accept';
    await vi.advanceTimersByTimeAsync(2000);
    await role.stop();
    expect(stream.messages).toHaveLength(1);
    const [{ stream: name, message }] = stream.messages;
    expect(name).toBe('alerts');
    const alert = alertSchema.parse(JSON.parse(Buffer.from(message.value).toString()));
    expect(message).toMatchObject({ key: '', id: alert.alert_id });
    expect(alert).toMatchObject({ kind: 'coverage', exporters: [{ address: '192.0.2.1', domain: 7 }] });
    expect(role.counters.alerts).toBe(1);
  });
});

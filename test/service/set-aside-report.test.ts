import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Alert, alertSchema } from '../../src/messages/alert.ts';
import { createSetAsideReport } from '../../src/service/set-aside-report.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('rows that were set aside or dropped are one alert a minute with their sum, and the rest at the end', () => {
  const counters = { rowsDeadLettered: 0, rowsDropped: 0 };
  const told: Alert[] = [];
  const report = createSetAsideReport({
    counters,
    now: Date.now,
    tell: (alert) => told.push(alert),
    policyVersion: () => 'p1',
  });
  const lost = () => told.map(({ coverage }) => [coverage?.cause, coverage?.lost]);
  report.start();
  vi.advanceTimersByTime(5000);
  expect(told).toEqual([]);
  counters.rowsDeadLettered = 3;
  vi.advanceTimersByTime(1000);
  expect(lost()).toEqual([['rows_set_aside', 3]]);
  counters.rowsDeadLettered = 10;
  counters.rowsDropped = 2;
  vi.advanceTimersByTime(30_000);
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(31_000);
  expect(lost()).toEqual([
    ['rows_set_aside', 3],
    ['rows_set_aside', 9],
  ]);
  counters.rowsDropped = 5;
  report.stop();
  expect(lost()[2]).toEqual(['rows_set_aside', 3]);
  expect(new Set(told.map(({ alert_id }) => alert_id)).size).toBe(3);
  for (const alert of told) expect(alertSchema.parse(alert)).toEqual(alert);
  expect(told[0]?.reasons[0]).toContain('store replay-dead-letters');
});

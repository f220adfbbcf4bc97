import { expect, it, vi } from 'vitest';
import { createLogger } from '../../src/logger.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { createEvictionNotice } from '../../src/service/eviction-notice.ts';
import { detectorFor, OUTSIDE, STRICT } from '../support/detecting.ts';
import { batchOf, sequenced } from '../support/flows.ts';

it('full tables of a detector are told when it begins, and then once a minute with what came since', () => {
  const log = createLogger('silent');
  const warn = vi.spyOn(log, 'warn');
  const told: Alert[] = [];
  let nowMs = 0;
  const notice = createEvictionNotice(
    log,
    () => nowMs,
    (alert) => told.push(alert),
    () => 'v',
  );
  const detector = detectorFor({ ...STRICT, detection: { max_hosts: 2 } });
  let offset = 0;
  const seen = (...hosts: number[]) => {
    const flows = hosts.map((host) => ({ from: `10.0.1.${host}`, to: OUTSIDE }));
    detector.observe(batchOf(sequenced(flows)), { partition: 0, offset: offset++ });
    notice(detector.counters, 7);
  };
  seen(1, 2);
  expect(warn).not.toHaveBeenCalled();
  seen(3);
  seen(4, 5);
  expect(warn.mock.calls.map(([facts]) => facts)).toEqual([{ partition: 7, hosts: 1, sessions: 0 }]);
  expect(told).toMatchObject([{ kind: 'coverage', coverage: { cause: 'tables_full', lost: 1 } }]);
  nowMs = 60_000;
  seen(6);
  expect(warn.mock.calls.at(-1)?.[0]).toEqual({ partition: 7, hosts: 3, sessions: 0 });
  expect(told).toHaveLength(1);
  nowMs = 600_000;
  seen(7);
  expect(told.map(({ coverage }) => coverage?.lost)).toEqual([1, 4]);
  // One exporter invents, and another one reports: its hosts make room for those of the other.
  nowMs = 1_200_000;
  detector.observe(batchOf(sequenced([{ from: '10.0.2.1', to: OUTSIDE, exporter: '192.0.2.2' }])), {
    partition: 0,
    offset: offset++,
  });
  seen(8);
  expect(warn.mock.calls.at(-1)?.[0]).toMatchObject({ of_one_exporter: 1, exporter: '192.0.2.1' });
  expect(told.at(-1)?.reasons.join()).toContain('last 192.0.2.1: its share of the table is used up');
  // Who leaves is told, too: the incident closes.
  const closed = detector.take().alerts.filter(({ kind }) => kind === 'closed');
  expect(closed.map(({ host }) => host)).toEqual([
    '10.0.1.1',
    '10.0.1.2',
    '10.0.1.3',
    '10.0.1.4',
    '10.0.1.5',
    '10.0.1.6',
    '10.0.1.7',
  ]);
});

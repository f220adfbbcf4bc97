import { describe, expect, it } from 'vitest';
import { createDetectorPartitions } from '../../src/detect/detector-partitions.ts';
import { detectorFor, OUTSIDE, ROGUE } from '../support/detecting.ts';
import { batchOf } from '../support/flows.ts';

const rogueMail = (host: string) =>
  batchOf([
    { from: host, to: OUTSIDE, record: 1 },
    { from: host, to: OUTSIDE, record: 2, fromPort: 40001 },
  ]);

describe('detectors of partitions', () => {
  it('know only what was in their partition, and count together', () => {
    const partitions = createDetectorPartitions(() => detectorFor());
    const one = partitions.begin(1);
    const two = partitions.begin(2);
    one.observe(rogueMail(ROGUE), { partition: 1, offset: 0 });
    two.observe(rogueMail('10.0.0.67'), { partition: 2, offset: 0 });
    expect(one.openIncidents().map(({ host }) => host)).toEqual([ROGUE]);
    expect(two.openIncidents().map(({ host }) => host)).toEqual(['10.0.0.67']);
    expect(partitions.counters).toMatchObject({
      mailFlows: 4,
      hosts: 2,
      alerts: { opened: 2 },
      open: { conversed: 2 },
    });
  });

  it('that end take their hosts along, and leave what they counted', () => {
    const partitions = createDetectorPartitions(() => detectorFor());
    partitions.begin(1).observe(rogueMail(ROGUE), { partition: 1, offset: 0 });
    partitions.end(1);
    partitions.end(1);
    expect(partitions.get(1)).toBeUndefined();
    expect(partitions.counters).toMatchObject({
      mailFlows: 2,
      hosts: 0,
      sessions: 0,
      alerts: { opened: 1 },
      open: { conversed: 0 },
    });
    expect([...partitions.assigned]).toEqual([]);
  });

  it('that begin again know nothing', () => {
    const partitions = createDetectorPartitions(() => detectorFor());
    const before = partitions.begin(1);
    before.observe(rogueMail(ROGUE), { partition: 1, offset: 5 });
    const after = partitions.begin(1);
    expect(after.openIncidents()).toEqual([]);
    expect(partitions.get(1)).toBe(after);
    expect(partitions.counters).toMatchObject({ mailFlows: 2, hosts: 0 });
  });
});

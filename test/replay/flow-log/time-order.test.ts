import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readWide } from '../../../src/flow/batch.ts';
import { createTimeOrder } from '../../../src/replay/flow-log/time-order.ts';
import { batchOf, T0 } from '../../support/flows.ts';

/** Puts rows of these times through; gives [time, sequence] of each as it came out. */
function order(times: readonly number[], maxRows: number) {
  const out: [number, number][] = [];
  const timeOrder = createTimeOrder({ maxRows, batchRows: 3 }, (batch) => {
    expect(batch.length).toBeLessThanOrEqual(3);
    for (let row = 0; row < batch.length; row++)
      out.push([readWide(batch.columns.received_at, row) - T0, batch.columns.sequence[row]]);
  });
  for (const [sequence, at] of times.entries())
    timeOrder.add(batchOf([{ at, sequence, from: '10.0.0.1', to: '192.0.2.1' }]));
  timeOrder.end();
  return { out, late: timeOrder.late };
}

describe('rows that wait for their place in time', () => {
  it('come out in order, those of one time as they came', () => {
    expect(order([50, 10, 50, 30, 10], 100)).toEqual({
      out: [
        [10, 1],
        [10, 4],
        [30, 3],
        [50, 0],
        [50, 2],
      ],
      late: 0,
    });
  });

  it('make way for others when there are too many, and who is too late gets the time of the last one', () => {
    expect(order([40, 30, 20, 10, 5], 4)).toEqual({
      out: [
        [10, 3],
        [20, 2],
        [20, 4],
        [30, 1],
        [40, 0],
      ],
      late: 1,
    });
  });

  it('all come out once, and never back in time, whatever the bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { maxLength: 60 }),
        fc.integer({ min: 2, max: 80 }),
        (times, max) => {
          const { out, late } = order(times, max);
          expect(out.map(([, sequence]) => sequence).sort((a, b) => a - b)).toEqual([...times.keys()]);
          expect(out.map(([at]) => at)).toEqual([...out.map(([at]) => at)].sort((a, b) => a - b));
          if (times.length <= max) expect(late).toBe(0);
          expect(out.filter(([at, sequence]) => at !== times[sequence])).toHaveLength(late);
        },
      ),
    );
  });
});

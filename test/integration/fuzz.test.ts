import { describe, expect, it } from 'vitest';
import { fuzz } from '../fuzz/run.ts';

const BOX_MS = 20_000;

describe('fuzzing', () => {
  it('finds nothing in a box of time, and reaches every part on the way', async () => {
    const figures = await fuzz({ seed: 20_261_124, untilMs: Date.now() + BOX_MS });
    expect(figures).toMatchObject({
      datagrams: expect.toSatisfy((count: number) => count >= 10_000),
      flows: expect.toSatisfy((count: number) => count > 1000),
      templates: expect.toSatisfy((count: number) => count > 1000),
      options: expect.toSatisfy((count: number) => count > 100),
      capturedDatagrams: expect.toSatisfy((count: number) => count > 10),
      loggedFlows: expect.toSatisfy((count: number) => count > 10),
      blocks: expect.toSatisfy((count: number) => count > 100),
    });
    for (const [reason, count] of Object.entries(figures.dropped)) {
      // Who may export is the collector's to say, not the decoder's.
      if (reason !== 'exporter_not_allowed') expect([reason, count > 0]).toEqual([reason, true]);
    }
  });
});

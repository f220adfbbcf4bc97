/** A collector on another machine whose clock is wrong, or was set, as the detector of another process reads it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readWide } from '../../src/flow/batch.ts';
import { createLogger } from '../../src/logger.ts';
import { createCollectorClocks } from '../../src/service/collector-clocks.ts';
import { detectorFor, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';

const DAY = 24 * HOUR;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'collector-clocks-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A detector of one partition; `wrong` is how far the collector's clock is off when it stamps. */
function reading(detector = detectorFor(STRICT)) {
  let nowMs = T0;
  let offset = 0;
  const steps: [string, number][] = [];
  const open = () =>
    createCollectorClocks({
      directory,
      now: () => nowMs,
      log: createLogger('silent'),
      onStep: (producer, ms) => steps.push([producer, ms]),
    });
  let clocks = open();
  return {
    detector,
    steps,
    clocks: () => clocks,
    async restart() {
      await clocks.settled();
      clocks = open();
    },
    at(ms: number) {
      nowMs = T0 + ms;
    },
    /** A mail of the host at the present time. Returns the receive time that the detector gets, after T0. */
    mail(from: string, wrong: number, producer = 'a') {
      const at = nowMs - T0 + wrong;
      const batch = batchOf([
        { from, to: OUTSIDE, fromPort: 2000 + offset, flags: 'SPAF', packets: 20, bytes: 4000, at },
      ]);
      clocks.correct(batch, producer, 0);
      detector.observe(batch, { partition: 0, offset: offset++ });
      return readWide(batch.columns.received_at, 0) - T0;
    },
  };
}

describe('the clock of a remote collector', () => {
  it.each([DAY, HOUR, 10 * MINUTE, -20 * MINUTE, -DAY, 400 * DAY])(
    'that jumps by %d ms neither ends blocks, nor makes later ones longer, nor hides a host',
    (wrong) => {
      const { detector, at, mail, steps } = reading();
      for (let n = 0; n < 2; n++) mail(ROGUE, 0);
      const [{ block }] = detector.openIncidents();
      expect(block.state).toBe('published');
      at(10 * MINUTE);
      for (const host of ['10.0.0.77', '10.0.0.77']) {
        mail(host, wrong);
        at(10 * MINUTE + SECOND);
      }
      const [first, second] = detector.openIncidents();
      expect(first).toMatchObject({ host: ROGUE, state: 'open', block });
      expect(second).toMatchObject({ host: '10.0.0.77', sessions: 2, block: { state: 'published' } });
      const life = Date.parse(second.block.until ?? '') - (T0 + 10 * MINUTE);
      expect(Math.abs(life - DAY)).toBeLessThanOrEqual(10 * MINUTE);
      expect(steps).toEqual([['a', expect.any(Number)]]);
      expect(Math.abs(steps[0][1] - wrong)).toBeLessThanOrEqual(10 * MINUTE);
      // Other collectors are believed, and this one again once its clock is right.
      at(20 * MINUTE);
      expect(mail(ROGUE, 0, 'b')).toBe(20 * MINUTE);
      expect(mail(ROGUE, 0)).toBe(20 * MINUTE);
    },
  );

  it('is put right by the same amount after a restart, though the reading is later', async () => {
    const { at, mail, restart } = reading();
    at(MINUTE);
    expect(mail(ROGUE, DAY)).toBe(MINUTE);
    await restart();
    at(MINUTE + 10 * MINUTE);
    // The same record again, and one from before the jump.
    expect(mail(ROGUE, DAY - 10 * MINUTE)).toBe(MINUTE);
    await restart();
    expect(mail(ROGUE, -11 * MINUTE)).toBe(0);
  });

  it('is left alone by what comes late out of a backlog, by gaps, and by small differences', () => {
    const { at, mail, steps } = reading();
    at(5 * DAY);
    for (const late of [-4 * DAY, -3 * DAY, -3 * DAY - 30 * SECOND, -HOUR, 0, 30 * SECOND])
      expect(mail(ROGUE, late)).toBe(5 * DAY + late);
    expect(steps).toEqual([]);
  });

  it.each(['', '{', '{"shifts":{"a":"x"}}', '{"shifts":{"a":5},"crc32":"00000000"}'])(
    'is judged anew where the file is damaged: %s',
    (text) => {
      writeFileSync(join(directory, 'collector-clocks.json'), text);
      const { at, mail } = reading();
      at(MINUTE);
      expect(mail(ROGUE, DAY)).toBe(MINUTE);
    },
  );
});

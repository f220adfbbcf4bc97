import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../src/logger.ts';
import { createSteadyClock } from '../src/steady-clock.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.parse('2026-03-01T12:00:00.000Z');
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-clock-'));
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

/** The clocks of a machine: time passes for both, and one of them can be set. */
function machine() {
  const clocks = { wall: START, monotonic: 5000, boot: 'a' };
  const steps: number[] = [];
  return {
    clocks,
    steps,
    start() {
      const clock = createSteadyClock({
        directory,
        log: createLogger('silent'),
        onStep: (ms) => steps.push(ms),
        wall: () => clocks.wall,
        monotonic: () => clocks.monotonic,
        bootId: () => clocks.boot,
      });
      clock.start();
      return clock;
    },
    pass(ms: number, step = 1000) {
      for (let passed = 0; passed < ms; passed += step) {
        clocks.wall += step;
        clocks.monotonic += step;
        vi.advanceTimersByTime(1000);
      }
    },
  };
}

describe('the time of a process', () => {
  it('is the time of the machine, as long as nobody sets it', () => {
    const { start, pass, steps, clocks } = machine();
    const clock = start();
    pass(2 * HOUR);
    expect(clock.now()).toBe(clocks.wall);
    // As NTP slews: half a millisecond in a second.
    for (let i = 0; i < 3600; i++) {
      pass(1000);
      clocks.wall += 0.5;
    }
    expect(Math.abs(clock.now() - clocks.wall)).toBeLessThan(20);
    expect(steps).toEqual([]);
  });

  it.each([DAY, HOUR, -HOUR, -DAY, 20 * 365 * DAY])(
    'does not jump with it, and says so once: by %d ms',
    (step) => {
      const { start, pass, steps, clocks } = machine();
      const clock = start();
      pass(60_000);
      const before = clock.now();
      clocks.wall += step;
      expect(clock.now()).toBe(before);
      pass(HOUR);
      expect(Math.abs(clock.now() - before - HOUR)).toBeLessThanOrEqual(HOUR / 100);
      expect(steps).toEqual([step]);
    },
  );

  it('never goes backwards, and comes to agree with the machine again', () => {
    const { start, pass, clocks } = machine();
    const clock = start();
    clocks.wall -= 60_000;
    let last = 0;
    for (let i = 0; i < 8000; i++) {
      pass(1000);
      expect(clock.now()).toBeGreaterThanOrEqual(last);
      last = clock.now();
    }
    expect(clock.now()).toBe(clocks.wall);
  });

  it('goes on over a restart, however the clock was set meanwhile, but not over a boot', async () => {
    const { start, pass, steps, clocks } = machine();
    const first = start();
    pass(20_000);
    await first.stop();
    clocks.wall += DAY;
    pass(HOUR);
    const expected = first.now();
    const second = start();
    expect(second.now()).toBe(expected);
    expect(steps).toEqual([DAY]);
    await second.stop();
    clocks.boot = 'b';
    clocks.monotonic = 10;
    expect(start().now()).toBe(clocks.wall);
  });

  it('goes on after a kill: the anchor is written now and then', async () => {
    const { start, pass, clocks } = machine();
    const killed = start();
    pass(20_000);
    vi.useRealTimers();
    await expect.poll(() => readFileSync(join(directory, 'clock.json'), 'utf8')).toContain('"time"');
    clocks.wall += DAY;
    expect(start().now()).toBe(killed.now());
  });

  it('is taken from the machine where the anchor is damaged, of another life, or the clock was not set', () => {
    const { start, pass, clocks } = machine();
    for (const text of [
      '',
      '{',
      '{"boot":"a","monotonic":1,"time":5}',
      `{"boot":"a","monotonic":9e9,"time":${START}}`,
    ]) {
      writeFileSync(join(directory, 'clock.json'), text);
      expect(start().now()).toBe(clocks.wall);
    }
    clocks.wall = 1000;
    const unset = start();
    clocks.wall = START + DAY;
    pass(1000);
    expect(unset.now()).toBe(clocks.wall);
  });
});
